/** The shipped calendar against what the market did: an independent list of trading days, the hours of expired contracts, and
 * bars and ticks recorded from three exchanges. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { productOfInstrument } from '#domain/instrument.ts'
import { LiveSessions } from '#domain/session-calendar.ts'
import { DAY_MS } from '#domain/trading-day.ts'
import { at, shippedCalendar } from '../support/shipped-calendar.ts'

const DATA = fileURLToPath(new URL('../../../shared/data', import.meta.url))
const absent = !existsSync(DATA)
if (absent)
  console.warn(`SKIPPED: the recorded market data is not at ${DATA}; the calendar was not checked against it.`)

const calendar = shippedCalendar()

describe.skipIf(absent)('against an independent list of trading days', () => {
  const listed = new Set<string>(
    absent ? [] : JSON.parse(readFileSync(`${DATA}/sessions_calendars/akshare_tradedays_1990_2026.json`, 'utf8')),
  )

  test('every date from 2018 to 2026 is a trading day in both or in neither', () => {
    const disagreements: string[] = []
    const perYear = new Map<string, number>()
    for (let noon = at('2018-01-01 12:00'); noon < at('2027-01-01 00:00'); noon += DAY_MS) {
      const date = new Date(noon).toISOString().slice(0, 10).replaceAll('-', '')
      const trades = calendar.marketState(noon) !== 'holiday'
      if (trades !== listed.has(date)) disagreements.push(date)
      if (trades) perYear.set(date.slice(0, 4), (perYear.get(date.slice(0, 4)) ?? 0) + 1)
    }
    expect(disagreements).toEqual([])
    expect(perYear.get('2026')).toBe([...listed].filter((date) => date.startsWith('2026')).length)
  })
})

interface Verdicts {
  rows: number
  notLive: string[]
  wrongTradingDay: number
}

/** Judges every row of a recording by exchange time alone, dated by the recorder's natural day. */
function judge(path: string, of: { exchange: string; product: string }): Verdicts {
  const sessions = new LiveSessions(calendar)
  const index = sessions.productIndex(of.exchange, of.product)
  const [header = '', ...rows] = gunzipSync(readFileSync(path))
    .toString('utf8')
    .replaceAll('"', '')
    .trim()
    .split(/\r?\n/)
  const columns = header.split(',')
  const [day, time, ms, tradingDay] = ['ActionDay', 'UpdateTime', 'UpdateMillisec', 'TradingDay'].map((name) =>
    columns.indexOf(name),
  )
  const verdicts: Verdicts = { rows: rows.length, notLive: [], wrongTradingDay: 0 }
  for (const row of rows) {
    const cells = row.split(',')
    const cell = (column = -1) => cells[column] ?? ''
    const date = cell(day).replace(/(....)(..)(..)/, '$1-$2-$3')
    const eventMs = at(`${date} ${cell(time)}`) + Number(cell(ms))
    if (!sessions.isLive(index, eventMs)) verdicts.notLive.push(cell(time))
    if (sessions.tradingDay(eventMs) !== Number(cell(tradingDay))) verdicts.wrongTradingDay++
  }
  return verdicts
}

function recordings(folder: string): string[] {
  return absent ? [] : readdirSync(`${DATA}/ticks/${folder}`).map((file) => `${folder}/${file}`)
}

describe.skipIf(absent)('against a catalogue of expired contracts', () => {
  test('where both know a night before the last trading day, they end it at the same minute', () => {
    const text = gunzipSync(readFileSync(`${DATA}/catalog/tqsdk_expired_quotes.json.gz`)).toString('utf8')
    const quotes: Record<string, { expire_datetime: number; trading_time: { night?: string[][] | null } }> = JSON.parse(
      text.replace(/\bNaN\b/g, 'null'),
    )
    const disagreements: string[] = []
    let compared = 0
    for (const [name, quote] of Object.entries(quotes)) {
      const [exchange = '', instrument = ''] = name.split(/\.(.*)/)
      const expiryMs = quote.expire_datetime * 1000
      const theirs = quote.trading_time.night?.[0]?.[1]
      const day = calendar.windowOn('day', expiryMs)
      if (expiryMs < at('2018-01-01 00:00') || theirs === undefined || day === undefined) continue
      const product = productOfInstrument(instrument)
      expect(calendar.knowsProduct(exchange, product)).toBe(true)
      const night = calendar
        .liveIntervals(exchange, product, day.tradingDay)
        .findLast(({ toMs, kind }) => kind === 'continuous' && toMs < day.opensMs)
      if (night === undefined) continue
      compared++
      // The catalogue counts the hours after midnight on: 25:00:00, 26:30:00.
      const ours = ((night.toMs - 1000 - at('2018-01-01 00:00')) % DAY_MS) / 60_000
      const [hours = 0, minutes = 0] = theirs.split(':').map(Number)
      if (ours !== (hours % 24) * 60 + minutes) disagreements.push(`${name}: ${theirs}`)
    }
    expect(disagreements).toEqual([])
    expect(compared).toBeGreaterThan(6000)
  })
})

describe.skipIf(absent)('against recorded bars', () => {
  test('copper: every minute of six weeks with Spring Festival among them is in a session', () => {
    const [, ...rows] = gunzipSync(readFileSync(`${DATA}/bars/SHFE.CU2202_m1_wtpy_demo.csv.gz`))
      .toString('utf8')
      .trim()
      .split('\n')
    const sessions = new LiveSessions(calendar)
    const copper = sessions.productIndex('SHFE', 'cu')
    // A bar is named by its end.
    const ends = rows.map((row) => at(row.slice(0, 19).replace(',', ' ')))
    expect(ends.filter((ms) => !sessions.isLive(copper, ms - 1))).toEqual([])
    expect(ends.length).toBe(11_610)
  })
})

describe.skipIf(absent)('against recorded ticks', () => {
  test.each(recordings('java-trader-czce'))('%s: all rows are live but the snapshot pushed in the evening', (file) => {
    const verdicts = judge(`${DATA}/ticks/${file}`, { exchange: 'CZCE', product: 'AP' })
    expect(verdicts.rows).toBeGreaterThan(7000)
    expect(verdicts.notLive).toEqual([expect.stringMatching(/^19:2\d:\d\d$/)])
    expect(verdicts.wrongTradingDay).toBe(0)
  })

  test.each(recordings('wondertrader-cffex'))('%s: all rows are live but the settlement rows', (file) => {
    const verdicts = judge(`${DATA}/ticks/${file}`, { exchange: 'CFFEX', product: 'IF' })
    expect(verdicts.rows).toBeGreaterThan(27_000)
    expect(verdicts.notLive.length).toBeGreaterThanOrEqual(1)
    expect(verdicts.notLive.length).toBeLessThanOrEqual(3)
    for (const time of verdicts.notLive) expect(time).toMatch(/^15:(2[7-9]|3\d|4[0-4]):/)
    expect(verdicts.wrongTradingDay).toBe(0)
  })

  test.each(recordings('night'))('%s: all rows are live, also those in the second of a section end', (file) => {
    const verdicts = judge(`${DATA}/ticks/${file}`, { exchange: 'SHFE', product: 'ru' })
    expect(verdicts.rows).toBeGreaterThan(38_000)
    expect(verdicts.notLive).toEqual([])
    expect(verdicts.wrongTradingDay).toBe(0)
  })

  test.each([
    '2018-10-09 10:15:00.500',
    '2018-10-09 11:30:00.500',
    '2018-10-09 15:00:00.500',
    '2018-10-09 23:00:00.500',
  ])('rubber at %s is live', (moment) => {
    const sessions = new LiveSessions(calendar)
    expect(sessions.isLive(sessions.productIndex('SHFE', 'ru'), at(moment))).toBe(true)
  })
})
