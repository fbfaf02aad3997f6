/** Which trading window a command is about, and whether there is one today: the market calendar applied to a command's options. */
import { join } from 'node:path'
import type { Config } from '#config/config.ts'
import { loadCalendar } from '#config/parse-calendar.ts'
import { Failure } from '#domain/failure.ts'
import {
  alwaysOpenCalendar,
  createMarketCalendar,
  type MarketCalendar,
  type WindowSpan,
} from '#domain/session-calendar.ts'
import { packageDir } from './load-app-config.ts'
import type { MarketSettings } from './quick-settings.ts'

export interface WindowFacts {
  window: 'day' | 'night'
  /** yyyymmdd */
  tradingDay: string
  /** Null on a day without this window. */
  opensMs: number | null
  /** One sentence where the window that was asked for is not the one that runs, or the next to open. */
  remark: string | null
}

/**
 * The window of the options and the calendar. A recording brings its own days, so a replay always has its window.
 * Throws a Failure `calendar` when the calendar's files are damaged.
 */
export function windowFacts(config: Config, wallMs: number): WindowFacts {
  const { marketClock } = config.sim
  const { adapter } = config.feed
  const nowMs = adapter === 'sim' && marketClock.kind === 'from' ? marketClock.startMs : wallMs
  const alwaysOpen = adapter === 'replay' || (adapter === 'sim' && marketClock.kind === 'always-open')
  const calendar = alwaysOpen ? alwaysOpenCalendar() : calendarIn(config.calendar.dir)
  const running = calendar.windowAt(nowMs)
  if (config.window === 'auto') {
    const trades = tradesOnDateOf(calendar, nowMs)
    const opensMs = trades ? running.opensMs : null
    return { window: running.window, tradingDay: String(running.tradingDay), opensMs, remark: null }
  }
  const { window } = config
  const span = calendar.windowOn(window, nowMs)
  const tradingDay = String(span?.tradingDay ?? calendar.tradingDayOf(nowMs))
  return { window, tradingDay, opensMs: span?.opensMs ?? null, remark: remarkOn({ window, span, running, nowMs }) }
}

/** The daemon goes by the calendar whatever is asked for, so the two may differ, and then somebody should know. */
function remarkOn(facts: {
  window: 'day' | 'night'
  span: WindowSpan | undefined
  running: WindowSpan
  nowMs: number
}): string | null {
  const { window, span, running, nowMs } = facts
  if (span?.opensMs === running.opensMs) return null
  const asked =
    span === undefined
      ? `There is no ${window} window on this date`
      : `The ${window} window of ${span.tradingDay} ${span.closesMs <= nowMs ? 'is over' : 'comes later'}`
  const state = nowMs >= running.opensMs ? 'runs' : 'is next'
  return `${asked}: the ${running.window} window of ${running.tradingDay} ${state}, and the daemon goes by that.`
}

/** The calendar that the feed goes by, for commands that have not parsed the whole configuration. */
export function marketCalendarOf({ adapter, simClock, calendarDir }: MarketSettings): MarketCalendar {
  const alwaysOpen = adapter === 'sim' && simClock === 'always-open'
  return alwaysOpen ? alwaysOpenCalendar() : calendarIn(calendarDir ?? join(packageDir(), 'calendar'))
}

/** The market's time: a simulated market may have been started on another day. A start time without an offset is Shanghai's. */
export function marketTimeOf({ adapter, simClock }: MarketSettings, wallMs: number): number {
  if (adapter !== 'sim') return wallMs
  const startMs = Date.parse(/(Z|[+-]\d{2}:\d{2})$/.test(simClock) ? simClock : `${simClock}+08:00`)
  return Number.isNaN(startMs) ? wallMs : startMs
}

/** Does any window open on the Shanghai date of the moment, or run on from the evening before? */
export function tradesOnDateOf(calendar: MarketCalendar, ms: number): boolean {
  return calendar.windowOn('day', ms) !== undefined || calendar.windowOn('night', ms) !== undefined
}

function calendarIn(directory: string): MarketCalendar {
  const parsed = loadCalendar(directory)
  if (parsed.ok) return createMarketCalendar(parsed.data)
  const [problem] = parsed.problems
  throw new Failure(
    'calendar',
    problem === undefined ? `the calendar in ${directory} is damaged` : `${problem.name}: ${problem.message}`,
    problem?.remedy ?? 'Restore the calendar files.',
  )
}
