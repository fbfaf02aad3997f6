import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { EXCHANGES } from '#domain/instrument.ts'
import { alwaysOpenCalendar, LiveSessions, type MarketCalendar } from '#domain/session-calendar.ts'
import { at, shippedCalendar } from '../support/shipped-calendar.ts'

const calendar = shippedCalendar()
const PRODUCTS = [
  ['CFFEX', 'IF'],
  ['CFFEX', 'IO'],
  ['CFFEX', 'T'],
  ['SHFE', 'rb'],
  ['SHFE', 'cu'],
  ['SHFE', 'au'],
  ['INE', 'sc'],
  ['DCE', 'i'],
  ['DCE', 'jd'],
  ['CZCE', 'SR'],
  ['CZCE', 'AP'],
  ['GFEX', 'si'],
  ['SHFE', 'product-of-tomorrow'],
] as const
const from2018 = at('2018-01-01 00:00')
const until2028 = at('2028-01-01 00:00')
const moments = fc.integer({ min: from2018, max: until2028 })

describe('the trading day a moment belongs to', () => {
  test.each([
    ['a morning belongs to its date', '2026-11-20 09:00', 20261120],
    ['the afternoon after the close still does', '2026-11-20 16:59:59.999', 20261120],
    ['the evening roll begins the next trading day', '2026-11-19 17:00', 20261120],
    ['a night session belongs to the next trading day', '2026-11-19 21:00', 20261120],
    ['after midnight it is still the same trading day', '2026-11-20 02:00', 20261120],
    ['Friday night belongs to Monday', '2026-11-20 21:00', 20261123],
    ['Saturday 02:30, the end of Friday night, belongs to Monday', '2026-11-21 02:30', 20261123],
    ['a Sunday belongs to Monday', '2026-11-22 12:00', 20261123],
    ['the eve of Spring Festival belongs to the day after it', '2026-02-13 21:00', 20260224],
    ['a holiday belongs to the trading day after it', '2026-10-03 10:00', 20261008],
    ['a closure of one Friday joins Thursday evening with Monday', '2026-06-18 21:00', 20260622],
    ['the last evening of the year steps over New Year', '2026-12-31 18:00', 20270104],
  ])('%s', (_sentence, moment, tradingDay) => {
    expect(calendar.tradingDayOf(at(moment))).toBe(tradingDay)
  })

  test('beyond the covered days every weekday counts as a trading day, so that a running feed does not stop', () => {
    expect(calendar.tradingDayOf(at('2031-10-01 10:00'))).toBe(20311001)
    expect(calendar.marketState(at('2031-10-01 10:00'))).toBe('open')
    expect(calendar.coverage(at('2031-10-01 10:00')).covered).toBe(false)
  })

  test('a moment that is no date at all is answered, not pondered for ever', () => {
    const hugeNumbers = Array.from({ length: 20 }, (_, index) => 10 ** (30 + index))
    for (const garbage of [Number.NaN, Number.POSITIVE_INFINITY, ...hugeNumbers]) {
      const sessions = new LiveSessions(calendar)
      expect(sessions.isLive(sessions.productIndex('SHFE', 'rb'), garbage)).toBe(false)
    }
  })
})

describe('the state of a product', () => {
  test.each([
    ['rebar takes orders for the night auction from 20:55', 'SHFE', 'rb', '2026-11-19 20:55', 'auction'],
    ['rebar is matched in the minute before 21:00', 'SHFE', 'rb', '2026-11-19 20:59:59.999', 'auction'],
    ['rebar trades from 21:00', 'SHFE', 'rb', '2026-11-19 21:00', 'open'],
    ['rebar closes at 23:00', 'SHFE', 'rb', '2026-11-19 23:00', 'closed'],
    ['rebar has a morning auction after its night since May 2023', 'SHFE', 'rb', '2026-11-20 08:57', 'auction'],
    ['rebar had none before', 'SHFE', 'rb', '2023-05-25 08:57', 'closed'],
    ['rebar has its auction in the morning when there was no night', 'SHFE', 'rb', '2020-04-10 08:57', 'auction'],
    ['rebar pauses at 10:15', 'SHFE', 'rb', '2026-11-20 10:15', 'break'],
    ['rebar pauses over lunch', 'SHFE', 'rb', '2026-11-20 12:00', 'break'],
    ['rebar is closed at 15:00', 'SHFE', 'rb', '2026-11-20 15:00', 'closed'],
    ['copper trades past midnight', 'SHFE', 'cu', '2026-11-20 00:30', 'open'],
    ['copper closes at 01:00', 'SHFE', 'cu', '2026-11-20 01:00', 'closed'],
    ['gold trades until 02:30', 'SHFE', 'au', '2026-11-20 02:29:59', 'open'],
    ['gold trades on Friday night into Saturday', 'SHFE', 'au', '2026-11-21 02:00', 'open'],
    ['gold is on holiday when Friday night is over', 'SHFE', 'au', '2026-11-21 02:30', 'holiday'],
    ['rebar is on holiday on Saturday at midnight', 'SHFE', 'rb', '2026-11-21 00:00', 'holiday'],
    ['crude oil trades until 02:30', 'INE', 'sc', '2026-11-20 02:00', 'open'],
    ['iron ore traded until 23:30 in 2018', 'DCE', 'i', '2018-10-09 23:15', 'open'],
    ['iron ore closed at 23:00 from the evening of 2019-03-29', 'DCE', 'i', '2019-03-29 23:15', 'closed'],
    ['corn got its night in the same evening', 'DCE', 'c', '2019-03-29 22:00', 'open'],
    ['corn had none the evening before', 'DCE', 'c', '2019-03-28 22:00', 'closed'],
    ['sugar traded until 23:30 until 2019-12-10', 'CZCE', 'SR', '2019-12-10 23:15', 'open'],
    ['sugar closed at 23:00 from 2019-12-11', 'CZCE', 'SR', '2019-12-11 23:15', 'closed'],
    ['sugar has no morning auction after its night', 'CZCE', 'SR', '2026-11-20 08:57', 'closed'],
    ['apples have a morning auction', 'CZCE', 'AP', '2026-11-20 08:55', 'auction'],
    ['apples have no night', 'CZCE', 'AP', '2026-11-19 21:30', 'closed'],
    ['eggs have no night', 'DCE', 'jd', '2026-11-19 21:30', 'closed'],
    ['an index future takes orders from 09:25', 'CFFEX', 'IF', '2026-11-20 09:25', 'auction'],
    ['an index future trades from 09:30', 'CFFEX', 'IF', '2026-11-20 09:30', 'open'],
    ['an index future trades while commodities pause', 'CFFEX', 'IF', '2026-11-20 10:20', 'open'],
    ['an index future pauses from 11:30 to 13:00', 'CFFEX', 'IF', '2026-11-20 12:59:59.999', 'break'],
    ['an index future is closed at 15:00', 'CFFEX', 'IF', '2026-11-20 15:00', 'closed'],
    ['an index option ends in a closing auction', 'CFFEX', 'IO', '2026-11-20 14:57', 'auction'],
    ['a bond future trades until 15:15', 'CFFEX', 'T', '2026-11-20 15:14:59', 'open'],
    ['a bond future opened at 09:15 until July 2020', 'CFFEX', 'T', '2020-07-17 09:20', 'open'],
    ['a bond future opens at 09:30 since', 'CFFEX', 'T', '2020-07-20 09:20', 'closed'],
    ['industrial silicon has no night', 'GFEX', 'si', '2026-11-19 21:30', 'closed'],
    ['no night before Spring Festival of 2020', 'SHFE', 'au', '2020-01-23 21:30', 'closed'],
    ['no night before Labour Day, which follows a weekend', 'SHFE', 'au', '2021-04-30 21:30', 'closed'],
    ['no night when it resumed in the daytime after the festival', 'SHFE', 'au', '2020-02-03 21:30', 'closed'],
    ['no night in the epidemic', 'DCE', 'i', '2020-04-10 21:30', 'closed'],
    ['night again in the evening of 2020-05-06', 'DCE', 'i', '2020-05-06 21:30', 'open'],
    ['closed at 21:30 on the evening that opened late', 'SHFE', 'rb', '2019-12-25 21:30', 'closed'],
    ['auction at 22:29 on that evening', 'DCE', 'i', '2019-12-25 22:29', 'auction'],
    ['open at 22:30 on that evening', 'CZCE', 'SR', '2019-12-25 22:30', 'open'],
    ['an unknown product follows the default of its exchange', 'DCE', 'zz', '2026-11-19 21:30', 'open'],
    ['an unknown exchange is closed', 'SSE', '600000', '2026-11-20 10:00', 'closed'],
  ] as const)('%s', (_sentence, exchange, product, moment, state) => {
    expect(calendar.productState(exchange, product, at(moment))).toBe(state)
  })
})

describe('the state of exchanges and of the market', () => {
  test.each([
    ['CFFEX is open until 15:15 because of its bonds', 'CFFEX', '2026-11-20 15:10', 'open'],
    ['SHFE is open until 02:30 because of gold', 'SHFE', '2026-11-20 02:15', 'open'],
    ['DCE pauses at 10:20', 'DCE', '2026-11-20 10:20', 'break'],
    ['GFEX is closed at night', 'GFEX', '2026-11-19 22:00', 'closed'],
    ['CZCE is on holiday on National Day', 'CZCE', '2026-10-01 10:00', 'holiday'],
    ['an unknown exchange is on holiday on a Sunday', 'SSE', '2026-11-22 10:00', 'holiday'],
  ] as const)('%s', (_sentence, exchange, moment, state) => {
    expect(calendar.exchangeState(exchange, at(moment))).toBe(state)
  })

  test.each([
    ['open while CFFEX trades through the commodity break', '2026-11-20 10:20', 'open'],
    ['in auction at 08:56', '2026-11-20 08:56', 'auction'],
    ['at a break over lunch', '2026-11-20 12:30', 'break'],
    ['closed at 16:00', '2026-11-20 16:00', 'closed'],
    ['on holiday on Saturday after the night', '2026-11-21 03:00', 'holiday'],
  ] as const)('the market is %s', (_sentence, moment, state) => {
    expect(calendar.marketState(at(moment))).toBe(state)
  })

  test('the market is never less open than one of its products', () => {
    const rank = ['holiday', 'closed', 'break', 'auction', 'open']
    fc.assert(
      fc.property(moments, fc.constantFrom(...PRODUCTS.slice(0, -1)), (ms, [exchange, product]) => {
        const ofProduct = rank.indexOf(calendar.productState(exchange, product, ms))
        const ofExchange = rank.indexOf(calendar.exchangeState(exchange, ms))
        expect(ofExchange).toBeGreaterThanOrEqual(ofProduct)
        expect(rank.indexOf(calendar.marketState(ms))).toBeGreaterThanOrEqual(ofExchange)
      }),
    )
  })
})

describe('live ticks', () => {
  test.each([
    ['the first moment of the match minute', 'SHFE', 'rb', '2026-11-19 20:59:00', true],
    ['the last moment of order entry', 'SHFE', 'rb', '2026-11-19 20:58:59.999', false],
    ['the last moment of the match minute', 'CZCE', 'AP', '2026-11-20 08:59:59.999', true],
    ['the match minute of an index future', 'CFFEX', 'IF', '2026-11-20 09:29:00', true],
    ['the whole second of the 10:15 end', 'SHFE', 'rb', '2026-11-20 10:15:00.999', true],
    ['the next second', 'SHFE', 'rb', '2026-11-20 10:15:01', false],
    ['the whole second of the close', 'CFFEX', 'IF', '2026-11-20 15:00:00.500', true],
    ['a settlement row after the close', 'CFFEX', 'IF', '2026-11-20 15:27:00', false],
    ['the whole second of the night end after midnight', 'SHFE', 'au', '2026-11-21 02:30:00.500', true],
    ['the closing auction of an index option', 'CFFEX', 'IO', '2026-11-20 14:58:00', true],
    ['a snapshot pushed in the evening to a product without a night', 'CZCE', 'AP', '2026-11-19 21:10:00', false],
    ['the match minute of an evening that opens late', 'DCE', 'i', '2019-12-25 22:29:00', true],
    ['order entry on that evening', 'DCE', 'i', '2019-12-25 22:28:59', false],
    ['a snapshot pushed on a holiday', 'SHFE', 'rb', '2026-10-02 10:00:00', false],
  ] as const)('%s: %s %s at %s is live: %s', (_sentence, exchange, product, moment, live) => {
    const sessions = new LiveSessions(calendar)
    expect(sessions.isLive(sessions.productIndex(exchange, product), at(moment))).toBe(live)
  })

  test('a date without trading has no live interval', () => {
    expect(calendar.liveIntervals('SHFE', 'rb', 20261121)).toEqual([])
    expect(calendar.liveIntervals('SSE', '600000', 20261120)).toEqual([])
  })

  test('every live interval lies in its own trading day, in order and without overlap', () => {
    fc.assert(
      fc.property(moments, fc.constantFrom(...PRODUCTS), (ms, [exchange, product]) => {
        const tradingDay = calendar.tradingDayOf(ms)
        const intervals = calendar.liveIntervals(exchange, product, tradingDay)
        expect(intervals.length).toBeGreaterThan(0)
        let previousEnd = Number.NEGATIVE_INFINITY
        for (const { fromMs, toMs } of intervals) {
          expect(fromMs).toBeGreaterThanOrEqual(previousEnd)
          expect(toMs).toBeGreaterThan(fromMs)
          expect(calendar.tradingDayOf(fromMs)).toBe(tradingDay)
          expect(calendar.tradingDayOf(toMs - 1)).toBe(tradingDay)
          previousEnd = toMs
        }
      }),
    )
  })

  test('remembering the last answer never changes one', () => {
    // Random moments seldom meet an edge of a session, a minute or the evening roll, so most questions come in a row around one.
    const questions = moments.chain((around) => {
      const sameWeek = fc.integer({ min: around - 3 * 86_400_000, max: around + 3 * 86_400_000 }).map((ms) => [ms])
      return fc.array(fc.oneof(sameWeek, rowAroundAnEdge(around)), { maxLength: 40 }).map((rows) => rows.flat())
    })
    fc.assert(
      fc.property(
        fc.constantFrom(calendar, alwaysOpenCalendar()),
        fc.constantFrom(...PRODUCTS),
        questions,
        (market, [exchange, product], asked) => {
          const sessions = new LiveSessions(market)
          const index = sessions.productIndex(exchange, product)
          for (const ms of asked) {
            expect(sessions.isLive(index, ms)).toBe(isLiveBySearch(market, { exchange, product }, ms))
            expect(sessions.tradingDay(ms)).toBe(market.tradingDayOf(ms))
          }
        },
      ),
    )
  })

  test('answers agree around every edge of a week with a Friday night', () => {
    for (const [exchange, product] of PRODUCTS) {
      const sessions = new LiveSessions(calendar)
      const index = sessions.productIndex(exchange, product)
      for (let day = 20261116; day <= 20261123; day++) {
        for (const { fromMs, toMs } of calendar.liveIntervals(exchange, product, day)) {
          const answers = [fromMs - 1, fromMs, toMs - 1, toMs].map((ms) => sessions.isLive(index, ms))
          const before = isLiveBySearch(calendar, { exchange, product }, fromMs - 1)
          const after = isLiveBySearch(calendar, { exchange, product }, toMs)
          expect(answers).toEqual([before, true, true, after])
        }
      }
    }
  })

  test('a product keeps its number', () => {
    const sessions = new LiveSessions(calendar)
    const rebar = sessions.productIndex('SHFE', 'rb')
    expect(sessions.productIndex('DCE', 'rb')).not.toBe(rebar)
    expect(sessions.productIndex('SHFE', 'rb')).toBe(rebar)
  })
})

const EDGES = [
  '08:59',
  '09:00',
  '10:15',
  '10:30',
  '14:57',
  '15:00',
  '17:00',
  '20:59',
  '23:00',
  '23:30',
  '01:00',
  '02:30',
  '00:00',
]

/** A few moments in any order within a minute and a half of one edge of that Shanghai date. */
function rowAroundAnEdge(ms: number): fc.Arbitrary<number[]> {
  const date = new Date(ms + 8 * 3_600_000).toISOString().slice(0, 10)
  const offset = fc.oneof(
    fc.constantFrom(-60_000, -1, 0, 500, 999, 1000, 1001, 59_999, 60_000),
    fc.integer({ min: -90_000, max: 90_000 }),
  )
  return fc
    .tuple(fc.constantFrom(...EDGES), fc.array(offset, { minLength: 2, maxLength: 5 }))
    .map(([time, offsets]) => offsets.map((offset) => at(`${date} ${time}`) + offset))
}

function isLiveBySearch(market: MarketCalendar, of: { exchange: string; product: string }, ms: number): boolean {
  return market
    .liveIntervals(of.exchange, of.product, market.tradingDayOf(ms))
    .some(({ fromMs, toMs }) => fromMs <= ms && ms < toMs)
}

describe('windows', () => {
  test.each([
    [
      'in the morning the day window is next',
      '2026-11-20 08:30',
      'day',
      20261120,
      '2026-11-20 09:00',
      '2026-11-20 15:15',
    ],
    ['over lunch it is running', '2026-11-20 12:00', 'day', 20261120, '2026-11-20 09:00', '2026-11-20 15:15'],
    [
      'from 15:15 the night window is next',
      '2026-11-19 15:15',
      'night',
      20261120,
      '2026-11-19 21:00',
      '2026-11-20 02:30',
    ],
    [
      'past midnight the night window is running',
      '2026-11-20 01:00',
      'night',
      20261120,
      '2026-11-19 21:00',
      '2026-11-20 02:30',
    ],
    ['at 02:30 the day window is next', '2026-11-20 02:30', 'day', 20261120, '2026-11-20 09:00', '2026-11-20 15:15'],
    [
      'on Friday evening it is the night of Monday',
      '2026-11-20 20:00',
      'night',
      20261123,
      '2026-11-20 21:00',
      '2026-11-21 02:30',
    ],
    [
      'on Saturday it is the day of Monday',
      '2026-11-21 12:00',
      'day',
      20261123,
      '2026-11-23 09:00',
      '2026-11-23 15:15',
    ],
    [
      'before a festival it is the day after it',
      '2026-02-13 18:00',
      'day',
      20260224,
      '2026-02-24 09:00',
      '2026-02-24 15:15',
    ],
    ['an evening that opens late', '2019-12-25 20:00', 'night', 20191226, '2019-12-25 22:30', '2019-12-26 02:30'],
  ] as const)('%s', (_sentence, moment, window, tradingDay, opens, closes) => {
    expect(calendar.windowAt(at(moment))).toEqual({ window, tradingDay, opensMs: at(opens), closesMs: at(closes) })
  })

  test.each([
    ['a timer on a trading day finds its day window', 'day', '2026-11-20 08:30', 20261120],
    ['so does one that fires late', 'day', '2026-11-20 16:00', 20261120],
    ['a timer on Friday evening finds the night of Monday', 'night', '2026-11-20 20:30', 20261123],
    ['the stop on Saturday at 02:45 still finds that night', 'night', '2026-11-21 02:45', 20261123],
    ['a morning asks for the night to come', 'night', '2026-11-20 08:30', 20261123],
    ['there is no day window on Saturday', 'day', '2026-11-21 08:30', undefined],
    ['there is no night on Saturday evening', 'night', '2026-11-21 20:30', undefined],
    ['there is none on Monday after midnight', 'night', '2026-11-23 01:00', undefined],
    ['there is no day window on a holiday', 'day', '2026-10-01 08:30', undefined],
    ['there is no night before a holiday', 'night', '2026-09-30 20:30', undefined],
    ['there is none on the last evening of a holiday', 'night', '2026-10-07 20:30', undefined],
  ] as const)('%s', (_sentence, window, moment, tradingDay) => {
    expect(calendar.windowOn(window, at(moment))?.tradingDay).toBe(tradingDay)
  })

  test('the window at any moment has not closed, and nothing opens before it', () => {
    fc.assert(
      fc.property(moments, (ms) => {
        const span = calendar.windowAt(ms)
        expect(span.closesMs).toBeGreaterThan(ms)
        expect(calendar.tradingDayOf(span.opensMs)).toBe(span.tradingDay)
        expect(calendar.tradingDayOf(span.closesMs)).toBe(span.tradingDay)
        if (span.opensMs > ms) expect(calendar.marketState(ms)).not.toBe('open')
        expect(calendar.windowAt(span.opensMs)).toEqual(span)
      }),
    )
  })
})

describe('the next change', () => {
  test.each([
    ['order entry begins', '2026-11-20 08:00', '2026-11-20 08:55'],
    ['continuous trading begins', '2026-11-20 08:55', '2026-11-20 09:00'],
    ['index futures take orders while commodities trade', '2026-11-20 09:10', '2026-11-20 09:25'],
    ['index options enter their closing auction', '2026-11-20 14:00', '2026-11-20 14:57'],
    ['bond futures close', '2026-11-20 15:00', '2026-11-20 15:15'],
    ['the night auction begins', '2026-11-20 15:15', '2026-11-20 20:55'],
    ['at Saturday midnight the products without a night go on holiday', '2026-11-20 23:00', '2026-11-21 00:00'],
    ['Friday night ends', '2026-11-21 01:00', '2026-11-21 02:30'],
    ['the weekend ends', '2026-11-21 02:30', '2026-11-23 00:00'],
  ])('%s', (_sentence, moment, next) => {
    expect(calendar.nextChangeMs(at(moment))).toBe(at(next))
  })

  test('no state changes before it, and one does at it', () => {
    const states = (ms: number) =>
      PRODUCTS.map(([exchange, product]) => calendar.productState(exchange, product, ms)).join()
    fc.assert(
      fc.property(moments, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (ms, share) => {
        const next = calendar.nextChangeMs(ms)
        expect(next).toBeGreaterThan(ms)
        expect(states(Math.floor(ms + share * (next - 1 - ms)))).toBe(states(ms))
        expect(EXCHANGES.some((exchange) => anyChange(exchange, next))).toBe(true)
      }),
    )
  })

  function anyChange(exchange: string, ms: number): boolean {
    return PRODUCTS.some(
      ([of, product]) =>
        of === exchange &&
        calendar.productState(exchange, product, ms - 1) !== calendar.productState(exchange, product, ms),
    )
  }
})

describe('coverage', () => {
  test.each([
    ['the last covered day is covered, with none left', '2026-12-31 23:59', 0, true],
    ['the day after is not', '2027-01-01 00:00', -1, false],
    ['days are counted by date, not by hours', '2026-12-01 23:59', 30, true],
    ['a day before the calendar begins is not covered', '2017-12-31 12:00', 3287, false],
  ])('%s', (_sentence, moment, daysLeft, covered) => {
    expect(calendar.coverage(at(moment))).toEqual({ coveredUntil: 20261231, daysLeft, covered })
  })
})

describe('products', () => {
  test('codes are told apart by case', () => {
    expect(calendar.exchangeOf('sc')).toBe('INE')
    expect(calendar.exchangeOf('m')).toBe('DCE')
    expect(calendar.exchangeOf('M')).toBeUndefined()
    expect(calendar.exchangeOf('IO')).toBe('CFFEX')
    expect(calendar.exchangeOf('PF')).toBe('CZCE')
  })

  test('a product is known on its own exchange only', () => {
    expect(calendar.knowsProduct('SHFE', 'rb')).toBe(true)
    expect(calendar.knowsProduct('DCE', 'rb')).toBe(false)
    expect(calendar.knowsProduct('SSE', 'rb')).toBe(false)
    expect(calendar.knowsProduct('GFEX', 'product-of-tomorrow')).toBe(false)
  })

  test.each([
    'br',
    'ad',
    'op',
    'ec',
    'lg',
    'bz',
    'SH',
    'PX',
    'PR',
    'PL',
    'lc',
    'ps',
    'pt',
    'pd',
    'TL',
    'IM',
    'HO',
    'MO',
  ])('the newer product %s has an exchange', (product) => {
    expect(calendar.exchangeOf(product)).toBeDefined()
  })
})

describe('a market that is always open', () => {
  const market = alwaysOpenCalendar()

  test.each([
    ['a Sunday afternoon', '2026-11-22 14:00', 20261122, 'day'],
    ['a night hour before midnight', '2026-11-22 23:59', 20261122, 'night'],
    ['a night hour after midnight', '2026-11-23 00:00', 20261123, 'night'],
  ] as const)('%s is open, and its trading day is the date', (_sentence, moment, tradingDay, window) => {
    const ms = at(moment)
    expect(market.marketState(ms)).toBe('open')
    expect(market.productState('SHFE', 'rb', ms)).toBe('open')
    expect(market.tradingDayOf(ms)).toBe(tradingDay)
    expect(market.windowAt(ms)).toMatchObject({ window, tradingDay })
    expect(market.windowOn('night', ms)).toBeDefined()
    expect(market.coverage(ms).covered).toBe(true)
  })

  test('its windows follow each other without a gap', () => {
    fc.assert(
      fc.property(moments, (ms) => {
        const span = market.windowAt(ms)
        expect(ms >= span.opensMs && ms < span.closesMs).toBe(true)
        expect(market.windowAt(span.closesMs).opensMs).toBe(span.closesMs)
      }),
    )
  })
})
