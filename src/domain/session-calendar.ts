/**
 * Is trading open, which trading day is it, when does that change: the market calendar as pure functions over editable data. Everything
 * is a question about a moment (ms since the epoch); a trading day is the stretch from one evening's roll to the next, which holds the
 * night session before it and the day session on it.
 */
import { assert } from './assert.ts'
import { EXCHANGES, type Exchange, isExchange } from './instrument.ts'
import {
  type CalendarData,
  type DaySchedule,
  type ExchangeSessions,
  type LiveInterval,
  laySchedule,
  nightBefore,
  outerEdges,
  type SessionState,
  type TradingWindow,
  templateOf,
  type WindowEdges,
} from './session-schedule.ts'
import { DAY_MS, dayNumberOf, fromYyyymmdd, midnightOf, timeOfDayMs, toYyyymmdd, tradingDates } from './trading-day.ts'

export type { CalendarData, LiveInterval, SessionState, TradingWindow } from './session-schedule.ts'

export interface WindowSpan {
  window: TradingWindow
  tradingDay: number
  /** Continuous trading begins, e.g. 21:00; the opening auction comes before it. */
  opensMs: number
  closesMs: number
}

export interface MarketCalendar {
  /**
   * yyyymmdd of the trading day the moment belongs to. It rolls in the evening before the night session; Friday night and the weekend
   * belong to the next trading day, and so do the hours after midnight.
   */
  tradingDayOf(ms: number): number
  /**
   * When a tick of this product, by exchange time, is a live tick: the auction-match minute and the continuous sections, the whole
   * second of a section's end included. In order, without overlap; empty for an exchange outside the
   * calendar and on a day without trading.
   */
  liveIntervals(exchange: string, product: string, tradingDay: number): readonly LiveInterval[]
  productState(exchange: string, product: string, ms: number): SessionState
  /** The most open of its products. */
  exchangeState(exchange: string, ms: number): SessionState
  /** The most open of all exchanges. */
  marketState(ms: number): SessionState
  /** The window running at the moment, or the next one to open. */
  windowAt(ms: number): WindowSpan
  /**
   * The day window of the natural date of the moment, or the night window that opens in the evening of that date (until 06:00, of the
   * evening before); undefined on a day without it.
   */
  windowOn(window: TradingWindow, ms: number): WindowSpan | undefined
  /** Earliest moment after `ms` at which any product's state changes. */
  nextChangeMs(ms: number): number
  /** Last covered day, whole days left until it, and whether the moment's date is covered at all. */
  coverage(ms: number): CalendarCoverage
  knowsProduct(exchange: string, product: string): boolean
  /** Exchange of a product code, undefined if unknown. */
  exchangeOf(product: string): string | undefined
}

export interface CalendarCoverage {
  coveredUntil: number
  /** Negative once the calendar has run out. */
  daysLeft: number
  covered: boolean
}

const OPENNESS = { open: 4, auction: 3, break: 2, closed: 1, holiday: 0 } as const satisfies Record<
  SessionState,
  number
>
const MINUTE_MS = 60_000
/** A night session is over by then, so the small hours still count as the evening before. */
const NIGHT_IS_OVER_MS = 6 * 3_600_000
/** A replay over months must not keep every day it saw. */
const DAYS_REMEMBERED = 16

interface TradingDayFacts {
  tradingDay: number
  previousDayNumber: number
  dayNumber: number
  schedules: Map<string, DaySchedule>
  windows: { night: WindowEdges | undefined; day: WindowEdges } | undefined
  changes: readonly number[] | undefined
}

export function createMarketCalendar(data: CalendarData): MarketCalendar {
  const dates = tradingDates(data)
  const remembered = new Map<number, TradingDayFacts>()

  function factsOf(dayNumber: number): TradingDayFacts {
    const known = remembered.get(dayNumber)
    if (known !== undefined) return known
    if (remembered.size >= DAYS_REMEMBERED) {
      const [oldest = dayNumber] = remembered.keys()
      remembered.delete(oldest)
    }
    const facts: TradingDayFacts = {
      tradingDay: toYyyymmdd(dayNumber),
      previousDayNumber: dates.tradingDateBefore(dayNumber),
      dayNumber,
      schedules: new Map(),
      windows: undefined,
      changes: undefined,
    }
    remembered.set(dayNumber, facts)
    return facts
  }

  function scheduleOf(facts: TradingDayFacts, exchange: Exchange, templateName: string): DaySchedule {
    const key = `${exchange} ${templateName}`
    const known = facts.schedules.get(key)
    if (known !== undefined) return known
    const template = data.templates.get(templateName)
    assert(template !== undefined, `session template ${templateName} exists`)
    const night = nightBefore(facts, exchange, data.exceptions)
    const schedule = laySchedule(template, {
      nightMidnightMs: midnightOf(facts.previousDayNumber),
      dayMidnightMs: midnightOf(facts.dayNumber),
      night,
      dayAuctionAfterNight: facts.tradingDay >= sessionsOf(exchange).dayAuctionAfterNightFrom,
    })
    facts.schedules.set(key, schedule)
    return schedule
  }

  function sessionsOf(exchange: Exchange): ExchangeSessions {
    const sessions = data.exchanges.get(exchange)
    assert(sessions !== undefined, `the calendar knows ${exchange}`)
    return sessions
  }

  function productSchedule(exchange: string, product: string, facts: TradingDayFacts): DaySchedule | undefined {
    if (!isExchange(exchange)) return undefined
    return scheduleOf(facts, exchange, templateOf(sessionsOf(exchange), product, facts.tradingDay))
  }

  /** Every distinct schedule of an exchange on a trading day. */
  function exchangeSchedules(exchange: Exchange, facts: TradingDayFacts): DaySchedule[] {
    const sessions = sessionsOf(exchange)
    const names = new Set<string>()
    for (const product of sessions.products.keys()) names.add(templateOf(sessions, product, facts.tradingDay))
    if (names.size === 0) names.add(sessions.defaultTemplate)
    return [...names].map((name) => scheduleOf(facts, exchange, name))
  }

  function stateIn(schedule: DaySchedule | undefined, ms: number): SessionState {
    for (const span of schedule?.spans ?? []) {
      if (ms >= span.fromMs && ms < span.toMs) return span.state
    }
    return dates.isTradingDate(dayNumberOf(ms)) ? 'closed' : 'holiday'
  }

  function exchangeState(exchange: string, ms: number): SessionState {
    if (!isExchange(exchange)) return stateIn(undefined, ms)
    const schedules = exchangeSchedules(exchange, factsOf(dates.tradingDateOf(ms)))
    return mostOpen(schedules.map((schedule) => stateIn(schedule, ms)))
  }

  function windowsOf(facts: TradingDayFacts): { night: WindowEdges | undefined; day: WindowEdges } {
    if (facts.windows !== undefined) return facts.windows
    const schedules = EXCHANGES.flatMap((exchange) => exchangeSchedules(exchange, facts))
    const day = outerEdges(schedules.map((schedule) => schedule.day))
    assert(day !== undefined, 'every trading day has a day session')
    facts.windows = { day, night: outerEdges(schedules.flatMap(({ night }) => (night === undefined ? [] : [night]))) }
    return facts.windows
  }

  function changesOf(facts: TradingDayFacts): readonly number[] {
    if (facts.changes !== undefined) return facts.changes
    const schedules = EXCHANGES.flatMap((exchange) => exchangeSchedules(exchange, facts))
    const moments = new Set<number>()
    for (const { spans } of schedules) for (const { fromMs, toMs } of spans) moments.add(fromMs).add(toMs)
    for (let day = facts.previousDayNumber + 1; day <= facts.dayNumber; day++) moments.add(midnightOf(day))
    facts.changes = [...moments]
      .sort((a, b) => a - b)
      .filter((ms) => schedules.some((schedule) => stateIn(schedule, ms - 1) !== stateIn(schedule, ms)))
    return facts.changes
  }

  function spanOf(window: TradingWindow, facts: TradingDayFacts): WindowSpan | undefined {
    const edges = windowsOf(facts)[window]
    return edges && { window, tradingDay: facts.tradingDay, ...edges }
  }

  return {
    tradingDayOf: (ms) => toYyyymmdd(dates.tradingDateOf(ms)),
    liveIntervals(exchange, product, tradingDay) {
      const dayNumber = fromYyyymmdd(tradingDay)
      if (!dates.isTradingDate(dayNumber)) return []
      return productSchedule(exchange, product, factsOf(dayNumber))?.live ?? []
    },
    productState: (exchange, product, ms) =>
      stateIn(productSchedule(exchange, product, factsOf(dates.tradingDateOf(ms))), ms),
    exchangeState,
    marketState: (ms) => mostOpen(EXCHANGES.map((exchange) => exchangeState(exchange, ms))),
    windowAt(ms) {
      let dayNumber = dates.tradingDateOf(ms)
      for (let days = 0; days < 2; days++) {
        const facts = factsOf(dayNumber)
        for (const window of ['night', 'day'] as const) {
          const span = spanOf(window, facts)
          if (span !== undefined && ms < span.closesMs) return span
        }
        dayNumber = dates.tradingDateAfter(dayNumber)
      }
      assert(false, 'the trading day after this one has a window that is still to close')
    },
    windowOn(window, ms) {
      const dayNumber = dayNumberOf(window === 'night' ? ms - NIGHT_IS_OVER_MS : ms)
      if (!dates.isTradingDate(dayNumber)) return undefined
      return spanOf(window, factsOf(window === 'night' ? dates.tradingDateAfter(dayNumber) : dayNumber))
    },
    nextChangeMs(ms) {
      let dayNumber = dates.tradingDateOf(ms)
      for (let days = 0; days < 2; days++) {
        const change = changesOf(factsOf(dayNumber)).find((moment) => moment > ms)
        if (change !== undefined) return change
        dayNumber = dates.tradingDateAfter(dayNumber)
      }
      assert(false, 'some product changes its state on every trading day')
    },
    coverage(ms) {
      const today = dayNumberOf(ms)
      const daysLeft = fromYyyymmdd(data.coveredUntil) - today
      return {
        coveredUntil: data.coveredUntil,
        daysLeft,
        covered: daysLeft >= 0 && today >= fromYyyymmdd(data.coveredFrom),
      }
    },
    knowsProduct: (exchange, product) => isExchange(exchange) && sessionsOf(exchange).products.has(product),
    exchangeOf: (product) => EXCHANGES.find((exchange) => sessionsOf(exchange).products.has(product)),
  }
}

function mostOpen(states: readonly SessionState[]): SessionState {
  return states.reduce((best, state) => (OPENNESS[state] > OPENNESS[best] ? state : best), 'holiday')
}

/**
 * A market that never closes, for simulations: the trading day is the natural date, the day window lasts from 06:00 to 18:00, and the
 * hours around it are night windows that end at midnight, where the trading day changes.
 */
export function alwaysOpenCalendar(): MarketCalendar {
  const dayStartsMs = 6 * 3_600_000
  const dayEndsMs = 18 * 3_600_000
  const spanAt = (window: TradingWindow, ms: number): WindowSpan => {
    const midnight = midnightOf(dayNumberOf(ms))
    const tradingDay = toYyyymmdd(dayNumberOf(ms))
    if (window === 'day') return { window, tradingDay, opensMs: midnight + dayStartsMs, closesMs: midnight + dayEndsMs }
    if (timeOfDayMs(ms) < dayStartsMs)
      return { window, tradingDay, opensMs: midnight, closesMs: midnight + dayStartsMs }
    return { window, tradingDay, opensMs: midnight + dayEndsMs, closesMs: midnight + DAY_MS }
  }
  const coveredUntil = 99991231
  return {
    tradingDayOf: (ms) => toYyyymmdd(dayNumberOf(ms)),
    liveIntervals: (_exchange, _product, tradingDay) => {
      const fromMs = midnightOf(fromYyyymmdd(tradingDay))
      return [{ fromMs, toMs: fromMs + DAY_MS, kind: 'continuous' }]
    },
    productState: () => 'open',
    exchangeState: () => 'open',
    marketState: () => 'open',
    windowAt: (ms) => {
      const time = timeOfDayMs(ms)
      return spanAt(time >= dayStartsMs && time < dayEndsMs ? 'day' : 'night', ms)
    },
    windowOn: spanAt,
    // No state ever changes; midnight, where the trading day does, keeps a timer set by this finite.
    nextChangeMs: (ms) => midnightOf(dayNumberOf(ms) + 1),
    coverage: (ms) => ({ coveredUntil, daysLeft: fromYyyymmdd(coveredUntil) - dayNumberOf(ms), covered: true }),
    knowsProduct: () => true,
    exchangeOf: () => undefined,
  }
}

/**
 * Membership in live sessions for the tick path. Per product it remembers the stretch of time around the last question in which the
 * answer cannot change, so the usual answer is two comparisons.
 */
export class LiveSessions {
  readonly #calendar: MarketCalendar
  readonly #indexOf = new Map<string, number>()
  readonly #products: { exchange: string; product: string }[] = []
  readonly #fromMs: number[] = []
  readonly #toMs: number[] = []
  readonly #live: boolean[] = []
  #dayFromMs = 0
  #dayToMs = 0
  #day = 0

  constructor(calendar: MarketCalendar) {
    this.#calendar = calendar
  }

  /** Number by which `isLive` knows the product; the same one for the same product every time. */
  productIndex(exchange: string, product: string): number {
    const key = `${exchange}.${product}`
    const known = this.#indexOf.get(key)
    if (known !== undefined) return known
    const index = this.#products.push({ exchange, product }) - 1
    this.#indexOf.set(key, index)
    this.#fromMs.push(0)
    this.#toMs.push(0)
    this.#live.push(false)
    return index
  }

  /** @param eventMs exchange time of the tick, ms since the epoch */
  isLive(productIndex: number, eventMs: number): boolean {
    const from = this.#fromMs[productIndex]
    const to = this.#toMs[productIndex]
    if (from !== undefined && to !== undefined && eventMs >= from && eventMs < to)
      return this.#live[productIndex] === true
    return this.#lookUp(productIndex, eventMs)
  }

  /** Trading day of the moment, yyyymmdd. */
  tradingDay(ms: number): number {
    if (ms >= this.#dayFromMs && ms < this.#dayToMs) return this.#day
    this.#dayFromMs = Math.floor(ms / MINUTE_MS) * MINUTE_MS
    this.#dayToMs = this.#dayFromMs + MINUTE_MS
    this.#day = this.#calendar.tradingDayOf(ms)
    return this.#day
  }

  #lookUp(productIndex: number, eventMs: number): boolean {
    const product = this.#products[productIndex]
    assert(product !== undefined, 'a product index comes from productIndex()')
    // Outside sessions the answer is remembered within the minute: sessions begin and the trading day rolls at full minutes, and only
    // the second after a section's end divides one.
    let fromMs = Math.floor(eventMs / MINUTE_MS) * MINUTE_MS
    let toMs = fromMs + MINUTE_MS
    let live = false
    for (const interval of this.#calendar.liveIntervals(product.exchange, product.product, this.tradingDay(eventMs))) {
      if (interval.toMs <= eventMs) fromMs = Math.max(fromMs, interval.toMs)
      if (interval.fromMs <= eventMs && eventMs < interval.toMs) {
        live = true
        fromMs = interval.fromMs
        toMs = interval.toMs
      }
    }
    this.#fromMs[productIndex] = fromMs
    this.#toMs[productIndex] = toMs
    this.#live[productIndex] = live
    return live
  }
}
