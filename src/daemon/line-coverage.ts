/** Coverage of both lines from their subscription books: marks per contract in, `#domain/coverage.ts` counts. */
import {
  CONTRACT_MARK,
  type Coverage,
  type CoverageInput,
  DEFAULT_COVERAGE_POLICY,
  measureCoverage,
} from '#domain/coverage.ts'
import type { InstrumentTable } from '#domain/instrument-table.ts'
import { Subscription } from '#domain/subscription-book.ts'
import type { LineSessions } from './contract-list.ts'
import type { LineSession } from './line-session.ts'
import type { TickPath } from './tick-path.ts'

export function coverageOfLines(
  sessions: LineSessions,
  { table, path, tradingDay }: { table: InstrumentTable; path: TickPath; tradingDay: number },
  threshold: number,
): Coverage {
  const products: { exchange: string; product: string }[] = []
  table.names.forEach((name, slot) => {
    products[table.productIndex[slot] ?? 0] = name
  })
  const marksOf = (session: LineSession | null) => session && marksOn(session, table, path, tradingDay)
  const input: CoverageInput = {
    slots: table.count,
    marks: { primary: marksOf(sessions.primary), backup: marksOf(sessions.backup) },
    productOf: table.productIndex,
    products: Array.from(products, (product) => product ?? { exchange: '', product: '' }),
  }
  return measureCoverage(input, { ...DEFAULT_COVERAGE_POLICY, threshold })
}

function marksOn(session: LineSession, table: InstrumentTable, path: TickPath, tradingDay: number): Uint8Array {
  const marks = new Uint8Array(table.count)
  for (let slot = 0; slot < marks.length; slot++) {
    const ticked = path.ticked[slot] === 1 ? CONTRACT_MARK.ticked : 0
    const lastDay = table.expiryDay[slot] === tradingDay ? CONTRACT_MARK.lastDay : 0
    marks[slot] = MARKS[session.book.state(slot)] | ticked | lastDay
  }
  return marks
}

const MARKS = {
  [Subscription.unlisted]: 0,
  [Subscription.wanted]: CONTRACT_MARK.expected,
  [Subscription.requested]: CONTRACT_MARK.expected,
  [Subscription.subscribed]: CONTRACT_MARK.expected | CONTRACT_MARK.subscribed,
  [Subscription.refused]: CONTRACT_MARK.expected | CONTRACT_MARK.refused,
} as const satisfies Record<Subscription, number>
