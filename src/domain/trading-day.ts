/**
 * Dates of the market as plain arithmetic. China has had one time zone and no daylight saving since 1991, so a Shanghai date is the
 * UTC date of a moment shifted by eight hours. Days are counted from 1970-01-01 while computing and shown as yyyymmdd.
 */
export const DAY_MS = 86_400_000
const SHANGHAI_OFFSET_MS = 8 * 3_600_000

/** Number of the Shanghai date that a moment falls on, counted from 1970-01-01. */
export function dayNumberOf(ms: number): number {
  return Math.floor((ms + SHANGHAI_OFFSET_MS) / DAY_MS)
}

/** Milliseconds since the epoch of Shanghai midnight at the start of the day. */
export function midnightOf(dayNumber: number): number {
  return dayNumber * DAY_MS - SHANGHAI_OFFSET_MS
}

/** Milliseconds since Shanghai midnight. */
export function timeOfDayMs(ms: number): number {
  return ms - midnightOf(dayNumberOf(ms))
}

export function isWeekend(dayNumber: number): boolean {
  // 1970-01-01 was a Thursday, so day 2 was the first Saturday.
  const sinceSaturday = (((dayNumber - 2) % 7) + 7) % 7
  return sinceSaturday < 2
}

/** 20617 -> 20260613 */
export function toYyyymmdd(dayNumber: number): number {
  const date = new Date(dayNumber * DAY_MS)
  return date.getUTCFullYear() * 10_000 + (date.getUTCMonth() + 1) * 100 + date.getUTCDate()
}

/** Day number of a yyyymmdd; of a date that does not exist (20260230), the day it overflows to. */
export function fromYyyymmdd(yyyymmdd: number): number {
  const year = Math.floor(yyyymmdd / 10_000)
  const month = Math.floor(yyyymmdd / 100) % 100
  return Date.UTC(year, month - 1, yyyymmdd % 100) / DAY_MS
}

export interface TradingDates {
  isTradingDate(dayNumber: number): boolean
  tradingDateBefore(dayNumber: number): number
  tradingDateAfter(dayNumber: number): number
  /** The trading day a moment belongs to: today's until the evening roll, then the next one's, over weekends and holidays. */
  tradingDateOf(ms: number): number
}

const CLOSED_DAYS_MAX = 100

/** Every day here is a day number; `holidays` are weekdays as yyyymmdd. */
export function tradingDates(market: { holidays: ReadonlySet<number>; rollsAtMinute: number }): TradingDates {
  const holidays = new Set([...market.holidays].map(fromYyyymmdd))
  const rollsAtMs = market.rollsAtMinute * 60_000
  const isTradingDate = (dayNumber: number) => !isWeekend(dayNumber) && !holidays.has(dayNumber)
  const walk = (from: number, step: 1 | -1) => {
    let dayNumber = from + step
    // Bounded, because a garbage moment is a number to which one day can be added without changing it.
    for (let days = 0; days < CLOSED_DAYS_MAX && !isTradingDate(dayNumber); days++) dayNumber += step
    return dayNumber
  }
  return {
    isTradingDate,
    tradingDateBefore: (dayNumber) => walk(dayNumber, -1),
    tradingDateAfter: (dayNumber) => walk(dayNumber, 1),
    tradingDateOf(ms) {
      const today = dayNumberOf(ms)
      return walk(timeOfDayMs(ms) < rollsAtMs ? today - 1 : today, 1)
    },
  }
}
