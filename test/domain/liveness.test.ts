import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type ExchangeEvidence,
  FAULT_OF_REASON,
  type LineEvidence,
  measurePulse,
  DEFAULT_LIVENESS_POLICY as POLICY,
  PULSE_SENTENCES,
  type PulseReason,
  pulseOf,
  sinceReading,
} from '#domain/liveness.ts'
import type { SessionState } from '#domain/session-calendar.ts'
import type { LineState } from '#domain/status.ts'

const NOW = 1_000_000
const ago = (ms: number) => NOW - ms
const REASONS = Object.keys(FAULT_OF_REASON) as PulseReason[]
const HOUR = 3_600_000

/** A liquid exchange, open for an hour, on which both lines ticked just now. */
function exchange(change: Partial<ExchangeEvidence> = {}): ExchangeEvidence {
  return {
    exchange: 'SHFE',
    sessionState: 'open',
    inStateForMs: HOUR,
    expectedGapMs: 10,
    thisLastTickMs: ago(10),
    otherLastTickMs: ago(10),
    unanswered: null,
    ...change,
  }
}

/** A line that has streamed for an hour beside another one, with nothing wrong. */
function line(change: Partial<LineEvidence> = {}): LineEvidence {
  return {
    state: 'streaming',
    stateSinceMs: ago(HOUR),
    wantedUp: true,
    lastFrameMs: ago(5),
    streamingSinceMs: ago(HOUR),
    otherStreamingSinceMs: ago(HOUR),
    market: { thisLastTickMs: ago(10), otherLastTickMs: ago(10), unanswered: null },
    exchanges: [exchange(), exchange({ exchange: 'DCE' })],
    coverage: { own: 1, other: 1 },
    recent: { received: 60_000, invalid: 0 },
    delayP95Ms: 20,
    connectFailures: 0,
    loginFailures: 0,
    ...change,
  }
}

function reasonOf(evidence: LineEvidence): PulseReason {
  return measurePulse(evidence, POLICY, NOW).reason
}

/** Silent since `ms` ago on every exchange while the other line brought `ticks`. */
function mute(ms: number, ticks: number, change: Partial<LineEvidence> = {}): LineEvidence {
  const silence = { thisLastTickMs: ago(ms), otherLastTickMs: ago(1), unanswered: { ticks, sinceMs: ago(ms) } }
  return line({
    market: silence,
    exchanges: [exchange(silence), exchange({ ...silence, exchange: 'DCE' })],
    ...change,
  })
}

function silentOnBoth(ms: number, exchanges: readonly string[]): LineEvidence {
  const silence = { thisLastTickMs: ago(ms), otherLastTickMs: ago(ms) }
  return line({
    market: { ...silence, unanswered: null },
    exchanges: exchanges.map((name) => exchange({ ...silence, exchange: name })),
  })
}

const ALL_CLOSED = [exchange({ sessionState: 'closed' }), exchange({ exchange: 'DCE', sessionState: 'closed' })]

describe('a line is', () => {
  it.each<[string, PulseReason, LineEvidence]>([
    ['well while it ticks', 'ticking', line()],
    ['mute after two seconds of silence while the other line ticks', 'line-mute', mute(2_000, 20)],
    ['not mute a moment earlier', 'ticking', mute(1_999, 4_999)],
    ['not mute when the other line brought too little to tell', 'ticking', mute(4_000, 19)],
    ['mute within a second when a flood of ticks passes it by', 'line-mute', mute(700, 5_000)],
    ['suspected when the other line brought only a few ticks for long', 'mute-suspected', mute(20_000, 5)],
    [
      'not mute when a burst on the other line ends a quiet spell',
      'ticking',
      line({
        market: { thisLastTickMs: ago(4_000), otherLastTickMs: ago(1), unanswered: { ticks: 500, sinceMs: ago(100) } },
      }),
    ],
    [
      'mute on one exchange while it ticks elsewhere',
      'exchange-mute',
      line({ exchanges: [exchange(), exchange({ exchange: 'CZCE', unanswered: { ticks: 20, sinceMs: ago(3_000) } })] }),
    ],
    [
      'not mute on an exchange before its three seconds are over',
      'ticking',
      line({
        exchanges: [exchange(), exchange({ exchange: 'CZCE', unanswered: { ticks: 900, sinceMs: ago(2_900) } })],
      }),
    ],
    [
      'not to blame for an exchange that is silent on both lines',
      'exchange-silent-on-both',
      silentOnBoth(600_000, ['DCE']),
    ],
    [
      'not to blame when one of two exchanges halts on both lines',
      'exchange-silent-on-both',
      line({
        exchanges: [exchange(), exchange({ exchange: 'DCE', thisLastTickMs: ago(HOUR), otherLastTickMs: ago(HOUR) })],
      }),
    ],
    [
      'dead when every liquid exchange is silent on both lines for half a minute',
      'market-silent',
      silentOnBoth(30_000, ['DCE', 'SHFE']),
    ],
    ['not dead when they are silent for less', 'market-silent-on-both', silentOnBoth(29_000, ['DCE', 'SHFE'])],
    [
      'told of as soon as every exchange is silent on both',
      'market-silent-on-both',
      silentOnBoth(5_000, ['DCE', 'SHFE']),
    ],
    [
      'well in the dead of an illiquid night',
      'too-quiet-to-judge',
      line({
        market: { thisLastTickMs: ago(300_000), otherLastTickMs: ago(300_000), unanswered: null },
        exchanges: [
          exchange({
            exchange: 'INE',
            expectedGapMs: 30_000,
            thisLastTickMs: ago(300_000),
            otherLastTickMs: ago(300_000),
          }),
        ],
      }),
    ],
    [
      'in doubt while an exchange has long been open and neither line ever brought a tick',
      'silent-alone',
      line({
        market: { thisLastTickMs: null, otherLastTickMs: null, unanswered: null },
        exchanges: [exchange({ expectedGapMs: null, thisLastTickMs: null, otherLastTickMs: null })],
      }),
    ],
  ])('%s', (_, reason, evidence) => {
    expect(reasonOf(evidence)).toBe(reason)
  })

  it.each<[string, PulseReason, Partial<LineEvidence>]>([
    ['red at once when it has lost its session', 'not-connected', { state: 'connecting', stateSinceMs: NOW }],
    ['red while it waits for its next dial', 'not-connected', { state: 'waiting', connectFailures: 2 }],
    ['failing after three failed connects', 'connect-failing', { state: 'waiting', connectFailures: 3 }],
    [
      'failing after three failed logins',
      'login-failing',
      { state: 'logging-in', loginFailures: 3, connectFailures: 3 },
    ],
    ['red when its account is latched', 'latched', { state: 'latched' }],
    ['red when it has given up', 'failed', { state: 'failed' }],
    ['red when the bridge misses its counters', 'bridge-silent', { lastFrameMs: ago(3_001) }],
    ['well when the counters are just late', 'ticking', { lastFrameMs: ago(3_000) }],
    [
      'yellow while it subscribes',
      'subscribing',
      { state: 'subscribing', stateSinceMs: ago(60_000), coverage: { own: 0.4, other: 1 } },
    ],
    [
      'red when subscribing takes for ever',
      'coverage-low',
      { state: 'subscribing', stateSinceMs: ago(60_001), coverage: { own: 0.4, other: 1 } },
    ],
    [
      'dead when after all that time it holds no contract at all',
      'nothing-subscribed',
      { state: 'subscribing', stateSinceMs: ago(60_001), coverage: { own: 0, other: 0 } },
    ],
    [
      'well while it adds the last few contracts',
      'ticking',
      { state: 'subscribing', coverage: { own: 0.995, other: 1 } },
    ],
    [
      'red when it carries too few contracts and the other line does not',
      'coverage-low',
      { coverage: { own: 0.994, other: 1 } },
    ],
    ['in doubt when both lines carry too few', 'coverage-low-on-both', { coverage: { own: 0.9, other: 0.9 } }],
    [
      'red when it alone serves and carries too few',
      'coverage-low',
      { coverage: { own: 0.9, other: null }, otherStreamingSinceMs: null },
    ],
    ['not blamed for a coverage that nobody knows', 'ticking', { coverage: { own: null, other: null } }],
    ['red when more than 2 % of its ticks are invalid', 'invalid-ticks', { recent: { received: 1_000, invalid: 21 } }],
    ['well at exactly 2 %', 'ticking', { recent: { received: 1_000, invalid: 20 } }],
    ['not judged on fewer than 1,000 ticks', 'ticking', { recent: { received: 999, invalid: 999 } }],
    ['red when it brings the same ticks more than half a second later', 'lagging', { delayP95Ms: 501 }],
    ['well at half a second', 'ticking', { delayP95Ms: 500 }],
    ['well when nobody knows how much later', 'ticking', { delayP95Ms: null }],
    ['standing by when it is not wanted up', 'standing-by', { state: 'off', wantedUp: false, lastFrameMs: null }],
    ['standing by when it waits logged in', 'standing-by', { state: 'logged-in', wantedUp: false }],
    [
      'not standing by when its bridge is dead',
      'bridge-silent',
      { state: 'logged-in', wantedUp: false, lastFrameMs: ago(9_000) },
    ],
    ["not standing by when it can't log in", 'login-failing', { state: 'waiting', wantedUp: false, loginFailures: 3 }],
  ])('%s', (_, reason, change) => {
    expect(reasonOf(line(change))).toBe(reason)
  })
})

describe('the failure stories', () => {
  it.each<[string, PulseReason, LineEvidence]>([
    [
      'story 4: a front that drops the line in the lunch break is no fault',
      'off-hours',
      line({ state: 'connecting', exchanges: [exchange({ sessionState: 'break' })] }),
    ],
    [
      'story 5 and 6: reconnected, logged in, but never resubscribed and silent',
      'line-mute',
      mute(HOUR, 50_000, { stateSinceMs: ago(HOUR), streamingSinceMs: ago(HOUR) }),
    ],
    [
      'story 7: connected, but 21:00 passes without data',
      'line-mute',
      line({
        market: {
          thisLastTickMs: ago(6 * HOUR),
          otherLastTickMs: ago(1),
          unanswered: { ticks: 900, sinceMs: ago(2_000) },
        },
        exchanges: [
          exchange({
            inStateForMs: 2_100,
            thisLastTickMs: ago(6 * HOUR),
            otherLastTickMs: ago(1),
            unanswered: { ticks: 900, sinceMs: ago(2_000) },
          }),
        ],
      }),
    ],
    [
      'story 7 with no other line to compare: in doubt once the market should have ticked',
      'silent-alone',
      line({
        otherStreamingSinceMs: null,
        market: { thisLastTickMs: null, otherLastTickMs: null, unanswered: null },
        exchanges: [exchange({ inStateForMs: 6_000, thisLastTickMs: null, otherLastTickMs: null })],
      }),
    ],
    [
      'story 7 with no other line, half a minute into an open market',
      'market-silent',
      line({
        otherStreamingSinceMs: null,
        market: { thisLastTickMs: null, otherLastTickMs: null, unanswered: null },
        exchanges: [
          exchange({ inStateForMs: 31_000, thisLastTickMs: null, otherLastTickMs: null }),
          exchange({ exchange: 'DCE', inStateForMs: 31_000, thisLastTickMs: null, otherLastTickMs: null }),
        ],
      }),
    ],
    [
      'story 9: the front answers 7 for some minutes before the night',
      'off-hours',
      line({ state: 'waiting', loginFailures: 9, exchanges: ALL_CLOSED }),
    ],
    [
      'story 10: old ticks again are no sign of life, so a rewinding line is mute',
      'line-mute',
      mute(2_500, 400, { recent: { received: 60_000, invalid: 0 } }),
    ],
    [
      'story 14: the snapshot pushed after subscribing at night owes nothing',
      'market-quiet',
      line({
        exchanges: ALL_CLOSED,
        market: {
          thisLastTickMs: ago(8 * HOUR),
          otherLastTickMs: ago(1),
          unanswered: { ticks: 18_000, sinceMs: ago(5_000) },
        },
      }),
    ],
    [
      'story 17: one exchange missing after an early connect',
      'exchange-mute',
      line({
        exchanges: [
          exchange(),
          exchange({
            exchange: 'DCE',
            thisLastTickMs: null,
            inStateForMs: 3_100,
            unanswered: { ticks: 40, sinceMs: ago(3_100) },
          }),
        ],
      }),
    ],
    ['story 8: the account is latched after a wrong password', 'latched', line({ state: 'latched', loginFailures: 1 })],
    [
      'the reconnect storm of 2023-12-12: never logged in',
      'connect-failing',
      line({ state: 'connecting', connectFailures: 30, streamingSinceMs: null }),
    ],
    [
      'the correlated hole of 2020-08-10: one exchange, 42 s, both lines',
      'exchange-silent-on-both',
      silentOnBoth(42_000, ['CZCE']),
    ],
  ])('%s', (_, reason, evidence) => {
    expect(reasonOf(evidence)).toBe(reason)
  })
})

describe('silence', () => {
  it('weighs more than low coverage, because a mute line delivers nothing at all', () => {
    expect(reasonOf(mute(2_000, 20, { coverage: { own: 0.9, other: 1 } }))).toBe('line-mute')
  })

  const quiet: SessionState[] = ['closed', 'break', 'holiday', 'auction']

  it.each(quiet)('in %s is nothing, however much the other line delivers', (sessionState) => {
    const evidence = mute(HOUR, 1_000_000)
    const exchanges = evidence.exchanges.map((each) => ({ ...each, sessionState }))
    expect(measurePulse({ ...evidence, exchanges }, POLICY, NOW)).toEqual({ pulse: 'green', reason: 'market-quiet' })
  })

  it('is not held against a line that came up a moment ago', () => {
    expect(reasonOf(mute(2_900, 500, { streamingSinceMs: ago(2_900) }))).toBe('ticking')
    expect(reasonOf(mute(3_100, 500, { streamingSinceMs: ago(3_100) }))).toBe('line-mute')
  })

  it("is not testified by a line that came up a moment ago: its first ticks are everybody's last known state", () => {
    expect(reasonOf(mute(2_900, 500, { otherStreamingSinceMs: ago(2_900) }))).toBe('ticking')
  })

  it('is counted from the opening, not from the last tick before it', () => {
    const evidence = mute(HOUR, 500)
    const exchanges = evidence.exchanges.map((each) => ({ ...each, inStateForMs: 1_000 }))
    expect(reasonOf({ ...evidence, exchanges })).toBe('ticking')
  })

  it('shared by both lines is told apart from a mute even when the last ticks were a moment apart', () => {
    const silence = {
      thisLastTickMs: ago(10_000),
      otherLastTickMs: ago(9_950),
      unanswered: { ticks: 1, sinceMs: ago(9_950) },
    }
    expect(reasonOf(line({ market: silence, exchanges: [exchange(silence)] }))).toBe('exchange-silent-on-both')
  })
})

describe('the pulse', () => {
  const states: LineState[] = [
    'off',
    'connecting',
    'logging-in',
    'logged-in',
    'subscribing',
    'streaming',
    'waiting',
    'latched',
    'failed',
  ]
  const age = fc.option(fc.nat({ max: 120_000 }).map(ago), { nil: null })
  const unanswered = fc.option(
    fc.record({ ticks: fc.nat({ max: 10_000 }), sinceMs: fc.nat({ max: 60_000 }).map(ago) }),
    { nil: null },
  )
  const silence = { thisLastTickMs: age, otherLastTickMs: age, unanswered }
  const anyExchange = fc.record({
    exchange: fc.constantFrom('SHFE', 'DCE', 'CZCE'),
    sessionState: fc.constantFrom<SessionState>('open', 'auction', 'break', 'closed', 'holiday'),
    inStateForMs: fc.nat({ max: HOUR }),
    expectedGapMs: fc.option(fc.nat({ max: 5_000 }), { nil: null }),
    ...silence,
  })
  const ratio = fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: null })
  const anyLine: fc.Arbitrary<LineEvidence> = fc.record({
    state: fc.constantFrom(...states),
    stateSinceMs: fc.nat({ max: HOUR }).map(ago),
    wantedUp: fc.boolean(),
    lastFrameMs: age,
    streamingSinceMs: age,
    otherStreamingSinceMs: age,
    market: fc.record(silence),
    exchanges: fc.array(anyExchange, { maxLength: 4 }),
    coverage: fc.record({ own: ratio, other: ratio }),
    recent: fc.record({ received: fc.nat({ max: 5_000 }), invalid: fc.nat({ max: 5_000 }) }),
    delayP95Ms: fc.option(fc.nat({ max: 2_000 }), { nil: null }),
    connectFailures: fc.nat({ max: 5 }),
    loginFailures: fc.nat({ max: 5 }),
  })

  it('never calls silence a fault without a witness or a whole market', () => {
    fc.assert(
      fc.property(anyLine, (evidence) => {
        const reason = reasonOf({ ...evidence, otherStreamingSinceMs: null })
        expect(['line-mute', 'exchange-mute', 'mute-suspected', 'exchange-silent-on-both']).not.toContain(reason)
      }),
    )
  })

  it('never blames silence while no exchange is in continuous trading', () => {
    fc.assert(
      fc.property(anyLine, (evidence) => {
        const exchanges = evidence.exchanges.map((each) => ({ ...each, sessionState: 'closed' as const }))
        const reason = reasonOf({ ...evidence, exchanges })
        expect(['line-mute', 'exchange-mute', 'market-silent', 'silent-alone', 'not-connected']).not.toContain(reason)
      }),
    )
  })

  it('is red exactly for the reasons that impair or kill a line', () => {
    for (const reason of REASONS) {
      const fault: string = FAULT_OF_REASON[reason]
      expect(pulseOf(reason) === 'red').toBe(fault === 'impaired' || fault === 'dead')
    }
  })

  it.each(REASONS)('%s has one English sentence', (reason) => {
    expect(PULSE_SENTENCES[reason]).toMatch(/^[A-Z].*\.$/)
  })
})

describe('after a pause of the process itself', () => {
  it.each<[string, LineEvidence, PulseReason]>([
    ['mute', mute(12_000, 5_000), 'line-mute'],
    [
      'silent without a witness',
      line({ ...silentOnBoth(12_000, ['SHFE', 'DCE']), otherStreamingSinceMs: null }),
      'silent-alone',
    ],
    ['silent with its bridge', line({ lastFrameMs: ago(12_000) }), 'bridge-silent'],
    [
      'low on contracts',
      line({ state: 'subscribing', stateSinceMs: ago(70_000), coverage: { own: 0.5, other: 1 } }),
      'coverage-low',
    ],
  ])('a line is not %s before it was listened to for long enough', (_, evidence, accusation) => {
    expect(reasonOf(evidence)).toBe(accusation)
    const justBack = measurePulse(sinceReading(ago(100), evidence), POLICY, NOW)
    expect(FAULT_OF_REASON[justBack.reason]).not.toBe('dead')
    expect(justBack.reason).not.toBe(accusation)
    const muchLater = sinceReading(ago(100_000), evidence)
    expect(reasonOf(muchLater)).toBe(accusation)
  })
})
