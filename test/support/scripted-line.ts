/** A line over a scripted bridge under a manual clock: what the tests of everything that drives lines stand on. */
import type { FeedAdapter } from '#adapters/feeds/feed-adapter.ts'
import { type LineEnvironment, LineSession } from '#daemon/line-session.ts'
import type { Line } from '#domain/line.ts'
import type { WantedUp } from '#domain/standby.ts'
import type { TickViews } from '#domain/tick.ts'
import type { ManualClock } from './manual-clock.ts'
import { ScriptedBridge } from './scripted-bridge.ts'

export const CONTRACTS = ['rb2601', 'rb2605', 'rb2610']
export const SECOND = 1_000

interface ScriptedLineOptions {
  line?: Line
  wanted?: WantedUp
  batchSize?: number
  /** What happens to the ticks and to the answers to `advance`. */
  tick?(slot: number, views: TickViews, at: number): void
  reached?(reachedMs: number, nextMs: number): void
  reading?(nowMs: number): void
  tradingLogin?: FeedAdapter['tradingLogin']
  /** Slots by symbol, shared by the lines of one market. */
  names?: string[]
}

export class ScriptedLine {
  readonly clock: ManualClock
  /** CLOCK_MONOTONIC of the daemon's last pause. */
  readingSinceMs = 0
  readonly bridges: ScriptedBridge[] = []
  readonly names: string[]
  readonly ticks: number[] = []
  readonly latches: string[] = []
  /** What the disk says when a latch is to be kept. */
  latchTrouble: Error | null = null
  refusals = 0
  readonly snapshotsExpected: number[] = []
  readonly admitted: number[] = []
  /** What was logged, with the kind of the failure behind it where there is one. */
  readonly logged: string[] = []
  readonly stop = new AbortController()
  loginWaitMs = 0
  loginsGranted = 0
  readonly session: LineSession
  readonly running: Promise<void>

  constructor(clock: ManualClock, options: ScriptedLineOptions = {}) {
    const { line = 'primary', wanted = 'streaming', batchSize = 500, names = [] } = options
    this.clock = clock
    this.names = names
    const adapter: FeedAdapter = {
      kind: 'sim',
      account: '***001',
      accountKey: `broker/${line}`,
      front: 'scripted',
      listing: 'bridge',
      command: () => ({ program: 'none', args: [], env: {} }),
      startPairs: () => ['line', line],
      loginPairs: async () => ['user_id', '001'],
      tradingLogin: options.tradingLogin ?? null,
    }
    const env: LineEnvironment = {
      clock: this.clock,
      openBridge: (_command, sink) => {
        const bridge = new ScriptedBridge(sink)
        this.bridges.push(bridge)
        return bridge
      },
      timeouts: {
        helloMs: 10 * SECOND,
        connectMs: 10 * SECOND,
        loginMs: 15 * SECOND,
        ackMs: 10 * SECOND,
        silenceMs: 6 * SECOND,
        catalogueMs: 120 * SECOND,
      },
      pacing: { batchSize, maxPerWindow: 0, windowMs: 500, retryDelayMs: 1_000 },
      pacer: {
        admit: async (contracts) => {
          this.admitted.push(contracts)
        },
      },
      maxSubscribeAttempts: 4,
      requestLogin: async () => {
        if (this.loginWaitMs > 0) return this.loginWaitMs
        this.loginsGranted++
        return 0
      },
      isLatched: (account) => this.latches.includes(account),
      latch: async (account) => {
        this.latches.push(account)
        if (this.latchTrouble !== null) throw this.latchTrouble
      },
      countRefusal: () => ++this.refusals,
      sessionHeld: () => {
        this.refusals = 0
      },
      slotOf: (symbol) => this.slot(symbol),
      listed: (symbol) => this.session.book.list(this.slot(symbol)),
      slotName: (slot) => ({ symbol: this.names[slot] ?? '', exchange: 'SHFE' }),
      expectSnapshot: (slot) => this.snapshotsExpected.push(slot),
      reading: (nowMs) => options.reading?.(nowMs),
      tick: (slot, views, at) => {
        this.ticks.push(slot)
        options.tick?.(slot, views, at)
      },
      reached: (reachedMs, nextMs) => options.reached?.(reachedMs, nextMs),
      changed: () => undefined,
      readingSinceMs: () => this.readingSinceMs,
      jitter: () => 0,
      log: (_level, message, details) => this.logged.push([message, details?.['kind']].filter(Boolean).join(' ')),
    }
    this.session = new LineSession(line, adapter, wanted, env)
    this.running = this.session.run(this.stop.signal)
  }

  slot(symbol: string): number {
    const known = this.names.indexOf(symbol)
    return known >= 0 ? known : this.names.push(symbol) - 1
  }

  /** The bridge in use. */
  get bridge(): ScriptedBridge {
    const bridge = this.bridges.at(-1)
    if (bridge === undefined) throw new Error('no bridge was started')
    return bridge
  }

  /** Lets time pass; a bridge that lives counts once a second. */
  async pass(ms: number, { alive = true } = {}): Promise<void> {
    for (let left = ms; left > 0; left -= SECOND) {
      await this.clock.pass(Math.min(left, SECOND))
      if (alive) this.bridges.at(-1)?.say('counters', { numbers: [0, 0, 0, 0] })
    }
    await this.clock.settle()
  }

  async upToConnected(contracts: readonly string[] = CONTRACTS): Promise<void> {
    await this.clock.settle()
    this.bridge.say('hello', { code: 1, texts: ['scripted', '1.0'] })
    await this.clock.settle()
    this.bridge.list(contracts)
    await this.clock.settle()
    this.bridge.say('connected')
    await this.clock.settle()
  }

  async upToLoggedIn(contracts?: readonly string[]): Promise<void> {
    await this.upToConnected(contracts)
    this.bridge.say('loggedIn', { texts: ['', '20261119'] })
    await this.clock.settle()
  }

  async upToStreaming(contracts?: readonly string[]): Promise<void> {
    await this.upToLoggedIn(contracts)
    this.bridge.answerSubscribe(0)
    await this.clock.settle()
  }

  /** Ends the line; resolves when it has let go of its bridge. */
  async end(): Promise<void> {
    this.stop.abort()
    await this.clock.pass(SECOND)
    await this.running
  }
}
