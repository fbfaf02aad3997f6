/**
 * Contracts expected against contracts seen on one line, per exchange and product. Each line is measured against its own list: brokers list
 * different universes, and a line is not to blame for what it was never asked to carry. One byte of marks per contract, counted by product
 * and byte before anything is asked of it, so that 25,000 contracts take a fraction of a millisecond.
 */

/** Marks of one contract on one line. */
export const CONTRACT_MARK = {
  /** The line's own list has it. */
  expected: 1,
  subscribed: 2,
  /** The front refused it. It stays expected. */
  refused: 4,
  /** It ticks, as `#domain/health.ts` has it. */
  ticked: 8,
  /** Its last trading day: it may leave the front at any time, so it is expected only for as long as it is subscribed. */
  lastDay: 16,
} as const
const MARK_BITS = 5

/** The list of refused contracts is cut here; their number is not. */
export const REFUSED_LISTED_MAX = 200

export interface CoverageCount {
  expected: number
  /** Expected and subscribed. */
  subscribed: number
  /** Expected, refused and not subscribed. */
  refused: number
  /** Expected and ticked. */
  ticked: number
  /** Null when nothing is expected: no evidence is not full coverage. */
  subscribedRatio: number | null
  tickedRatio: number | null
}

export interface ProductCoverage extends CoverageCount {
  exchange: string
  product: string
}

export interface ExchangeCoverageCount extends CoverageCount {
  exchange: string
}

export interface LineCoverage extends CoverageCount {
  exchanges: ExchangeCoverageCount[]
  products: ProductCoverage[]
  /** The first REFUSED_LISTED_MAX of them. */
  refusedSlots: number[]
}

export interface CoverageInput {
  /** Per contract slot in use: CONTRACT_MARK. */
  marks: Uint8Array
  /** Slot -> index into `products`; may be longer than `marks`. */
  productOf: Uint16Array
  products: readonly { exchange: string; product: string }[]
}

export function measureCoverage({ marks, productOf, products }: CoverageInput): LineCoverage {
  const counts = new Uint32Array(products.length << MARK_BITS)
  const refusedSlots: number[] = []
  for (let slot = 0; slot < marks.length; slot++) {
    const mark = marks[slot] ?? 0
    const cell = ((productOf[slot] ?? 0) << MARK_BITS) | mark
    counts[cell] = (counts[cell] ?? 0) + 1
    if ((mark & CONTRACT_MARK.refused) === 0 || refusedSlots.length >= REFUSED_LISTED_MAX) continue
    if (isExpected(mark) && (mark & CONTRACT_MARK.subscribed) === 0) refusedSlots.push(slot)
  }
  const counted = products
    .map((product, index) => ({ ...product, tally: tallyOf(counts, index << MARK_BITS) }))
    .filter(({ tally }) => tally.expected > 0)
  return {
    ...countOf(counted),
    exchanges: [...new Set(counted.map(({ exchange }) => exchange))]
      .sort()
      .map((exchange) => ({ exchange, ...countOf(counted.filter((each) => each.exchange === exchange)) })),
    products: counted.map(({ exchange, product, tally }) => ({ exchange, product, ...countOf([{ tally }]) })),
    refusedSlots,
  }
}

function isExpected(mark: number): boolean {
  const isOwed = (mark & CONTRACT_MARK.lastDay) === 0 || (mark & CONTRACT_MARK.subscribed) !== 0
  return isOwed && (mark & CONTRACT_MARK.expected) !== 0
}

interface Tally {
  expected: number
  subscribed: number
  refused: number
  ticked: number
}

function tallyOf(counts: Uint32Array, from: number): Tally {
  const tally = { expected: 0, subscribed: 0, refused: 0, ticked: 0 }
  for (let mark = 0; mark < 1 << MARK_BITS; mark++) {
    const count = counts[from + mark] ?? 0
    if (count === 0 || !isExpected(mark)) continue
    tally.expected += count
    if ((mark & CONTRACT_MARK.subscribed) !== 0) tally.subscribed += count
    else if ((mark & CONTRACT_MARK.refused) !== 0) tally.refused += count
    if ((mark & CONTRACT_MARK.ticked) !== 0) tally.ticked += count
  }
  return tally
}

function countOf(counted: readonly { tally: Tally }[]): CoverageCount {
  const sum = { expected: 0, subscribed: 0, refused: 0, ticked: 0 }
  for (const { tally } of counted) {
    sum.expected += tally.expected
    sum.subscribed += tally.subscribed
    sum.refused += tally.refused
    sum.ticked += tally.ticked
  }
  const ratio = (part: number) => (sum.expected === 0 ? null : part / sum.expected)
  return { ...sum, subscribedRatio: ratio(sum.subscribed), tickedRatio: ratio(sum.ticked) }
}
