/**
 * One market-data snapshot as it travels: a fixed record of 312 bytes, every number aligned, little-endian. The bridges write it, the
 * arbiter and the journal read it through typed arrays over the same bytes, and no object is made per tick.
 *
 * Names follow CThostFtdcDepthMarketDataField. A price that the exchange did not give is NaN (the vendor's DBL_MAX is turned into NaN
 * by the bridge's writer); times are kept as the raw vendor text, because judging them is the supervisor's work, not the bridge's.
 */
export const TICK_BYTES = 312

/** Byte offsets within the record of everything that is not a double. */
export const TICK_AT = {
  /** u32: the bridge's own number for the instrument, explained by an INSTRUMENT frame. */
  instrument: 12,
  /** f64: wall clock at the vendor callback, ms since the epoch (recording time in a replay). */
  receivedWallMs: 16,
  /** f64: CLOCK_MONOTONIC at the vendor callback, ms. */
  receivedMonotonicMs: 24,
  /** 8 bytes of text, `YYYYMMDD`, NUL padded. */
  tradingDay: 32,
  /** 8 bytes of text, `YYYYMMDD`, NUL padded. */
  actionDay: 40,
  /** 8 bytes of text, `HH:MM:SS`. */
  updateTime: 48,
  /** i32 */
  updateMillisec: 56,
  /** i32: cumulative volume of the trading day. */
  volume: 60,
  /** First double, see TICK_DOUBLES. */
  doubles: 64,
  /** Ten i32: bid volumes 1-5, then ask volumes 1-5. */
  bidVolumes: 272,
  askVolumes: 292,
} as const

/** The doubles in order, from byte 64. */
export const TICK_DOUBLES = [
  'LastPrice',
  'PreSettlementPrice',
  'PreClosePrice',
  'PreOpenInterest',
  'OpenPrice',
  'HighestPrice',
  'LowestPrice',
  'Turnover',
  'OpenInterest',
  'ClosePrice',
  'SettlementPrice',
  'UpperLimitPrice',
  'LowerLimitPrice',
  'BidPrice1',
  'BidPrice2',
  'BidPrice3',
  'BidPrice4',
  'BidPrice5',
  'AskPrice1',
  'AskPrice2',
  'AskPrice3',
  'AskPrice4',
  'AskPrice5',
  'AveragePrice',
  'BandingUpperPrice',
  'BandingLowerPrice',
] as const
export type TickDouble = (typeof TICK_DOUBLES)[number]

/** Index of each double in a Float64Array laid over the record (record start divided by 8, plus this). */
export const TICK_F64 = Object.fromEntries(TICK_DOUBLES.map((name, i) => [name, TICK_AT.doubles / 8 + i])) as {
  readonly [Name in TickDouble]: number
}

/** Several typed views over one buffer of records; `at` arguments are byte offsets of a record's start, a multiple of 8. */
export interface TickViews {
  readonly u8: Uint8Array
  readonly i32: Int32Array
  readonly f64: Float64Array
}

export function tickViews(buffer: ArrayBuffer): TickViews {
  return { u8: new Uint8Array(buffer), i32: new Int32Array(buffer), f64: new Float64Array(buffer) }
}

/** Seconds since midnight of the record's `HH:MM:SS`, or -1 when the text is not a time of day. */
export function updateSecondOfDay(u8: Uint8Array, at: number): number {
  const start = at + TICK_AT.updateTime
  const hour = twoDigits(u8, start)
  const minute = twoDigits(u8, start + 3)
  const second = twoDigits(u8, start + 6)
  const wellFormed = u8[start + 2] === COLON && u8[start + 5] === COLON
  if (!wellFormed || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return -1
  return hour * 3600 + minute * 60 + second
}

const COLON = 0x3a

function twoDigits(u8: Uint8Array, at: number): number {
  const tens = (u8[at] ?? 0) - 48
  const ones = (u8[at + 1] ?? 0) - 48
  return tens < 0 || tens > 9 || ones < 0 || ones > 9 ? -1 : tens * 10 + ones
}

/** China has had one time zone and no daylight saving since 1991, so market dates are plain arithmetic on UTC+8. */
const SHANGHAI_OFFSET_MS = 8 * 3_600_000
const DAY_MS = 86_400_000

/**
 * The exchange's moment of a tick, ms since the epoch. Vendor dates are wrong in the night session in three different ways (DCE's
 * ActionDay, CZCE's TradingDay; see the vendor notes in docs), so only the time of day is believed and the date is the one that
 * brings the moment closest to the time of receipt.
 */
export function eventTimeMs(secondOfDay: number, millisecond: number, receivedWallMs: number): number {
  const midnight = Math.floor((receivedWallMs + SHANGHAI_OFFSET_MS) / DAY_MS) * DAY_MS - SHANGHAI_OFFSET_MS
  const event = midnight + secondOfDay * 1000 + millisecond
  if (event - receivedWallMs > DAY_MS / 2) return event - DAY_MS
  if (receivedWallMs - event > DAY_MS / 2) return event + DAY_MS
  return event
}
