/**
 * What happens to every tick: classify, count, append to the journal. Nothing here waits, allocates per tick or decides about lines;
 * the supervisor reads the counters at its own pace.
 */
import { type Arbiter, Outcome } from '#domain/arbitration.ts'
import { assert } from '#domain/assert.ts'
import { DelayProbes } from '#domain/delay-probes.ts'
import { GAP_UNKNOWN, nextExpectedGap } from '#domain/expected-gap.ts'
import { EXCHANGES, isExchange } from '#domain/instrument.ts'
import { INSTRUMENTS_MAX, type InstrumentTable } from '#domain/instrument-table.ts'
import { RecentHistogram } from '#domain/interval-histogram.ts'
import type { LineIndex } from '#domain/line.ts'
import { TICK_AT, type TickViews } from '#domain/tick.ts'

/** Where news goes: the journal. Returns the sequence number, or 0 when the tick could not be taken. */
export interface TickLog {
  append(views: TickViews, at: number, slot: number, line: LineIndex, tick: AppendedTick): number
}

/** Reused for every append; valid during the call. */
export interface AppendedTick {
  eventMs: number
  tradingDay: number
  epoch: number
  offSession: boolean
}

/**
 * Silence of one line on one exchange, or on the whole market: its last live tick, and the news that the other line brought since. The
 * other's news adds one, a live tick of this line's own clears. Times are those of reading, because after a stall of our own one pipe is
 * read before the other.
 */
export class Silence {
  /** CLOCK_MONOTONIC, 0 when no live tick came yet. */
  lastTickMs = 0
  unanswered = 0
  unansweredSinceMs = 0

  answer(nowMs: number): void {
    this.lastTickMs = nowMs
    this.unanswered = 0
  }

  miss(nowMs: number): void {
    if (this.unanswered++ === 0) this.unansweredSinceMs = nowMs
  }

  reset(): void {
    this.lastTickMs = 0
    this.unanswered = 0
  }

  /** What the other line brought so far was not to be had here. */
  excuse(): void {
    this.unanswered = 0
  }
}

/** Everything counted about one line. Hot counters are plain fields and typed arrays, rendered when somebody asks. */
export class LineTicks {
  readonly outcomes = new Float64Array(5)
  /** Ticks for instruments that the line never explained. */
  unknown = 0
  firstArrivals = 0
  /** CLOCK_MONOTONIC of reading the last live tick, by slot; 0 when none came yet. */
  readonly lastLiveMs = new Float64Array(INSTRUMENTS_MAX)
  /** By slot: news that the other line brought since this line's last live tick of it. */
  readonly missed = new Uint32Array(INSTRUMENTS_MAX)
  readonly market = new Silence()
  /** In the order of EXCHANGES. */
  readonly exchanges = EXCHANGES.map(() => new Silence())
  /** Live ticks by exchange. */
  readonly exchangeTicks = new Float64Array(EXCHANGES.length)
  /** How far behind the other line the same tick came: 0 where this one was first. */
  readonly behind = new RecentHistogram(30_000)

  get received(): number {
    return this.outcomes.reduce((sum, count) => sum + count, 0)
  }
}

/** A tick this far behind the other line is history, not a sign of life. */
const LIVE_BEHIND_MAX_MS = 5_000
const BOTH_LINES = 0b11
/** The shortest break is 15 minutes; what is longer than this is one, or a contract too quiet to have a usual gap. */
const GAP_MAX_MS = 600_000

export class TickPath {
  readonly lines = [new LineTicks(), new LineTicks()] as const
  /** Epoch that accepted ticks are stamped with. */
  epoch = 0
  /** Neither line's ticks can be confirmed by the other at present. */
  alone = false
  /** Accepted ticks, live ones only. */
  accepted = 0
  /** News that the journal could not take. */
  refusedByLog = 0
  /** Slots that were reset because their state was poisoned. */
  resets = 0
  /** CLOCK_MONOTONIC at the callback of the last accepted tick of any instrument, 0 when none came since the market opened. */
  lastAcceptedMs = 0
  /** Longest time between accepted ticks since `watchSwitch` was called. */
  gapMs = 0
  /** When the first live tick of the line watched was read, 0 while none was. */
  firstTickReadMs = 0
  /** CLOCK_MONOTONIC at which the frames now being taken were read. */
  readAtMs = 0
  /** By slot: bit 0 when it is on the primary's list, bit 1 when on the backup's. */
  readonly listedOn = new Uint8Array(INSTRUMENTS_MAX)
  /** By slot: the usual time between live ticks, NaN while unknown. */
  readonly expectedGapMs = new Float64Array(INSTRUMENTS_MAX).fill(GAP_UNKNOWN)
  /** 1 once the slot had a live tick since the trading day began. */
  readonly ticked = new Uint8Array(INSTRUMENTS_MAX)
  tickedCount = 0

  #watched: LineIndex | null = null
  readonly #probes = new DelayProbes()
  readonly #lastNewsMs = new Float64Array(INSTRUMENTS_MAX)
  readonly #arbiter: Arbiter
  readonly #table: InstrumentTable
  readonly #log: TickLog
  readonly #exchangeOfSlot = new Uint8Array(INSTRUMENTS_MAX).fill(255)
  readonly #appended: AppendedTick = { eventMs: 0, tradingDay: 0, epoch: 0, offSession: false }

  constructor(parts: { arbiter: Arbiter; table: InstrumentTable; log: TickLog }) {
    this.#arbiter = parts.arbiter
    this.#table = parts.table
    this.#log = parts.log
  }

  /** Takes the tick record at byte `at`; `slot` is the instrument's, or -1 when the bridge never explained its number. */
  take(line: LineIndex, slot: number, views: TickViews, at: number): Outcome | -1 {
    const counts = this.lines[line]
    if (slot < 0) {
      counts.unknown++
      return -1
    }
    const arbiter = this.#arbiter
    const outcome = arbiter.classify(
      line,
      slot,
      this.#table.productIndex[slot] ?? 0,
      views,
      at,
      this.alone || this.listedOn[slot] !== BOTH_LINES,
    )
    counts.outcomes[outcome] = (counts.outcomes[outcome] ?? 0) + 1
    if (outcome === Outcome.invalid) return outcome

    const receivedMs = views.f64[(at + TICK_AT.receivedMonotonicMs) >> 3] ?? 0
    // A snapshot is as old as the instrument is quiet, which says nothing about the line's delay.
    if (!arbiter.lastWasSnapshot) this.#measureDelay(line, slot, outcome, views, at, receivedMs)
    if (outcome === Outcome.accepted) this.#countAccepted(counts, slot, receivedMs)
    // A snapshot is what the front knew last, and a front that knows nothing any more has one too.
    const isSignOfLife =
      !arbiter.lastWasSnapshot &&
      (outcome === Outcome.accepted ||
        outcome === Outcome.duplicate ||
        (outcome === Outcome.stale && arbiter.lastOlderByMs > 0 && arbiter.lastOlderByMs < LIVE_BEHIND_MAX_MS))
    if (isSignOfLife) this.#countLive(line, slot, outcome === Outcome.accepted)
    if (outcome === Outcome.accepted || outcome === Outcome.offSession) {
      this.#appended.eventMs = arbiter.lastEventMs
      this.#appended.tradingDay = arbiter.lastTradingDay
      this.#appended.epoch = this.epoch
      this.#appended.offSession = outcome === Outcome.offSession
      if (this.#log.append(views, at, slot, line, this.#appended) === 0) this.refusedByLog++
    }
    return outcome
  }

  /** A new trading day: what ticked yesterday says nothing about today. */
  forgetTicked(): void {
    this.ticked.fill(0)
    this.tickedCount = 0
    for (const line of this.lines) {
      line.lastLiveMs.fill(0)
      line.missed.fill(0)
    }
  }

  /** Market time of the newest tick that any instrument was restored with; null when none was. */
  lastRestoredMs(): number | null {
    const lastMs = this.#arbiter.eventMs.reduce((last, ms) => Math.max(last, ms), 0)
    return lastMs === 0 ? null : lastMs
  }

  /** The market opens: what came before its close is no beginning of a gap. */
  forgetGap(): void {
    this.lastAcceptedMs = 0
    this.gapMs = 0
  }

  /** Begins to measure a switch to this line: the longest time between accepted ticks, and the line's first live tick. */
  watchSwitch(to: LineIndex): void {
    this.gapMs = 0
    this.firstTickReadMs = 0
    this.#watched = to
  }

  #measureDelay(
    line: LineIndex,
    slot: number,
    outcome: Outcome,
    views: TickViews,
    at: number,
    receivedMs: number,
  ): void {
    const eventMs = this.#arbiter.lastEventMs
    const volume = views.i32[(at + TICK_AT.volume) >> 2] ?? 0
    this.#probes.heedReading(line, receivedMs, this.readAtMs)
    const behindMs = this.#probes.measure(line, slot, eventMs, volume, receivedMs)
    // The first one is behind by nothing. Left out, a line that is nearly always first would be judged by its few late ticks alone.
    if (!Number.isNaN(behindMs)) {
      this.lines[line].behind.observe(Math.max(0, behindMs))
      this.lines[line === 0 ? 1 : 0].behind.observe(Math.max(0, -behindMs))
    }
    if (outcome === Outcome.accepted) this.#probes.arm(line, slot, eventMs, volume, receivedMs)
  }

  #countAccepted(counts: LineTicks, slot: number, receivedMs: number): void {
    this.accepted++
    counts.firstArrivals++
    if (this.#arbiter.lastReset) this.resets++
    if (this.lastAcceptedMs !== 0 && receivedMs - this.lastAcceptedMs > this.gapMs) {
      this.gapMs = receivedMs - this.lastAcceptedMs
    }
    if (receivedMs > this.lastAcceptedMs) this.lastAcceptedMs = receivedMs
    if (this.ticked[slot] === 0) {
      this.ticked[slot] = 1
      this.tickedCount++
    } else if (!this.#arbiter.lastWasSnapshot) {
      const gapMs = receivedMs - (this.#lastNewsMs[slot] ?? 0)
      if (gapMs < GAP_MAX_MS) this.expectedGapMs[slot] = nextExpectedGap(this.expectedGapMs[slot] ?? GAP_UNKNOWN, gapMs)
    }
    this.#lastNewsMs[slot] = receivedMs
  }

  #countLive(line: LineIndex, slot: number, isNews: boolean): void {
    const counts = this.lines[line]
    const exchange = this.#exchangeIndex(slot)
    counts.lastLiveMs[slot] = this.readAtMs
    counts.missed[slot] = 0
    if (line === this.#watched && this.firstTickReadMs === 0) this.firstTickReadMs = this.readAtMs
    counts.exchangeTicks[exchange] = (counts.exchangeTicks[exchange] ?? 0) + 1
    counts.market.answer(this.readAtMs)
    counts.exchanges[exchange]?.answer(this.readAtMs)
    // Only what the other line should have brought as well can speak against it.
    if (!isNews || this.listedOn[slot] !== BOTH_LINES) return
    const other = this.lines[line === 0 ? 1 : 0]
    other.missed[slot] = (other.missed[slot] ?? 0) + 1
    other.market.miss(this.readAtMs)
    other.exchanges[exchange]?.miss(this.readAtMs)
  }

  #exchangeIndex(slot: number): number {
    const known = this.#exchangeOfSlot[slot] ?? 255
    if (known !== 255) return known
    const { exchange } = this.#table.name(slot)
    assert(isExchange(exchange), `instruments are listed on a known exchange, not on ${exchange}`)
    const index = EXCHANGES.indexOf(exchange)
    this.#exchangeOfSlot[slot] = index
    return index
  }
}
