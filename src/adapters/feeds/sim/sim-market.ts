/**
 * What a simulated tick says: a function of seed, trading day, instrument and the ordinal of its tick, so that both lines and every
 * restarted bridge write the same bytes. Volume only grows, every fourth tick is a mere change of the book, prices wander within the
 * day's range so far, and the dates lie in the three ways in which the exchanges' own dates do.
 */
import type { Exchange } from '#domain/instrument.ts'
import { TICK_AT, TICK_F64, type TickViews } from '#domain/tick.ts'
import { dayNumberOf, midnightOf, toYyyymmdd } from '#domain/trading-day.ts'
import { lot, mix } from '../noise.ts'
import type { SimInstrument } from './sim-universe.ts'
import type { TickSchedule } from './tick-schedule.ts'

export interface SimMarketOptions {
  seed: number
  instruments: readonly SimInstrument[]
  schedule: TickSchedule
  ticksPerSecond: number
}

/** How an exchange stamps its ticks. */
const Stamps = { halfSeconds: 0, milliseconds: 1, wholeSeconds: 2 } as const
const STAMPS_OF: Readonly<Record<Exchange, number>> = {
  SHFE: Stamps.halfSeconds,
  INE: Stamps.halfSeconds,
  CFFEX: Stamps.halfSeconds,
  GFEX: Stamps.milliseconds,
  DCE: Stamps.milliseconds,
  CZCE: Stamps.wholeSeconds,
}

const WAVE = Float64Array.from({ length: 1024 }, (_, i) => Math.sin((i * Math.PI) / 512))
const DEPTH = 5
/** A whole day of the busiest instrument stays well below what a supervisor must call absurd. */
const DAY_VOLUME_MAX = 500_000_000

export class SimMarket {
  readonly #seed: number
  readonly #instruments: readonly SimInstrument[]
  readonly #stamps: Uint8Array
  readonly #isCzce: Uint8Array
  readonly #levels: Uint8Array
  readonly #isCombination: Uint8Array
  /** An option's price in ticks never falls below one; others may even be negative. */
  readonly #floor: Float64Array
  readonly #numerator: Float64Array
  readonly #denominator: Float64Array
  readonly #multiplier: Float64Array
  readonly #lots: Int32Array
  readonly #salt: Int32Array
  /** Set anew for each trading day, in ticks of the price. */
  readonly #open: Float64Array
  readonly #settlement: Float64Array
  readonly #close: Float64Array
  readonly #limit: Float64Array
  readonly #range: Float64Array
  readonly #openInterest: Float64Array

  readonly #tradingDayText = new Int32Array(2)
  readonly #naturalDayText = new Int32Array(2)
  readonly #timeText = new Int32Array(2)
  #second = Number.NaN
  #naturalDay = Number.NaN

  constructor({ seed, instruments, schedule, ticksPerSecond }: SimMarketOptions) {
    const count = instruments.length
    this.#seed = seed
    this.#instruments = instruments
    this.#stamps = Uint8Array.from(instruments, ({ exchange }) => STAMPS_OF[exchange])
    this.#isCzce = Uint8Array.from(instruments, ({ exchange }) => (exchange === 'CZCE' ? 1 : 0))
    this.#levels = Uint8Array.from(instruments, ({ exchange }) =>
      exchange === 'SHFE' || exchange === 'INE' ? DEPTH : 1,
    )
    this.#isCombination = Uint8Array.from(instruments, ({ productClass }) => (productClass === '3' ? 1 : 0))
    this.#floor = Float64Array.from(instruments, ({ productClass }) =>
      productClass === '2' ? 1 : Number.NEGATIVE_INFINITY,
    )
    this.#numerator = Float64Array.from(instruments, ({ tickNumerator }) => tickNumerator)
    this.#denominator = Float64Array.from(instruments, ({ tickDenominator }) => tickDenominator)
    this.#multiplier = Float64Array.from(instruments, ({ multiplier }) => multiplier)
    this.#salt = Int32Array.from(instruments, (_, i) => mix(seed, i))
    this.#lots = Int32Array.from(instruments, (_, i) => {
      const ticksPerDay = ((schedule.weight[i] ?? 1) / schedule.length) * ticksPerSecond * 86_400
      return Math.max(1, Math.min(2 + ((this.#salt[i] ?? 0) & 7), Math.floor(DAY_VOLUME_MAX / ticksPerDay)))
    })
    this.#open = new Float64Array(count)
    this.#settlement = new Float64Array(count)
    this.#close = new Float64Array(count)
    this.#limit = new Float64Array(count)
    this.#range = new Float64Array(count)
    this.#openInterest = new Float64Array(count)
  }

  /** @param tradingDay yyyymmdd of the ticks written from now on */
  openDay(tradingDay: number): void {
    const day = mix(this.#seed, tradingDay)
    for (const [i, { basePriceTicks, productClass }] of this.#instruments.entries()) {
      const salt = mix(this.#salt[i] ?? 0, day)
      const spread = Math.max(4, Math.abs(basePriceTicks) * 0.02)
      const isOption = productClass === '2'
      const floor = (this.#floor[i] ?? 0) + 1
      const settlement = Math.max(floor, basePriceTicks + Math.round((lot(salt, 1) - 0.5) * spread))
      this.#settlement[i] = settlement
      this.#close[i] = Math.max(floor, settlement + Math.round((lot(salt, 2) - 0.5) * spread * 0.2))
      const open = Math.max(floor, settlement + Math.round((lot(salt, 3) - 0.5) * spread * 0.3))
      this.#open[i] = open
      this.#limit[i] = isOption ? settlement * 2 + 500 : Math.max(40, Math.round(Math.abs(settlement) * 0.08))
      // An option may become worthless, but not less.
      this.#range[i] = isOption ? Math.min(open - 2, 500) : Math.max(8, Math.round(Math.abs(settlement) * 0.03))
      this.#openInterest[i] = 2000 + Math.floor(lot(salt, 4) ** 3 * 1_500_000)
    }
    writeDate(this.#tradingDayText, tradingDay)
    this.#second = Number.NaN
    this.#naturalDay = Number.NaN
  }

  /**
   * Writes the vendor's part of the record: everything but header and receive stamps.
   * @param ordinal number of the instrument's tick in the trading day; -1 is the state before the first
   * @param momentMs market time of the tick
   */
  write(views: TickViews, at: number, instrument: number, ordinal: number, momentMs: number): void {
    this.#writeStamps(views, at, instrument, momentMs)
    const { f64, i32 } = views
    const start = at >> 3
    const numerator = this.#numerator[instrument] ?? 1
    const denominator = this.#denominator[instrument] ?? 1
    const settlement = this.#settlement[instrument] ?? 0
    const limit = this.#limit[instrument] ?? 0
    const floor = this.#floor[instrument] ?? 0
    f64[start + TICK_F64.PreSettlementPrice] = (settlement * numerator) / denominator
    f64[start + TICK_F64.PreClosePrice] = ((this.#close[instrument] ?? 0) * numerator) / denominator
    f64[start + TICK_F64.PreOpenInterest] = this.#openInterest[instrument] ?? 0
    f64[start + TICK_F64.ClosePrice] = Number.NaN
    f64[start + TICK_F64.SettlementPrice] = Number.NaN
    f64[start + TICK_F64.UpperLimitPrice] = ((settlement + limit) * numerator) / denominator
    f64[start + TICK_F64.LowerLimitPrice] = (Math.max(floor, settlement - limit) * numerator) / denominator
    f64[start + TICK_F64.BandingUpperPrice] = Number.NaN
    f64[start + TICK_F64.BandingLowerPrice] = Number.NaN
    if (ordinal < 0) {
      writeUntraded(views, at, this.#openInterest[instrument] ?? 0)
      return
    }

    const salt = this.#salt[instrument] ?? 0
    const noise = mix(ordinal, salt)
    // The day's range widens while the day goes on, so high and low can be told without looking back.
    const range = Math.min(this.#range[instrument] ?? 0, 3 + 3 * (31 - Math.clz32(ordinal + 1)))
    const wander =
      0.55 * (WAVE[(ordinal + salt) & 1023] ?? 0) +
      0.3 * (WAVE[(Math.imul(ordinal, 7) + (salt >> 10)) & 1023] ?? 0) +
      0.15 * (WAVE[(Math.imul(ordinal, 61) + (salt >> 20)) & 1023] ?? 0)
    const open = this.#open[instrument] ?? 0
    const last = open + Math.round(range * wander)
    const bid = last - (noise & 1)

    if (this.#isCombination[instrument] === 1) {
      f64[start + TICK_F64.LastPrice] = Number.NaN
      f64[start + TICK_F64.OpenPrice] = Number.NaN
      f64[start + TICK_F64.HighestPrice] = Number.NaN
      f64[start + TICK_F64.LowestPrice] = Number.NaN
      f64[start + TICK_F64.AveragePrice] = Number.NaN
      f64[start + TICK_F64.Turnover] = 0
      f64[start + TICK_F64.OpenInterest] = 0
      i32[(at + TICK_AT.volume) >> 2] = 0
    } else {
      f64[start + TICK_F64.LastPrice] = (last * numerator) / denominator
      f64[start + TICK_F64.OpenPrice] = (open * numerator) / denominator
      f64[start + TICK_F64.HighestPrice] = ((open + range) * numerator) / denominator
      f64[start + TICK_F64.LowestPrice] = ((open - range) * numerator) / denominator
      this.#writeTraded(views, at, instrument, ordinal, open)
    }
    this.#writeBook(views, at, instrument, bid, ordinal, noise)
  }

  #writeTraded({ f64, i32 }: TickViews, at: number, instrument: number, ordinal: number, open: number): void {
    const trades = ordinal - (ordinal >> 2)
    const lots = this.#lots[instrument] ?? 1
    const uneven = ((mix(trades, this.#salt[instrument] ?? 0) >>> 0) % lots) + 1
    const volume = trades * lots + uneven
    const average = (open * (this.#numerator[instrument] ?? 1)) / (this.#denominator[instrument] ?? 1)
    const multiplier = this.#multiplier[instrument] ?? 1
    const start = at >> 3
    i32[(at + TICK_AT.volume) >> 2] = volume
    f64[start + TICK_F64.Turnover] = volume * average * multiplier
    // Only CZCE sends a true average, everybody else's is turnover by volume.
    f64[start + TICK_F64.AveragePrice] = this.#isCzce[instrument] === 1 ? average : average * multiplier
    f64[start + TICK_F64.OpenInterest] =
      (this.#openInterest[instrument] ?? 0) + Math.round(500 * (WAVE[(trades >> 3) & 1023] ?? 0))
  }

  #writeBook(
    { f64, i32 }: TickViews,
    at: number,
    instrument: number,
    bid: number,
    ordinal: number,
    noise: number,
  ): void {
    const numerator = this.#numerator[instrument] ?? 1
    const denominator = this.#denominator[instrument] ?? 1
    const levels = this.#levels[instrument] ?? 1
    const floor = this.#floor[instrument] ?? 0
    const bids = (at >> 3) + TICK_F64.BidPrice1
    const asks = (at >> 3) + TICK_F64.AskPrice1
    const bidVolumes = (at + TICK_AT.bidVolumes) >> 2
    const askVolumes = (at + TICK_AT.askVolumes) >> 2
    for (let level = 0; level < DEPTH; level++) {
      const isGiven = level < levels
      const hasBid = isGiven && bid - level >= floor
      f64[bids + level] = hasBid ? ((bid - level) * numerator) / denominator : Number.NaN
      f64[asks + level] = isGiven ? ((bid + 1 + level) * numerator) / denominator : Number.NaN
      i32[bidVolumes + level] = hasBid ? ((noise >>> level) & 255) + 1 : 0
      i32[askVolumes + level] = isGiven ? ((noise >>> (level + 12)) & 255) + 1 : 0
    }
    // No two of 256 neighbours are alike, so that twins within one second and volume stay two ticks.
    i32[bidVolumes] = (Math.imul(ordinal, 73) & 255) + 1
  }

  #writeStamps({ i32 }: TickViews, at: number, instrument: number, momentMs: number): void {
    const ms = Math.floor(momentMs)
    const second = Math.floor(ms / 1000)
    if (second !== this.#second) this.#turnSecond(second)
    const stamps = this.#stamps[instrument] ?? 0
    const word = at >> 2
    const tradingDay = stamps === Stamps.wholeSeconds ? this.#naturalDayText : this.#tradingDayText
    // DCE dates its night sessions with the trading day, CZCE the trading day with the night's date.
    const actionDay = stamps === Stamps.milliseconds ? this.#tradingDayText : this.#naturalDayText
    i32[word + (TICK_AT.tradingDay >> 2)] = tradingDay[0] ?? 0
    i32[word + (TICK_AT.tradingDay >> 2) + 1] = tradingDay[1] ?? 0
    i32[word + (TICK_AT.actionDay >> 2)] = actionDay[0] ?? 0
    i32[word + (TICK_AT.actionDay >> 2) + 1] = actionDay[1] ?? 0
    i32[word + (TICK_AT.updateTime >> 2)] = this.#timeText[0] ?? 0
    i32[word + (TICK_AT.updateTime >> 2) + 1] = this.#timeText[1] ?? 0
    const millisecond = ms - second * 1000
    i32[word + (TICK_AT.updateMillisec >> 2)] =
      stamps === Stamps.milliseconds ? millisecond : stamps === Stamps.halfSeconds && millisecond >= 500 ? 500 : 0
  }

  #turnSecond(second: number): void {
    this.#second = second
    const day = dayNumberOf(second * 1000)
    if (day !== this.#naturalDay) {
      this.#naturalDay = day
      writeDate(this.#naturalDayText, toYyyymmdd(day))
    }
    const ofDay = second - midnightOf(day) / 1000
    const clock = [Math.floor(ofDay / 3600), Math.floor(ofDay / 60) % 60, ofDay % 60]
    writeText(this.#timeText, clock.map((part) => String(part).padStart(2, '0')).join(':'))
  }
}

function writeUntraded({ f64, i32 }: TickViews, at: number, openInterest: number): void {
  const start = at >> 3
  for (let i = TICK_F64.BidPrice1; i <= TICK_F64.AveragePrice; i++) f64[start + i] = Number.NaN
  f64[start + TICK_F64.LastPrice] = Number.NaN
  f64[start + TICK_F64.OpenPrice] = Number.NaN
  f64[start + TICK_F64.HighestPrice] = Number.NaN
  f64[start + TICK_F64.LowestPrice] = Number.NaN
  f64[start + TICK_F64.Turnover] = 0
  f64[start + TICK_F64.OpenInterest] = openInterest
  i32[(at + TICK_AT.volume) >> 2] = 0
  i32.fill(0, (at + TICK_AT.bidVolumes) >> 2, ((at + TICK_AT.askVolumes) >> 2) + DEPTH)
}

function writeDate(words: Int32Array, yyyymmdd: number): void {
  writeText(words, String(yyyymmdd).padStart(8, '0'))
}

function writeText(words: Int32Array, text: string): void {
  const bytes = new Uint8Array(words.buffer)
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i)
}
