/** The calendar files that ship with the product, for tests that speak of real market days. */
import { fileURLToPath } from 'node:url'
import { loadCalendar } from '#config/parse-calendar.ts'
import { createMarketCalendar, type MarketCalendar } from '#domain/session-calendar.ts'

export const SHIPPED_CALENDAR_DIR = fileURLToPath(new URL('../../calendar', import.meta.url))

export function shippedCalendar(): MarketCalendar {
  const parsed = loadCalendar(SHIPPED_CALENDAR_DIR)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  return createMarketCalendar(parsed.data)
}

/** Milliseconds since the epoch of a Shanghai time such as `2026-11-20 21:00` or `2026-11-20 21:00:00.500`. */
export function at(shanghaiTime: string): number {
  return Date.parse(`${shanghaiTime.replace(' ', 'T')}+08:00`)
}
