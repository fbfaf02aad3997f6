/** Moments as every output shows them: ISO 8601 in the market's own time zone, with its offset spelled out. */
import { midnightOf } from './trading-day.ts'

/** 1780000000000 -> "2026-05-28T04:26:40.000+08:00". `ms` is milliseconds since the epoch. */
export function isoShanghai(ms: number): string {
  // midnightOf(0) is how far Shanghai's midnight lies before UTC's.
  return `${new Date(ms - midnightOf(0)).toISOString().slice(0, -1)}+08:00`
}
