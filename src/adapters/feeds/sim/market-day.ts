/**
 * One trading day of the simulated market: when it begins and ends, and which instruments tick at which of its tick numbers. Numbers
 * run on while an instrument's sessions are closed, so the ticks that fell into closed time are counted out of its ordinals: volume
 * stands still over a break.
 */
import { productOfInstrument } from '#domain/instrument.ts'
import type { MarketCalendar } from '#domain/session-calendar.ts'
import { DAY_MS, dayNumberOf, midnightOf, toYyyymmdd } from '#domain/trading-day.ts'
import type { SimInstrument } from './sim-universe.ts'
import type { TickSchedule } from './tick-schedule.ts'

/** Tick numbers from `from` to before `to`. */
interface OpenStretch {
  from: number
  to: number
}

export interface MarketDayOptions {
  schedule: TickSchedule
  ticksPerSecond: number
  instruments: readonly SimInstrument[]
  /** Without one the market never closes and the trading day is the natural date. */
  calendar: MarketCalendar | undefined
}

/** A closure that lasts longer than this would be an error of the calendar. */
const LONGEST_DAY_MS = 40 * DAY_MS

export class MarketDay {
  readonly tradingDay: number
  readonly startMs: number
  /** Exclusive. */
  readonly endMs: number
  readonly #options: MarketDayOptions
  /** Instruments with the same sessions share a group. */
  readonly #groupOf: Uint16Array
  readonly #groups: readonly (readonly OpenStretch[])[]
  /** By group, for the tick number last asked for: whether it is open, and by instrument how many ordinals closed time has swallowed. */
  readonly #isOpen: Uint8Array
  readonly #swallowed: Float64Array
  #gateFrom = 0
  #gateUntil = -1

  constructor(options: MarketDayOptions, ms: number) {
    this.#options = options
    const { calendar, instruments } = options
    this.tradingDay = tradingDayAt(calendar, ms)
    if (calendar === undefined) {
      this.startMs = midnightOf(dayNumberOf(ms))
      this.endMs = this.startMs + DAY_MS
    } else {
      this.startMs = rollPast(calendar, this.tradingDay - 1, ms)
      this.endMs = rollPast(calendar, this.tradingDay, ms)
    }
    const groups = new Map<string, { index: number; stretches: readonly OpenStretch[] }>()
    const groupOfProduct = new Map<string, number>()
    this.#groupOf = Uint16Array.from(instruments, ({ id, exchange }) => {
      const product = productOfInstrument(id)
      const known = groupOfProduct.get(`${exchange}.${product}`)
      if (known !== undefined) return known
      const stretches = this.#stretchesOf(exchange, product)
      const key = JSON.stringify(stretches)
      const group = groups.get(key) ?? { index: groups.size, stretches }
      groups.set(key, group)
      groupOfProduct.set(`${exchange}.${product}`, group.index)
      return group.index
    })
    this.#groups = [...groups.values()].map(({ stretches }) => stretches)
    this.#isOpen = new Uint8Array(this.#groups.length)
    this.#swallowed = new Float64Array(instruments.length)
  }

  /** Market time of a tick number. */
  momentOf(n: number): number {
    return this.startMs + (n * 1000) / this.#options.ticksPerSecond
  }

  /** First tick number at or after a moment. */
  numberFrom(ms: number): number {
    const { ticksPerSecond } = this.#options
    let n = Math.max(0, Math.floor(((Math.min(ms, this.endMs) - this.startMs) * ticksPerSecond) / 1000))
    // The division may be off by one either way; momentOf decides, being what stamps the ticks.
    while (n > 0 && this.momentOf(n - 1) >= ms) n -= 1
    while (this.momentOf(n) < ms) n += 1
    return n
  }

  /** Prepares `isOpen` and `ordinalOf` for tick number `n`; returns the number until which the answer holds. */
  gateAt(n: number): number {
    if (n >= this.#gateFrom && n < this.#gateUntil) return this.#gateUntil
    let from = 0
    let until = Number.POSITIVE_INFINITY
    const stretchOfGroup: number[] = []
    for (const [g, stretches] of this.#groups.entries()) {
      let last = -1
      for (const [i, stretch] of stretches.entries()) {
        for (const edge of [stretch.from, stretch.to]) {
          if (edge <= n) from = Math.max(from, edge)
          else until = Math.min(until, edge)
        }
        if (stretch.from <= n) last = i
      }
      const current = stretches[last]
      this.#isOpen[g] = current !== undefined && n < current.to ? 1 : 0
      stretchOfGroup.push(last)
    }
    for (let i = 0; i < this.#swallowed.length; i++) {
      this.#swallowed[i] = this.#swallowedBefore(i, stretchOfGroup[this.#groupOf[i] ?? 0] ?? -1)
    }
    this.#gateFrom = from
    this.#gateUntil = until
    return until
  }

  /** Whether any instrument ticks at the number that the gate was last prepared for. */
  get isAnyOpen(): boolean {
    return this.#isOpen.includes(1)
  }

  isOpen(instrument: number): boolean {
    return this.#isOpen[this.#groupOf[instrument] ?? 0] === 1
  }

  /** Ordinal among the instrument's ticks of the day, from its ordinal in the schedule. */
  ordinalOf(instrument: number, scheduled: number): number {
    return scheduled - (this.#swallowed[instrument] ?? 0)
  }

  /** The instrument's last tick with a number below `n`, undefined when the day has brought none. */
  lastTickBefore(instrument: number, n: number): { n: number; ordinal: number } | undefined {
    const { schedule } = this.#options
    const stretches = this.#groups[this.#groupOf[instrument] ?? 0] ?? []
    for (let i = stretches.length - 1; i >= 0; i--) {
      const stretch = stretches[i]
      if (stretch === undefined || stretch.from >= n) continue
      const scheduled = schedule.ordinalsBefore(instrument, Math.min(n, stretch.to)) - 1
      const number = scheduled < 0 ? -1 : schedule.numberOf(instrument, scheduled)
      if (number >= stretch.from) return { n: number, ordinal: scheduled - this.#swallowedBefore(instrument, i) }
    }
    return undefined
  }

  /** Ordinals that fell into closed time before the stretch; before the first one, none is counted yet. */
  #swallowedBefore(instrument: number, stretchIndex: number): number {
    const { schedule } = this.#options
    const stretches = this.#groups[this.#groupOf[instrument] ?? 0] ?? []
    let swallowed = 0
    let closedFrom = 0
    for (let i = 0; i <= stretchIndex; i++) {
      const stretch = stretches[i]
      if (stretch === undefined) break
      swallowed += schedule.ordinalsBefore(instrument, stretch.from) - schedule.ordinalsBefore(instrument, closedFrom)
      closedFrom = stretch.to
    }
    return swallowed
  }

  #stretchesOf(exchange: string, product: string): OpenStretch[] {
    const { calendar } = this.#options
    if (calendar === undefined) return [{ from: 0, to: Number.MAX_SAFE_INTEGER }]
    return calendar
      .liveIntervals(exchange, product, this.tradingDay)
      .filter(({ kind }) => kind === 'continuous')
      .map(({ fromMs, toMs }) => ({ from: this.numberFrom(fromMs), to: this.numberFrom(toMs) }))
  }
}

/** yyyymmdd; without a calendar the natural date. */
export function tradingDayAt(calendar: MarketCalendar | undefined, ms: number): number {
  return calendar === undefined ? toYyyymmdd(dayNumberOf(ms)) : calendar.tradingDayOf(ms)
}

/** First millisecond at which the trading day is past `tradingDay`, within a closure's length before or after `ms`. */
function rollPast(calendar: MarketCalendar, tradingDay: number, ms: number): number {
  let low = Math.floor(ms) - LONGEST_DAY_MS
  let high = Math.floor(ms) + LONGEST_DAY_MS
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (calendar.tradingDayOf(middle) > tradingDay) high = middle
    else low = middle
  }
  return high
}
