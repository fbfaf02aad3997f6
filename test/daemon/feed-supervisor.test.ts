// The rounds over two scripted lines: which one serves, what is told and measured, and the second chances of a line that went mute.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type FeedChange, FeedSupervisor } from '#daemon/feed-supervisor.ts'
import { EvidenceKeeper } from '#daemon/line-evidence.ts'
import { TickPath } from '#daemon/tick-path.ts'
import { Arbiter } from '#domain/arbitration.ts'
import { DEFAULT_FAILOVER_POLICY } from '#domain/failover.ts'
import { InstrumentTable } from '#domain/instrument-table.ts'
import { LINES, type Line, lineIndex } from '#domain/line.ts'
import { DEFAULT_LIVENESS_POLICY } from '#domain/liveness.ts'
import { alwaysOpenCalendar, LiveSessions } from '#domain/session-calendar.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { CONTRACTS, ScriptedLine, SECOND } from '../support/scripted-line.ts'

/** Two lines, their ticks and the supervisor's rounds, ten a second. */
class Market {
  readonly clock: ManualClock
  readonly names: string[] = []
  readonly published: FeedChange[] = []
  readonly tradingDays: number[] = []
  /** CLOCK_MONOTONIC of the daemon's last pause. */
  readingSinceMs = 0
  readonly epochsOnDisk: number[] = []
  readonly logged: string[] = []
  readonly lines: Record<Line, ScriptedLine>
  readonly path: TickPath
  readonly supervisor: FeedSupervisor
  /** Lines that bring ticks. */
  readonly speaking: Record<Line, boolean> = { primary: true, backup: true }
  /** While set, writes of the epoch hang. */
  diskHangs = false
  #volume = 0
  #releaseDisk: () => void = () => undefined

  constructor(clock: ManualClock, { automatic = true, home = 'primary' as Line } = {}) {
    this.clock = clock
    const calendar = alwaysOpenCalendar()
    const sessions = new LiveSessions(calendar)
    const table = new InstrumentTable()
    for (const symbol of CONTRACTS) {
      this.names.push(symbol)
      table.add({ symbol, exchange: 'SHFE', product: 'rb' }, sessions.productIndex('SHFE', 'rb'))
    }
    let sequence = 0
    this.path = new TickPath({ arbiter: new Arbiter(sessions), table, log: { append: () => ++sequence } })
    const line = (name: Line) =>
      new ScriptedLine(clock, {
        line: name,
        wanted: 'off',
        names: this.names,
        reading: (nowMs) => {
          this.path.readAtMs = nowMs
        },
        tick: (slot, views, at) => void this.path.take(lineIndex(name), slot, views, at),
      })
    this.lines = { primary: line('primary'), backup: line('backup') }
    for (let slot = 0; slot < CONTRACTS.length; slot++) this.path.listedOn[slot] = 0b11
    const both = { primary: this.lines.primary.session, backup: this.lines.backup.session }
    const marketClock = {
      nowMs: () => clock.wallMs(),
      reading: () => ({ marketMs: clock.wallMs(), monotonicMs: clock.monotonicMs() }),
    }
    this.supervisor = new FeedSupervisor({
      sessions: both,
      path: this.path,
      evidence: new EvidenceKeeper({
        path: this.path,
        sessions: both,
        calendar,
        readingSinceMs: () => this.readingSinceMs,
        nowMs: clock.monotonicMs(),
        marketMs: clock.wallMs(),
      }),
      calendar,
      marketClock,
      clock,
      epochFile: {
        write: async (epoch) => {
          if (this.diskHangs) {
            await new Promise<void>((resolve) => {
              this.#releaseDisk = resolve
            })
          }
          this.epochsOnDisk.push(epoch)
        },
      },
      liveness: DEFAULT_LIVENESS_POLICY,
      failover: DEFAULT_FAILOVER_POLICY,
      standbyMode: 'hot',
      firstTickMs: 30 * SECOND,
      readingSinceMs: () => this.readingSinceMs,
      home,
      automatic,
      linesShareFront: false,
      lost: () => 0,
      log: (level, message) => void this.logged.push(`${level} ${message}`),
      tradingDayChanged: (tradingDay) => this.tradingDays.push(tradingDay),
      published: (change) => this.published.push(change),
    })
  }

  async begin(): Promise<void> {
    await this.supervisor.begin(4, null)
    this.supervisor.round()
    for (const line of LINES) await this.lines[line].upToStreaming()
  }

  /** Lets the market run: every tenth of a second a tick of each contract on both lines, and a round. */
  async run(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 100) {
      await this.clock.pass(100)
      this.#volume++
      for (const name of LINES) {
        const line = this.lines[name]
        if (line.session.state !== 'streaming') continue
        if (passed % 1_000 === 0) line.bridge.say('counters', { numbers: [0, 0, 0, 0] })
        if (!this.speaking[name]) continue
        const eventMs = Math.floor(this.clock.wallMs())
        const receivedMonotonicMs = this.clock.monotonicMs()
        for (const symbol of CONTRACTS) line.bridge.tick(symbol, { eventMs, volume: this.#volume, receivedMonotonicMs })
      }
      this.supervisor.round()
      await this.clock.settle()
    }
  }

  releaseDisk(): void {
    this.diskHangs = false
    this.#releaseDisk()
  }

  async end(): Promise<void> {
    this.releaseDisk()
    for (const line of LINES) await this.lines[line].end()
    this.clock.dispose()
  }
}

let market: Market
beforeEach(() => {
  market = new Market(new ManualClock())
})
afterEach(() => market.end())

const again = async (options: ConstructorParameters<typeof Market>[1]) => {
  await market.end()
  market = new Market(new ManualClock(), options)
}

describe('a feed that comes up', () => {
  test('is served by the configured line under an epoch that nobody used before', async () => {
    await market.begin()
    await market.run(2 * SECOND)
    expect(market.supervisor).toMatchObject({ serving: 'primary', epoch: 5, feedState: 'ACTIVE', lastFailover: null })
    expect(market.epochsOnDisk).toEqual([5])
    expect(market.path.epoch).toBe(5)
    expect(market.published.map(({ feedState, epoch }) => `${feedState} ${epoch}`)).toEqual(['GAP 5', 'ACTIVE 5'])
  })

  test('tells its epoch at once, even if no line comes up', async () => {
    await market.supervisor.begin(4, null)
    market.supervisor.round()
    await market.clock.settle()
    expect(market.published).toMatchObject([{ epoch: 5, feedState: 'GAP', servingLine: 'primary' }])
  })

  test('tells consumers since when they lack ticks: since the last one of the life before', async () => {
    const agoMs = 40 * SECOND
    const startedMs = market.clock.monotonicMs()
    await market.supervisor.begin(4, market.clock.wallMs() - agoMs)
    market.supervisor.round()
    for (const line of LINES) await market.lines[line].upToStreaming()
    await market.run(2 * SECOND)
    const [first, second] = market.published
    expect(first).toMatchObject({ feedState: 'GAP', gapSinceMs: startedMs - agoMs, step: { gap: null } })
    expect(second).toMatchObject({ feedState: 'ACTIVE', gapSinceMs: null })
    expect(second?.step.gap?.fromMs).toBe(startedMs - agoMs)
    expect(second?.step.gap?.toMs).toBeGreaterThan(startedMs)
  })

  test('comes up without a word of warning: what was never up is not missing', async () => {
    await market.begin()
    await market.run(2 * SECOND)
    expect(market.logged.filter((text) => text.startsWith('warn'))).toEqual([])
    expect(market.logged.filter((text) => text.includes('stands by'))).toEqual([])
    market.lines.primary.bridge.say('disconnected', { code: 0x1001 })
    await market.run(2 * SECOND)
    expect(market.logged).toContain('warn primary is red: The line has no session.')
  })

  test('is served by the backup where that is configured', async () => {
    await again({ home: 'backup' })
    await market.begin()
    await market.run(2 * SECOND)
    expect(market.supervisor).toMatchObject({ serving: 'backup', epoch: 5, feedState: 'ACTIVE' })
  })
})

describe('a line that goes mute', () => {
  beforeEach(async () => {
    await market.begin()
    await market.run(6 * SECOND)
    market.speaking.primary = false
  })

  test('loses the feed to the other one, and the switch is measured', async () => {
    await market.run(6 * SECOND)
    expect(market.supervisor).toMatchObject({ serving: 'backup', epoch: 6 })
    const record = market.supervisor.lastFailover
    expect(record).toMatchObject({ from: 'primary', to: 'backup' })
    expect(record?.detect_ms).toBeGreaterThanOrEqual(DEFAULT_LIVENESS_POLICY.muteMs - 200)
    expect(record?.detect_ms).toBeLessThan(5 * SECOND)
    expect(record?.first_tick_ms).toBeLessThanOrEqual(200)
    expect(record?.gap_ms).toBeLessThanOrEqual(200)
    expect([...market.supervisor.failovers.values()]).toEqual([
      expect.objectContaining({ from: 'primary', to: 'backup', count: 1 }),
    ])
    expect(market.published.at(-1)).toMatchObject({ epoch: 6, servingLine: 'backup' })
  })

  test('stamps no tick with the new epoch, and tells nobody, before that is on disk', async () => {
    market.diskHangs = true
    await market.run(6 * SECOND)
    expect(market.supervisor).toMatchObject({ serving: 'backup', epoch: 6 })
    expect(market.path.epoch).toBe(5)
    expect(market.published.filter(({ epoch }) => epoch === 6)).toEqual([])
    market.releaseDisk()
    await market.clock.settle()
    expect(market.path.epoch).toBe(6)
    expect(market.epochsOnDisk).toEqual([5, 6])
    expect(market.published.at(-1)).toMatchObject({ epoch: 6 })
  })

  test('is dialled again after ten seconds, and not once more before a minute is over', async () => {
    const bridges = () => market.lines.primary.bridges.length
    await market.run(9 * SECOND)
    expect(bridges()).toBe(1)
    await market.run(12 * SECOND)
    expect(bridges()).toBe(2)
    await market.lines.primary.upToStreaming()
    await market.run(40 * SECOND)
    expect(bridges()).toBe(2)
    await market.run(30 * SECOND)
    expect(bridges()).toBe(3)
  })

  test('keeps the feed while automation is paused', async () => {
    market.supervisor.round('pause')
    await market.run(6 * SECOND)
    expect(market.supervisor).toMatchObject({ serving: 'primary', epoch: 5 })
    market.supervisor.round('resume')
    await market.run(SECOND)
    expect(market.supervisor).toMatchObject({ serving: 'backup', epoch: 6 })
  })
})

describe('an operator', () => {
  test('moves the feed and back, each under a new epoch', async () => {
    await market.begin()
    await market.run(5 * SECOND)
    expect(market.supervisor.round('serve-backup')).toMatchObject({ serve: 'backup', epochBump: true })
    await market.run(SECOND)
    expect(market.supervisor).toMatchObject({ serving: 'backup', epoch: 6 })
    expect(market.supervisor.round('serve-primary')).toMatchObject({ serve: 'primary', epochBump: true })
    await market.run(SECOND)
    expect(market.epochsOnDisk).toEqual([5, 6, 7])
  })

  test('cuts both lines at once with the kill switch, and nothing brings them back', async () => {
    await market.begin()
    await market.run(5 * SECOND)
    market.supervisor.round('kill')
    await market.clock.settle()
    for (const line of LINES) {
      expect(market.lines[line].session.state).toBe('off')
      expect(market.lines[line].bridge.retired).toBe(true)
    }
    market.supervisor.round('serve-primary')
    market.supervisor.round('resume')
    await market.run(30 * SECOND)
    expect(market.supervisor.feedState).toBe('KILLED')
    for (const line of LINES) expect(market.lines[line].bridges).toHaveLength(1)
  })

  test('cuts lines that are only coming up as well', async () => {
    await market.supervisor.begin(4, null)
    market.supervisor.round()
    await market.clock.settle()
    market.lines.backup.bridge.say('hello', { code: 1 })
    await market.clock.settle()
    market.supervisor.round('kill')
    await market.clock.settle()
    await market.run(20 * SECOND)
    for (const line of LINES) {
      expect(market.lines[line].session.state).toBe('off')
      expect(market.lines[line].bridge.count('login')).toBe(0)
    }
  })
})

test('a new trading day is told once, forgets what ticked, and asks for refused contracts again', async () => {
  await market.end()
  market = new Market(new ManualClock(Date.parse('2026-11-19T23:59:50+08:00')))
  await market.supervisor.begin(4, null)
  market.supervisor.round()
  await market.lines.primary.upToLoggedIn()
  market.lines.primary.bridge.answerSubscribe(0, (symbol) => (symbol === 'rb2605' ? 16 : 0))
  await market.lines.backup.upToStreaming()
  await market.run(5 * SECOND)
  expect(market.tradingDays).toEqual([])
  expect(market.path.tickedCount).toBe(3)
  expect(market.lines.primary.session.book.refused).toBe(1)
  market.speaking.primary = false
  market.speaking.backup = false
  await market.run(6 * SECOND)
  expect(market.tradingDays).toEqual([20261120])
  expect(market.path.tickedCount).toBe(0)
  expect(market.lines.primary.bridge.last('subscribe')?.texts).toEqual(['rb2605'])
})
