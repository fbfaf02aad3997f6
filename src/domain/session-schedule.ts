/**
 * What one session template makes of one trading day: spans of the day with their state, and the intervals in which a tick is live.
 * The night belongs to the next trading day, so a plan is laid from two midnights: the night's from that of the previous trading day
 * (minutes past 1440 reach into the following morning), the day's from that of the trading day itself.
 */
import { assert } from './assert.ts'
import type { Exchange } from './instrument.ts'
import { isWeekend } from './trading-day.ts'

export type SessionState = 'open' | 'auction' | 'break' | 'closed' | 'holiday'
export type TradingWindow = 'day' | 'night'

export interface LiveInterval {
  fromMs: number
  /** Exclusive. */
  toMs: number
  kind: 'auction-match' | 'continuous'
}

/** The editable calendar after parsing: minutes instead of texts, yyyymmdd numbers instead of dates. */
export interface CalendarData {
  coveredFrom: number
  coveredUntil: number
  /** Weekdays without trading. */
  holidays: ReadonlySet<number>
  exceptions: readonly NightException[]
  /** Minute of the day at which the next trading day begins. */
  rollsAtMinute: number
  templates: ReadonlyMap<string, SessionTemplate>
  exchanges: ReadonlyMap<Exchange, ExchangeSessions>
}

/** A night that the rule about holidays gets wrong, for the trading days `from` to `to` inclusive. */
export interface NightException {
  from: number
  to: number
  exchanges: readonly Exchange[]
  night: Night
}

export type Night = { kind: 'none' } | { kind: 'held' } | { kind: 'opens-at'; minute: number }

export interface ExchangeSessions {
  /** For a product that is not listed here. */
  defaultTemplate: string
  /** First trading day on which products that traded at night get an opening auction in the morning too. */
  dayAuctionAfterNightFrom: number
  products: ReadonlyMap<string, readonly TemplatePeriod[]>
}

/** The template a product follows from one trading day to another, both inclusive. */
export interface TemplatePeriod {
  template: string
  from: number
  to: number
}

export interface SessionTemplate {
  night: SectionPlan | undefined
  day: SectionPlan
}

export interface SectionPlan {
  /** Order entry of the opening auction begins; it ends where the match begins. */
  auctionMinute: number
  /** The match runs until the first section opens. */
  matchMinute: number
  sections: readonly { fromMinute: number; toMinute: number }[]
  /** A closing auction takes the end of the last section from here. */
  closingAuctionMinute: number | undefined
}

interface StateSpan {
  fromMs: number
  toMs: number
  state: 'open' | 'auction' | 'break'
}

/** Where continuous trading of a window begins and ends. */
export interface WindowEdges {
  opensMs: number
  closesMs: number
}

export interface DaySchedule {
  /** In order, without overlap; between and around them the market is closed. */
  spans: readonly StateSpan[]
  live: readonly LiveInterval[]
  night: WindowEdges | undefined
  day: WindowEdges
}

const MINUTE_MS = 60_000
/** An exchange stamps the last snapshot of a section with the section's end, so that whole second still belongs to it. */
const END_SECOND_MS = 1000

export interface LayoutOptions {
  nightMidnightMs: number
  dayMidnightMs: number
  night: Night
  dayAuctionAfterNight: boolean
}

export function laySchedule(template: SessionTemplate, options: LayoutOptions): DaySchedule {
  const spans: StateSpan[] = []
  const live: LiveInterval[] = []
  let night: WindowEdges | undefined
  if (template.night !== undefined && options.night.kind !== 'none') {
    const plan = options.night.kind === 'held' ? template.night : openLate(template.night, options.night.minute)
    if (plan !== undefined)
      night = layPlan(plan, { midnightMs: options.nightMidnightMs, auction: true }, { spans, live })
  }
  const auction = night === undefined || options.dayAuctionAfterNight
  const day = layPlan(template.day, { midnightMs: options.dayMidnightMs, auction }, { spans, live })
  return { spans, live, night, day }
}

function layPlan(
  plan: SectionPlan,
  { midnightMs, auction }: { midnightMs: number; auction: boolean },
  { spans, live }: { spans: StateSpan[]; live: LiveInterval[] },
): WindowEdges {
  const at = (minute: number) => midnightMs + minute * MINUTE_MS
  const first = plan.sections[0]
  const last = plan.sections.at(-1)
  assert(first !== undefined && last !== undefined, 'a section plan has at least one section')
  if (auction) {
    spans.push({ fromMs: at(plan.auctionMinute), toMs: at(first.fromMinute), state: 'auction' })
    live.push({ fromMs: at(plan.matchMinute), toMs: at(first.fromMinute), kind: 'auction-match' })
  }
  let previousEndMs: number | undefined
  for (const section of plan.sections) {
    const fromMs = at(section.fromMinute)
    const toMs = at(section.toMinute)
    if (previousEndMs !== undefined) spans.push({ fromMs: previousEndMs, toMs: fromMs, state: 'break' })
    const closingMs = section === last && plan.closingAuctionMinute !== undefined ? at(plan.closingAuctionMinute) : toMs
    spans.push({ fromMs, toMs: closingMs, state: 'open' })
    if (closingMs < toMs) {
      spans.push({ fromMs: closingMs, toMs, state: 'auction' })
      live.push({ fromMs, toMs: closingMs, kind: 'continuous' })
      live.push({ fromMs: closingMs, toMs: toMs + END_SECOND_MS, kind: 'auction-match' })
    } else {
      live.push({ fromMs, toMs: toMs + END_SECOND_MS, kind: 'continuous' })
    }
    previousEndMs = toMs
  }
  return { opensMs: at(first.fromMinute), closesMs: at(last.toMinute) }
}

/** The plan of an evening on which the exchange opened late: the auction keeps its distance to the opening; undefined when it is all over by then. */
function openLate(plan: SectionPlan, opensAtMinute: number): SectionPlan | undefined {
  const first = plan.sections[0]
  assert(first !== undefined, 'a section plan has at least one section')
  const delay = opensAtMinute - first.fromMinute
  const sections = plan.sections
    .filter((section) => section.toMinute > opensAtMinute)
    .map((section) => ({ ...section, fromMinute: Math.max(section.fromMinute, opensAtMinute) }))
  if (sections.length === 0) return undefined
  return { ...plan, sections, auctionMinute: plan.auctionMinute + delay, matchMinute: plan.matchMinute + delay }
}

/** No night before a public holiday: only weekend days may lie between the evening and its trading day, unless the data says otherwise. */
export function nightBefore(
  day: { tradingDay: number; dayNumber: number; previousDayNumber: number },
  exchange: Exchange,
  exceptions: readonly NightException[],
): Night {
  const exception = exceptions.find(
    ({ from, to, exchanges }) => from <= day.tradingDay && day.tradingDay <= to && exchanges.includes(exchange),
  )
  if (exception !== undefined) return exception.night
  for (let between = day.previousDayNumber + 1; between < day.dayNumber; between++) {
    if (!isWeekend(between)) return { kind: 'none' }
  }
  return { kind: 'held' }
}

/** Outside all its periods a product follows the nearest one: a contract that ticks was listed, whatever the data says about dates. */
export function templateOf(sessions: ExchangeSessions, product: string, tradingDay: number): string {
  const periods = sessions.products.get(product)
  const period = periods?.find(({ to }) => tradingDay <= to) ?? periods?.at(-1)
  return period?.template ?? sessions.defaultTemplate
}

/** From the earliest opening to the latest close; undefined when there are none. */
export function outerEdges(edges: readonly WindowEdges[]): WindowEdges | undefined {
  if (edges.length === 0) return undefined
  return {
    opensMs: Math.min(...edges.map(({ opensMs }) => opensMs)),
    closesMs: Math.max(...edges.map(({ closesMs }) => closesMs)),
  }
}
