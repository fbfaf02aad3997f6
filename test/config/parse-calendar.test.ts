import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadCalendar, parseCalendar } from '#config/parse-calendar.ts'
import type { Problem } from '#domain/failure.ts'
import { EXCHANGES } from '#domain/instrument.ts'
import { createMarketCalendar } from '#domain/session-calendar.ts'
import { at, SHIPPED_CALENDAR_DIR } from '../support/shipped-calendar.ts'

const DAY_PLAN = { auction: '08:55', match: '08:59', sections: ['09:00-11:30', '13:30-15:00'] }
const HOLIDAYS = {
  covered_from: '2026-01-01',
  covered_until: '2026-12-31',
  closures: [{ from: '2026-10-01', to: '2026-10-07', name: 'National Day' }],
}
const SESSIONS = {
  trading_day_rolls_at: '17:00',
  templates: {
    day: { day: DAY_PLAN },
    night: { night: { auction: '20:55', match: '20:59', sections: ['21:00-02:30'] }, day: DAY_PLAN },
  },
  exchanges: Object.fromEntries(
    EXCHANGES.map((exchange) => [exchange, { default_template: 'day', products: [] as object[] }]),
  ),
}

/** Parses the smallest calendar with some of its entries replaced. */
function parseWith({ holidays = {}, sessions = {} }: { holidays?: object; sessions?: object }) {
  return parseCalendar({
    holidays: JSON.stringify({ ...HOLIDAYS, ...holidays }),
    sessions: JSON.stringify({ ...SESSIONS, ...sessions }),
  })
}

function problemsOf(changes: { holidays?: object; sessions?: object }): readonly Problem[] {
  const parsed = parseWith(changes)
  return parsed.ok ? [] : parsed.problems
}

function exchangesWith(exchange: string, entry: object): object {
  return { exchanges: { ...SESSIONS.exchanges, [exchange]: { default_template: 'day', products: [], ...entry } } }
}

describe('a calendar directory', () => {
  test('the shipped files are sound', () => {
    expect(loadCalendar(SHIPPED_CALENDAR_DIR)).toMatchObject({ ok: true })
  })

  test('the smallest calendar is one closure and six exchanges without products', () => {
    const parsed = parseWith({})
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
    const calendar = createMarketCalendar(parsed.data)
    expect(calendar.marketState(at('2026-10-08 10:00'))).toBe('open')
    expect(calendar.marketState(at('2026-10-07 10:00'))).toBe('holiday')
    expect(calendar.windowAt(at('2026-10-08 15:00')).window).toBe('day')
  })

  test('both files missing are two problems', () => {
    const parsed = loadCalendar('/nonexistent/calendar')
    expect(parsed.ok ? [] : parsed.problems.map(({ name }) => name)).toEqual([
      '/nonexistent/calendar/holidays.json',
      '/nonexistent/calendar/sessions.json',
    ])
  })

  test('a site replaces the shipped files by a directory of its own', () => {
    const directory = mkdtempSync(join(tmpdir(), 'calendar-'))
    try {
      const holidays = readFileSync(join(SHIPPED_CALENDAR_DIR, 'holidays.json'), 'utf8')
      writeFileSync(join(directory, 'holidays.json'), holidays.replace('"2026-10-07"', '"2026-10-08"'))
      writeFileSync(join(directory, 'sessions.json'), readFileSync(join(SHIPPED_CALENDAR_DIR, 'sessions.json')))
      const parsed = loadCalendar(directory)
      if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
      expect(createMarketCalendar(parsed.data).marketState(at('2026-10-08 10:00'))).toBe('holiday')
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})

describe('what an operator may write', () => {
  test('a night that is held against the rule, one that is dropped, and one that opens after midnight', () => {
    const exception = (day: string, night: string) => ({ from: day, to: day, exchanges: ['SHFE'], night })
    const parsed = parseWith({
      holidays: {
        night_exceptions: [
          exception('2026-10-08', 'held'),
          exception('2026-10-09', 'none'),
          exception('2026-10-13', '00:30'),
          exception('2026-10-14', '03:00'),
        ],
      },
      sessions: exchangesWith('SHFE', { products: [{ products: ['rb'], template: 'night' }] }),
    })
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
    const calendar = createMarketCalendar(parsed.data)
    expect(calendar.productState('SHFE', 'rb', at('2026-09-30 21:30'))).toBe('open')
    expect(calendar.productState('SHFE', 'rb', at('2026-10-08 21:30'))).toBe('closed')
    expect(calendar.productState('SHFE', 'rb', at('2026-10-12 21:30'))).toBe('closed')
    expect(calendar.productState('SHFE', 'rb', at('2026-10-13 00:29'))).toBe('auction')
    expect(calendar.productState('SHFE', 'rb', at('2026-10-13 00:30'))).toBe('open')
    // It would have opened after its end: there is no night at all, and the auction is in the morning.
    expect(calendar.windowOn('night', at('2026-10-13 20:00'))).toBeUndefined()
    expect(calendar.productState('SHFE', 'rb', at('2026-10-14 08:57'))).toBe('auction')
  })

  test('a product that changes its times over a holiday leaves no gap', () => {
    const products = [
      { products: ['rb'], template: 'day', to: '2026-09-30' },
      { products: ['rb'], template: 'night', from: '2026-10-08' },
    ]
    expect(problemsOf({ sessions: exchangesWith('SHFE', { products }) })).toEqual([])
  })

  test('outside all its periods a product follows the nearest one', () => {
    const products = [
      { products: ['rb'], template: 'day', from: '2026-03-02', to: '2026-03-06' },
      { products: ['rb'], template: 'night', from: '2026-03-09', to: '2026-03-13' },
    ]
    const parsed = parseWith({ sessions: exchangesWith('SHFE', { products }) })
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
    const calendar = createMarketCalendar(parsed.data)
    const openAtNight = (date: string) => calendar.productState('SHFE', 'rb', at(`${date} 21:30`)) === 'open'
    expect(['2026-02-03', '2026-03-05', '2026-03-06', '2026-04-01'].map(openAtNight)).toEqual([
      false,
      false,
      true,
      true,
    ])
  })
})

describe('problems, each with its place', () => {
  test.each([
    ['a date that does not exist', { holidays: { covered_until: '2026-02-30' } }, 'holidays.json covered_until'],
    ['a date in another form', { holidays: { covered_until: 20261231 } }, 'holidays.json covered_until'],
    ['an unknown entry', { holidays: { holidays: [] } }, 'holidays.json'],
    [
      'coverage that ends before it begins',
      { holidays: { covered_from: '2027-01-01' } },
      'holidays.json covered_until',
    ],
    [
      'a year said to be covered without a closure in it',
      { holidays: { covered_until: '2027-12-31' } },
      'holidays.json closures',
    ],
    [
      'a closure that ends before it begins',
      { holidays: { closures: [...HOLIDAYS.closures, { from: '2026-05-05', to: '2026-05-01' }] } },
      'holidays.json closures[1]',
    ],
    [
      'a closure of a whole year, by a wrong digit',
      { holidays: { closures: [...HOLIDAYS.closures, { from: '2026-05-01', to: '2027-05-05' }] } },
      'holidays.json closures[1]',
    ],
    [
      'a closure with a date that does not exist',
      { holidays: { closures: [{ from: '2026-04-31', to: '2026-05-05' }] } },
      'holidays.json closures[0].from',
    ],
    [
      'an exception for an unknown exchange',
      {
        holidays: { night_exceptions: [{ from: '2026-05-06', to: '2026-05-06', exchanges: ['NYSE'], night: 'none' }] },
      },
      'holidays.json night_exceptions[0].exchanges[0]',
    ],
    [
      'an exception of an unknown kind',
      {
        holidays: { night_exceptions: [{ from: '2026-05-06', to: '2026-05-06', exchanges: ['SHFE'], night: 'late' }] },
      },
      'holidays.json night_exceptions[0].night',
    ],
    [
      'an exception that ends before it begins',
      {
        holidays: { night_exceptions: [{ from: '2026-05-06', to: '2026-05-05', exchanges: ['SHFE'], night: 'none' }] },
      },
      'holidays.json night_exceptions[0]',
    ],
    [
      'a time that does not exist',
      { sessions: { trading_day_rolls_at: '24:00' } },
      'sessions.json trading_day_rolls_at',
    ],
    [
      'a section without an end',
      { sessions: { templates: { day: { day: { ...DAY_PLAN, sections: ['09:00'] } } } } },
      'sessions.json templates.day.day.sections[0]',
    ],
    [
      'a template without sections',
      { sessions: { templates: { day: { day: { ...DAY_PLAN, sections: [] } } } } },
      'sessions.json templates.day.day.sections',
    ],
    [
      'sections out of order',
      { sessions: { templates: { day: { day: { ...DAY_PLAN, sections: ['13:30-15:00', '09:00-11:30'] } } } } },
      'sessions.json templates.day.day',
    ],
    [
      'a match before order entry',
      { sessions: { templates: { day: { day: { ...DAY_PLAN, match: '08:50' } } } } },
      'sessions.json templates.day.day',
    ],
    [
      'a day session after the roll',
      { sessions: { templates: { day: { day: { ...DAY_PLAN, sections: ['09:00-17:30'] } } } } },
      'sessions.json templates.day.day',
    ],
    [
      'a night that reaches into the morning',
      {
        sessions: {
          templates: { day: { night: { auction: '20:55', match: '20:59', sections: ['21:00-06:30'] }, day: DAY_PLAN } },
        },
      },
      'sessions.json templates.day.night',
    ],
    [
      'a closing auction outside the last section',
      { sessions: { templates: { day: { day: { ...DAY_PLAN, closing_auction: '12:00' } } } } },
      'sessions.json templates.day.day.closing_auction',
    ],
    [
      'a missing exchange',
      { sessions: { exchanges: { ...SESSIONS.exchanges, GFEX: undefined } } },
      'sessions.json exchanges.GFEX',
    ],
    [
      'an unknown default template',
      { sessions: exchangesWith('DCE', { default_template: 'dya' }) },
      'sessions.json exchanges.DCE.default_template',
    ],
    [
      'an unknown template',
      { sessions: exchangesWith('DCE', { products: [{ products: ['m'], template: 'dya' }] }) },
      'sessions.json exchanges.DCE.products[0].template',
    ],
    [
      'a product code with digits',
      { sessions: exchangesWith('DCE', { products: [{ products: ['m2605'], template: 'day' }] }) },
      'sessions.json exchanges.DCE.products[0].products[0]',
    ],
    [
      'a product period that ends before it begins',
      {
        sessions: exchangesWith('DCE', {
          products: [{ products: ['m'], template: 'day', from: '2026-03-02', to: '2026-03-01' }],
        }),
      },
      'sessions.json exchanges.DCE.products[0]',
    ],
    [
      'a product listed twice for the same days',
      {
        sessions: exchangesWith('DCE', {
          products: [
            { products: ['m'], template: 'day' },
            { products: ['m', 'a'], template: 'night' },
          ],
        }),
      },
      'sessions.json exchanges.DCE.products of m',
    ],
    [
      'a Friday missing between two periods',
      {
        sessions: exchangesWith('DCE', {
          products: [
            { products: ['m'], template: 'day', to: '2026-03-05' },
            { products: ['m'], template: 'night', from: '2026-03-09' },
          ],
        }),
      },
      'sessions.json exchanges.DCE.products of m',
    ],
  ])('%s', (_sentence, changes, place) => {
    const problems = problemsOf(changes)
    expect(problems.map(({ name }) => name)).toEqual([place])
    expect(problems[0]?.message).not.toBe('')
    expect(problems[0]?.remedy).not.toBe('')
  })

  test('a product on two exchanges is named with both', () => {
    const listing = { default_template: 'day', products: [{ products: ['sc'], template: 'night' }] }
    const problems = problemsOf({ sessions: { exchanges: { ...SESSIONS.exchanges, INE: listing, SHFE: listing } } })
    expect(problems.map(({ message }) => message)).toEqual(['lists sc, which SHFE lists too'])
  })

  test('a problem tells what was found', () => {
    const [problem] = problemsOf({ holidays: { covered_until: '2026/12/31' } })
    expect(problem?.message).toBe('expected a date such as 2026-10-01, got "2026/12/31"')
  })

  test('all problems of both files are reported at once', () => {
    const problems = problemsOf({ holidays: { covered_from: 'soon' }, sessions: { trading_day_rolls_at: '5pm' } })
    expect(problems.map(({ name }) => name)).toEqual([
      'holidays.json covered_from',
      'sessions.json trading_day_rolls_at',
    ])
  })

  test.each([
    ['cut off', '{"covered_from": "2026-'],
    ['empty', ''],
    ['a list', '[]'],
    ['null', 'null'],
  ])('a file that is %s is one problem', (_sentence, text) => {
    const parsed = parseCalendar({ holidays: text, sessions: JSON.stringify(SESSIONS) })
    expect(parsed.ok ? [] : parsed.problems.map(({ name }) => name)).toEqual(['holidays.json'])
  })
})
