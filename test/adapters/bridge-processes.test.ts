// Sim and replay bridges as processes: the session over fd 3 and stdin, every fault of a scenario, and how a bridge ends.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { encodeMessage, PROTOCOL_VERSION } from '#adapters/feeds/wire.ts'
import { TICK_AT } from '#domain/tick.ts'
import { type BridgeClient, type SeenTick, textOf } from '../support/ctp-bridge-client.ts'
import {
  advance,
  answersTo,
  type EmbeddedBridge,
  type SimStart,
  simPairs,
  startBridge,
} from '../support/embedded-bridge.ts'
import { csvOf, type Row, TemporaryFiles } from '../support/recordings.ts'
import { at, SHIPPED_CALENDAR_DIR } from '../support/shipped-calendar.ts'

const clients: BridgeClient[] = []
const files = new TemporaryFiles()
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.dispose()))
})
afterAll(() => files.dispose())

function start(kind: EmbeddedBridge): BridgeClient {
  const client = startBridge(kind)
  clients.push(client)
  return client
}

/** What the vendor said: neither sequence nor receive stamps. */
const said = ({ record }: SeenTick) =>
  record.toString('hex', TICK_AT.instrument, TICK_AT.receivedWallMs) + record.toString('hex', TICK_AT.tradingDay)

const originMs = at('2026-03-04 10:00:00')

async function startSim(options: Partial<SimStart> = {}): Promise<BridgeClient> {
  const client = start('sim')
  // Market time begins with a process that is up, so that a slow start can't pass a moment of the scenario.
  await client.message('hello')
  client.send('start', simPairs({ originMs, nowMs: originMs, ...options }))
  await client.message('connected')
  return client
}

async function listCatalogue(client: BridgeClient): Promise<string[]> {
  const request = client.send('queryInstruments')
  await answersTo(client, request, 'catalogueEnd', 1)
  return client.of('catalogueRow').map((row) => textOf(row, 0))
}

async function subscribeAll(client: BridgeClient): Promise<void> {
  const ids = await listCatalogue(client)
  client.send('login')
  await client.message('loggedIn')
  await answersTo(client, client.send('subscribe', ids), 'subscribed', ids.length)
}

// Three contracts, one row each second for two minutes; volume tells the second.
const FIRST_MS = at('2026-03-04 09:30:00')
const CONTRACTS = ['TA605', 'm2605', 'rb2605']
const EXCHANGES: Record<string, string> = { TA: 'CZCE', m: 'DCE', rb: 'SHFE' }
const rows: Row[] = Array.from({ length: 120 }, (_, second) =>
  CONTRACTS.map((InstrumentID) => ({
    InstrumentID,
    UpdateTime: `09:${30 + Math.floor(second / 60)}:${String(second % 60).padStart(2, '0')}`,
    Volume: second,
    BidPrice1: 3126,
    BidVolume1: 1 + (second % 50),
  })),
).flat()
const recording = files.write('three-contracts.csv.gz', csvOf(rows))

interface ReplayOptions {
  scenario?: readonly Record<string, unknown>[]
  line?: 'primary' | 'backup'
  startMs?: number
  files?: readonly string[]
  /** Stop before the login. */
  bare?: boolean
}

async function startReplay(options: ReplayOptions = {}): Promise<BridgeClient> {
  const client = start('replay')
  client.send('start', {
    line: options.line ?? 'primary',
    files: (options.files ?? [recording]).join('\n'),
    product_exchanges: JSON.stringify(EXCHANGES),
    scenario: options.scenario === undefined ? '' : JSON.stringify(options.scenario),
    market_start_ms: String(options.startMs ?? FIRST_MS),
    scenario_start_ms: String(FIRST_MS),
  })
  if (options.bare === true) return client
  await client.message('connected')
  client.send('login')
  await client.message('loggedIn')
  return client
}

async function subscribeReplay(client: BridgeClient, ids = CONTRACTS): Promise<void> {
  await answersTo(client, client.send('subscribe', ids), 'requested', 1)
}

const volumesOf = (client: BridgeClient, id = 'rb2605') =>
  client.ticks.filter((tick) => tick.id === id).map(({ volume }) => volume)
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)
const primary = (fault: string, fields: Record<string, unknown> = {}) => ({
  at_ms: 10_000,
  line: 'primary',
  fault,
  ...fields,
})

describe('a session', () => {
  test('goes from hello over catalogue, login and subscription to ticks', async () => {
    const client = await startSim()
    const hello = client.of('hello')[0]
    expect(hello).toMatchObject({ code: PROTOCOL_VERSION, numbers: [client.process.pid], sequence: 1 })
    expect(hello && textOf(hello, 0)).toBe('sim')

    const ids = await listCatalogue(client)
    expect(ids.length).toBe(60)
    expect(client.of('catalogueRow').every((row) => row.texts.length === 8 && row.numbers.length === 3)).toBe(true)

    client.send('login')
    expect(textOf(await client.message('loggedIn'), 1)).toBe('20260304')
    const request = client.send('subscribe', ids)
    const answers = await answersTo(client, request, 'subscribed', 60)
    expect(client.of('requested')).toMatchObject([{ code: 0, request }])
    expect(answers.every(({ code }) => code === 0)).toBe(true)
    expect(client.of('instrument').map((frame) => textOf(frame, 0))).toEqual(ids)

    await client.until(() => client.ticks.length >= 200, 'live ticks')
    expect(new Set(client.ticks.slice(0, 60).map(({ id }) => id))).toEqual(new Set(ids))
    const counters = await client.message('counters')
    expect(counters.numbers).toHaveLength(4)
    expect(await client.end()).toEqual({ code: 0, signal: null })
  })

  test('numbers its frames without a hole', async () => {
    const client = await startSim()
    await subscribeAll(client)
    await client.until(() => client.ticks.length >= 300, 'ticks')
    const sequences = [...client.messages, ...client.ticks].map(({ sequence }) => sequence).sort((a, b) => a - b)
    expect(sequences).toEqual(range(1, sequences.length))
  })

  test('answers what it can not do as the vendor would', async () => {
    const client = await startReplay({ bare: true })
    await client.message('connected')
    const early = client.send('subscribe', ['rb2605'])
    expect(await answersTo(client, early, 'subscribed', 1)).toMatchObject([{ code: 6 }])
    client.send('login')
    await client.message('loggedIn')
    const request = client.send('subscribe', ['rb2605', 'no such', 'rb2605'])
    const answers = await answersTo(client, request, 'subscribed', 3)
    expect(answers.map(({ code }) => code)).toEqual([0, 16, 0])
    const numbers = new Map(client.of('instrument').map((frame) => [textOf(frame, 0), frame.instrument]))
    expect(answers[1]?.instrument).toBe(numbers.get('no such'))
    expect(numbers.get('no such')).not.toBe(numbers.get('rb2605'))
  })

  test('ticks only what is subscribed, and no longer what was unsubscribed', async () => {
    const client = await startReplay()
    await subscribeReplay(client, ['rb2605', 'm2605'])
    await advance(client, FIRST_MS + 10_000)
    const request = client.send('unsubscribe', ['m2605'])
    await answersTo(client, request, 'unsubscribed', 1)
    await advance(client, FIRST_MS + 20_000)
    expect(volumesOf(client)).toEqual(range(0, 20))
    expect(volumesOf(client, 'm2605')).toEqual(range(0, 10))
    expect(volumesOf(client, 'TA605')).toEqual([])
  })

  test('ends with its supervisor, whatever it is doing', async () => {
    for (const prepare of [
      async () => start('sim'),
      async () => startSim({ ticksPerSecond: 20_000 }),
      async () => start('replay'),
      async () => startReplay({ bare: true }),
    ]) {
      expect(await (await prepare()).end()).toEqual({ code: 0, signal: null })
    }
  })

  test.each<[string, EmbeddedBridge, Record<string, string>, RegExp]>([
    [
      'a line that does not exist',
      'sim',
      { ...simPairs({ originMs, nowMs: originMs }), line: 'third' },
      /start option line: expected primary or backup, got "third"/,
    ],
    ['no market time', 'sim', { line: 'primary' }, /start option market_start_ms/],
    [
      'a scenario that is wrong',
      'sim',
      simPairs({ originMs, nowMs: originMs, scenario: [{ fault: 'crach' }] }),
      /did you mean crash/,
    ],
    [
      'a calendar that is not there',
      'sim',
      simPairs({ originMs, nowMs: originMs, calendarDirectory: '/nowhere' }),
      /calendar-invalid/,
    ],
    [
      'a recording that is not there',
      'replay',
      { line: 'primary', files: '/nowhere/a.csv' },
      /replay-file-unreadable: .*ENOENT/,
    ],
    ['no recording', 'replay', { line: 'primary', files: '' }, /replay-empty/],
  ])('ends with a clear message when it is started with %s', async (_what, kind, pairs, message) => {
    const client = start(kind)
    client.send('start', pairs)
    const { code } = await client.ended
    expect(code).toBe(kind === 'sim' ? 64 : /ENOENT/.test(client.log) ? 66 : 65)
    expect(client.log).toMatch(message)
    expect(
      client
        .of('log')
        .map((frame) => textOf(frame, 0))
        .join(),
    ).toMatch(message)
  })

  test('ends when it is told nonsense', async () => {
    const client = await startSim()
    client.stdin.write(Buffer.alloc(64, 0xff))
    expect((await client.ended).code).toBe(64)
  })

  test('is refused by hand, with a word on who runs it', async () => {
    const script = fileURLToPath(new URL('../../dist/sim-bridge.js', import.meta.url))
    const child = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'pipe'] })
    let text = ''
    child.stderr.on('data', (chunk) => {
      text += chunk
    })
    const code = await new Promise((resolve) => child.on('close', resolve))
    expect(code).toBe(64)
    expect(text).toMatch(/run by full-feed-subscription/)
  })
})

describe('the simulated market', () => {
  test('is the same on both lines and after a restart midway', async () => {
    // One market clock for all three, as the supervisor hands it over.
    const pairs = simPairs({ originMs, nowMs: originMs, ticksPerSecond: 2000 })
    const lines = [start('sim'), start('sim')]
    for (const [i, client] of lines.entries()) client.send('start', { ...pairs, line: i === 0 ? 'primary' : 'backup' })
    for (const client of lines) await subscribeAll(client)
    const [one, two] = lines
    if (one === undefined || two === undefined) throw new Error('two lines')
    await two.until(() => two.ticks.length >= 1000, 'ticks of the backup')
    two.process.kill('SIGKILL')
    await two.ended

    const again = start('sim')
    again.send('start', { ...pairs, line: 'backup' })
    await subscribeAll(again)
    await again.until(() => again.ticks.length >= 1000, 'ticks of the backup after its restart')
    const seen = one.ticks.length
    await one.until(() => one.ticks.length >= seen + 2000, 'the primary to be past them')

    const all = one.ticks.map(said)
    for (const client of [two, again]) {
      const live = client.ticks.slice(60).map(said)
      const from = all.indexOf(live[0] ?? '')
      expect(from).toBeGreaterThan(0)
      expect(all.slice(from, from + live.length)).toEqual(live)
    }
  })

  test('follows the calendar when it is told to', async () => {
    const options = {
      originMs: at('2026-03-06 20:59:59'),
      nowMs: at('2026-03-06 20:59:59'),
      calendarDirectory: SHIPPED_CALENDAR_DIR,
    }
    const client = await startSim(options)
    await subscribeAll(client)
    expect(textOf(client.of('loggedIn')[0] ?? (await client.message('loggedIn')), 1)).toBe('20260309')
    await client.until(() => client.ticks.length >= 300, 'the night session to open')
    const live = client.ticks.slice(60)
    expect(live.every(({ updateTime }) => updateTime >= '21:00:00')).toBe(true)
    expect(live.some(({ id }) => id.startsWith('IF'))).toBe(false)
  })

  test('holds a stalled reader off with bounded memory, and counts what it dropped', async () => {
    const client = await startSim({ ticksPerSecond: 20_000 })
    await subscribeAll(client)
    client.onTick = () => {}
    client.frames.pause()
    const pauseMs = 7000
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
    client.frames.resume()
    const counters = () => client.of('counters').at(-1)?.numbers ?? []
    await client.until(() => (counters()[2] ?? 0) > 0, 'dropped ticks in the counters')
    const [received = 0, written = 0, dropped = 0, highWater = 0] = counters()
    expect(received).toBe(written + dropped)
    expect(client.missing.beforeCounters).toBe(dropped)
    const told = client.of('counters').length
    await client.end()
    expect(client.of('counters').length).toBeGreaterThan(told)
    expect(client.messages.at(-1)?.type).toBe('counters')
    expect(highWater).toBeLessThan(30_000)
  }, 30_000)
})

describe('a replay', () => {
  test('sends what is permitted, says when it is there, and what comes next', async () => {
    const client = await startReplay()
    await subscribeReplay(client)
    expect(await advance(client, FIRST_MS - 1)).toBe(FIRST_MS)
    expect(client.ticks).toEqual([])
    expect(await advance(client, FIRST_MS + 1500)).toBe(FIRST_MS + 2000)
    expect(volumesOf(client)).toEqual([0, 1])
    expect(client.ticks.map(({ receivedWallMs }) => receivedWallMs - FIRST_MS)).toEqual([0, 0, 0, 1000, 1000, 1000])
    expect(await advance(client, Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY)
    expect(volumesOf(client)).toEqual(range(0, 119))
  })

  test('is the same on both lines, and goes on where it was after a restart', async () => {
    const one = await startReplay()
    await subscribeReplay(one)
    await advance(one, Number.POSITIVE_INFINITY)
    const again = await startReplay({ line: 'backup', startMs: FIRST_MS + 60_000 })
    await subscribeReplay(again)
    await advance(again, Number.POSITIVE_INFINITY)
    // The snapshots of a restarted line are the last rows before its position.
    expect(again.ticks.slice(0, 3).map(({ volume }) => volume)).toEqual([59, 59, 59])
    expect(again.ticks.map(said)).toEqual(one.ticks.slice(-again.ticks.length).map(said))
  })

  test('lists its contracts with the exchange of their product', async () => {
    const client = await startReplay({ bare: true })
    await listCatalogue(client)
    const listed = client.of('catalogueRow').map((row) => [textOf(row, 0), textOf(row, 1), textOf(row, 2)])
    expect(listed).toEqual([
      ['TA605', 'CZCE', 'TA'],
      ['m2605', 'DCE', 'm'],
      ['rb2605', 'SHFE', 'rb'],
    ])
  })

  test('of several files is one stream, and a file that breaks off later ends it with its failure', async () => {
    const evening = csvOf(rows.slice(0, 30).map((row) => ({ ...row, TradingDay: '20260305', UpdateTime: '09:30:00' })))
    const [, firstRow = ''] = evening.split('\n')
    const other = files.write('next-day.csv', `${evening}20260305,rb2605,09\n${firstRow}\n`)
    const client = await startReplay({ files: [other, recording] })
    await subscribeReplay(client)
    await advance(client, FIRST_MS + 100_000)
    expect(volumesOf(client)).toEqual(range(0, 100))
    client.stdin.write(
      encodeMessage('advance', { sequence: 9, wallMs: 0, monotonicMs: 0, numbers: [Number.POSITIVE_INFINITY] }),
    )
    expect((await client.ended).code).toBe(65)
    expect(client.log).toMatch(/replay-row-malformed: .*next-day\.csv/)
  })

  test('waits for a reader that is slower, and drops nothing', async () => {
    const many = files.write(
      'many.csv.gz',
      csvOf(Array.from({ length: 120_000 }, (_, i) => ({ Volume: i, UpdateTime: `09:3${Math.floor(i / 20_000)}:00` }))),
    )
    const client = await startReplay({ files: [many] })
    await subscribeReplay(client)
    let expected = 0
    let isInOrder = true
    client.onTick = ({ i32 }, from) => {
      isInOrder &&= i32[(from + TICK_AT.volume) >> 2] === expected
      expected += 1
    }
    client.frames.pause()
    client.stdin.write(
      encodeMessage('advance', { sequence: 9, wallMs: 0, monotonicMs: 0, numbers: [Number.POSITIVE_INFINITY] }),
    )
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(expected).toBe(0)
    client.frames.resume()
    await client.message('reached')
    expect({ expected, isInOrder }).toEqual({ expected: 120_000, isInOrder: true })
    expect(client.missing.frames).toBe(0)
  })
})

describe('a scenario', () => {
  /** Plays the recording to `untilMs` with everything subscribed at its start. */
  async function play(
    scenario: readonly Record<string, unknown>[],
    untilSecond = 119,
    options: ReplayOptions = {},
  ): Promise<BridgeClient> {
    const client = await startReplay({ scenario, ...options })
    await subscribeReplay(client)
    await advance(client, FIRST_MS + untilSecond * 1000)
    return client
  }

  test('disconnects: the reason is told, the line comes back by itself and has forgotten login and subscriptions', async () => {
    const client = await play([primary('disconnect', { reason: 8193, for_ms: 5000 })], 30)
    expect(client.of('disconnected')).toMatchObject([{ code: 8193, wallMs: FIRST_MS + 10_000 }])
    expect(client.of('connected').map(({ wallMs }) => wallMs - FIRST_MS)).toEqual([0, 15_000])
    expect(volumesOf(client)).toEqual(range(0, 9))
    expect(await answersTo(client, client.send('subscribe', ['rb2605']), 'subscribed', 1)).toMatchObject([{ code: 6 }])
    client.send('login')
    await client.message('loggedIn', 2)
    await subscribeReplay(client)
    await advance(client, FIRST_MS + 32_000)
    // The snapshot is the last row before the new subscription.
    expect(volumesOf(client)).toEqual([...range(0, 9), 30, 31, 32])
  })

  test('while it is down a line can do nothing', async () => {
    const client = await play([primary('disconnect', { for_ms: 5000 })], 12)
    const login = client.send('login')
    expect(await answersTo(client, login, 'requested', 1)).toMatchObject([{ code: -1 }])
    expect(await answersTo(client, client.send('subscribe', ['rb2605']), 'requested', 1)).toMatchObject([{ code: -1 }])
  })

  test('refuses to connect: nothing is heard of the front until it is over', async () => {
    const client = await startReplay({ scenario: [primary('refuse-connect', { at_ms: 0, for_ms: 8000 })], bare: true })
    await advance(client, FIRST_MS + 7999)
    expect(client.messages.map(({ type }) => type).filter((type) => type !== 'counters')).toEqual(['hello', 'reached'])
    await advance(client, FIRST_MS + 8000)
    expect(client.of('connected')).toMatchObject([{ wallMs: FIRST_MS + 8000 }])
  })

  test('a refusal after a disconnect keeps the line down for as long as both last', async () => {
    const client = await play(
      [primary('disconnect', { for_ms: 1000 }), primary('refuse-connect', { at_ms: 10_500, for_ms: 9500 })],
      40,
    )
    expect(client.of('connected').map(({ wallMs }) => wallMs - FIRST_MS)).toEqual([0, 20_000])
  })

  test("fails one login with the vendor's error, and the next one works", async () => {
    const client = await startReplay({ scenario: [primary('login-error', { at_ms: 0, id: 7 })] })
    expect(client.of('loggedIn')).toMatchObject([{ code: 7 }])
    client.send('login')
    expect(await client.message('loggedIn', 2)).toMatchObject({ code: 0 })
  })

  test('fails every login while it says so', async () => {
    const client = await startReplay({ scenario: [primary('login-error', { at_ms: 0, id: 60, for_ms: 5000 })] })
    client.send('login')
    await client.message('loggedIn', 2)
    await advance(client, FIRST_MS + 5000)
    client.send('login')
    await client.message('loggedIn', 3)
    expect(client.of('loggedIn').map(({ code }) => code)).toEqual([60, 60, 0])
  })

  test('mutes a line, which still counts and answers', async () => {
    const client = await play([primary('mute', { for_ms: 5000 })], 12)
    await answersTo(client, client.send('subscribe', ['rb2605']), 'subscribed', 1)
    await client.message('counters')
    await advance(client, FIRST_MS + 20_000)
    expect(volumesOf(client)).toEqual([...range(0, 9), ...range(15, 20)])
    expect(client.of('disconnected')).toEqual([])
  })

  test('mutes one line and not the other', async () => {
    expect(volumesOf(await play([primary('mute')], 20, { line: 'backup' }))).toEqual(range(0, 20))
  })

  test('drops the subscriptions without a word', async () => {
    const client = await play([primary('drop-subscriptions')], 20)
    expect(volumesOf(client)).toEqual(range(0, 9))
    await subscribeReplay(client)
    await advance(client, FIRST_MS + 22_000)
    expect(volumesOf(client)).toEqual([...range(0, 9), 20, 21, 22])
  })

  test('answers a part of the subscriptions, and ticks all of them', async () => {
    const client = start('sim')
    client.send(
      'start',
      simPairs({ originMs, nowMs: originMs, scenario: [primary('partial-acks', { at_ms: 0, ratio: 0.5 })] }),
    )
    const ids = await listCatalogue(client)
    client.send('login')
    await client.message('loggedIn')
    client.send('subscribe', ids)
    await client.until(() => new Set(client.ticks.map(({ id }) => id)).size === ids.length, 'ticks of all contracts')
    expect(client.of('subscribed').length).toBeGreaterThan(10)
    expect(client.of('subscribed').length).toBeLessThan(50)
  })

  test('refuses the first contracts of the alphabet', async () => {
    const client = await play([primary('refuse-contracts', { at_ms: 0, count: 2, id: 6000 })], 5)
    const refused = client.of('subscribed').map(({ code }) => code)
    expect(refused).toEqual([6000, 6000, 0])
    expect(new Set(client.ticks.map(({ id }) => id))).toEqual(new Set(['rb2605']))
  })

  test('throttles subscription requests', async () => {
    const client = await startReplay({ scenario: [primary('throttle', { at_ms: 0, code: -3, for_ms: 5000 })] })
    const request = client.send('subscribe', CONTRACTS)
    expect(await answersTo(client, request, 'requested', 1)).toMatchObject([{ code: -3 }])
    await advance(client, FIRST_MS + 5000)
    expect(client.of('subscribed')).toEqual([])
    const later = client.send('subscribe', CONTRACTS)
    expect(await answersTo(client, later, 'requested', 1)).toMatchObject([{ code: 0 }])
    await answersTo(client, later, 'subscribed', 3)
  })

  test('rewinds: old ticks come again, then it goes on', async () => {
    const client = await play([primary('rewind', { by_ms: 3000 })], 12)
    expect(volumesOf(client)).toEqual([...range(0, 9), 7, 8, 9, 10, 11, 12])
    expect(
      client.ticks.filter(({ volume }) => volume === 9).map(({ receivedWallMs }) => receivedWallMs - FIRST_MS),
    ).toEqual([9000, 9000, 9000, 10_000, 10_000, 10_000])
  })

  test('rewinds the simulated market as well', async () => {
    const client = await startSim({ scenario: [primary('rewind', { at_ms: 3000, by_ms: 1000 })] })
    await subscribeAll(client)
    const seen = () => client.ticks.slice(60).map(said)
    await client.until(() => new Set(seen()).size <= seen().length - 900 && seen(), 'a thousand ticks to come again')
    const isAgain = seen().map((tick, i, all) => all.indexOf(tick) < i)
    const first = isAgain.indexOf(true)
    const last = isAgain.lastIndexOf(true)
    expect(last - first + 1).toBe(isAgain.filter(Boolean).length)
    expect(last - first + 1).toBeLessThanOrEqual(1001)
  })

  test('duplicates ticks', async () => {
    const client = await play([primary('duplicate', { for_ms: 3000 })], 14)
    expect(volumesOf(client)).toEqual([...range(0, 9), 10, 10, 11, 11, 12, 12, 13, 14])
  })

  test.each<[string, (tick: SeenTick) => boolean]>([
    ['dbl-max', (tick) => tick.double('LastPrice') === Number.MAX_VALUE],
    ['nan', (tick) => Number.isNaN(tick.double('LastPrice'))],
    ['negative-volume', ({ volume }) => volume === -1],
    ['malformed-time', ({ updateTime }) => updateTime === '9:30:0x'],
    ['far-future-time', ({ updateTime }) => updateTime.startsWith('15:30:')],
    ['absurd-volume', ({ volume }) => volume === 2_147_483_647],
  ])('mixes garbage of kind %s among the true ticks', async (kind, isGarbage) => {
    const client = await play([primary('garbage', { kinds: [kind], ratio: 1, for_ms: 3000 })], 14)
    const garbage = client.ticks.filter(isGarbage)
    expect(garbage.map(({ receivedWallMs }) => receivedWallMs - FIRST_MS)).toEqual(
      [10, 10, 10, 11, 11, 11, 12, 12, 12].map((s) => s * 1000),
    )
    expect(client.ticks.filter((tick) => !isGarbage(tick) && tick.id === 'rb2605').map(({ volume }) => volume)).toEqual(
      range(0, 14),
    )
  })

  test('puts garbage in the place of true ticks when it says so', async () => {
    const client = await play([primary('garbage', { kinds: ['nan'], ratio: 1, for_ms: 3000, replace: true })], 14)
    const whole = client.ticks.filter((tick) => tick.id === 'rb2605' && !Number.isNaN(tick.double('LastPrice')))
    expect(whole.map(({ volume }) => volume)).toEqual([...range(0, 9), 13, 14])
    expect(volumesOf(client)).toEqual(range(0, 14))
  })

  test('lags: every tick comes later by the same time, and none is lost', async () => {
    const client = await play([primary('lag', { at_ms: 0, by_ms: 300 })], 10)
    expect(volumesOf(client)).toEqual(range(0, 9))
    expect(client.ticks.every(({ volume, receivedWallMs }) => receivedWallMs === FIRST_MS + volume * 1000 + 300)).toBe(
      true,
    )
    expect(await advance(client, FIRST_MS + 10_299)).toBe(FIRST_MS + 10_300)
    expect(await advance(client, Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY)
    expect(volumesOf(client)).toEqual(range(0, 119))
  })

  test('lags the simulated market without losing a tick', async () => {
    const client = await startSim({ scenario: [primary('lag', { at_ms: 0, by_ms: 300 })] })
    await subscribeAll(client)
    await client.until(() => client.ticks.length >= 1000, 'ticks')
    for (const { updateTime, updateMillisec, receivedWallMs, id } of client.ticks.slice(60)) {
      // DCE stamps milliseconds, so its ticks tell their delay.
      if (!/^(SP )?m2/.test(id)) continue
      const eventMs = at(`2026-03-04 ${updateTime}.${String(updateMillisec).padStart(3, '0')}`)
      expect(receivedWallMs - eventMs).toBeGreaterThanOrEqual(300)
    }
  })

  test('loses a share of the ticks, the same after a restart, others on the other line', async () => {
    const scenario = [{ at_ms: 0, line: 'both', fault: 'lose', ratio: 0.2 }]
    const one = await play(scenario)
    expect(one.ticks.length).toBeGreaterThan(rows.length * 0.7)
    expect(one.ticks.length).toBeLessThan(rows.length * 0.9)
    const again = await play(scenario, 119, { startMs: FIRST_MS + 60_000 })
    const later = again.ticks.slice(3).map(said)
    expect(one.ticks.slice(-later.length).map(said)).toEqual(later)
    const backup = await play(scenario, 119, { line: 'backup' })
    expect(backup.ticks.map(said)).not.toEqual(one.ticks.map(said))
    expect(new Set([...one.ticks, ...backup.ticks].map(said)).size).toBeGreaterThan(rows.length * 0.9)
  })

  test('crashes the process at once, but not the one after it', async () => {
    const scenario = [primary('crash')]
    const client = await startReplay({ scenario })
    await subscribeReplay(client)
    client.stdin.write(
      encodeMessage('advance', { sequence: 9, wallMs: 0, monotonicMs: 0, numbers: [FIRST_MS + 20_000] }),
    )
    expect(await client.ended).toEqual({ code: null, signal: 'SIGABRT' })
    const again = await play(scenario, 20, { startMs: FIRST_MS + 10_001 })
    expect(volumesOf(again)).toEqual(range(10, 20))
  })

  test('hangs for a time: nothing is read or written, not even counters, then it goes on', async () => {
    const client = await startSim({ scenario: [primary('hang', { at_ms: 3000, for_ms: 2500 })] })
    await subscribeAll(client)
    const countersAt: number[] = []
    await client.until(() => {
      while (countersAt.length < client.of('counters').length) countersAt.push(performance.now())
      return countersAt.length >= 4
    }, 'four counters frames')
    const gaps = countersAt.slice(1).map((time, i) => time - (countersAt[i] ?? 0))
    expect(Math.max(...gaps)).toBeGreaterThan(1900)
    const live = client.ticks.slice(60).map(said)
    expect(new Set(live).size).toBe(live.length)
  })

  test('hangs for ever: end of stdin does not end it, SIGKILL does', async () => {
    const client = await startSim({ scenario: [primary('hang', { at_ms: 3000 })] })
    await subscribeAll(client)
    const count = () => client.ticks.length + client.messages.length
    let before = -1
    for (let quietRounds = 0; quietRounds < 8; ) {
      quietRounds = count() === before ? quietRounds + 1 : 0
      before = count()
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    client.stdin.end()
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(client.process.exitCode).toBeNull()
    client.process.kill('SIGKILL')
    expect((await client.ended).signal).toBe('SIGKILL')
  })

  test('halts one exchange on both lines', async () => {
    const scenario = [{ at_ms: 10_000, fault: 'exchange-halt', exchange: 'CZCE', for_ms: 5000 }]
    for (const line of ['primary', 'backup'] as const) {
      const client = await play(scenario, 20, { line })
      expect(volumesOf(client, 'TA605')).toEqual([...range(0, 9), ...range(15, 20)])
      expect(volumesOf(client, 'm2605')).toEqual(range(0, 20))
    }
  })

  test('is still in force for a bridge that was restarted meanwhile', async () => {
    const scenario = [primary('mute', { for_ms: 20_000 }), primary('disconnect', { at_ms: 40_000, for_ms: 10_000 })]
    const muted = await play(scenario, 35, { startMs: FIRST_MS + 20_000 })
    expect(volumesOf(muted)).toEqual(range(30, 35))
    const down = await startReplay({ scenario, startMs: FIRST_MS + 45_000, bare: true })
    await advance(down, FIRST_MS + 60_000)
    expect(down.of('connected')).toMatchObject([{ wallMs: FIRST_MS + 50_000 }])
    expect(down.of('disconnected')).toEqual([])
  })
})
