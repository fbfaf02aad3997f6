/** Coverage of a line from its subscription book: marks per contract in, `#domain/coverage.ts` counts. */
import { CONTRACT_MARK, type LineCoverage, measureCoverage } from '#domain/coverage.ts'
import type { InstrumentTable } from '#domain/instrument-table.ts'
import { Subscription } from '#domain/subscription-book.ts'
import type { LineSession } from './line-session.ts'

export function coverageOfLine(
  { book }: LineSession,
  { table, tradingDay, isTicking }: { table: InstrumentTable; tradingDay: number; isTicking(slot: number): boolean },
): LineCoverage {
  const marks = new Uint8Array(table.count)
  const products: { exchange: string; product: string }[] = []
  for (let slot = 0; slot < marks.length; slot++) {
    const ticked = isTicking(slot) ? CONTRACT_MARK.ticked : 0
    const lastDay = table.expiryDay[slot] === tradingDay ? CONTRACT_MARK.lastDay : 0
    marks[slot] = MARKS[book.state(slot)] | ticked | lastDay
    products[table.productIndex[slot] ?? 0] ??= table.name(slot)
  }
  const productOf = table.productIndex
  return measureCoverage({
    marks,
    productOf,
    products: Array.from(products, (name) => ({ exchange: name?.exchange ?? '', product: name?.product ?? '' })),
  })
}

const MARKS = {
  [Subscription.unlisted]: 0,
  [Subscription.wanted]: CONTRACT_MARK.expected,
  [Subscription.requested]: CONTRACT_MARK.expected,
  [Subscription.subscribed]: CONTRACT_MARK.expected | CONTRACT_MARK.subscribed,
  [Subscription.refused]: CONTRACT_MARK.expected | CONTRACT_MARK.refused,
} as const satisfies Record<Subscription, number>
