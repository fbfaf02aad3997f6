/**
 * One life of the supervisor's decision core in a simulation, from start to stop or crash: the real arbiter, tick path, line sessions,
 * evidence, pulses, failover machine and login budget, on virtual time and scripted fronts. What a daemon keeps on disk is in `Disk`, which
 * outlives it.
 */
import type { FeedAdapter } from '#adapters/feeds/feed-adapter.ts'
import { CHECKPOINT_COLUMNS } from '#adapters/state/checkpoint-file.ts'
import { sleep } from '#clock.ts'
import { type FeedChange, FeedSupervisor } from '#daemon/feed-supervisor.ts'
import { InstrumentSlots } from '#daemon/instrument-slots.ts'
import { EvidenceKeeper } from '#daemon/line-evidence.ts'
import { LineSession } from '#daemon/line-session.ts'
import { wallMarketClock } from '#daemon/market-clock.ts'
import { ReturnHold, type ReturnHoldParts } from '#daemon/return-hold.ts'
import { type AppendedTick, TickPath } from '#daemon/tick-path.ts'
import { Arbiter, type Outcome, TICK_KINDS } from '#domain/arbitration.ts'
import type { FailoverCommand, FailoverPolicy, FailoverStep } from '#domain/failover.ts'
import { LINES, type Line, type LineIndex } from '#domain/line.ts'
import { DEFAULT_LIVENESS_POLICY, type LivenessPolicy } from '#domain/liveness.ts'
import { EMPTY_LOGIN_BUDGET, grantLogin, type LoginBudget } from '#domain/login-budget.ts'
import type { MarketCalendar } from '#domain/session-calendar.ts'
import { TICK_AT, TICK_F64, type TickViews } from '#domain/tick.ts'
import type { Lots } from './lots.ts'
import type { Oracle } from './oracle.ts'
import type { Schedule } from './schedule.ts'
import type { SimFront } from './sim-front.ts'
import type { SimContract } from './sim-market.ts'
import type { VirtualTime } from './virtual-time.ts'

/** One journalled tick, as a later life reads it back. */
export interface JournalledTick {
  writtenAtMs: number
  contract: number
  ordinal: number
  /** Trading day, event ms, volume, off-session, six of the book: a row of the checkpoint. */
  row: Float64Array
}

/** What outlives a daemon. */
export class Disk {
  epoch = 0
  budget: LoginBudget = EMPTY_LOGIN_BUDGET
  readonly latched = new Set<string>()
  readonly refusals = new Map<string, number>()
  journal: JournalledTick[] = []
  /** How many journalled ticks the checkpoint contains, and where every contract stood. */
  checkpoint: { journalled: number; rows: { slot: number; row: Float64Array }[] } | null = null
}

/** Rules of the supervisor that a test breaks on purpose; nothing here is broken by default. */
export interface BrokenRules {
  arbiter?: (slots: InstrumentSlots) => Arbiter
  failover?: Partial<FailoverPolicy>
  liveness?: Partial<LivenessPolicy>
  isLatched?: (account: string) => boolean
  requestLogin?: () => Promise<number>
  returnHold?: (parts: ReturnHoldParts) => Pick<ReturnHold, 'take' | 'releaseIfDue' | 'end'>
}

interface HandedTick {
  record: number
  /** When the bridge's callback stamped it, in market time. */
  stampMs: number
  isSnapshot: boolean
}

export interface LifeParts {
  schedule: Schedule
  policy: FailoverPolicy
  broken: BrokenRules
  time: VirtualTime
  lots: Lots
  calendar: MarketCalendar
  contracts: readonly SimContract[]
  fronts: Readonly<Record<Line, SimFront>>
  disk: Disk
  oracle: Oracle
  keepsJournal: boolean
  published(change: FeedChange): void
  log(message: string): void
}

const FIRST_TICK_MS = 30_000
const CHECKPOINT_EVERY_MS = 10_000
const NEVER_PAUSED = () => Number.NEGATIVE_INFINITY
const SUBSCRIBE_BATCH = 6
const CONTRACT_EVERY_MS = 10

export class DaemonLife {
  readonly slots: InstrumentSlots
  readonly arbiter: Arbiter
  readonly path: TickPath
  readonly sessions: Readonly<Record<Line, LineSession>>
  readonly supervisor: FeedSupervisor
  isAlive = true
  readonly #parts: LifeParts
  readonly #ending = new AbortController()
  #running: Promise<unknown> = Promise.resolve()
  #roundIsDue = false
  readonly #returning: Pick<ReturnHold, 'take' | 'releaseIfDue' | 'end'>
  #handedRecord = 0
  /** Handed to the supervisor and not yet taken by the tick path, by line and slot: an instrument's ticks stay in order. */
  readonly #handed: readonly [HandedTick[][], HandedTick[][]] = [[], []]
  #checkpoints: { isCancelled: boolean } | null = null

  constructor(parts: LifeParts) {
    this.#parts = parts
    const { calendar, time, contracts, policy, schedule } = parts
    this.slots = new InstrumentSlots(calendar)
    this.arbiter = parts.broken.arbiter?.(this.slots) ?? new Arbiter(this.slots.live)
    this.#restore()
    this.path = new TickPath({
      arbiter: this.arbiter,
      table: this.slots.table,
      log: { append: (views, at, slot, _line, tick) => this.#append(views, at, slot, tick) },
    })
    const path = this.path
    this.#returning = (parts.broken.returnHold ?? ((each) => new ReturnHold(each)))({
      path: {
        take: (line, slot, views, at) => this.#take(line, slot, views, at),
        get readAtMs() {
          return path.readAtMs
        },
      },
      isUp: (line) => this.sessions[LINES[line]].loggedIn,
    })
    this.sessions = { primary: this.#openLine('primary'), backup: this.#openLine('backup') }
    for (const { symbol, exchange } of contracts) {
      const slot = this.slots.slotOf(symbol, exchange)
      if (slot === null) continue
      for (const line of LINES) this.sessions[line].book.list(slot)
      this.path.listedOn[slot] = 0b11
    }
    const marketClock = wallMarketClock(time)
    this.supervisor = new FeedSupervisor({
      sessions: this.sessions,
      path: this.path,
      evidence: new EvidenceKeeper({
        path: this.path,
        sessions: this.sessions,
        calendar,
        readingSinceMs: NEVER_PAUSED,
        nowMs: time.monotonicMs(),
        marketMs: marketClock.nowMs(),
      }),
      calendar,
      marketClock,
      clock: time,
      epochFile: { write: (epoch) => this.#writeEpoch(epoch) },
      liveness: { ...DEFAULT_LIVENESS_POLICY, ...parts.broken.liveness },
      failover: { ...policy, ...parts.broken.failover },
      standbyMode: schedule.standby,
      firstTickMs: FIRST_TICK_MS,
      readingSinceMs: NEVER_PAUSED,
      home: schedule.home,
      automatic: true,
      linesShareFront: schedule.linesShareFront,
      lost: () => 0,
      log: (_level, message) => parts.log(message),
      tradingDayChanged: () => undefined,
      published: (change) => {
        if (!this.isAlive) return
        parts.oracle.published(change, parts.disk.epoch)
        parts.published(change)
      },
    })
  }

  /** Makes the first epoch durable and starts both lines. */
  async begin(): Promise<void> {
    await this.supervisor.begin(this.#parts.disk.epoch, this.path.lastRestoredMs())
    this.#parts.oracle.lifeBegins(this.supervisor)
    this.round()
    this.#running = Promise.all(LINES.map((line) => this.sessions[line].run(this.#ending.signal))).catch(
      (error: unknown) => this.#parts.oracle.fault(error),
    )
    this.#checkpoints = this.#parts.time.every(CHECKPOINT_EVERY_MS, () => this.#saveCheckpoint())
  }

  /** Hands a line's next tick over; it is judged when the tick path has taken it. */
  deliver(front: SimFront, record: number): void {
    this.#handedRecord = record
    front.deliver()
  }

  /** A tick that waits goes the same way as one that does not, in the line's order. */
  #take(line: LineIndex, slot: number, views: TickViews, at: number): Outcome | -1 {
    const { oracle, fronts } = this.#parts
    const handed = this.#handed[line][slot]?.shift()
    if (handed === undefined) throw new Error('only what was handed over is taken')
    const { record, stampMs, isSnapshot } = handed
    const contract = oracle.contractOf(record)
    const knewContract = this.arbiter.day[contract] !== 0 && oracle.hasSeenTruth(contract)
    oracle.delivering(record)
    const outcome = this.path.take(line, slot, views, at)
    const front = fronts[LINES[line]]
    const receivedMs = views.f64[(at + TICK_AT.receivedWallMs) >> 3] ?? 0
    oracle.judgeTick(front, { record, stampMs, isSnapshot, receivedMs }, outcome, knewContract)
    return outcome
  }

  round(command: FailoverCommand | null = null): FailoverStep | null {
    if (!this.isAlive || this.#ending.signal.aborted) return null
    this.#returning.releaseIfDue(this.#parts.time.monotonicMs())
    const step = this.supervisor.round(command)
    this.#parts.oracle.judgeRound(this, step, command)
    return step
  }

  /** Orderly: lines are closed, everything is written. */
  async stop(): Promise<void> {
    this.#ending.abort()
    await this.#running
    this.#returning.end()
    await this.supervisor.settled()
    this.#end()
    this.#saveCheckpoint()
  }

  /** The process is gone: what was not written yet is lost. */
  crash(): void {
    this.#end()
    this.#ending.abort()
    for (const line of LINES) this.#parts.fronts[line].abandon()
    const { disk, time, lots, oracle } = this.#parts
    const writtenUntilMs = time.nowMs - lots.between(0, 30)
    const lost = disk.journal.filter(({ writtenAtMs }) => writtenAtMs > writtenUntilMs)
    disk.journal = disk.journal.filter(({ writtenAtMs }) => writtenAtMs <= writtenUntilMs)
    oracle.forgetLost(lost)
  }

  #end(): void {
    this.isAlive = false
    if (this.#checkpoints !== null) this.#checkpoints.isCancelled = true
  }

  #openLine(line: Line): LineSession {
    const parts = this.#parts
    const { time, lots, disk, broken, schedule } = parts
    const front = parts.fronts[line]
    const session: LineSession = new LineSession(line, adapterOf(front, lots), 'off', {
      clock: time,
      openBridge: (_command, sink) => front.openBridge(sink),
      timeouts: {
        helloMs: 10_000,
        connectMs: 10_000,
        loginMs: 15_000,
        ackMs: 10_000,
        silenceMs: 6_000,
        catalogueMs: 60_000,
      },
      pacing: { batchSize: SUBSCRIBE_BATCH, maxPerWindow: 0, windowMs: 1, retryDelayMs: 1_000 },
      pacer: { admit: (contracts, signal) => sleep(contracts * CONTRACT_EVERY_MS, signal) },
      maxSubscribeAttempts: 4,
      requestLogin: async (account) => {
        if (broken.requestLogin !== undefined) return broken.requestLogin()
        const grant = grantLogin(disk.budget, account, time.wallMs(), schedule.loginsPerMinute)
        if (!grant.granted) return Math.max(1, grant.retryAtMs - time.wallMs())
        disk.budget = grant.budget
        await sleep(lots.between(0.5, 5))
        return 0
      },
      isLatched: (account) => broken.isLatched?.(account) ?? disk.latched.has(account),
      latch: async (account) => {
        disk.latched.add(account)
        disk.refusals.delete(account)
      },
      countRefusal: (account) => {
        disk.refusals.set(account, (disk.refusals.get(account) ?? 0) + 1)
        return disk.refusals.get(account) ?? 0
      },
      sessionHeld: (account) => disk.refusals.delete(account),
      slotOf: (symbol, exchange) => this.slots.slotOf(symbol, exchange),
      listed: () => undefined,
      slotName: (slot) => this.slots.table.name(slot),
      expectSnapshot: (slot) => this.arbiter.expectSnapshot(session.index, slot),
      reading: (nowMs) => {
        this.path.readAtMs = nowMs
      },
      tick: (slot, views, at) => {
        const handed = this.#handed[session.index]
        handed[slot] ??= []
        handed[slot].push({ record: this.#handedRecord, stampMs: front.stampMs, isSnapshot: front.isSnapshot })
        this.#returning.take(session.index, slot, views, at)
      },
      reached: () => undefined,
      changed: () => this.#roundSoon(),
      readingSinceMs: NEVER_PAUSED,
      jitter: () => lots.next(),
      log: (_level, message) => parts.log(message),
    })
    return session
  }

  #roundSoon(): void {
    if (this.#roundIsDue) return
    this.#roundIsDue = true
    this.#parts.time.after(0, () => {
      this.#roundIsDue = false
      this.round()
    })
  }

  async #writeEpoch(epoch: number): Promise<void> {
    const { lots, disk } = this.#parts
    // A disk usually answers within milliseconds; a busy one does not.
    await sleep(lots.isLucky(0.9) ? lots.between(1, 10) : lots.between(100, 900))
    if (this.isAlive) disk.epoch = Math.max(disk.epoch, epoch)
  }

  #append(views: TickViews, at: number, slot: number, tick: AppendedTick): number {
    const { oracle, disk, time, keepsJournal } = this.#parts
    oracle.journalled(tick, this.supervisor)
    if (!keepsJournal) return 1
    const ordinal = oracle.deliveringOrdinal
    const row = journalRow(views, at, tick)
    disk.journal.push({ writtenAtMs: time.nowMs, contract: slot, ordinal, row })
    return disk.journal.length
  }

  /** As restore-slots.ts does it from files. */
  #restore(): void {
    const { contracts, disk } = this.#parts
    // Slots are handed out in the order of the contract list, in every life.
    for (const { symbol, exchange } of contracts) this.slots.slotOf(symbol, exchange)
    for (const { slot, row } of disk.checkpoint?.rows ?? []) this.#restoreRow(slot, row)
    for (const tick of disk.journal.slice(disk.checkpoint?.journalled ?? 0)) this.#restoreRow(tick.contract, tick.row)
  }

  #restoreRow(slot: number, row: Float64Array): void {
    const [tradingDay = 0, eventMs = 0, volume = 0, offSession = 0] = row
    const book = row.subarray(4, CHECKPOINT_COLUMNS)
    this.arbiter.restore(slot, { tradingDay, eventMs, volume, offSession: offSession === 1, book })
  }

  #saveCheckpoint(): void {
    const { contracts, disk, keepsJournal } = this.#parts
    if (!keepsJournal) return
    const rows: { slot: number; row: Float64Array }[] = []
    for (let slot = 0; slot < contracts.length; slot++) {
      for (const kind of TICK_KINDS) {
        for (let back = this.arbiter.booksHeld(slot, kind) - 1; back >= 0; back--) {
          const row = new Float64Array(CHECKPOINT_COLUMNS)
          this.arbiter.describe(slot, kind, row, 0, back)
          rows.push({ slot, row })
        }
      }
    }
    disk.checkpoint = { journalled: disk.journal.length, rows }
  }
}

function adapterOf(front: SimFront, lots: Lots): FeedAdapter {
  return {
    kind: 'sim',
    account: '***sim',
    accountKey: front.account,
    front: null,
    listing: 'file',
    command: () => ({ program: 'none', args: [], env: {} }),
    startPairs: () => [],
    tradingLogin: null,
    loginPairs: async (signal) => {
      await sleep(lots.between(0.5, 20), signal).catch(() => undefined)
      return []
    },
  }
}

function journalRow({ f64, i32 }: TickViews, at: number, tick: AppendedTick): Float64Array {
  const double = (index: number) => f64[(at >> 3) + index] ?? Number.NaN
  return Float64Array.of(
    tick.tradingDay,
    tick.eventMs,
    i32[(at + TICK_AT.volume) >> 2] ?? 0,
    tick.offSession ? 1 : 0,
    double(TICK_F64.OpenInterest),
    double(TICK_F64.LastPrice),
    double(TICK_F64.BidPrice1),
    double(TICK_F64.AskPrice1),
    i32[(at + TICK_AT.bidVolumes) >> 2] ?? 0,
    i32[(at + TICK_AT.askVolumes) >> 2] ?? 0,
  )
}
