/**
 * The market calendar's two files, from text to the data that the domain computes with, or every problem in them at once. A site may
 * keep its own copies, so each problem names the file, the place in it, and what to write instead.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { z } from 'zod'
import type { Problem } from '#domain/failure.ts'
import { EXCHANGES, type Exchange } from '#domain/instrument.ts'
import type {
  CalendarData,
  ExchangeSessions,
  NightException,
  SectionPlan,
  SessionTemplate,
  TemplatePeriod,
} from '#domain/session-schedule.ts'
import { fromYyyymmdd, isWeekend, toYyyymmdd } from '#domain/trading-day.ts'
import { type ExchangeInFile, holidaysSchema, type PlanInFile, sessionsSchema } from './calendar-schema.ts'

const HOLIDAYS_FILE = 'holidays.json'
const SESSIONS_FILE = 'sessions.json'

export type ParsedCalendar = { ok: true; data: CalendarData } | { ok: false; problems: readonly Problem[] }

/** Reads and parses the two calendar files of a directory. Never throws: an unreadable file is a problem like any other. */
export function loadCalendar(directory: string): ParsedCalendar {
  const problems: Problem[] = []
  const read = (file: string): string => {
    const path = join(directory, file)
    try {
      return readFileSync(path, 'utf8')
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      problems.push({
        name: path,
        message: `cannot be read: ${why}`,
        remedy: 'Put the file there, or point the calendar directory at one that holds both calendar files.',
      })
      return ''
    }
  }
  const texts = { holidays: read(HOLIDAYS_FILE), sessions: read(SESSIONS_FILE) }
  return problems.length > 0 ? { ok: false, problems } : parseCalendar(texts)
}

/** Problems are named by file and place in it, e.g. `holidays.json closures[3].from`. */
export function parseCalendar(texts: { holidays: string; sessions: string }): ParsedCalendar {
  const problems: Problem[] = []
  const holidays = parseHolidays(texts.holidays, problems)
  const sessions = parseSessions(texts.sessions, { holidays: holidays?.holidays ?? new Set(), problems })
  if (holidays === undefined || sessions === undefined || problems.length > 0) return { ok: false, problems }
  return { ok: true, data: { ...holidays, ...sessions } }
}

const CLOSURE_DAYS_MAX = 31
const NIGHT_OVER_MINUTE = 1440 + 6 * 60
const FIRST_DAY = 0
const LAST_DAY = 99_999_999

type HolidayData = Pick<CalendarData, 'coveredFrom' | 'coveredUntil' | 'holidays' | 'exceptions'>
type SessionData = Pick<CalendarData, 'rollsAtMinute' | 'templates' | 'exchanges'>
/** Notes one problem; the place is within the file. */
type Complain = (place: string, message: string, remedy: string) => void

function parseHolidays(text: string, problems: Problem[]): HolidayData | undefined {
  const file = parseJson(text, { file: HOLIDAYS_FILE, schema: holidaysSchema, problems })
  if (file === undefined) return undefined
  const complain = complaints(HOLIDAYS_FILE, problems)

  if (file.covered_from > file.covered_until) {
    complain('covered_until', 'lies before covered_from', 'Give the last day for which all closures are listed.')
  }
  const holidays = new Set<number>()
  for (const [index, { from, to }] of file.closures.entries()) {
    const place = `closures[${index}]`
    const first = fromYyyymmdd(from)
    const last = fromYyyymmdd(to)
    if (last < first) {
      complain(place, 'ends before it begins', 'Swap or correct "from" and "to".')
    } else if (last - first >= CLOSURE_DAYS_MAX) {
      complain(place, `lasts more than ${CLOSURE_DAYS_MAX} days`, 'Correct the year or month of "from" or "to".')
    } else {
      for (let day = first; day <= last; day++) if (!isWeekend(day)) holidays.add(toYyyymmdd(day))
    }
  }
  // The likeliest mistake of the yearly edit: the date is moved on, the closures are not entered.
  const yearsListed = new Set([...holidays].map((date) => Math.floor(date / 10_000)))
  for (let year = Math.floor(file.covered_from / 10_000); year <= Math.floor(file.covered_until / 10_000); year++) {
    if (!yearsListed.has(year)) {
      complain(
        'closures',
        `hold nothing in ${year}, though that year is said to be covered`,
        `Enter the closures of ${year}, or set covered_until to the last day that is known.`,
      )
    }
  }

  const exceptions = file.night_exceptions.map(({ from, to, exchanges, night }, index): NightException => {
    if (to < from) complain(`night_exceptions[${index}]`, 'ends before it begins', 'Swap or correct "from" and "to".')
    return {
      from,
      to,
      exchanges,
      night: typeof night === 'number' ? { kind: 'opens-at', minute: night } : { kind: night },
    }
  })
  return { coveredFrom: file.covered_from, coveredUntil: file.covered_until, holidays, exceptions }
}

function parseSessions(
  text: string,
  { holidays, problems }: { holidays: ReadonlySet<number>; problems: Problem[] },
): SessionData | undefined {
  const file = parseJson(text, { file: SESSIONS_FILE, schema: sessionsSchema, problems })
  if (file === undefined) return undefined
  const complain = complaints(SESSIONS_FILE, problems)
  const rollsAtMinute = file.trading_day_rolls_at

  const templates = new Map<string, SessionTemplate>()
  for (const [name, { night, day }] of Object.entries(file.templates)) {
    const place = `templates.${name}`
    // After the roll it is the evening; before it, the small hours of the next morning.
    const nightPlan = night && shiftPlan(night, (minute) => (minute < rollsAtMinute ? minute + 1440 : minute))
    const dayPlan = shiftPlan(day, (minute) => minute)
    if (nightPlan)
      checkPlan(nightPlan, {
        place: `${place}.night`,
        untilMinute: NIGHT_OVER_MINUTE,
        until: '06:00 of the next morning',
        complain,
      })
    checkPlan(dayPlan, { place: `${place}.day`, untilMinute: rollsAtMinute, until: 'trading_day_rolls_at', complain })
    templates.set(name, { night: nightPlan, day: dayPlan })
  }

  const exchanges = new Map<Exchange, ExchangeSessions>()
  const exchangeOf = new Map<string, Exchange>()
  for (const exchange of EXCHANGES) {
    const entry = file.exchanges[exchange]
    if (entry === undefined) {
      complain(
        `exchanges.${exchange}`,
        'is missing',
        'Add it, with a default_template and its products (an empty list will do).',
      )
      continue
    }
    exchanges.set(exchange, parseExchange(exchange, entry, { templates, exchangeOf, holidays, complain }))
  }
  return { rollsAtMinute, templates, exchanges }
}

function parseExchange(
  exchange: Exchange,
  entry: ExchangeInFile,
  known: {
    templates: ReadonlyMap<string, SessionTemplate>
    exchangeOf: Map<string, Exchange>
    holidays: ReadonlySet<number>
    complain: Complain
  },
): ExchangeSessions {
  const { templates, exchangeOf, holidays, complain } = known
  const checkTemplate = (name: string, place: string) => {
    if (templates.has(name)) return
    complain(
      place,
      `names the template "${name}", which does not exist`,
      `Use one of ${[...templates.keys()].join(', ')}, or add it to templates.`,
    )
  }
  checkTemplate(entry.default_template, `exchanges.${exchange}.default_template`)

  const products = new Map<string, TemplatePeriod[]>()
  for (const [index, { products: codes, template, from = FIRST_DAY, to = LAST_DAY }] of entry.products.entries()) {
    const place = `exchanges.${exchange}.products[${index}]`
    checkTemplate(template, `${place}.template`)
    if (to < from) complain(place, 'ends before it begins', 'Swap or correct "from" and "to".')
    for (const code of codes) {
      const owner = exchangeOf.get(code)
      if (owner !== undefined && owner !== exchange) {
        complain(place, `lists ${code}, which ${owner} lists too`, 'Leave it with the exchange that trades it.')
      }
      exchangeOf.set(code, exchange)
      const periods = products.get(code) ?? []
      periods.push({ template, from, to })
      products.set(code, periods)
    }
  }
  for (const [code, periods] of products) {
    periods.sort((a, b) => a.from - b.from)
    for (const [index, period] of periods.entries()) {
      const next = periods[index + 1]
      if (next !== undefined)
        checkSuccession(period, next, { place: `exchanges.${exchange}.products of ${code}`, holidays, complain })
    }
  }
  return {
    defaultTemplate: entry.default_template,
    dayAuctionAfterNightFrom: entry.day_auction_after_night_from ?? LAST_DAY,
    products,
  }
}

/** Between two periods of a product no trading day may lie. */
function checkSuccession(
  period: TemplatePeriod,
  next: TemplatePeriod,
  { place, holidays, complain }: { place: string; holidays: ReadonlySet<number>; complain: Complain },
): void {
  if (next.from <= period.to) {
    complain(
      place,
      `overlap: one ends on ${period.to}, the next begins on ${next.from}`,
      'Let "to" of the earlier one be the last trading day before "from" of the later one.',
    )
    return
  }
  for (let day = fromYyyymmdd(period.to) + 1; day < fromYyyymmdd(next.from); day++) {
    if (isWeekend(day) || holidays.has(toYyyymmdd(day))) continue
    complain(
      place,
      `leave a gap: one ends on ${period.to}, the next begins on ${next.from}`,
      'Let "to" of the earlier one be the last trading day before "from" of the later one.',
    )
    return
  }
}

function shiftPlan(plan: PlanInFile, shift: (minute: number) => number): SectionPlan {
  return {
    auctionMinute: shift(plan.auction),
    matchMinute: shift(plan.match),
    sections: plan.sections.map(([from = 0, to = 0]) => ({ fromMinute: shift(from), toMinute: shift(to) })),
    closingAuctionMinute: plan.closing_auction === undefined ? undefined : shift(plan.closing_auction),
  }
}

function checkPlan(
  plan: SectionPlan,
  { place, untilMinute, until, complain }: { place: string; untilMinute: number; until: string; complain: Complain },
): void {
  const edges = plan.sections.flatMap(({ fromMinute, toMinute }) => [fromMinute, toMinute])
  const moments = [plan.auctionMinute, plan.matchMinute, ...edges]
  if (moments.some((minute, index) => index > 0 && minute <= (moments[index - 1] ?? 0))) {
    complain(
      place,
      'is out of order',
      'Write auction, match and sections in the order of the day, each later than the one before, sections with a break between them.',
    )
  }
  const last = plan.sections.at(-1)
  const closing = plan.closingAuctionMinute
  if (last !== undefined && last.toMinute > untilMinute) {
    complain(place, `ends after ${until}`, 'Let its last section end earlier.')
  }
  if (last !== undefined && closing !== undefined && (closing <= last.fromMinute || closing >= last.toMinute)) {
    complain(
      `${place}.closing_auction`,
      'lies outside the last section',
      'Give the minute at which the last section turns into the closing auction.',
    )
  }
}

function complaints(file: string, problems: Problem[]): Complain {
  return (place, message, remedy) => problems.push({ name: `${file} ${place}`, message, remedy })
}

function parseJson<Schema extends z.ZodType>(
  text: string,
  { file, schema, problems }: { file: string; schema: Schema; problems: Problem[] },
): z.infer<Schema> | undefined {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    problems.push({
      name: file,
      message: `is not JSON: ${why}`,
      remedy: 'Correct the syntax, or restore the copy that came with the product.',
    })
    return undefined
  }
  const parsed = schema.safeParse(json, { reportInput: true })
  if (parsed.success) return parsed.data
  for (const issue of parsed.error.issues) {
    problems.push({
      name: `${file} ${placeOf(issue.path)}`.trim(),
      message: `${issue.message}${gotOf(issue.input)}`,
      remedy: 'Correct it as docs/calendar.md describes, or restore the copy that came with the product.',
    })
  }
  return undefined
}

/** What was found instead, where it is short enough to be read. */
function gotOf(input: unknown): string {
  if (input === undefined || (typeof input === 'object' && input !== null)) return ''
  const got = JSON.stringify(input)
  return `, got ${got.length > 60 ? `${got.slice(0, 60)}...` : got}`
}

/** ['closures', 3, 'from'] -> closures[3].from */
function placeOf(path: readonly PropertyKey[]): string {
  return path
    .map((key, index) => (typeof key === 'number' ? `[${key}]` : `${index > 0 ? '.' : ''}${String(key)}`))
    .join('')
}
