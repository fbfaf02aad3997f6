/**
 * What must come out of a recording, told from its CSV by rules of its own: nothing here shares code with the product, so an error in
 * one of the two shows. Covers the products that are replayed in tests, with their sessions written out.
 */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

export interface CsvRow {
  [column: string]: string
}

/** Rows of a plain or gzip CSV without embedded commas, with their text for telling whole rows apart. */
export function readCsv(path: string): { text: string; row: CsvRow }[] {
  const bytes = readFileSync(path)
  const content = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('latin1')
  const [header = '', ...lines] = content.split(/\r?\n/).filter((line) => line !== '')
  const columns = cells(header)
  return lines.map((text) => {
    const row: CsvRow = {}
    cells(text).forEach((cell, i) => {
      row[columns[i] ?? ''] = cell
    })
    return { text, row }
  })
}

function cells(line: string): string[] {
  return line.split(',').map((cell) => cell.replace(/^"(.*)"$/, '$1'))
}

/** Minutes of the day; the second a section ends in belongs to it as a whole, and so does the auction minute. */
interface Sections {
  exchange: string
  sections: readonly (readonly [from: string, to: string])[]
  auctions: readonly string[]
}

const DAY = [
  ['09:00', '10:15'],
  ['10:30', '11:30'],
  ['13:30', '15:00'],
] as const

const SECTIONS: Readonly<Record<string, Sections>> = {
  AP: { exchange: 'CZCE', sections: DAY, auctions: ['08:59'] },
  IF: {
    exchange: 'CFFEX',
    sections: [
      ['09:30', '11:30'],
      ['13:00', '15:00'],
    ],
    auctions: ['09:29'],
  },
  ru: { exchange: 'SHFE', sections: [...DAY, ['21:00', '23:00']], auctions: ['20:59'] },
  rb: { exchange: 'SHFE', sections: [...DAY, ['21:00', '23:00']], auctions: ['20:59'] },
  i: { exchange: 'DCE', sections: [...DAY, ['21:00', '23:00']], auctions: ['20:59'] },
  SR: { exchange: 'CZCE', sections: [...DAY, ['21:00', '23:00']], auctions: ['20:59'] },
  au: { exchange: 'SHFE', sections: [...DAY, ['21:00', '24:00'], ['00:00', '02:30']], auctions: ['20:59'] },
}

export function sectionsOf(symbol: string): Sections {
  const sections = SECTIONS[symbol.replace(/\d+$/, '')]
  if (sections === undefined) throw new Error(`no sessions are written down for ${symbol}`)
  return sections
}

export function isInSession(symbol: string, time: string): boolean {
  const { sections, auctions } = sectionsOf(symbol)
  const minute = time.slice(0, 5)
  return (
    auctions.includes(minute) || sections.some(([from, to]) => (time >= from && minute < to) || time === `${to}:00`)
  )
}

export interface ExpectedTick {
  symbol: string
  /** Everything that is exported of the tick but who brought it. */
  fields: Record<string, string | number>
}

export interface Expectation {
  rows: number
  /** Distinct rows in sessions, by instrument, in recorded order. */
  inSession: Map<string, ExpectedTick[]>
  /** Distinct rows outside sessions. */
  offSession: number
  /** Rows that are wholly equal to an earlier one. */
  repeated: number
  /** Rows that no exchange sends. */
  invalid: number
}

/**
 * @param dateOf natural date (yyyymmdd) of a row; the recorder's own ActionDay where that is true
 * @param tradingDayOf trading day of a row, its TradingDay where that is true
 */
export function expectationOf(
  paths: readonly string[],
  {
    dateOf = (row: CsvRow) => row['ActionDay'] ?? '',
    tradingDayOf = (row: CsvRow) => row['TradingDay'] ?? '',
  }: { dateOf?: (row: CsvRow) => string; tradingDayOf?: (row: CsvRow) => string } = {},
): Expectation {
  const expectation: Expectation = { rows: 0, inSession: new Map(), offSession: 0, repeated: 0, invalid: 0 }
  const seen = new Set<string>()
  for (const path of paths) {
    for (const { text, row } of readCsv(path)) {
      expectation.rows++
      if (seen.has(text)) {
        expectation.repeated++
        continue
      }
      seen.add(text)
      const symbol = row['InstrumentID'] ?? ''
      const volume = Number(row['Volume'])
      if (!/^([01]\d|2[0-3]):[0-5]\d:[0-5]\d$/.test(row['UpdateTime'] ?? '') || volume < 0 || volume > 1e9) {
        expectation.invalid++
        continue
      }
      if (!isInSession(symbol, row['UpdateTime'] ?? '')) {
        expectation.offSession++
        continue
      }
      const ticks = expectation.inSession.get(symbol) ?? []
      expectation.inSession.set(symbol, ticks)
      ticks.push({ symbol, fields: exportedFields(row, dateOf(row), tradingDayOf(row)) })
    }
  }
  return expectation
}

const PRICES: Readonly<Record<string, string>> = {
  last_price: 'LastPrice',
  turnover: 'Turnover',
  open_interest: 'OpenInterest',
  open_price: 'OpenPrice',
  high_price: 'HighestPrice',
  low_price: 'LowestPrice',
  pre_close: 'PreClosePrice',
  pre_settlement: 'PreSettlementPrice',
  limit_up: 'UpperLimitPrice',
  limit_down: 'LowerLimitPrice',
}

function exportedFields(row: CsvRow, date: string, tradingDay: string): Record<string, string | number> {
  const symbol = row['InstrumentID'] ?? ''
  const { exchange } = sectionsOf(symbol)
  const millisecond = (row['UpdateMillisec'] ?? '0').padStart(3, '0')
  const fields: Record<string, string | number> = {
    symbol,
    exchange,
    vt_symbol: `${symbol}.${exchange}`,
    datetime: `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}T${row['UpdateTime']}.${millisecond}+08:00`,
    trading_day: tradingDay,
    volume: Number(row['Volume']),
  }
  for (const [name, column] of Object.entries(PRICES)) addPrice(fields, name, row[column])
  for (const [side, column] of [
    ['bid', 'Bid'],
    ['ask', 'Ask'],
  ] as const) {
    for (let level = 1; level <= 5; level++) {
      const price = row[`${column}Price${level}`]
      const volume = Number(row[`${column}Volume${level}`] ?? 0)
      addPrice(fields, `${side}_price_${level}`, price)
      if (volume !== 0 || `${side}_price_${level}` in fields) fields[`${side}_volume_${level}`] = volume
    }
  }
  return fields
}

function addPrice(fields: Record<string, string | number>, name: string, text: string | undefined): void {
  const price = text === undefined || text === '' ? Number.NaN : Number(text)
  // The vendor's sentinel for "no price" is the largest double.
  if (Math.abs(price) < 1e300) fields[name] = price
}
