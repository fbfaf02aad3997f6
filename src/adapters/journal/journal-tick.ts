/** One journalled tick as a plain object with the field names that consumers know: for export, tests and everything off the hot path. */
import { LINES, type Line } from '#domain/line.ts'
import type { JournalBlock } from './journal-block.ts'
import { JOURNAL_AT, JOURNAL_F64, TICK_FLAG } from './journal-format.ts'

type Level = 1 | 2 | 3 | 4 | 5
type LevelField = `${'bid' | 'ask'}_${'price' | 'volume'}_${Level}`

/** vn.py TickData names. What the exchange did not give is absent, never NaN, null or 0. */
export interface JournalTick extends Partial<Record<LevelField, number>> {
  symbol: string
  exchange: string
  vt_symbol: string
  /** The exchange's moment, ISO 8601 with milliseconds and +08:00. */
  datetime: string
  /** When the vendor callback ran. */
  localtime: string
  /** YYYYMMDD */
  trading_day: string
  last_price?: number
  volume: number
  turnover?: number
  open_interest?: number
  open_price?: number
  high_price?: number
  low_price?: number
  pre_close?: number
  pre_settlement?: number
  limit_up?: number
  limit_down?: number
  line: Line
  epoch: number
  seq: number
  host: string
  off_session?: true
}

const PRICES_AFTER_VOLUME = [
  ['turnover', JOURNAL_F64.Turnover],
  ['open_interest', JOURNAL_F64.OpenInterest],
  ['open_price', JOURNAL_F64.OpenPrice],
  ['high_price', JOURNAL_F64.HighestPrice],
  ['low_price', JOURNAL_F64.LowestPrice],
  ['pre_close', JOURNAL_F64.PreClosePrice],
  ['pre_settlement', JOURNAL_F64.PreSettlementPrice],
  ['limit_up', JOURNAL_F64.UpperLimitPrice],
  ['limit_down', JOURNAL_F64.LowerLimitPrice],
] as const

/** Level 1 stands in the base of a record, levels 2 to 5 in the depth tail. Offsets are bytes from the record's start. */
const BOOK_SIDES = [
  {
    side: 'bid',
    price1: JOURNAL_F64.BidPrice1 * 8,
    prices2: JOURNAL_AT.bidPrices2,
    volume1: JOURNAL_AT.bidVolume1,
    volumes2: JOURNAL_AT.bidVolumes2,
  },
  {
    side: 'ask',
    price1: JOURNAL_F64.AskPrice1 * 8,
    prices2: JOURNAL_AT.askPrices2,
    volume1: JOURNAL_AT.askVolume1,
    volumes2: JOURNAL_AT.askVolumes2,
  },
] as const
const LEVELS = [1, 2, 3, 4, 5] as const

type Prices = Partial<Record<(typeof PRICES_AFTER_VOLUME)[number][0] | LevelField, number>>

/** Decodes tick `index` of a block, 0 to `block.count` - 1. An instrument number without a definition is named `#number`. */
export function decodeTick(block: JournalBlock, index: number): JournalTick {
  const at = block.offsets[index] ?? 0
  const { i32, u32, f64 } = block.views
  const word = at >> 2
  const double = at >> 3
  const flags = (u32[word + 1] ?? 0) >>> 16
  const number = u32[word + JOURNAL_AT.instrument / 4] ?? 0
  const name = block.instruments.get(number)
  const receivedMs = f64[double + JOURNAL_AT.receivedWallMs / 8] ?? Number.NaN
  const eventMs = f64[double + JOURNAL_AT.eventMs / 8] ?? Number.NaN

  const prices: Prices = {}
  for (const [field, offset] of PRICES_AFTER_VOLUME) {
    const price = f64[double + offset]
    if (isGiven(price)) prices[field] = price
  }
  addBook(prices, block, at, flags)

  const last = f64[double + JOURNAL_F64.LastPrice]
  return {
    symbol: name?.symbol ?? `#${number}`,
    exchange: name?.exchange ?? '',
    vt_symbol: name?.vtSymbol ?? `#${number}.`,
    datetime: shanghaiIso(Number.isFinite(eventMs) ? eventMs : receivedMs),
    localtime: shanghaiIso(receivedMs),
    trading_day: String(u32[word + JOURNAL_AT.tradingDay / 4] ?? 0).padStart(8, '0'),
    ...(isGiven(last) ? { last_price: last } : {}),
    volume: i32[word + JOURNAL_AT.volume / 4] ?? 0,
    ...prices,
    line: LINES[flags & TICK_FLAG.line ? 1 : 0],
    epoch: u32[word + JOURNAL_AT.epoch / 4] ?? 0,
    seq: f64[double + JOURNAL_AT.sequence / 8] ?? 0,
    host: block.host,
    ...(flags & TICK_FLAG.offSession ? { off_session: true } : {}),
  }
}

function addBook(prices: Prices, block: JournalBlock, at: number, flags: number): void {
  const { i32, f64 } = block.views
  const deepest = flags & TICK_FLAG.depth ? 5 : 1
  for (const { side, price1, prices2 } of BOOK_SIDES) {
    for (const level of LEVELS) {
      if (level > deepest) break
      const price = f64[(at + (level === 1 ? price1 : prices2 + (level - 2) * 8)) >> 3]
      if (isGiven(price)) prices[`${side}_price_${level}`] = price
    }
  }
  for (const { side, volume1, volumes2 } of BOOK_SIDES) {
    for (const level of LEVELS) {
      if (level > deepest) break
      const volume = i32[(at + (level === 1 ? volume1 : volumes2 + (level - 2) * 4)) >> 2] ?? 0
      if (volume !== 0 || prices[`${side}_price_${level}`] !== undefined) prices[`${side}_volume_${level}`] = volume
    }
  }
}

function isGiven(value: number | undefined): value is number {
  return value !== undefined && Number.isFinite(value)
}

const SHANGHAI_OFFSET_MS = 8 * 3_600_000

/** ISO 8601 at +08:00 with milliseconds; empty when the stamp is no date, so that one broken stamp can't end an export. */
function shanghaiIso(ms: number): string {
  const shifted = new Date(ms + SHANGHAI_OFFSET_MS)
  return Number.isNaN(shifted.getTime()) ? '' : `${shifted.toISOString().slice(0, -1)}+08:00`
}
