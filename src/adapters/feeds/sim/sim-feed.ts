/**
 * Drives the simulated market through time on one line: at each step every tick that is due by the market clock is written to the
 * pipe, unless a fault says otherwise. After a pause (a stopped process, a reader that stalled) the backlog is bounded: a real front
 * would not bring back either what is older.
 */
import type { Clock } from '#clock.ts'
import type { MarketCalendar } from '#domain/session-calendar.ts'
import { TICK_AT, type TickViews } from '#domain/tick.ts'
import type { ActiveFaults } from '../active-faults.ts'
import type { BridgeWriter } from '../bridge-writer.ts'
import type { EmbeddedFront, FrontMarket, TickTarget } from '../embedded-front.ts'
import { lot, mix, seedOf } from '../noise.ts'
import { MarketDay, type MarketDayOptions, tradingDayAt } from './market-day.ts'
import { SimMarket } from './sim-market.ts'
import { listUniverse, type SimInstrument } from './sim-universe.ts'
import { TickSchedule, weightsByActivity } from './tick-schedule.ts'

export interface SimFeedOptions {
  writer: BridgeWriter
  clock: Clock
  seed: string
  instruments: number
  ticksPerSecond: number
  /** Market time that decides which contract months are listed; both lines must be given the same. */
  listedAtMs: number
  /** Market time is `marketStartMs` when the monotonic clock shows `marketStartMonotonicMs`. */
  marketStartMs: number
  marketStartMonotonicMs: number
  calendar: MarketCalendar | undefined
}

/** Older ticks than this are not made up for. */
const BACKLOG_MS = 5000
/** Ticks written before commands get a turn. */
const TICKS_PER_TURN = 8192

export class SimFeed implements FrontMarket {
  readonly count: number
  readonly #options: SimFeedOptions
  readonly #writer: BridgeWriter
  readonly #instruments: readonly SimInstrument[]
  readonly #indexOfId: Map<string, number>
  readonly #schedule: TickSchedule
  readonly #market: SimMarket
  readonly #dayOptions: MarketDayOptions
  #day: MarketDay
  /** Number of the next tick of the day. */
  #next: number
  #front: EmbeddedFront | undefined
  #receivedMonotonicMs = 0
  #receivedWallMs = 0

  constructor(options: SimFeedOptions) {
    this.#options = options
    this.#writer = options.writer
    const seed = seedOf(options.seed)
    const { calendar, ticksPerSecond } = options
    const nowMs = this.marketNowMs()
    const listedOn = tradingDayAt(calendar, options.listedAtMs)
    this.#instruments = listUniverse(options.instruments, listedOn)
    this.#schedule = new TickSchedule(weightsByActivity(this.#instruments.map(({ activity }) => activity)), (i) =>
      lot(seed, i),
    )
    this.#market = new SimMarket({ seed, instruments: this.#instruments, schedule: this.#schedule, ticksPerSecond })
    this.#dayOptions = { schedule: this.#schedule, ticksPerSecond, instruments: this.#instruments, calendar }
    this.count = this.#instruments.length
    this.#indexOfId = new Map(this.#instruments.map(({ id }, i) => [id, i]))
    this.#day = new MarketDay(this.#dayOptions, nowMs)
    this.#next = this.#day.numberFrom(nowMs)
    this.#market.openDay(this.#day.tradingDay)
    this.#stampReceipt(nowMs)
  }

  /** The front stands before the market; it is told here because each needs the other. */
  attach(front: EmbeddedFront): void {
    this.#front = front
  }

  marketNowMs(): number {
    const { clock, marketStartMs, marketStartMonotonicMs } = this.#options
    return marketStartMs + clock.monotonicMs() - marketStartMonotonicMs
  }

  /** Market time before which nothing can tick: the next tick, or the next opening of a closed market. */
  get nextDueMs(): number {
    const gateUntil = this.#day.gateAt(this.#next)
    return this.#day.isAnyOpen ? this.#nextTickMs : Math.min(this.#day.momentOf(gateUntil), this.#day.endMs)
  }

  get #nextTickMs(): number {
    return this.#day.momentOf(this.#next)
  }

  /**
   * Brings the line up to the present: what happens by itself happens, ticks that are due are written.
   * @returns false when there is more to do at once than one turn's share
   */
  step(): boolean {
    const front = this.#front
    if (front === undefined) return true
    const nowMs = this.marketNowMs()
    this.#stampReceipt(nowMs)
    this.#skipOld(nowMs)
    const written = this.#writer.ticks.written
    for (let eventMs = front.nextEventMs(); eventMs <= nowMs; eventMs = front.nextEventMs()) {
      this.#emitUntil(front, eventMs, TICKS_PER_TURN)
      front.passTo(eventMs)
    }
    front.passTo(nowMs)
    if (front.owesSnapshots) front.sendSnapshots()
    const isUpToDate = this.#emitUntil(front, nowMs, TICKS_PER_TURN)
    if (this.#writer.ticks.written !== written) this.#writer.flush()
    return isUpToDate
  }

  #stampReceipt(nowMs: number): void {
    this.#receivedWallMs = nowMs
    this.#receivedMonotonicMs = this.#options.clock.monotonicMs()
  }

  #skipOld(nowMs: number): void {
    const lagMs = this.#front?.activeAt(nowMs).lagMs ?? 0
    const oldestMs = nowMs - lagMs - BACKLOG_MS
    if (this.#nextTickMs >= oldestMs) return
    let skipped = 0
    while (this.#day.endMs <= oldestMs) {
      skipped += this.#day.numberFrom(this.#day.endMs) - this.#next
      this.#turnDay()
    }
    const first = this.#day.numberFrom(oldestMs)
    skipped += Math.max(0, first - this.#next)
    this.#next = Math.max(this.#next, first)
    this.#day.gateAt(this.#next)
    // Only what somebody wanted is a loss.
    const share = this.#day.isAnyOpen ? this.#wantedShare() : 0
    this.#writer.ticks.received += Math.round(skipped * share)
    this.#writer.dropTicks(Math.round(skipped * share))
  }

  #wantedShare(): number {
    let wanted = 0
    for (let i = 0; i < this.count; i++) if (this.#front?.subscribed[i] === 1) wanted += this.#schedule.weight[i] ?? 0
    return wanted / this.#schedule.length
  }

  #turnDay(): void {
    this.#day = new MarketDay(this.#dayOptions, this.#day.endMs)
    this.#next = 0
    this.#market.openDay(this.#day.tradingDay)
  }

  /** @returns false when ticks are left over that had no room or no time */
  #emitUntil(front: EmbeddedFront, nowMs: number, limit: number): boolean {
    const horizonMs = nowMs - front.activeAt(nowMs).lagMs
    let left = limit
    while (this.#nextTickMs <= horizonMs) {
      if (this.#nextTickMs >= this.#day.endMs) {
        this.#turnDay()
        continue
      }
      const faults = front.activeAt(this.#nextTickMs)
      const gateUntil = this.#day.gateAt(this.#next)
      // First number after the stretch in which faults, sessions and the day stay as they are.
      const untilMs = Math.min(front.activeUntilMs, this.#day.endMs)
      const end = Math.min(this.#endOfHorizon(horizonMs), gateUntil, this.#next + left, this.#day.numberFrom(untilMs))
      const from = this.#next
      let isWholly = true
      if (!this.#day.isAnyOpen) this.#next = end
      else if (faults.touchesTicks) isWholly = this.#emitFaulty(front, faults, end)
      else isWholly = this.#emit(front.subscribed, end)
      left -= this.#next - from
      if (!isWholly || left <= 0) return false
    }
    return true
  }

  /** First tick number that lies beyond the horizon. */
  #endOfHorizon(horizonMs: number): number {
    const n = this.#day.numberFrom(horizonMs)
    return this.#day.momentOf(n) <= horizonMs ? n + 1 : n
  }

  /** The hot loop: nothing is allocated in it. */
  #emit(subscribed: Uint8Array, end: number): boolean {
    const { instrumentAt, ordinalAt, weight, length } = this.#schedule
    const writer = this.#writer
    let cycle = Math.floor(this.#next / length)
    let place = this.#next - cycle * length
    let received = 0
    let n = this.#next
    for (; n < end; n++) {
      const instrument = instrumentAt[place] ?? 0
      if (subscribed[instrument] === 1 && this.#day.isOpen(instrument)) {
        const at = writer.reserveTick(instrument + 1)
        if (at < 0) break
        received += 1
        const scheduled = cycle * (weight[instrument] ?? 0) + (ordinalAt[place] ?? 0)
        this.#write(writer.views, at, instrument, this.#day.ordinalOf(instrument, scheduled), this.#day.momentOf(n))
      }
      place += 1
      if (place === length) {
        place = 0
        cycle += 1
      }
    }
    writer.ticks.received += received
    this.#next = n
    return n >= end
  }

  #emitFaulty(front: EmbeddedFront, faults: ActiveFaults, end: number): boolean {
    const { instrumentAt, ordinalAt, weight, length } = this.#schedule
    for (; this.#next < end; this.#next++) {
      const n = this.#next
      const cycle = Math.floor(n / length)
      const place = n - cycle * length
      const instrument = instrumentAt[place] ?? 0
      if (front.subscribed[instrument] !== 1 || !this.#day.isOpen(instrument)) continue
      const ordinal = this.#day.ordinalOf(instrument, cycle * (weight[instrument] ?? 0) + (ordinalAt[place] ?? 0))
      const key = n + mix(this.#day.tradingDay, 0)
      const isDelivered = front.deliver(instrument, faults, key, ({ views, at }) =>
        this.#write(views, at, instrument, ordinal, this.#day.momentOf(n)),
      )
      if (!isDelivered) return false
    }
    return true
  }

  #write(views: TickViews, at: number, instrument: number, ordinal: number, momentMs: number): void {
    views.f64[(at + TICK_AT.receivedWallMs) >> 3] = this.#receivedWallMs
    views.f64[(at + TICK_AT.receivedMonotonicMs) >> 3] = this.#receivedMonotonicMs
    this.#market.write(views, at, instrument, ordinal, momentMs)
  }

  rewindTo(positionMs: number): void {
    const front = this.#front
    if (front === undefined) return
    const present = this.#next
    this.#next = this.#day.numberFrom(positionMs)
    while (this.#next < present) {
      // What the pipe can't take is lost; old ticks are not worth waiting for.
      if (!this.#emit(front.subscribed, Math.min(present, this.#day.gateAt(this.#next)))) break
    }
    this.#next = present
    this.#writer.flush()
  }

  indexOf(id: string): number | undefined {
    return this.#indexOfId.get(id)
  }

  id(index: number): string {
    return this.#instruments[index]?.id ?? ''
  }

  exchange(index: number): string {
    return this.#instruments[index]?.exchange ?? ''
  }

  catalogueRow(index: number): { texts: string[]; numbers: number[] } {
    const listed = this.#instruments[index]
    if (listed === undefined) return { texts: [], numbers: [] }
    const { id, exchange, product, productClass, expiry, underlying, openDate, multiplier } = listed
    return {
      texts: [id, exchange, product, productClass, id, String(expiry), underlying, String(openDate)],
      numbers: [multiplier, listed.tickNumerator / listed.tickDenominator, 1],
    }
  }

  tradingDay(): string {
    return String(tradingDayAt(this.#options.calendar, this.marketNowMs()))
  }

  /** The day's start counts as the state of what has not traded yet. */
  hasSnapshot(): boolean {
    return true
  }

  writeSnapshot(index: number, { views, at }: TickTarget): void {
    const last = this.#day.lastTickBefore(index, this.#next)
    const momentMs = last === undefined ? this.#day.startMs : this.#day.momentOf(last.n)
    this.#write(views, at, index, last?.ordinal ?? -1, momentMs)
  }
}
