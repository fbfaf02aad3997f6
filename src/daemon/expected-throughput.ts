/**
 * How many ticks a second the market should bring now: the sum over contracts in an open session of what each usually brings. What a
 * contract usually brings is learnt from its ticks, so a silent market does not talk its own expectation down.
 */
import type { InstrumentTable } from '#domain/instrument-table.ts'
import type { MarketCalendar } from '#domain/session-calendar.ts'
import type { TickPath } from './tick-path.ts'

/** Ticks of one contract in the same millisecond must not make it look infinitely busy. */
const GAP_MIN_MS = 1

/** Ticks per second; 0 while nothing is open and until contracts have ticked twice. */
export function expectedThroughput(
  {
    table,
    path,
    calendar,
  }: { table: InstrumentTable; path: Pick<TickPath, 'expectedGapMs' | 'listedOn'>; calendar: MarketCalendar },
  marketMs: number,
): number {
  const open = new Map<number, boolean>()
  let perSecond = 0
  for (let slot = 0; slot < table.count; slot++) {
    const gapMs = path.expectedGapMs[slot] ?? Number.NaN
    if (Number.isNaN(gapMs) || path.listedOn[slot] === 0) continue
    const product = table.productIndex[slot] ?? 0
    let isOpen = open.get(product)
    if (isOpen === undefined) {
      const name = table.name(slot)
      isOpen = calendar.productState(name.exchange, name.product, marketMs) === 'open'
      open.set(product, isOpen)
    }
    if (isOpen) perSecond += 1_000 / Math.max(gapMs, GAP_MIN_MS)
  }
  return perSecond
}
