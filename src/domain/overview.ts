/** What the status page shows, as the daemon tells it: read-only, accounts masked, bounded. */
import type { DrillKind } from './drill.ts'
import type { Verdict } from './health.ts'
import type { FailoverRecord, FeedStatus } from './status.ts'

export interface Overview {
  schema: 'feed-supervisor/overview/1'
  generated_at: string
  verdict: Verdict
  /** Sentences behind the verdict, the worst first; a bounded number of them. */
  findings: string[]
  stalled_total: number
  missing_total: number
  status: FeedStatus
  /** Of the serving line, by exchange and product. */
  products: {
    exchange: string
    product: string
    expected: number
    subscribed: number
    refused: number
    ticked: number
  }[]
  history: OverviewHistory
  /** Newest first. */
  failovers: FailoverRecord[]
  drills: OverviewDrill[]
  reports: OverviewReport[]
}

export interface OverviewHistory {
  step_ms: number
  /** Oldest first; the last entries are of now. */
  throughput_mps: number[]
  latency_ms_p99: (number | null)[]
}

export interface OverviewDrill {
  id: string
  kind: DrillKind
  finished_at: string
  outcome: 'passed' | 'failed'
  recovery_ms: number | null
  objective_ms: number
  lost: number | null
}

/** A health report that a command kept. */
export interface OverviewReport {
  generated_at: string
  verdict: Verdict
  coverage_ratio: number | null
}
