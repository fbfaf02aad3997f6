/**
 * Whatever a bridge writes, the supervisor's side lives, lets go of the process, and says what was wrong: streams as a good bridge would
 * write them, with bytes changed, cut out, repeated or put in, out of a real process into everything that holds one.
 */
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { type BridgeCommand, type BridgeEnd, BridgeProcess } from '#adapters/feeds/bridge-process.ts'
import { fetchCatalogue, type TradingSessionOptions } from '#adapters/feeds/ctp/trading-session.ts'
import type { FeedAdapter } from '#adapters/feeds/feed-adapter.ts'
import {
  encodeMessage,
  type FrameTypeName,
  type MessageFields,
  PROTOCOL_VERSION,
  writeTickHeader,
} from '#adapters/feeds/wire.ts'
import { systemClock } from '#clock.ts'
import { type LineEnvironment, LineSession } from '#daemon/line-session.ts'
import { Failure } from '#domain/failure.ts'
import { isFeedErrorKind } from '#domain/feed-error.ts'
import { HiddenText } from '#domain/secret-ref.ts'
import { DaemonHome } from '../support/real-daemon.ts'
import { tickRecord } from '../support/tick-builder.ts'

const directory = mkdtempSync(join(tmpdir(), 'bridge-fuzz-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
const SEED = 20_261_121
const ignored = () => undefined

/** Numbered as a bridge numbers them. */
function stream(frames: readonly ([Exclude<FrameTypeName, 'tick'>, Partial<MessageFields>] | 'tick')[]): Buffer {
  return Buffer.concat(
    frames.map((frame, i) => {
      if (frame === 'tick') {
        const views = tickRecord({ eventMs: 1_763_712_000_000, volume: i })
        writeTickHeader(views, 0, { sequence: i + 1, instrument: 1 + (i % 2) })
        return Buffer.from(views.u8)
      }
      const [type, fields] = frame
      return encodeMessage(type, { sequence: i + 1, wallMs: 1_763_712_000_123, monotonicMs: 4_567, ...fields })
    }),
  )
}

/** `start` is the first command of every supervisor, a login the second. */
const MARKET_DATA = stream([
  ['hello', { code: PROTOCOL_VERSION, texts: ['ctp', 'v6.7.7'], numbers: [4711] }],
  ['log', { texts: ['production_mode=0 has no effect'] }],
  ['connected', {}],
  ['requested', { request: 2 }],
  ['loggedIn', { request: 2, texts: ['', '20261123'] }],
  ['instrument', { instrument: 1, texts: ['rb2701', 'SHFE'] }],
  ['instrument', { instrument: 2, texts: ['m2701', ''] }],
  ['requested', { request: 3 }],
  ['subscribed', { request: 3, instrument: 1 }],
  ['subscribed', { request: 3, instrument: 2, code: 6000, texts: ['over'] }],
  'tick',
  'tick',
  ['counters', { numbers: [2, 2, 0, 1] }],
  ['frontError', { code: 90, texts: ['later'] }],
  'tick',
  ['disconnected', { code: 0x1001 }],
])
const TRADING = stream([
  ['hello', { code: PROTOCOL_VERSION, texts: ['ctp', 'v6.7.7'], numbers: [4711] }],
  ['connected', {}],
  ['requested', { request: 2 }],
  ['loggedIn', { request: 2, texts: ['', '20261123'] }],
  ['productStatus', { code: 50, texts: ['SHFE', 'rb', '09:00:00'] }],
  ['requested', { request: 3 }],
  ['catalogueRow', { request: 3, texts: ['rb2701', 'SHFE', 'rb', '1', '', '20270115', '', ''], numbers: [10, 1, 1] }],
  // All of it is there before anybody asks, so that the row counts for nothing.
  ['catalogueEnd', { request: 3, numbers: [0] }],
])

function mutated(whole: Buffer): fc.Arbitrary<Buffer> {
  const place = fc.nat({ max: whole.length - 1 })
  const change = fc.oneof(
    fc.tuple(place, fc.integer({ min: 0, max: 255 })).map(([at, byte]) => (bytes: Buffer) => {
      const changed = Buffer.from(bytes)
      if (at < changed.length) changed[at] = byte
      return changed
    }),
    place.map((at) => (bytes: Buffer) => bytes.subarray(0, at)),
    fc.tuple(place, fc.nat({ max: 400 })).map(
      ([at, count]) =>
        (bytes: Buffer) =>
          Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + count)]),
    ),
    fc.tuple(place, fc.nat({ max: 400 })).map(
      ([at, count]) =>
        (bytes: Buffer) =>
          Buffer.concat([bytes.subarray(0, at + count), bytes.subarray(at)]),
    ),
    fc.tuple(place, fc.uint8Array({ maxLength: 100 })).map(
      ([at, more]) =>
        (bytes: Buffer) =>
          Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)]),
    ),
  )
  return fc.array(change, { maxLength: 4 }).map((changes) => changes.reduce((bytes, make) => make(bytes), whole))
}

let files = 0
function playing(bytes: Buffer): BridgeCommand {
  const file = join(directory, `frames-${files++}`)
  writeFileSync(file, bytes)
  return { program: '/bin/sh', args: ['-c', `cat '${file}' >&3`], env: { PATH: process.env['PATH'] ?? '' } }
}

function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took more than ${ms} ms`)), ms)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

describe('any bytes from a bridge', { timeout: 240_000 }, () => {
  test('end a bridge process once, by its own end or by a fault with a name', async () => {
    await fc.assert(
      fc.asyncProperty(mutated(MARKET_DATA), async (bytes) => {
        let ends = 0
        const ended = new Promise<BridgeEnd>((resolve) => {
          const sink = { reading: ignored, tick: ignored, message: ignored, printed: ignored }
          const told = (end: BridgeEnd) => {
            ends++
            resolve(end)
          }
          new BridgeProcess(playing(bytes), { ...sink, ended: told }, systemClock)
        })
        const end = await within(20_000, 'the end of a bridge', ended)
        expect(['exited', 'protocol-fault']).toContain(end.kind)
        if (end.kind === 'protocol-fault') expect(end.message).not.toBe('')
        expect(ends).toBe(1)
      }),
      { numRuns: 150, seed: SEED },
    )
  })

  test('leave a line that waits, has failed or is latched, and says why', async () => {
    await fc.assert(
      fc.asyncProperty(mutated(MARKET_DATA), async (bytes) => {
        const { detail, state } = await lineOver(playing(bytes))
        expect(['waiting', 'failed', 'latched']).toContain(state)
        expect(detail).not.toBe('')
      }),
      { numRuns: 100, seed: SEED },
    )
  })

  test('give a trading session a list, or a failure with a kind and a remedy', async () => {
    let lists = 0
    await fc.assert(
      fc.asyncProperty(mutated(TRADING), async (bytes) => {
        const fetching = fetchCatalogue(trading(playing(bytes)), new AbortController().signal)
        const outcome = await within(
          20_000,
          'a catalogue',
          fetching.catch((error: unknown) => error),
        )
        if (!(outcome instanceof Failure)) {
          expect(outcome).toMatchObject({ tradingDay: expect.any(String), rows: expect.any(Array) })
          lists++
          return
        }
        expect(isFeedErrorKind(outcome.kind)).toBe(true)
        expect([outcome.message, outcome.remedy]).not.toContain('')
      }),
      { numRuns: 100, seed: SEED },
    )
    // Streams that are left alone are read as they are meant.
    expect(lists).toBeGreaterThan(0)
  })

  test('never end the daemon: it names the fault, answers, and stops in order', async () => {
    const streams = fc.sample(mutated(MARKET_DATA), { numRuns: 40, seed: SEED })
    const home = new DaemonHome()
    try {
      mkdirSync(home.stateDir, { mode: 0o700 })
      writeFileSync(home.file('catalogue.json'), JSON.stringify({ symbols: ['rb2701.SHFE', 'm2701.DCE'] }))
      const daemon = home.start({ env: { ...LOGINS, FEED_ADAPTER: 'ctp', CTP_BRIDGE_PATH: fuzzingBridge(streams) } })
      const { lines } = await home.until('both lines were given up, or tried often', ({ lines: { primary, backup } }) =>
        [primary, backup].every((line) => line?.state === 'failed' || (line?.login_attempts ?? 0) >= 3),
      )
      for (const line of [lines.primary, lines.backup]) expect(line?.detail).not.toBe('')
      expect(daemon.logged('the bridge process')).not.toEqual([])
      expect(await daemon.stop(), daemon.stderr.slice(-2_000)).toEqual({ code: 0, signal: null })
      expect(daemon.stderr).not.toMatch(/password-of|AssertionError|unhandled/i)
    } finally {
      await home.dispose()
    }
  })
})

const LOGINS = Object.fromEntries(
  ['PRIMARY', 'BACKUP'].flatMap((line) => [
    [`CTP_${line}_BROKER_ID`, '9999'],
    [`CTP_${line}_USER_ID`, `trader-${line}`],
    [`CTP_${line}_PASSWORD`, `password-of-${line}`],
    [`CTP_${line}_MD_ADDRESS`, 'tcp://127.0.0.1:9'],
    ['RATE_LIMIT_LOGIN_PER_MINUTE', '60'],
  ]),
)

/** A bridge program that plays another stream at each start, by the number of its process, and passes the check before a start. */
function fuzzingBridge(streams: readonly Buffer[]): string {
  const home = mkdtempSync(join(directory, 'bridge-'))
  for (const [i, bytes] of streams.entries()) writeFileSync(join(home, `stream-${i}`), bytes)
  const library = join(home, 'thostmduserapi_se.so')
  writeFileSync(library, 'library')
  const recorded = { library, sha256: createHash('sha256').update('library').digest('hex'), api_version: 'v6.7.7' }
  const record = { schema: 1, protocol: PROTOCOL_VERSION, md: recorded, trader: null, sanitized: false }
  const path = join(home, 'ctp-bridge')
  writeFileSync(`${path}.json`, JSON.stringify(record))
  writeFileSync(
    path,
    `#!/bin/sh
if [ "$1" = --check ]; then echo '{"session":"md","api_version":"v6.7.7"}'; exit 0; fi
cat "${home}/stream-$(( $$ % ${streams.length} ))" >&3
`,
  )
  chmodSync(path, 0o755)
  return path
}

function trading(command: BridgeCommand): TradingSessionOptions {
  return {
    command,
    start: { fronts: ['tcp://127.0.0.1:9'], flowDirectory: directory, library: null, productionMode: true },
    account: { brokerId: '9999', userId: 'trader' },
    appId: null,
    authCode: async () => new HiddenText(''),
    password: async () => new HiddenText('secret'),
    timeouts: { helloMs: 5_000, connectMs: 5_000, loginMs: 5_000, rowMs: 5_000 },
    clock: systemClock,
    log: ignored,
  }
}

/** One attempt of a line session over this bridge: where it ended up. */
async function lineOver(command: BridgeCommand): Promise<{ state: string; detail: string }> {
  const stop = new AbortController()
  let look: () => void = ignored
  const adapter: FeedAdapter = {
    kind: 'ctp',
    account: '***der',
    accountKey: '9999/trader',
    front: 'tcp://127.0.0.1:9',
    listing: 'file',
    command: () => command,
    startPairs: () => ['session', 'md'],
    loginPairs: async () => ['user', 'trader'],
  }
  const names = ['rb2701', 'm2701']
  const env: LineEnvironment = {
    clock: systemClock,
    openBridge: (given, sink) => new BridgeProcess(given, sink, systemClock),
    timeouts: {
      ...{ helloMs: 5_000, connectMs: 5_000, loginMs: 5_000 },
      ...{ ackMs: 5_000, silenceMs: 5_000, catalogueMs: 5_000 },
    },
    pacing: { batchSize: 500, maxPerWindow: 0, windowMs: 500, retryDelayMs: 1_000 },
    pacer: { admit: async () => undefined },
    readingSinceMs: () => 0,
    maxSubscribeAttempts: 4,
    requestLogin: async () => 0,
    isLatched: () => false,
    latch: async () => undefined,
    countRefusal: () => 1,
    sessionHeld: ignored,
    slotOf: (symbol) => (names.includes(symbol) ? names.indexOf(symbol) : null),
    listed: ignored,
    slotName: (slot) => ({ symbol: names[slot] ?? '', exchange: 'SHFE' }),
    expectSnapshot: ignored,
    reading: ignored,
    tick: ignored,
    reached: ignored,
    changed: () => look(),
    jitter: () => 0,
    log: ignored,
  }
  const session = new LineSession('primary', adapter, 'streaming', env)
  for (const slot of names.keys()) session.book.list(slot)
  const ended = new Promise<{ state: string; detail: string }>((resolve) => {
    look = () => {
      const { state, detail } = session
      if (state === 'waiting' || state === 'failed' || state === 'latched') resolve({ state, detail })
    }
  })
  const running = session.run(stop.signal)
  try {
    return await within(20_000, 'an attempt of a line', ended)
  } finally {
    stop.abort()
    await running
  }
}
