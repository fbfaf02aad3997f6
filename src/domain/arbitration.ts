/**
 * Which tick of the two lines is news? CTP numbers nothing, so the identity of a tick is what it says: exchange time, cumulative volume
 * and the top of the book. Within a trading day neither time nor volume ever goes back, so per instrument the last accepted tick and
 * the few books seen at its very time and volume decide: older is stale, seen is a duplicate, everything else is news, whichever line
 * brings it first.
 *
 * Turnover is no part of the identity: brokers' back-ends compute CZCE's in two ways, so one tick would look like two. Leaving it out
 * tells all recorded rows apart just as well (docs/benchmarks.md).
 *
 * State is typed arrays over instrument slots, because this runs for every tick of both lines.
 */
import { INSTRUMENTS_MAX } from './instrument-table.ts'
import type { LineIndex } from './line.ts'
import { eventTimeMs, TICK_AT, TICK_F64, type TickViews, updateSecondOfDay } from './tick.ts'
import { DAY_MS, dayNumberOf, midnightOf, toYyyymmdd } from './trading-day.ts'

/** Small integers instead of names on the hot path; OUTCOME_NAMES gives the metric label. */
export const Outcome = { accepted: 0, duplicate: 1, stale: 2, invalid: 3, offSession: 4 } as const
export type Outcome = (typeof Outcome)[keyof typeof Outcome]
export const OUTCOME_NAMES = ['accepted', 'duplicate', 'stale', 'invalid', 'off_session'] as const

export interface ArbitrationPolicy {
  /** A stamp further ahead of the receive time is no tick of this market. */
  aheadMaxMs: number
  /** A tick older than this when it arrives is a snapshot of the past, not a sign of life. */
  freshMs: number
  /** Cumulative volume may grow by this much at once ... */
  volumeStepMax: number
  /** ... and by this much more for each second since the last accepted tick. */
  volumePerSecondMax: number
  volumeMax: number
  /** Ticks in a row, from each line, that contradict a slot's volume before the slot is taken for poisoned. */
  contradictionsToReset: number
  /** The same when the other line is down and can't confirm. */
  contradictionsToResetAlone: number
}

export const DEFAULT_ARBITRATION: ArbitrationPolicy = {
  aheadMaxMs: 3_000,
  freshMs: 60_000,
  // The busiest contracts trade some five million lots a day, at most some ten thousand in a snapshot interval.
  volumeStepMax: 1_000_000,
  volumePerSecondMax: 50_000,
  volumeMax: 1_000_000_000,
  contradictionsToReset: 3,
  contradictionsToResetAlone: 20,
}

/** What the arbiter needs of the market calendar; LiveSessions is one. */
export interface SessionsView {
  isLive(productIndex: number, eventMs: number): boolean
  tradingDay(ms: number): number
}

/** Doubles of a book: open interest, last price, best bid and ask, their volumes. */
const BOOK = 6
/** CZCE sent up to four updates within one second and volume; twice that leaves room for a burst. */
const BOOKS_SEEN = 8
/** Outside sessions two rows of one moment are the most that was recorded. */
const OFF_BOOKS_SEEN = 4
/** No closure of the market is longer. */
const CLOSURE_DAYS_MAX = 20
/** A night session is over by then. */
const SMALL_HOURS_MS = 5 * 3_600_000

export class Arbiter {
  /** The last accepted tick, by slot. Day 0: none yet. */
  readonly day = new Int32Array(INSTRUMENTS_MAX)
  readonly eventMs = new Float64Array(INSTRUMENTS_MAX)
  readonly volume = new Float64Array(INSTRUMENTS_MAX)

  /** Of the tick classified last. */
  lastEventMs = 0
  lastTradingDay = 0
  /** The tick classified last was accepted because its slot had been poisoned. */
  lastReset = false
  /** The tick classified last was the snapshot that a front pushes after a subscription. */
  lastWasSnapshot = false
  /** By how much the tick classified last is older than its slot, by exchange time; 0 when it is not. */
  lastOlderByMs = 0

  readonly #policy: ArbitrationPolicy
  readonly #sessions: SessionsView
  readonly #books = new Float64Array(INSTRUMENTS_MAX * BOOKS_SEEN * BOOK)
  readonly #booksSeen = new Uint8Array(INSTRUMENTS_MAX)
  readonly #offEventMs = new Float64Array(INSTRUMENTS_MAX).fill(Number.NEGATIVE_INFINITY)
  readonly #offVolume = new Float64Array(INSTRUMENTS_MAX)
  readonly #offBooks = new Float64Array(INSTRUMENTS_MAX * OFF_BOOKS_SEEN * BOOK)
  readonly #offBooksSeen = new Uint8Array(INSTRUMENTS_MAX)
  /** By line and slot: the next tick is the snapshot that the front pushes after a subscription. */
  readonly #snapshotDue = [new Uint8Array(INSTRUMENTS_MAX), new Uint8Array(INSTRUMENTS_MAX)] as const
  readonly #contradictions = [new Uint8Array(INSTRUMENTS_MAX), new Uint8Array(INSTRUMENTS_MAX)] as const
  readonly #book = new Float64Array(BOOK)

  constructor(sessions: SessionsView, policy: ArbitrationPolicy = DEFAULT_ARBITRATION) {
    this.#sessions = sessions
    this.#policy = policy
  }

  /** The line has just asked for the instrument: the front answers with its last known state, however old. */
  expectSnapshot(line: LineIndex, slot: number): void {
    this.#snapshotDue[line][slot] = 1
  }

  /**
   * Classifies the tick record at byte `at` and, when it is news, makes it the slot's state.
   * @param alone the other line delivers nothing at present, so nobody can confirm that a slot is poisoned
   */
  classify(line: LineIndex, slot: number, productIndex: number, views: TickViews, at: number, alone: boolean): Outcome {
    this.lastReset = false
    this.lastOlderByMs = 0
    const receivedMs = views.f64[(at + TICK_AT.receivedWallMs) >> 3] ?? 0
    const volume = views.i32[(at + TICK_AT.volume) >> 2] ?? -1
    const isSnapshot = this.#snapshotDue[line][slot] === 1
    this.lastWasSnapshot = isSnapshot
    if (isSnapshot) this.#snapshotDue[line][slot] = 0

    const eventMs = this.#dateTick(views, at, receivedMs, isSnapshot)
    this.lastEventMs = eventMs
    if (Number.isNaN(eventMs) || volume < 0 || volume > this.#policy.volumeMax) return Outcome.invalid
    this.#readBook(views, at)
    if (!this.#bookIsSane(slot, volume)) return Outcome.invalid

    this.lastTradingDay = this.#sessions.tradingDay(eventMs)
    const isLive = receivedMs - eventMs <= this.#policy.freshMs && this.#sessions.isLive(productIndex, eventMs)
    if (!isLive) return this.#classifyOffSession(slot, eventMs, volume)
    return this.#classifyLive(line, slot, eventMs, volume, alone)
  }

  /** Event time of the record, NaN when it is malformed or lies ahead of the market clock. */
  #dateTick(views: TickViews, at: number, receivedMs: number, isSnapshot: boolean): number {
    const secondOfDay = updateSecondOfDay(views.u8, at)
    const millisecond = views.i32[(at + TICK_AT.updateMillisec) >> 2] ?? -1
    if (secondOfDay < 0 || millisecond < 0 || millisecond > 999) return Number.NaN
    const eventMs = eventTimeMs(secondOfDay, millisecond, receivedMs)
    const isAhead = eventMs - receivedMs > this.#policy.aheadMaxMs
    // 14:59:59 received at 08:50 is an earlier close when it is the snapshot after subscribing, and nonsense at any other time.
    if (isSnapshot) return this.#onTradingDate(isAhead ? eventMs - DAY_MS : eventMs)
    return isAhead ? Number.NaN : eventMs
  }

  /** On Monday morning the last state known is Friday's: the latest trading date at this time of day. */
  #onTradingDate(eventMs: number): number {
    for (let days = 0; days < CLOSURE_DAYS_MAX; days++) {
      const ms = eventMs - days * DAY_MS
      // The small hours belong to the evening before.
      const date = dayNumberOf(ms - SMALL_HOURS_MS)
      if (this.#sessions.tradingDay(midnightOf(date) + DAY_MS / 2) === toYyyymmdd(date)) return ms
    }
    return eventMs
  }

  #readBook(views: TickViews, at: number): void {
    const { f64, i32 } = views
    const start = at >> 3
    const book = this.#book
    book[0] = f64[start + TICK_F64.OpenInterest] ?? Number.NaN
    book[1] = f64[start + TICK_F64.LastPrice] ?? Number.NaN
    book[2] = f64[start + TICK_F64.BidPrice1] ?? Number.NaN
    book[3] = f64[start + TICK_F64.AskPrice1] ?? Number.NaN
    book[4] = i32[(at + TICK_AT.bidVolumes) >> 2] ?? 0
    book[5] = i32[(at + TICK_AT.askVolumes) >> 2] ?? 0
  }

  /** Infinite prices and negative volumes never come from an exchange, and a traded contract does not lose its last price again. */
  #bookIsSane(slot: number, volume: number): boolean {
    const book = this.#book
    const last = book[1] ?? 0
    if (Math.abs(last) >= 1e300 || Math.abs(book[2] ?? 0) >= 1e300 || Math.abs(book[3] ?? 0) >= 1e300) return false
    if ((book[4] ?? 0) < 0 || (book[5] ?? 0) < 0) return false
    if (!Number.isNaN(last) || volume === 0 || this.day[slot] === 0) return true
    return Number.isNaN(this.#books[slot * BOOKS_SEEN * BOOK + 1] ?? 0)
  }

  #classifyLive(line: LineIndex, slot: number, eventMs: number, volume: number, alone: boolean): Outcome {
    const slotDay = this.day[slot] ?? 0
    if (this.lastTradingDay < slotDay) return Outcome.stale
    if (this.lastTradingDay > slotDay) return this.#accept(slot, eventMs, volume, false)

    const slotEventMs = this.eventMs[slot] ?? 0
    const slotVolume = this.volume[slot] ?? 0
    if (eventMs < slotEventMs || volume < slotVolume) {
      this.lastOlderByMs = slotEventMs - eventMs
      if (eventMs <= slotEventMs) return Outcome.stale
      return this.#contradict(line, slot, eventMs, volume, alone)
    }
    if (eventMs === slotEventMs && volume === slotVolume) {
      if (this.#bookWasSeen(slot)) return Outcome.duplicate
      return this.#accept(slot, eventMs, volume, true)
    }
    const { volumeStepMax, volumePerSecondMax } = this.#policy
    if (volume - slotVolume > volumeStepMax + ((eventMs - slotEventMs) / 1000) * volumePerSecondMax)
      return Outcome.invalid
    return this.#accept(slot, eventMs, volume, false)
  }

  /**
   * Time went on while the volume fell below what was accepted: either this tick is wrong or the accepted one was. When both lines
   * go on saying so, the accepted one was, and keeping it would make the rest of the day stale.
   */
  #contradict(line: LineIndex, slot: number, eventMs: number, volume: number, alone: boolean): Outcome {
    const { contradictionsToReset, contradictionsToResetAlone } = this.#policy
    const mine = Math.min(255, (this.#contradictions[line][slot] ?? 0) + 1)
    this.#contradictions[line][slot] = mine
    const others = this.#contradictions[line === 0 ? 1 : 0][slot] ?? 0
    const confirmed = mine >= contradictionsToReset && others >= contradictionsToReset
    if (!confirmed && !(alone && mine >= contradictionsToResetAlone)) return Outcome.stale
    this.lastReset = true
    return this.#accept(slot, eventMs, volume, false)
  }

  #accept(slot: number, eventMs: number, volume: number, isTwin: boolean): Outcome {
    if (!isTwin) {
      this.day[slot] = this.lastTradingDay
      this.eventMs[slot] = eventMs
      this.volume[slot] = volume
      this.#booksSeen[slot] = 0
      this.#contradictions[0][slot] = 0
      this.#contradictions[1][slot] = 0
    }
    const seen = this.#booksSeen[slot] ?? 0
    this.#books.set(this.#book, (slot * BOOKS_SEEN + (seen % BOOKS_SEEN)) * BOOK)
    // Counts on beyond the ring's size, so that the oldest book is the one overwritten; stays within a byte.
    this.#booksSeen[slot] = seen + 1 < 2 * BOOKS_SEEN ? seen + 1 : BOOKS_SEEN
    return Outcome.accepted
  }

  #bookWasSeen(slot: number): boolean {
    const held = Math.min(this.#booksSeen[slot] ?? 0, BOOKS_SEEN)
    const first = slot * BOOKS_SEEN * BOOK
    for (let i = 0; i < held; i++) {
      if (sameBook(this.#books, first + i * BOOK, this.#book)) return true
    }
    return false
  }

  /**
   * Journalled once, so that the instrument's snapshot is up to date, and never taken for a sign of life: the snapshot pushed after
   * subscribing, order entry of the auction, settlement rows long after the close.
   */
  #classifyOffSession(slot: number, eventMs: number, volume: number): Outcome {
    if (this.day[slot] !== 0) {
      const isSameMoment = eventMs === this.eventMs[slot] && volume === this.volume[slot]
      if (isSameMoment && this.#bookWasSeen(slot)) return Outcome.duplicate
      const isOlder = eventMs < (this.eventMs[slot] ?? 0) || this.lastTradingDay < (this.day[slot] ?? 0)
      if (isOlder) return Outcome.stale
    }
    const offEventMs = this.#offEventMs[slot] ?? 0
    if (eventMs < offEventMs) return Outcome.stale
    if (eventMs === offEventMs && volume === this.#offVolume[slot] && this.#offBookWasSeen(slot)) {
      return Outcome.duplicate
    }
    this.#keepOffSession(slot, eventMs, volume)
    return Outcome.offSession
  }

  #keepOffSession(slot: number, eventMs: number, volume: number): void {
    const isTwin = eventMs === this.#offEventMs[slot] && volume === this.#offVolume[slot]
    const seen = isTwin ? (this.#offBooksSeen[slot] ?? 0) : 0
    this.#offEventMs[slot] = eventMs
    this.#offVolume[slot] = volume
    this.#offBooks.set(this.#book, (slot * OFF_BOOKS_SEEN + (seen % OFF_BOOKS_SEEN)) * BOOK)
    this.#offBooksSeen[slot] = seen + 1 < 2 * OFF_BOOKS_SEEN ? seen + 1 : OFF_BOOKS_SEEN
  }

  #offBookWasSeen(slot: number): boolean {
    const held = Math.min(this.#offBooksSeen[slot] ?? 0, OFF_BOOKS_SEEN)
    const first = slot * OFF_BOOKS_SEEN * BOOK
    for (let i = 0; i < held; i++) {
      if (sameBook(this.#offBooks, first + i * BOOK, this.#book)) return true
    }
    return false
  }

  /** Something was accepted (`live`), or journalled outside sessions (`off-session`), for the slot. */
  knows(slot: number, kind: TickKind): boolean {
    return kind === 'live' ? this.day[slot] !== 0 : (this.#offEventMs[slot] ?? 0) > Number.NEGATIVE_INFINITY
  }

  /** Books remembered of the slot's last moment of this kind, 0 when nothing is known of it. */
  booksHeld(slot: number, kind: TickKind): number {
    if (!this.knows(slot, kind)) return 0
    return kind === 'live'
      ? Math.min(this.#booksSeen[slot] ?? 0, BOOKS_SEEN)
      : Math.min(this.#offBooksSeen[slot] ?? 0, OFF_BOOKS_SEEN)
  }

  /**
   * Writes the slot's last tick of this kind as ten doubles, from `rows[at]` on: trading day, event ms, volume, off-session 0|1, six of
   * the book. `restore` takes them back. Of a moment with several books the newest is told, or the one `back` before it; put back oldest
   * first, they are all known again. Makes no object: a checkpoint asks for tens of thousands of them between two ticks.
   */
  describe(slot: number, kind: TickKind, rows: Float64Array, at: number, back = 0): void {
    const isLive = kind === 'live'
    rows[at] = isLive ? (this.day[slot] ?? 0) : 0
    rows[at + 1] = (isLive ? this.eventMs[slot] : this.#offEventMs[slot]) ?? 0
    rows[at + 2] = (isLive ? this.volume[slot] : this.#offVolume[slot]) ?? 0
    rows[at + 3] = isLive ? 0 : 1
    const books = isLive ? this.#books : this.#offBooks
    const held = isLive ? BOOKS_SEEN : OFF_BOOKS_SEEN
    const place = (((isLive ? this.#booksSeen : this.#offBooksSeen)[slot] ?? 1) - 1 - back) % held
    const start = (slot * held + place) * BOOK
    for (let i = 0; i < BOOK; i++) rows[at + 4 + i] = books[start + i] ?? 0
  }

  /** Puts back what an earlier process accepted last (from checkpoint and journal), so that a first snapshot is not taken for news. */
  restore(slot: number, tick: RestoredTick): void {
    this.#book.set(tick.book)
    if (tick.offSession) {
      this.#keepOffSession(slot, tick.eventMs, tick.volume)
      return
    }
    const isTwin =
      this.day[slot] === tick.tradingDay && this.eventMs[slot] === tick.eventMs && this.volume[slot] === tick.volume
    this.lastTradingDay = tick.tradingDay
    this.#accept(slot, tick.eventMs, tick.volume, isTwin)
  }
}

/** What is known of a slot: its last live tick and its last one outside sessions. */
export const TICK_KINDS = ['live', 'off-session'] as const
export type TickKind = (typeof TICK_KINDS)[number]

export interface RestoredTick {
  tradingDay: number
  eventMs: number
  volume: number
  offSession: boolean
  /** Open interest, last price, bid price, ask price, bid volume, ask volume. */
  book: ArrayLike<number>
}

function sameBook(books: Float64Array, start: number, book: Float64Array): boolean {
  for (let i = 0; i < BOOK; i++) {
    const a = books[start + i] ?? 0
    const b = book[i] ?? 0
    // NaN stands for "no price" and equals itself here.
    if (a !== b && !(Number.isNaN(a) && Number.isNaN(b))) return false
  }
  return true
}
