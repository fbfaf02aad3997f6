/**
 * What the status page shows, gathered at its own pace: a ring of the last minutes, the last switches, and the records on disk, which are
 * read at most every half minute. However many browsers look, the daemon counts its contracts once in two seconds for them.
 */
import { readDrills } from '#adapters/state/drill-reports.ts'
import { readHealthReports } from '#adapters/state/health-reports.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import type { Overview, OverviewDrill, OverviewReport } from '#domain/overview.ts'
import type { FailoverRecord } from '#domain/status.ts'
import { feedStatus, type StatusParts, servingCoverage } from './feed-status.ts'
import { healthReport } from './health-report.ts'

export const OVERVIEW_STEP_MS = 2_000
/** Ten minutes. */
const STEPS_KEPT = 300
const FAILOVERS_KEPT = 10
const RECORDS_SHOWN = 8
const FINDINGS_SHOWN = 12
const RECORDS_EVERY_MS = 30_000

export class OverviewKeeper {
  readonly #parts: StatusParts
  readonly #stateDir: string
  readonly #onTrouble: (error: unknown) => void
  readonly #throughput: number[] = []
  readonly #latency: (number | null)[] = []
  readonly #failovers: FailoverRecord[] = []
  #records: { drills: OverviewDrill[]; reports: OverviewReport[] } = { drills: [], reports: [] }
  #recordsAtMs = Number.NEGATIVE_INFINITY
  #made: { atMs: number; overview: Overview } | null = null

  constructor(parts: StatusParts, stateDir: string, onTrouble: (error: unknown) => void) {
    this.#parts = parts
    this.#stateDir = stateDir
    this.#onTrouble = onTrouble
  }

  /** Every OVERVIEW_STEP_MS. */
  step(): void {
    const { throughput_mps: rate, latency_ms_p99: latency, failover } = feedStatus(this.#parts)
    keepLast(this.#throughput, Math.round(rate))
    keepLast(this.#latency, latency)
    if (failover.last !== null && failover.last.at !== this.#failovers[0]?.at) {
      this.#failovers.unshift(failover.last)
      this.#failovers.splice(FAILOVERS_KEPT)
    }
  }

  async overview(): Promise<Overview> {
    const nowMs = this.#parts.clock.monotonicMs()
    await this.#readRecords(nowMs)
    if (this.#made === null || nowMs - this.#made.atMs >= OVERVIEW_STEP_MS) {
      this.#made = { atMs: nowMs, overview: this.#make() }
    }
    return this.#made.overview
  }

  #make(): Overview {
    const { clock } = this.#parts
    const health = healthReport(this.#parts, { mode: 'dry-run', thresholds: {} })
    const coverage = servingCoverage(this.#parts)
    return {
      schema: 'feed-supervisor/overview/1',
      generated_at: isoShanghai(clock.wallMs()),
      verdict: health.verdict,
      findings: [...health.errors, ...health.warnings].slice(0, FINDINGS_SHOWN),
      stalled_total: health.stalled_contracts.length,
      missing_total: health.missing_contracts.length,
      status: feedStatus(this.#parts),
      products: (coverage?.products ?? [])
        .filter(({ expected }) => expected > 0)
        .map(({ exchange, product, expected, subscribed, refused, ticked }) => ({
          ...{ exchange, product, expected, subscribed, refused, ticked },
        })),
      history: {
        step_ms: OVERVIEW_STEP_MS,
        throughput_mps: [...this.#throughput],
        latency_ms_p99: [...this.#latency],
      },
      failovers: [...this.#failovers],
      ...this.#records,
    }
  }

  async #readRecords(nowMs: number): Promise<void> {
    if (nowMs - this.#recordsAtMs < RECORDS_EVERY_MS) return
    this.#recordsAtMs = nowMs
    try {
      const drills = await readDrills(this.#stateDir, RECORDS_SHOWN)
      const reports = await readHealthReports(this.#stateDir, RECORDS_SHOWN)
      this.#records = { drills: drills.toReversed().map(drillShown), reports }
    } catch (error) {
      // The page shows the last ones it knew.
      this.#onTrouble(error)
    }
  }
}

function drillShown(drill: Awaited<ReturnType<typeof readDrills>>[number]): OverviewDrill {
  const { id, kind, finished_at, outcome, recovery_ms, objective_ms, lost } = drill
  return { id, kind, finished_at, outcome, recovery_ms, objective_ms, lost }
}

function keepLast<T>(values: T[], value: T): void {
  values.push(value)
  if (values.length > STEPS_KEPT) values.shift()
}
