/**
 * The contract list of a trading day, made of what the trading front lists: which rows can be subscribed, in a stable order, and whether
 * a list that got shorter may be believed.
 */
import { formatVtSymbol, isExchange, isInstrumentId } from './instrument.ts'

/** A row as the vendor gives it; dates are yyyymmdd, '' where there is none. */
interface FrontRow {
  symbol: string
  exchange: string
  product: string
  productClass: string
  expiry: string
  openDate: string
  multiplier: number
  priceTick: number | null
  isTrading: boolean
}

/** As the catalogue file holds it; the names are the file's. */
export interface ListedContract {
  symbol: string
  exchange: string
  product: string
  class: string
  multiplier: number | null
  price_tick: number | null
  open_date: string | null
  expiry: string | null
}

const CLASS_BY_LETTER: Readonly<Record<string, string>> = {
  '1': 'futures',
  '2': 'option',
  '3': 'combination',
  '4': 'spot',
  '5': 'efp',
  '6': 'spot-option',
  '7': 'tas',
}

/** What was not taken over, and how often. */
export interface LeftOut {
  not_trading: number
  other_exchange: number
  malformed: number
  duplicate: number
}

/** By exchange and symbol. A row that the list's reader would refuse must not spoil the others, so it is left out and counted. */
export function contractsOf(rows: readonly FrontRow[]): { contracts: ListedContract[]; leftOut: LeftOut } {
  const leftOut: LeftOut = { not_trading: 0, other_exchange: 0, malformed: 0, duplicate: 0 }
  const listed = new Map<string, ListedContract>()
  for (const row of rows) {
    const name = formatVtSymbol(row.symbol, row.exchange)
    if (!isExchange(row.exchange)) leftOut.other_exchange++
    else if (!isInstrumentId(row.symbol)) leftOut.malformed++
    else if (!row.isTrading) leftOut.not_trading++
    else if (listed.has(name)) leftOut.duplicate++
    else listed.set(name, contractOf(row))
  }
  const contracts = [...listed.values()].sort(
    (a, b) => compareTexts(a.exchange, b.exchange) || compareTexts(a.symbol, b.symbol),
  )
  return { contracts, leftOut }
}

function contractOf(row: FrontRow): ListedContract {
  return {
    symbol: row.symbol,
    exchange: row.exchange,
    product: row.product,
    class: CLASS_BY_LETTER[row.productClass] ?? 'other',
    multiplier: Number.isFinite(row.multiplier) ? row.multiplier : null,
    price_tick: row.priceTick !== null && Number.isFinite(row.priceTick) ? row.priceTick : null,
    open_date: dateOf(row.openDate),
    expiry: dateOf(row.expiry),
  }
}

/** 20270115 -> 2027-01-15 */
function dateOf(text: string): string | null {
  const [, year, month, day] = /^(\d{4})(\d{2})(\d{2})$/.exec(text) ?? []
  return year === undefined ? null : `${year}-${month}-${day}`
}

function compareTexts(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

/** A front that is still loading its own list gives half of it without a word; expiries of one day stay far below this. */
const SHRINK_MAX = 0.05

export function isSuddenShrink(before: number, after: number): boolean {
  return after < before * (1 - SHRINK_MAX)
}

/** What is in `after` and not in `before`, and the other way round; sorted. */
export function listChanges(before: Iterable<string>, after: Iterable<string>): { added: string[]; removed: string[] } {
  const [old, now] = [new Set(before), new Set(after)]
  return {
    added: [...now].filter((name) => !old.has(name)).sort(),
    removed: [...old].filter((name) => !now.has(name)).sort(),
  }
}
