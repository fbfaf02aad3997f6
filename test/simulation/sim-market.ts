/**
 * The true market of a simulation: every tick that the exchanges publish, once, as a record in a ring, with what is true of it beside it.
 * Fronts pass on references to these records, so what was published can be compared with what became of it. Contracts are few and of
 * every sort that matters: liquid and quiet, with and without a night session, with stamps of half seconds and of whole ones (CZCE,
 * several ticks within a second, some alike but for the book).
 */
import { assert } from '#domain/assert.ts'
import type { LiveInterval, MarketCalendar } from '#domain/session-calendar.ts'
import { TICK_AT, TICK_BYTES, TICK_F64, type TickViews, tickViews } from '#domain/tick.ts'
import { Lots } from './lots.ts'

export interface SimContract {
  symbol: string
  exchange: string
  product: string
  /** Usual time between ticks. */
  gapMs: number
}

const LIQUID_MS = 500
const CONTRACT_ROWS = `rb2605.SHFE ag2606.SHFE au2606.SHFE cu2605.SHFE sc2606.INE nr2605.INE m2605.DCE i2605.DCE
  CF605.CZCE TA605.CZCE IF2606.CFFEX T2606.CFFEX si2606.GFEX lc2607.GFEX`

export const SIM_CONTRACTS: readonly SimContract[] = [
  ...CONTRACT_ROWS.split(/\s+/).map((name) => contract(name, LIQUID_MS)),
  contract('wr2605.SHFE', 90_000),
  contract('rr2605.DCE', 40_000),
  contract('ZC605.CZCE', 150_000),
]

function contract(name: string, gapMs: number): SimContract {
  const [symbol = '', exchange = ''] = name.split('.')
  return { symbol, exchange, product: symbol.replace(/\d+$/, ''), gapMs }
}

/** Records kept: some five minutes of the whole market, more than any fault looks back. */
export const RECORDS_KEPT = 16_384

/** One ring for all simulations of a process, because a fresh one would cost more than a short simulation. */
export class TickRing {
  readonly views: TickViews = tickViews(new ArrayBuffer(RECORDS_KEPT * TICK_BYTES))
  readonly contract = new Int16Array(RECORDS_KEPT)
  /** Counts the contract's ticks; a corrupted copy has that of its original. */
  readonly ordinal = new Int32Array(RECORDS_KEPT)
  /** Counts the contract's moments: ticks of one exchange stamp and volume share it. */
  readonly moment = new Int32Array(RECORDS_KEPT)
  /** Within a live session by exchange time. */
  readonly isLive = new Uint8Array(RECORDS_KEPT)
  readonly isCorrupt = new Uint8Array(RECORDS_KEPT)
  readonly publishedMs = new Float64Array(RECORDS_KEPT)
  /** Exchange time as stamped. */
  readonly stampMs = new Float64Array(RECORDS_KEPT)
  #next = 0

  byteOf(record: number): number {
    return record * TICK_BYTES
  }

  reset(): void {
    this.#next = 0
    this.publishedMs.fill(Number.NaN)
  }

  reserve(): number {
    const record = this.#next
    this.#next = (this.#next + 1) % RECORDS_KEPT
    return record
  }

  /** A further record with the same content. */
  copy(record: number): number {
    const copy = this.reserve()
    const from = this.byteOf(record)
    this.views.u8.copyWithin(this.byteOf(copy), from, from + TICK_BYTES)
    this.contract[copy] = this.contract[record] ?? 0
    this.ordinal[copy] = this.ordinal[record] ?? 0
    this.moment[copy] = this.moment[record] ?? 0
    this.isLive[copy] = this.isLive[record] ?? 0
    this.isCorrupt[copy] = this.isCorrupt[record] ?? 0
    this.publishedMs[copy] = this.publishedMs[record] ?? 0
    this.stampMs[copy] = this.stampMs[record] ?? 0
    return copy
  }

  /** True ticks published from then on, oldest first. */
  since(publishedMs: number): number[] {
    const records: number[] = []
    for (let back = 1; back <= RECORDS_KEPT; back++) {
      const record = (this.#next - back + RECORDS_KEPT) % RECORDS_KEPT
      const atMs = this.publishedMs[record] ?? Number.NaN
      if (atMs === SNAPSHOT_MS) continue
      if (!(atMs >= publishedMs)) break
      if (this.isCorrupt[record] === 0) records.push(record)
    }
    return records.reverse()
  }
}

/** A copy of an old tick was published at no moment of its own. */
const SNAPSHOT_MS = Number.NEGATIVE_INFINITY

interface Due {
  atMs: number
  isLive: boolean
  day: number
}

interface ContractState {
  readonly contract: SimContract
  readonly index: number
  /** Stamps of whole seconds. */
  readonly isCoarse: boolean
  /** Trading day of what is planned. */
  day: number
  intervals: readonly LiveInterval[]
  interval: number
  upcoming: Due[]
  // Of the last record:
  recordDay: number
  ordinal: number
  moment: number
  volume: number
  stampMs: number
  isLive: boolean
}

const SHANGHAI_OFFSET_MS = 8 * 3_600_000
const DAY_MS = 86_400_000
const SETTLED_AFTER_MS = 25 * 60_000
const ORDER_ENTRY_MS = 90_000

export class SimMarket {
  readonly ring: TickRing
  readonly contracts: readonly SimContract[]
  /** When the next tick is published. */
  nextMs = Number.POSITIVE_INFINITY
  readonly #calendar: MarketCalendar
  readonly #lots: Lots
  readonly #states: ContractState[]
  /** Last record of each contract, out of the ring's reach. */
  readonly #lastBytes: Uint8Array
  #nextState = 0

  constructor(parts: {
    seed: number
    calendar: MarketCalendar
    startMs: number
    ring: TickRing
    contracts?: readonly SimContract[]
  }) {
    this.ring = parts.ring
    this.ring.reset()
    this.contracts = parts.contracts ?? SIM_CONTRACTS
    this.#calendar = parts.calendar
    this.#lots = new Lots(parts.seed)
    this.#lastBytes = new Uint8Array(this.contracts.length * TICK_BYTES)
    this.#states = this.contracts.map((each, index) => this.#begin(each, index, parts.startMs))
    this.#findNext()
  }

  /** The contract's last tick as a front pushes it after a subscription: a fresh copy in the ring. */
  snapshot(index: number): number {
    const { ring } = this
    const state = this.#state(index)
    const record = ring.reserve()
    const bytes = this.#lastBytes.subarray(index * TICK_BYTES, (index + 1) * TICK_BYTES)
    ring.views.u8.set(bytes, ring.byteOf(record))
    this.#describe(record, state, SNAPSHOT_MS)
    return record
  }

  /** Publishes the next tick and tells its record; -1 when its exchange has halted, so that there is none. */
  publish(isHalted: (exchange: string) => boolean = () => false): number {
    const state = this.#state(this.#nextState)
    const due = state.upcoming.shift()
    assert(due !== undefined, 'the contract has a tick to publish')
    const record = isHalted(state.contract.exchange) ? -1 : this.#write(state, due)
    if (state.upcoming.length === 0) this.#plan(state, due.atMs)
    this.#findNext()
    return record
  }

  /** Leaves out what would be published before `toMs`: nobody looks at that stretch. */
  skipTo(toMs: number): void {
    for (const state of this.#states) {
      if ((state.upcoming[0]?.atMs ?? 0) >= toMs) continue
      state.upcoming = []
      this.#plan(state, toMs - 1)
    }
    this.#findNext()
  }

  #state(index: number): ContractState {
    const state = this.#states[index]
    assert(state !== undefined, `contract ${index} exists`)
    return state
  }

  #begin(each: SimContract, index: number, startMs: number): ContractState {
    const day = this.#calendar.tradingDayOf(startMs)
    const intervals = this.#calendar.liveIntervals(each.exchange, each.product, day)
    const state: ContractState = {
      contract: each,
      index,
      isCoarse: each.exchange === 'CZCE',
      day,
      intervals,
      interval: 0,
      upcoming: [],
      recordDay: day,
      ordinal: 0,
      moment: 0,
      volume: 0,
      stampMs: 0,
      isLive: true,
    }
    const begun = intervals.filter(({ fromMs }) => fromMs < startMs).at(-1)
    const before = begun === undefined ? this.#lastIntervalBefore(each, startMs, day) : { day, interval: begun }
    const atMs = Math.min(startMs - 5_000, before.interval.toMs - 500)
    state.recordDay = before.day
    state.volume = this.#lots.whole(1_000, 200_000)
    this.#write(state, { atMs, isLive: true, day: before.day })
    this.#plan(state, startMs)
    return state
  }

  #lastIntervalBefore(each: SimContract, startMs: number, today: number): { day: number; interval: LiveInterval } {
    let ms = startMs
    for (let halfHours = 0; halfHours < 48 * 30; halfHours++) {
      ms -= 1_800_000
      const day = this.#calendar.tradingDayOf(ms)
      const last = this.#calendar.liveIntervals(each.exchange, each.product, day).at(-1)
      if (day !== today && last !== undefined) return { day, interval: last }
    }
    assert(false, 'there was a trading day within the month before')
  }

  /** Puts the next tick after `afterMs` into the state, and what is published outside sessions on the way there. */
  #plan(state: ContractState, afterMs: number): void {
    const gapMs = this.#gap(state)
    let atMs = afterMs + gapMs
    for (;;) {
      const interval = state.intervals[state.interval]
      if (interval === undefined) {
        this.#settle(state, afterMs)
        this.#turnDay(state, afterMs)
        continue
      }
      const isMatch = interval.kind === 'auction-match'
      if (atMs < interval.fromMs || (isMatch && afterMs < interval.fromMs && atMs < interval.toMs)) {
        if (isMatch) this.#enterOrders(state, interval.fromMs, afterMs)
        atMs = interval.fromMs + (isMatch ? state.index : state.isCoarse ? gapMs : Math.floor(gapMs / 500) * 500)
      } else if (isMatch) atMs = Math.max(atMs, interval.toMs)
      if (atMs < interval.toMs) {
        state.upcoming.push({ atMs, isLive: true, day: state.day })
        return
      }
      state.interval++
    }
  }

  #gap({ contract: { gapMs }, isCoarse }: ContractState): number {
    if (gapMs > LIQUID_MS) return gapMs * this.#lots.between(0.2, 1.8)
    if (isCoarse) return this.#lots.between(120, 900)
    return this.#lots.isLucky(0.85) ? 500 : 1_000
  }

  /** Settlement rows come long after the close. */
  #settle(state: ContractState, afterMs: number): void {
    const closedMs = state.intervals.at(-1)?.toMs
    if (closedMs === undefined || !this.#lots.isLucky(0.5)) return
    const atMs = closedMs + SETTLED_AFTER_MS + state.index * 1_000
    if (atMs > afterMs) state.upcoming.push({ atMs, isLive: false, day: state.day })
  }

  /** Order entry of the auction is published without a trade. */
  #enterOrders(state: ContractState, matchMs: number, afterMs: number): void {
    const atMs = matchMs - ORDER_ENTRY_MS + state.index * 100
    if (atMs > afterMs && this.#lots.isLucky(0.5)) state.upcoming.push({ atMs, isLive: false, day: state.day })
  }

  #turnDay(state: ContractState, afterMs: number): void {
    let ms = Math.max(afterMs, state.intervals.at(-1)?.toMs ?? 0)
    while (this.#calendar.tradingDayOf(ms) === state.day) ms += 1_800_000
    state.day = this.#calendar.tradingDayOf(ms)
    state.intervals = this.#calendar.liveIntervals(state.contract.exchange, state.contract.product, state.day)
    state.interval = 0
  }

  #findNext(): void {
    this.nextMs = Number.POSITIVE_INFINITY
    for (let i = 0; i < this.#states.length; i++) {
      const atMs = this.#states[i]?.upcoming[0]?.atMs ?? Number.POSITIVE_INFINITY
      if (atMs >= this.nextMs) continue
      this.nextMs = atMs
      this.#nextState = i
    }
  }

  #write(state: ContractState, due: Due): number {
    const { ring } = this
    const stampMs = state.isCoarse ? Math.floor(due.atMs / 1_000) * 1_000 : Math.floor(due.atMs)
    const isNewDay = due.day !== state.recordDay
    const isSameStamp = stampMs === state.stampMs && !isNewDay
    const mayStandStill = !due.isLive || (isSameStamp ? this.#lots.isLucky(0.4) : this.#lots.isLucky(0.2))
    const volume = (isNewDay ? 0 : state.volume) + (mayStandStill ? 0 : this.#lots.whole(1, 40))
    state.ordinal++
    if (!isSameStamp || volume !== state.volume) state.moment++
    state.recordDay = due.day
    state.volume = volume
    state.stampMs = stampMs
    state.isLive = due.isLive

    const record = ring.reserve()
    const at = ring.byteOf(record)
    writeRecord(ring.views, at, { stampMs, day: due.day, volume, ordinal: state.ordinal, number: state.index + 1 })
    this.#describe(record, state, due.atMs)
    this.#lastBytes.set(ring.views.u8.subarray(at, at + TICK_BYTES), state.index * TICK_BYTES)
    return record
  }

  #describe(record: number, state: ContractState, publishedMs: number): void {
    const { ring } = this
    ring.contract[record] = state.index
    ring.ordinal[record] = state.ordinal
    ring.moment[record] = state.moment
    ring.isLive[record] = state.isLive ? 1 : 0
    ring.isCorrupt[record] = 0
    ring.publishedMs[record] = publishedMs
    ring.stampMs[record] = state.stampMs
  }
}

interface RecordFacts {
  stampMs: number
  day: number
  volume: number
  ordinal: number
  number: number
}

function writeRecord({ u8, i32, f64 }: TickViews, at: number, facts: RecordFacts): void {
  f64.fill(Number.NaN, (at + TICK_AT.doubles) >> 3, (at + TICK_AT.bidVolumes) >> 3)
  i32.fill(0, (at + TICK_AT.bidVolumes) >> 2, (at + TICK_BYTES) >> 2)
  const inDay = (((facts.stampMs + SHANGHAI_OFFSET_MS) % DAY_MS) + DAY_MS) % DAY_MS
  const second = Math.floor(inDay / 1_000)
  i32[(at + TICK_AT.instrument) >> 2] = facts.number
  writeDigits(u8, at + TICK_AT.tradingDay, facts.day, 8)
  writeDigits(u8, at + TICK_AT.actionDay, facts.day, 8)
  writeDigits(u8, at + TICK_AT.updateTime, Math.floor(second / 3_600), 2)
  u8[at + TICK_AT.updateTime + 2] = COLON
  writeDigits(u8, at + TICK_AT.updateTime + 3, Math.floor(second / 60) % 60, 2)
  u8[at + TICK_AT.updateTime + 5] = COLON
  writeDigits(u8, at + TICK_AT.updateTime + 6, second % 60, 2)
  i32[(at + TICK_AT.updateMillisec) >> 2] = inDay % 1_000
  i32[(at + TICK_AT.volume) >> 2] = facts.volume
  const price = 3_000 + (facts.ordinal % 200)
  f64[(at >> 3) + TICK_F64.LastPrice] = price
  f64[(at >> 3) + TICK_F64.BidPrice1] = price - 1
  f64[(at >> 3) + TICK_F64.AskPrice1] = price + 1
  f64[(at >> 3) + TICK_F64.OpenInterest] = 100_000
  f64[(at >> 3) + TICK_F64.Turnover] = facts.volume * price
  // No two books of one moment are alike.
  i32[(at + TICK_AT.bidVolumes) >> 2] = 1 + (facts.ordinal % 1_000)
  i32[(at + TICK_AT.askVolumes) >> 2] = 34
}

const COLON = 0x3a

function writeDigits(u8: Uint8Array, at: number, value: number, digits: number): void {
  let rest = value
  for (let i = digits - 1; i >= 0; i--) {
    u8[at + i] = 48 + (rest % 10)
    rest = Math.floor(rest / 10)
  }
}
