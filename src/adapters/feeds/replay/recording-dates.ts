/**
 * When was a recorded row received? Recordings carry no receive time, so it is taken to be the exchange's moment, dated from the trading
 * day by the calendar. The vendor's own dates help only where they are known to be right.
 */
import type { MarketCalendar } from '#domain/session-calendar.ts'
import { DAY_MS, dayNumberOf, fromYyyymmdd, isWeekend, midnightOf, toYyyymmdd } from '#domain/trading-day.ts'

/** From here on a time of day belongs to the evening before its trading day, until the small hours are over. */
const EVENING_SECOND = 17 * 3600
const SMALL_HOURS_END_SECOND = 5 * 3600
const NOON_MS = DAY_MS / 2
/** No closure of the market is longer. */
const CLOSURE_DAYS_MAX = 20

export interface RowDates {
  /** yyyymmdd, 0 when absent or malformed. */
  tradingDay: number
  actionDay: number
  /** Seconds since midnight of UpdateTime. */
  secondOfDay: number
  /** CZCE puts the natural date where others put the trading day. */
  isCzce: boolean
}

export class RecordingDates {
  readonly #calendar: MarketCalendar | undefined
  readonly #previous = new Map<number, number>()

  constructor(calendar: MarketCalendar | undefined) {
    this.#calendar = calendar
  }

  /** Midnight, ms since the epoch, of the date on which the row's time of day fell; NaN when the row names no day. */
  midnightOfRow({ tradingDay, actionDay, secondOfDay, isCzce }: RowDates): number {
    const isEvening = secondOfDay >= EVENING_SECOND
    const isSmallHours = secondOfDay < SMALL_HOURS_END_SECOND
    if (tradingDay === 0) return actionDay === 0 ? Number.NaN : midnightOf(fromYyyymmdd(actionDay))
    if (isCzce) return midnightOf(fromYyyymmdd(actionDay || tradingDay))
    if (!isEvening && !isSmallHours) return midnightOf(fromYyyymmdd(tradingDay))
    // DCE repeats the trading day here, so only an earlier ActionDay says anything.
    const daysBefore = actionDay === 0 ? 0 : fromYyyymmdd(tradingDay) - fromYyyymmdd(actionDay)
    if (isEvening && daysBefore > 0 && daysBefore <= CLOSURE_DAYS_MAX) return midnightOf(fromYyyymmdd(actionDay))
    const previous = this.#previousTradingDay(fromYyyymmdd(tradingDay))
    return midnightOf(isEvening ? previous : previous + 1)
  }

  /** By the calendar; where it does not reach back that far, the previous weekday. */
  #previousTradingDay(dayNumber: number): number {
    const known = this.#previous.get(dayNumber)
    if (known !== undefined) return known
    let previous = dayNumber - 1
    while (!this.#isTradingDate(previous) && dayNumber - previous < CLOSURE_DAYS_MAX) previous -= 1
    this.#previous.set(dayNumber, previous)
    return previous
  }

  #isTradingDate(dayNumber: number): boolean {
    if (isWeekend(dayNumber)) return false
    const noonMs = midnightOf(dayNumber) + NOON_MS
    if (this.#calendar === undefined || !this.#calendar.coverage(noonMs).covered) return true
    return dayNumberOf(noonMs) === fromYyyymmdd(this.#calendar.tradingDayOf(noonMs))
  }
}

/** `YYYYMMDD` in ASCII at a byte offset, as a number; 0 when it is no date. */
export function readDate(u8: Uint8Array, at: number): number {
  let date = 0
  for (let i = 0; i < 8; i++) {
    const digit = (u8[at + i] ?? 0) - 48
    if (digit < 0 || digit > 9) return 0
    date = date * 10 + digit
  }
  return toYyyymmdd(fromYyyymmdd(date)) === date ? date : 0
}
