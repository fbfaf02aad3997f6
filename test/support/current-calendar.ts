/** A calendar directory that covers this year and the next, for tests whose product reads the real date. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { loadCalendar } from '#config/parse-calendar.ts'
import { createMarketCalendar } from '#domain/session-calendar.ts'
import { SHIPPED_CALENDAR_DIR } from './shipped-calendar.ts'

export function writeCurrentCalendar(directory: string): void {
  const year = new Date().getUTCFullYear()
  const years = [year - 1, year, year + 1]
  mkdirSync(directory, { recursive: true })
  copyFileSync(`${SHIPPED_CALENDAR_DIR}/sessions.json`, `${directory}/sessions.json`)
  const holidays = {
    covered_from: `${years[0]}-01-01`,
    covered_until: `${years[2]}-12-31`,
    closures: years.map((each) => ({ from: `${each}-10-01`, to: `${each}-10-07` })),
  }
  writeFileSync(`${directory}/holidays.json`, JSON.stringify(holidays))
}

/** yyyymmdd of the trading day that the calendar takes this moment for. */
export function tradingDayNow(directory: string): string {
  const parsed = loadCalendar(directory)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  return String(createMarketCalendar(parsed.data).tradingDayOf(Date.now()))
}
