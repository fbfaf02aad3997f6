/** What is known of each contract when health is judged: when it is listed, and what each line has of it. */
import type { Line } from './line.ts'
import type { ListingPeriod } from './listing-period.ts'
import type { SessionState } from './session-calendar.ts'

export interface CatalogueEntry extends ListingPeriod {
  symbol: string
  exchange: string
}

/** What one line knows of one contract. */
export interface ContractOnLine {
  /** The line's own list has it. */
  listed: boolean
  subscribed: boolean
  refused: boolean
  /** Age of the last live tick; null when none came in this trading day. Off-session ticks are no sign of life. */
  lastTickAgeMs: number | null
  /** For how long ticks of it could have been read: since it was subscribed, or this process last slept. Null where nobody knows. */
  watchedForMs?: number | null
  /** News of the contract that the other line brought since; null when nobody counted. */
  missedTicks: number | null
}

export interface ContractEvidence {
  symbol: string
  exchange: string
  /** Null for a line that is not configured, or that never heard of the contract. */
  lines: Readonly<Record<Line, ContractOnLine | null>>
  /** Of its product. */
  sessionState: SessionState
  inStateForMs: number
  expectedGapMs: number | null
  /** `age`: an offline file tells no more than how old the last tick is, so age alone has to do; `none`: a bare name. */
  tickEvidence: 'full' | 'age' | 'none'
}

export interface ContractFacts extends ContractEvidence {
  /** Null for a contract that is there although nobody expects it. */
  listing: ListingPeriod | null
  /** Named by whoever asks: it is expected of the serving line, whatever that line's own list says. */
  isDemanded?: boolean
}

/** Of a contract that nobody here has heard of. */
export const NO_EVIDENCE = {
  lines: { primary: null, backup: null },
  sessionState: 'closed',
  inStateForMs: 0,
  expectedGapMs: null,
  tickEvidence: 'none',
} as const satisfies Omit<ContractEvidence, 'symbol' | 'exchange'>

/** The two lists of an offline check as one, by name; a contract that the catalogue names again counts once, as it was named last. */
export function joinContracts(
  catalogue: readonly CatalogueEntry[],
  evidence: readonly ContractEvidence[],
): ContractFacts[] {
  const listed = new Map(catalogue.map((entry) => [nameOf(entry), entry]))
  const known = new Map(evidence.map((each) => [nameOf(each), each]))
  const expected = [...listed].map(([name, { symbol, exchange, openDay, expiryDay }]) => ({
    ...(known.get(name) ?? { symbol, exchange, ...NO_EVIDENCE }),
    listing: { openDay, expiryDay },
  }))
  const others = [...known].filter(([name]) => !listed.has(name)).map(([, each]) => ({ ...each, listing: null }))
  return [...expected, ...others]
}

function nameOf({ symbol, exchange }: { symbol: string; exchange: string }): string {
  return `${symbol}.${exchange}`
}
