/**
 * Contracts expected against contracts seen, per line, exchange and product. Each line is measured against its own list: brokers list
 * different universes, and a line is not to blame for what it was never asked to carry. One byte of marks per contract and line, so that
 * 25,000 contracts on two lines are counted in well under a millisecond.
 */
import { LINES, type Line } from './line.ts'

/** Marks of one contract on one line. */
export const CONTRACT_MARK = {
  /** The line's own list has it. */
  expected: 1,
  subscribed: 2,
  /** The front refused it. It stays expected. */
  refused: 4,
  /** A live tick of it came on this line in this trading day. */
  ticked: 8,
  /** Its last trading day: it may leave the front at any time, so it is expected only for as long as it is subscribed. */
  lastDay: 16,
} as const

export interface CoveragePolicy {
  /** Share of a line's own list that must be subscribed for the line to serve. */
  threshold: number
  /** Lists of contracts are cut here; their totals are not. */
  listedMax: number
}

export const DEFAULT_COVERAGE_POLICY: CoveragePolicy = { threshold: 0.995, listedMax: 200 }

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

/** The first contract slots of a list, and how many there are in all. */
export interface SlotList {
  slots: number[]
  total: number
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
  /** Expected, not subscribed, not refused: still to be asked for. */
  missing: SlotList
  refusedSlots: SlotList
  /** Subscribed without being on the list. */
  unexpected: SlotList
  /** On this line's list only: losing the line loses them. */
  onlyHere: SlotList
}

export interface CoverageInput {
  /** Number of contract slots in use; the arrays may be longer. */
  slots: number
  /** Marks per slot (CONTRACT_MARK); null for a line that is not configured. */
  marks: Record<Line, Uint8Array | null>
  /** Slot -> index into `products`. */
  productOf: Uint16Array
  products: readonly { exchange: string; product: string }[]
}

export type Coverage = Record<Line, LineCoverage | null>

export function measureCoverage(input: CoverageInput, policy: CoveragePolicy): Coverage {
  const [primary, backup] = LINES.map((line) => input.marks[line])
  return {
    primary: primary ? lineCoverage(input, primary, backup ?? null, policy) : null,
    backup: backup ? lineCoverage(input, backup, primary ?? null, policy) : null,
  }
}

/** Whether a line carries enough of its own list to serve. Nothing expected is no evidence, hence false. */
export function coverageSuffices(count: Pick<CoverageCount, 'subscribedRatio'>, policy: CoveragePolicy): boolean {
  return count.subscribedRatio !== null && count.subscribedRatio >= policy.threshold
}

function lineCoverage(
  input: CoverageInput,
  marks: Uint8Array,
  otherMarks: Uint8Array | null,
  policy: CoveragePolicy,
): LineCoverage {
  const tallies = input.products.map(() => new Tally())
  const missing = new BoundedSlots(policy.listedMax)
  const refused = new BoundedSlots(policy.listedMax)
  const unexpected = new BoundedSlots(policy.listedMax)
  const onlyHere = new BoundedSlots(policy.listedMax)

  for (let slot = 0; slot < input.slots; slot++) {
    const mark = marks[slot] ?? 0
    const subscribed = (mark & CONTRACT_MARK.subscribed) !== 0
    if ((mark & CONTRACT_MARK.expected) === 0) {
      if (subscribed) unexpected.add(slot)
      continue
    }
    if (!subscribed && (mark & CONTRACT_MARK.lastDay) !== 0) continue
    tallies[input.productOf[slot] ?? 0]?.add(mark)
    if (!subscribed) ((mark & CONTRACT_MARK.refused) !== 0 ? refused : missing).add(slot)
    if (otherMarks !== null && ((otherMarks[slot] ?? 0) & CONTRACT_MARK.expected) === 0) onlyHere.add(slot)
  }

  const counted = input.products
    .map(({ exchange, product }, index) => ({ exchange, product, tally: tallies[index] ?? new Tally() }))
    .filter(({ tally }) => tally.expected > 0)
  return {
    ...Tally.sum(counted.map(({ tally }) => tally)).count(),
    exchanges: byExchange(counted),
    products: counted.map(({ exchange, product, tally }) => ({ exchange, product, ...tally.count() })),
    missing: missing.list(),
    refusedSlots: refused.list(),
    unexpected: unexpected.list(),
    onlyHere: onlyHere.list(),
  }
}

function byExchange(counted: readonly { exchange: string; tally: Tally }[]): ExchangeCoverageCount[] {
  const exchanges = [...new Set(counted.map(({ exchange }) => exchange))].sort()
  return exchanges.map((exchange) => {
    const tallies = counted.filter((each) => each.exchange === exchange).map(({ tally }) => tally)
    return { exchange, ...Tally.sum(tallies).count() }
  })
}

class Tally {
  expected = 0
  subscribed = 0
  refused = 0
  ticked = 0

  add(mark: number): void {
    this.expected++
    if ((mark & CONTRACT_MARK.subscribed) !== 0) this.subscribed++
    else if ((mark & CONTRACT_MARK.refused) !== 0) this.refused++
    if ((mark & CONTRACT_MARK.ticked) !== 0) this.ticked++
  }

  count(): CoverageCount {
    const { expected, subscribed, refused, ticked } = this
    return {
      expected,
      subscribed,
      refused,
      ticked,
      subscribedRatio: expected === 0 ? null : subscribed / expected,
      tickedRatio: expected === 0 ? null : ticked / expected,
    }
  }

  static sum(tallies: readonly Tally[]): Tally {
    const sum = new Tally()
    for (const tally of tallies) {
      sum.expected += tally.expected
      sum.subscribed += tally.subscribed
      sum.refused += tally.refused
      sum.ticked += tally.ticked
    }
    return sum
  }
}

class BoundedSlots {
  readonly #slots: number[] = []
  readonly #max: number
  #total = 0

  constructor(max: number) {
    this.#max = max
  }

  add(slot: number): void {
    this.#total++
    if (this.#slots.length < this.#max) this.#slots.push(slot)
  }

  list(): SlotList {
    return { slots: this.#slots, total: this.#total }
  }
}
