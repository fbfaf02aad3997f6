/**
 * What the simulated exchanges list: futures, options and combinations of six exchanges under ids of the real patterns. Contract months
 * follow the trading day of the market's start, so nothing listed has expired, whatever the year.
 */
import type { Exchange } from '#domain/instrument.ts'

export interface SimInstrument {
  id: string
  exchange: Exchange
  /** As the vendor's ProductID: options are products of their own (`cu_o`, `CFC`, `IO`). */
  product: string
  /** '1' future, '2' option, '3' combination. */
  productClass: '1' | '2' | '3'
  /** yyyymmdd */
  expiry: number
  openDate: number
  underlying: string
  multiplier: number
  /** A price of n ticks is n * tickNumerator / tickDenominator, which keeps it free of float noise. */
  tickNumerator: number
  tickDenominator: number
  basePriceTicks: number
  /** The larger, the busier; only the order counts. */
  activity: number
}

export const SIM_INSTRUMENTS_MAX = 25_000

/** exchange, product, price tick, multiplier, base price, delivery months, liquidity 1-9, option product or '' */
type ProductRow = readonly [Exchange, string, number, number, number, readonly number[], number, string]

const ALL = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
const ODD = [1, 3, 5, 7, 9, 11]
const EVEN = [2, 4, 6, 8, 10, 12]
const THIRDS = [1, 5, 9]
const QUARTERS = [3, 6, 9, 12]

/** Interleaved by exchange, so that even a market of six instruments has all of them. */
const PRODUCTS: readonly ProductRow[] = [
  ['SHFE', 'rb', 1, 10, 3200, ALL, 9, 'rb_o'],
  ['DCE', 'm', 1, 10, 3000, [1, 3, 5, 7, 8, 9, 11, 12], 9, 'm_o'],
  ['CZCE', 'TA', 2, 5, 4800, ALL, 9, 'TA'],
  ['CFFEX', 'IF', 0.2, 300, 3900, QUARTERS, 8, ''],
  ['INE', 'sc', 0.1, 1000, 480, ALL, 8, 'sc_o'],
  ['GFEX', 'lc', 50, 1, 70000, ALL, 8, 'lc_o'],
  ['SHFE', 'ag', 1, 15, 8100, ALL, 8, 'ag_o'],
  ['DCE', 'i', 0.5, 100, 780, ALL, 8, 'i_o'],
  ['CZCE', 'MA', 1, 10, 2300, ALL, 9, 'MA'],
  ['CFFEX', 'IM', 0.2, 200, 6200, QUARTERS, 8, 'MO'],
  ['INE', 'nr', 5, 10, 12500, ALL, 6, 'nr_o'],
  ['GFEX', 'si', 5, 5, 8900, ALL, 8, 'si_o'],
  ['SHFE', 'au', 0.02, 1000, 780, EVEN, 8, 'au_o'],
  ['DCE', 'p', 2, 10, 8600, ALL, 8, 'p_o'],
  ['CZCE', 'SA', 1, 20, 1300, ALL, 8, 'SA'],
  ['CFFEX', 'IC', 0.2, 200, 5800, QUARTERS, 7, ''],
  ['INE', 'lu', 1, 10, 3500, ALL, 6, ''],
  ['GFEX', 'ps', 5, 3, 38000, ALL, 6, 'ps_o'],
  ['SHFE', 'cu', 10, 5, 78000, ALL, 8, 'cu_o'],
  ['DCE', 'y', 2, 10, 8000, [1, 3, 5, 7, 8, 9, 11, 12], 8, 'y_o'],
  ['CZCE', 'FG', 1, 20, 1150, ALL, 8, 'FG'],
  ['CFFEX', 'IH', 0.2, 300, 2700, QUARTERS, 7, 'HO'],
  ['INE', 'bc', 10, 5, 69000, ALL, 4, ''],
  ['SHFE', 'hc', 1, 10, 3300, ALL, 8, ''],
  ['DCE', 'v', 1, 5, 4900, ALL, 8, 'v_o'],
  ['CZCE', 'SR', 1, 10, 5800, ODD, 7, 'SR'],
  ['CFFEX', 'T', 0.005, 10000, 108, QUARTERS, 7, ''],
  ['INE', 'ec', 0.1, 50, 1900, EVEN, 6, ''],
  ['SHFE', 'al', 5, 5, 20500, ALL, 7, 'al_o'],
  ['DCE', 'c', 1, 10, 2300, ODD, 7, 'c_o'],
  ['CZCE', 'CF', 5, 5, 13500, ODD, 7, 'CF'],
  ['CFFEX', 'TL', 0.01, 10000, 118, QUARTERS, 6, ''],
  ['SHFE', 'zn', 5, 5, 22500, ALL, 7, 'zn_o'],
  ['DCE', 'pp', 1, 5, 7100, ALL, 7, 'pp_o'],
  ['CZCE', 'RM', 1, 10, 2500, [1, 3, 5, 7, 8, 9, 11], 7, 'RM'],
  ['CFFEX', 'TF', 0.005, 10000, 105, QUARTERS, 5, ''],
  ['SHFE', 'ni', 10, 1, 121000, ALL, 7, 'ni_o'],
  ['DCE', 'l', 1, 5, 7300, ALL, 7, 'l_o'],
  ['CZCE', 'OI', 1, 10, 9600, ODD, 7, 'OI'],
  ['CFFEX', 'TS', 0.002, 20000, 102, QUARTERS, 5, ''],
  ['SHFE', 'fu', 1, 10, 2900, ALL, 7, ''],
  ['DCE', 'eg', 1, 10, 4400, ALL, 7, 'eg_o'],
  ['CZCE', 'SH', 1, 30, 2500, ALL, 6, 'SH'],
  ['SHFE', 'bu', 1, 10, 3400, ALL, 6, ''],
  ['DCE', 'eb', 1, 5, 7300, ALL, 7, 'eb_o'],
  ['CZCE', 'UR', 1, 20, 1750, ALL, 6, 'UR'],
  ['SHFE', 'ru', 5, 10, 14800, [1, 3, 4, 5, 6, 7, 8, 9, 10, 11], 7, 'ru_o'],
  ['DCE', 'jm', 0.5, 60, 1150, ALL, 7, ''],
  ['CZCE', 'PX', 2, 5, 6700, ALL, 5, 'PX'],
  ['SHFE', 'sp', 2, 10, 5200, ALL, 6, ''],
  ['DCE', 'j', 0.5, 100, 1650, ALL, 5, ''],
  ['CZCE', 'AP', 1, 10, 7600, [1, 3, 4, 5, 10, 11, 12], 6, 'AP'],
  ['SHFE', 'ss', 5, 5, 13000, ALL, 6, ''],
  ['DCE', 'a', 1, 10, 4100, ODD, 6, 'a_o'],
  ['CZCE', 'PF', 2, 5, 6400, ALL, 5, 'PF'],
  ['SHFE', 'sn', 10, 1, 265000, ALL, 6, 'sn_o'],
  ['DCE', 'pg', 1, 20, 4300, ALL, 6, 'pg_o'],
  ['CZCE', 'SM', 2, 5, 5900, ALL, 5, 'SM'],
  ['SHFE', 'pb', 5, 5, 16800, ALL, 5, 'pb_o'],
  ['DCE', 'b', 1, 10, 3600, ALL, 5, 'b_o'],
  ['CZCE', 'SF', 2, 5, 5700, ALL, 5, 'SF'],
  ['SHFE', 'ao', 1, 20, 3200, ALL, 7, 'ao_o'],
  ['DCE', 'cs', 1, 10, 2650, ODD, 5, 'cs_o'],
  ['CZCE', 'PK', 2, 5, 8200, [1, 3, 4, 10, 11, 12], 4, 'PK'],
  ['SHFE', 'br', 5, 5, 12000, ALL, 5, 'br_o'],
  ['DCE', 'jd', 1, 10, 3400, ALL, 6, 'jd_o'],
  ['CZCE', 'CJ', 5, 5, 9500, [1, 3, 5, 7, 9, 12], 3, 'CJ'],
  ['DCE', 'lh', 5, 16, 14000, ODD, 6, 'lh_o'],
  ['CZCE', 'CY', 5, 5, 19500, ALL, 2, ''],
  ['DCE', 'rr', 1, 10, 3500, ALL, 2, ''],
  ['SHFE', 'wr', 1, 10, 3500, [1, 5, 10], 1, ''],
  ['DCE', 'fb', 0.5, 10, 1250, THIRDS, 1, ''],
]

/** Shares of a market of n instruments; a share that finds too few contracts leaves its place to options, which never run out. */
const FUTURES_SHARE = 0.6
const COMBINATIONS_SHARE = 0.04

/**
 * The first `count` instruments listed on the trading day (yyyymmdd), the same for every seed.
 * @throws RangeError when `count` is not between 1 and SIM_INSTRUMENTS_MAX
 */
export function listUniverse(count: number, tradingDay: number): SimInstrument[] {
  if (!Number.isInteger(count) || count < 1 || count > SIM_INSTRUMENTS_MAX) {
    throw new RangeError(`instruments must be a whole number from 1 to ${SIM_INSTRUMENTS_MAX}, got ${count}`)
  }
  const listed = futures(tradingDay)
  const futureCount = Math.min(listed.length, count <= 12 ? count : Math.ceil(count * FUTURES_SHARE))
  const pairs = count <= 12 ? [] : combinations(listed, Math.floor(count * COMBINATIONS_SHARE))
  const chains = options(listed, count - futureCount - pairs.length)
  return [...listed.slice(0, futureCount), ...pairs, ...chains]
}

/** Nearest month of every product first, then the second month, and so on. */
function futures(tradingDay: number): SimInstrument[] {
  const ranks: SimInstrument[][] = Array.from({ length: 12 }, () => [])
  for (const [exchange, product, tick, multiplier, base, months, liquidity] of PRODUCTS) {
    const { numerator, denominator } = tickFraction(tick)
    for (const [rank, month] of deliveryMonths(tradingDay, months).entries()) {
      // The main contract is rarely the nearest one.
      const distance = rank === 0 ? 2 : rank === 1 ? 0 : rank
      ranks[rank]?.push({
        id: futureId(exchange, product, month),
        exchange,
        product,
        productClass: '1',
        expiry: month.year * 10_000 + month.month * 100 + 15,
        openDate: (month.year - 1) * 10_000 + month.month * 100 + 16,
        underlying: '',
        multiplier,
        tickNumerator: numerator,
        tickDenominator: denominator,
        basePriceTicks: Math.round((base * (1 + rank * 0.004)) / tick),
        activity: liquidity * 100 - distance * 90,
      })
    }
  }
  return ranks.flat()
}

/** Calendar spreads on DCE and CZCE, the only exchanges that list combinations, and a few between DCE's related products. */
function combinations(listed: readonly SimInstrument[], count: number): SimInstrument[] {
  const byProduct = new Map<string, SimInstrument[]>()
  for (const future of listed) {
    const legs = byProduct.get(future.product)
    if (legs === undefined) byProduct.set(future.product, [future])
    else legs.push(future)
  }
  const related = new Map([
    ['y', 'p'],
    ['m', 'b'],
  ])
  const ranks: SimInstrument[][] = Array.from({ length: 12 }, () => [])
  for (const [product, legs] of byProduct) {
    const other = byProduct.get(related.get(product) ?? '')
    for (const [rank, near] of legs.entries()) {
      if (near.exchange !== 'DCE' && near.exchange !== 'CZCE') break
      const far = legs[rank + 1]
      if (far !== undefined) ranks[rank]?.push(combination(near.exchange === 'DCE' ? 'SP' : 'SPD', near, far))
      const across = other?.[rank]
      if (across !== undefined) ranks[rank]?.push(combination('SPC', near, across))
    }
  }
  return ranks.flat().slice(0, count)
}

function combination(kind: 'SP' | 'SPC' | 'SPD', near: SimInstrument, far: SimInstrument): SimInstrument {
  return {
    ...near,
    id: `${kind} ${near.id}&${far.id}`,
    product: kind,
    productClass: '3',
    underlying: near.id,
    // A spread may well be below zero.
    basePriceTicks: near.basePriceTicks - far.basePriceTicks,
    activity: -1000,
  }
}

const OPTION_MONTHS_PER_PRODUCT = 6

/** At the money first, then outwards, over all products. */
function options(listed: readonly SimInstrument[], count: number): SimInstrument[] {
  const optionProducts = new Map(PRODUCTS.map((row) => [row[1], row[7]]))
  const monthsTaken = new Map<string, number>()
  const underlyings: SimInstrument[] = []
  for (const future of listed) {
    const taken = monthsTaken.get(future.product) ?? 0
    // Options of the nearest month expire before its delivery.
    const isNearest = taken === 0
    monthsTaken.set(future.product, taken + 1)
    if (optionProducts.get(future.product) && !isNearest && taken <= OPTION_MONTHS_PER_PRODUCT) underlyings.push(future)
  }
  const chain: SimInstrument[] = []
  for (let level = 0; chain.length < count; level++) {
    const steps = level % 2 === 0 ? -level / 2 : (level + 1) / 2
    for (const future of underlyings) {
      const product = optionProducts.get(future.product) ?? ''
      for (const side of ['C', 'P'] as const) {
        if (chain.length < count) chain.push(option(future, product, side, steps))
      }
    }
  }
  return chain
}

function option(future: SimInstrument, product: string, side: 'C' | 'P', steps: number): SimInstrument {
  const price = (future.basePriceTicks * future.tickNumerator) / future.tickDenominator
  const step = strikeStep(price)
  const strike = Math.max(step, (Math.round(price / step) + steps) * step)
  const intrinsic = Math.max(0, side === 'C' ? price - strike : strike - price)
  const timeValue = price * 0.025 * 0.8 ** Math.abs(steps)
  const ticks = ((intrinsic + timeValue) * future.tickDenominator) / future.tickNumerator
  const month = future.id.slice(future.product.length)
  return {
    ...future,
    id: optionId(future.exchange, future.exchange === 'CFFEX' ? product : future.product, month, side, strike),
    product: future.exchange === 'CZCE' ? `${product}${side}` : product,
    productClass: '2',
    expiry: future.expiry - 12,
    underlying: future.id,
    basePriceTicks: Math.max(2, Math.round(ticks)),
    activity: future.activity - 500 - Math.abs(steps) * 10,
  }
}

function optionId(exchange: Exchange, prefix: string, month: string, side: 'C' | 'P', strike: number): string {
  const dashed = exchange === 'DCE' || exchange === 'GFEX' || exchange === 'CFFEX'
  return dashed ? `${prefix}${month}-${side}-${strike}` : `${prefix}${month}${side}${strike}`
}

/** About two percent of the price, rounded to 1, 2 or 5 times a power of ten, at least 1. */
function strikeStep(price: number): number {
  const power = 10 ** Math.floor(Math.log10(price * 0.02))
  const lead = (price * 0.02) / power
  return Math.max(1, (lead < 1.5 ? 1 : lead < 3.5 ? 2 : 5) * power)
}

interface Month {
  year: number
  month: number
}

/** The months within a year from now, this one not counted: it may be past its last trading day. */
function deliveryMonths(tradingDay: number, months: readonly number[]): Month[] {
  const firstYear = Math.floor(tradingDay / 10_000)
  const firstMonth = Math.floor(tradingDay / 100) % 100
  const listed: Month[] = []
  for (let ahead = 1; ahead <= 12; ahead++) {
    const monthIndex = firstMonth - 1 + ahead
    const month = (monthIndex % 12) + 1
    if (months.includes(month)) listed.push({ year: firstYear + Math.floor(monthIndex / 12), month })
  }
  return listed
}

/** `rb2701`; CZCE writes one digit of the year: `TA701`. */
function futureId(exchange: Exchange, product: string, { year, month }: Month): string {
  const digits = exchange === 'CZCE' ? String(year % 10) : String(year % 100).padStart(2, '0')
  return `${product}${digits}${String(month).padStart(2, '0')}`
}

function tickFraction(tick: number): { numerator: number; denominator: number } {
  let denominator = 1
  while (Math.abs(tick * denominator - Math.round(tick * denominator)) > 1e-9) denominator *= 10
  return { numerator: Math.round(tick * denominator), denominator }
}
