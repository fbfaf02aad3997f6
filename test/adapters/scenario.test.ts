// Scenario files: what is refused and how it is told, and what is wrong on a line at a moment.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { faultsAt, momentsFrom } from '#adapters/feeds/active-faults.ts'
import { FAULT_NAMES, type FaultName, NO_FAULTS, parseScenario } from '#adapters/feeds/scenario.ts'
import { Failure } from '#domain/failure.ts'

const parse = (...faults: Record<string, unknown>[]) => parseScenario(JSON.stringify(faults))
const fault = (name: FaultName, fields: Record<string, unknown> = {}) => ({
  at_ms: 1000,
  line: 'primary',
  fault: name,
  ...fields,
})

function problemOf(text: string): string {
  try {
    parseScenario(text)
  } catch (error) {
    expect(error).toBeInstanceOf(Failure)
    expect(error).toHaveProperty('kind', 'scenario-invalid')
    return error instanceof Error ? error.message : ''
  }
  throw new Error(`was accepted: ${text}`)
}

/** What each fault needs, so that every name of the contract is parsed at least once. */
const NEEDED: Record<FaultName, Record<string, unknown>> = {
  disconnect: { reason: 8193, for_ms: 5000 },
  'refuse-connect': { for_ms: 5000 },
  'login-error': { id: 7, for_ms: 5000 },
  mute: { for_ms: 5000 },
  'drop-subscriptions': {},
  'partial-acks': { ratio: 0.25 },
  'refuse-contracts': { count: 3 },
  throttle: { code: -3, for_ms: 5000 },
  rewind: { by_ms: 2000 },
  duplicate: { for_ms: 5000 },
  garbage: { kinds: ['nan', 'absurd-volume'], ratio: 1 },
  lag: { by_ms: 300 },
  lose: { ratio: 0.05 },
  crash: {},
  hang: { for_ms: 5000 },
  'exchange-halt': { exchange: 'CZCE', line: 'both', for_ms: 5000 },
}

describe('a scenario file', () => {
  test.each(FAULT_NAMES)('may hold %s', (name) => {
    const { faults } = parse(fault(name, NEEDED[name]))
    expect(faults).toMatchObject([{ fault: name, atMs: 1000 }])
  })

  test('may be the example of the contract', () => {
    const [first] = parse({ at_ms: 3000, line: 'primary', fault: 'disconnect', reason: 4097, for_ms: 5000 }).faults
    expect(first).toEqual({ atMs: 3000, line: 'primary', fault: 'disconnect', reason: 4097, forMs: 5000 })
  })

  test('may be absent', () => {
    expect(parseScenario('')).toEqual(NO_FAULTS)
    expect(parseScenario('[]')).toEqual(NO_FAULTS)
  })

  test('is put in order of time', () => {
    const { faults } = parse(
      fault('crash', { at_ms: 9 }),
      fault('mute', { at_ms: 3 }),
      fault('lag', { at_ms: 5, by_ms: 1 }),
    )
    expect(faults.map(({ atMs }) => atMs)).toEqual([3, 5, 9])
  })

  test.each([
    ['text that is no JSON', '[{', /not valid JSON/],
    ['no list', '{"fault": "crash"}', /expected a JSON array/],
    ['no object in the list', '[1]', /fault 1: expected an object/],
    [
      'an unknown fault',
      JSON.stringify([fault('crash', { fault: 'disconect' })]),
      /unknown fault "disconect", did you mean disconnect\?/,
    ],
    [
      'an underscore for a hyphen',
      JSON.stringify([fault('crash', { fault: 'partial_acks' })]),
      /did you mean partial-acks\?/,
    ],
    [
      'a fault like no other',
      JSON.stringify([fault('crash', { fault: 'explosion' })]),
      /unknown fault "explosion", expected one of disconnect/,
    ],
    ['no fault', '[{"at_ms": 1, "line": "primary"}]', /unknown fault undefined/],
    ['a key of another fault', JSON.stringify([fault('crash', { for_ms: 3 })]), /crash has no for_ms/],
    [
      'a misspelt key',
      JSON.stringify([fault('disconnect', { reson: 3 })]),
      /disconnect has no reson, did you mean reason\?/,
    ],
    [
      'no time',
      JSON.stringify([{ line: 'primary', fault: 'crash' }]),
      /at_ms must be a number of at least 0, got undefined/,
    ],
    [
      'a time before the start',
      JSON.stringify([fault('crash', { at_ms: -1 })]),
      /at_ms must be a number of at least 0, got -1/,
    ],
    [
      'a time as text',
      JSON.stringify([fault('crash', { at_ms: '3000' })]),
      /at_ms must be a number of at least 0, got "3000"/,
    ],
    ['no line', JSON.stringify([{ at_ms: 1, fault: 'crash' }]), /line must be primary, backup or both/],
    [
      'an unknown line',
      JSON.stringify([fault('crash', { line: 'third' })]),
      /line must be primary, backup or both, got "third"/,
    ],
    ['a key that is needed', JSON.stringify([fault('login-error')]), /login-error needs id/],
    ['a login error that is a success', JSON.stringify([fault('login-error', { id: 0 })]), /id 0 would be a success/],
    ['a ratio over 1', JSON.stringify([fault('lose', { ratio: 5 })]), /ratio must be a number from 0 to 1, got 5/],
    ['another throttle', JSON.stringify([fault('throttle', { code: -1 })]), /code must be -2 or -3, got -1/],
    [
      'a fraction of contracts',
      JSON.stringify([fault('refuse-contracts', { count: 1.5 })]),
      /count must be a whole number of at least 1, got 1.5/,
    ],
    [
      'unknown garbage',
      JSON.stringify([fault('garbage', { kinds: ['nan', 'dirt'] })]),
      /unknown garbage "dirt", expected dbl-max/,
    ],
    ['no garbage at all', JSON.stringify([fault('garbage', { kinds: [] })]), /kinds must be a list/],
    [
      'an unknown exchange',
      JSON.stringify([fault('exchange-halt', { exchange: 'NYSE', line: 'both' })]),
      /exchange must be one of .*, got "NYSE"/,
    ],
    [
      'a halt for one line',
      JSON.stringify([fault('exchange-halt', { exchange: 'DCE' })]),
      /exchange-halt holds for both lines/,
    ],
  ])('is refused for %s', (_what, text, message) => {
    expect(problemOf(text)).toMatch(message)
  })

  test('names every problem at once, by its place in the file', () => {
    const problem = problemOf(JSON.stringify([fault('crash'), fault('lose'), fault('mute', { line: '', at_ms: null })]))
    expect(problem).toMatch(/fault 2: lose needs ratio/)
    expect(problem).toMatch(/fault 3: at_ms must be/)
    expect(problem).toMatch(/fault 3: line must be/)
    expect(problem).not.toMatch(/fault 1/)
  })
})

describe('a line under a scenario', () => {
  test.each([
    ['before the fault', 999, false],
    ['from its first moment', 1000, true],
    ['to before its end', 5999, true],
    ['not at its end', 6000, false],
  ])('is muted %s', (_when, atMs, muted) => {
    expect(faultsAt(parse(fault('mute', { for_ms: 5000 })), 'primary', atMs).muted).toBe(muted)
  })

  test('does not suffer from what befalls the other one, and both suffer from what befalls both', () => {
    const scenario = parse(fault('mute'), fault('lag', { line: 'both', by_ms: 300 }))
    expect(faultsAt(scenario, 'primary', 1000)).toMatchObject({ muted: true, lagMs: 300 })
    expect(faultsAt(scenario, 'backup', 1000)).toMatchObject({ muted: false, lagMs: 300 })
  })

  test('is down while it is disconnected or refused', () => {
    const scenario = parse(
      fault('disconnect', { for_ms: 1000 }),
      fault('refuse-connect', { at_ms: 1500, for_ms: 2000 }),
    )
    const down = [500, 1000, 1999, 2500, 3499, 3500].map((atMs) => faultsAt(scenario, 'primary', atMs).down)
    expect(down).toEqual([false, true, true, true, true, false])
  })

  test('draws its own lots where both lose ticks', () => {
    const scenario = parse(fault('lose', { line: 'both', ratio: 0.5 }))
    const [primary, backup] = (['primary', 'backup'] as const).map(
      (line) => faultsAt(scenario, line, 1000).lose[0]?.salt,
    )
    expect(primary).not.toBe(backup)
  })

  test('stays as it is from `fromMs` to before `untilMs`', () => {
    const entry = fc.record({
      at_ms: fc.integer({ min: 0, max: 100 }),
      for_ms: fc.integer({ min: 0, max: 50 }),
      line: fc.constantFrom('primary', 'backup', 'both'),
      fault: fc.constantFrom('mute', 'duplicate', 'disconnect', 'refuse-connect'),
    })
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 6 }), fc.integer({ min: -10, max: 200 }), (entries, atMs) => {
        const scenario = parse(...entries)
        const now = faultsAt(scenario, 'primary', atMs)
        expect(now.fromMs).toBeLessThanOrEqual(atMs)
        expect(now.untilMs).toBeGreaterThan(atMs)
        for (let t = Math.max(-20, now.fromMs); t < Math.min(220, now.untilMs); t++)
          expect(faultsAt(scenario, 'primary', t)).toEqual(now)
        if (now.untilMs < 220) expect(faultsAt(scenario, 'primary', now.untilMs).fromMs).toBe(now.untilMs)
      }),
    )
  })

  test('meets moments that lie ahead of the process, and no others', () => {
    const scenario = parse(
      fault('crash'),
      fault('rewind', { at_ms: 2000, by_ms: 500 }),
      fault('hang', { at_ms: 3000, line: 'backup' }),
      fault('drop-subscriptions', { at_ms: 4000, line: 'both' }),
    )
    const kinds = (line: 'primary' | 'backup', startMs: number) =>
      momentsFrom(scenario, line, startMs).map(({ kind }) => kind)
    expect(kinds('primary', 0)).toEqual(['crash', 'rewind', 'drop-subscriptions'])
    expect(kinds('primary', 1001)).toEqual(['rewind', 'drop-subscriptions'])
    expect(kinds('backup', 3500)).toEqual(['drop-subscriptions'])
    expect(kinds('backup', 4001)).toEqual([])
  })

  test('meets a single login error although no process is up at its moment, but not a second process', () => {
    const scenario = parse(fault('login-error', { at_ms: 0, id: 7 }))
    expect(momentsFrom(scenario, 'primary', 400)).toEqual([{ atMs: 0, kind: 'login-error', id: 7 }])
    expect(momentsFrom(scenario, 'primary', 30_000)).toEqual([])
    expect(faultsAt(scenario, 'primary', 400).loginError).toBe(0)
  })

  test('is refused every login while a login error lasts', () => {
    const scenario = parse(fault('login-error', { id: 7, for_ms: 60_000 }))
    expect(faultsAt(scenario, 'primary', 30_000).loginError).toBe(7)
    expect(momentsFrom(scenario, 'primary', 0)).toEqual([])
  })
})
