/**
 * What both kinds of drill share: a number, phases that are timed and may fail, the comparison of what the lines delivered with the
 * journal, and a report at the end whatever happened.
 */
import { type RangeScan, scanRange } from '#adapters/journal/scan-range.ts'
import { type PushedSample, sample } from '#adapters/metrics/pushed-metrics.ts'
import { reserveDrill, writeDrillReport } from '#adapters/state/drill-reports.ts'
import { sleep } from '#clock.ts'
import {
  ailmentOf,
  type DeliveryFacts,
  type DrillKind,
  type DrillPhase,
  type DrillReport,
  deliveriesOf,
  EXIT_CODE_OF_PHASE,
  EXIT_OVER_OBJECTIVE,
  type Judged,
  judgeBacklog,
  lostBetween,
  type PhaseRecord,
  recoveryOf,
} from '#domain/drill.ts'
import { type Problem, problemOf } from '#domain/failure.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import type { Line } from '#domain/line.ts'
import type { FailoverRecord, FeedStatus } from '#domain/status.ts'
import { EXIT } from '../exit-codes.ts'
import { formatDuration } from '../terminal.ts'
import { VERSION } from '../version.ts'
import { drillPage } from './drill-page.ts'
import type { ModeEnd, Run } from './run.ts'

/** A phase that did not come out as it must; the drill goes on only to put things back. */
export class PhaseFailure extends Error {
  override readonly name = 'PhaseFailure'
  readonly problem: Problem

  constructor(problem: Problem) {
    super(problem.message)
    this.problem = problem
  }
}

type PhaseWork<Value> = () => Promise<Judged & { value: Value }>

const LOOK_EVERY_MS = 100
const DURABLE_WITHIN_MS = 5_000

export class DrillRun {
  readonly run: Run
  readonly id: string
  readonly phases: PhaseRecord[] = []
  readonly switches: FailoverRecord[] = []
  readonly problems: Problem[] = []
  failedPhase: DrillPhase | 'objective' | null = null
  began: FeedStatus | null = null
  endedOn: Line | null = null
  readonly kind: DrillKind
  readonly #isKept: boolean
  readonly #startedMs: number
  #comparison: { facts: DeliveryFacts; scan: RangeScan } | null = null

  static async begin(run: Run, kind: DrillKind): Promise<DrillRun> {
    const at = isoShanghai(run.clock.wallMs())
    const date = at.slice(0, 10).replaceAll('-', '')
    try {
      return new DrillRun(run, kind, await reserveDrill(run.config.stateDir, date, { kind, started_at: at }), true)
    } catch (error) {
      run.warnings.push(`The drill's report will not be kept: ${problemOf(error).message}`)
      return new DrillRun(run, kind, `${date}-${process.pid}`, false)
    }
  }

  private constructor(run: Run, kind: DrillKind, id: string, isKept: boolean) {
    this.run = run
    this.id = id
    this.kind = kind
    this.#isKept = isKept
    this.#startedMs = run.clock.wallMs()
  }

  get reason(): string {
    return `drill ${this.id}${this.run.options.reason === null ? '' : `: ${this.run.options.reason}`}`
  }

  /** Monotonic deadline of a wait that begins now. */
  deadline(): number {
    const { options, config, clock } = this.run
    return clock.monotonicMs() + (options.timeoutMs ?? Math.max(config.timeouts.readyMs, config.failover.objectiveMs))
  }

  /** Throws a PhaseFailure when the phase fails, or at once after an interrupt. */
  async phase<Value>(phase: DrillPhase, work: PhaseWork<Value>): Promise<Value> {
    return this.lastingPhase(phase, async () => {
      if (this.run.interrupted.aborted) throw new PhaseFailure(interruption())
      return work()
    })
  }

  /** A phase that puts things back is done after an interrupt too. */
  async lastingPhase<Value>(phase: DrillPhase, work: PhaseWork<Value>): Promise<Value> {
    const { clock, steps } = this.run
    const startedMs = clock.monotonicMs()
    const record = (outcome: Judged['outcome'], detail: string) => {
      steps.record(phase, outcome, detail, startedMs)
      this.phases.push({ phase, outcome, detail, duration_ms: Math.round(clock.monotonicMs() - startedMs) })
    }
    try {
      const { outcome, detail, value } = await work()
      if (outcome === 'failed') throw new PhaseFailure({ name: phase, message: detail, remedy: REMEDY_OF_STATUS })
      record(outcome, detail)
      return value
    } catch (error) {
      const problem = error instanceof PhaseFailure ? error.problem : problemOf(error)
      record('failed', problem.message)
      this.failedPhase ??= phase
      this.problems.push(problem)
      throw new PhaseFailure(problem)
    }
  }

  async backlog(phase: DrillPhase): Promise<void> {
    await this.phase(phase, async () => {
      const deadlineMs = this.deadline()
      for (;;) {
        const judged = judgeBacklog(await this.run.control.status())
        if (judged.outcome !== 'failed' || !(await this.lookAgain(deadlineMs))) return { ...judged, value: undefined }
      }
    })
  }

  /** Waits until the feed is well with this line serving. */
  async health(phase: DrillPhase, serving: Line): Promise<void> {
    await this.phase(phase, async () => {
      const deadlineMs = this.deadline()
      for (;;) {
        const [status, health] = await Promise.all([
          this.run.control.status(),
          this.run.control.health({ mode: 'dry-run' }),
        ])
        const ailment = ailmentOf(status, health, serving)
        if (ailment === null) return { outcome: 'ok', detail: `${health.verdict}, ${serving} serves`, value: undefined }
        if (!(await this.lookAgain(deadlineMs))) return { outcome: 'failed', detail: ailment, value: undefined }
      }
    })
  }

  /** False when there is no time left. Throws when the operator interrupts. */
  async lookAgain(deadlineMs: number, waitMs = LOOK_EVERY_MS): Promise<boolean> {
    await sleep(waitMs, this.run.interrupted).catch(() => undefined)
    if (this.run.interrupted.aborted) throw new PhaseFailure(interruption())
    return this.run.clock.monotonicMs() < deadlineMs
  }

  /** Compares what the lines delivered since `before` with the journal, once everything is on disk. */
  async compare(before: FeedStatus): Promise<void> {
    const { control, config, clock, warnings } = this.run
    try {
      const after = await control.status()
      const deadlineMs = clock.monotonicMs() + DURABLE_WITHIN_MS
      while ((await control.status()).journal.synced_sequence < after.journal.last_sequence) {
        if (clock.monotonicMs() > deadlineMs) throw new Error('the journal is not synced')
        await sleep(LOOK_EVERY_MS)
      }
      const scan = await scanRange(config.stateDir, before.journal.last_sequence + 1, after.journal.last_sequence)
      for (const problem of scan.problems) warnings.push(`The journal is damaged where the drill wrote it: ${problem}`)
      const facts = { before, after, journalled: scan.records }
      this.#comparison = { facts, scan }
      this.#judgeLoss(lostBetween(facts), scan.duplicates)
    } catch (error) {
      warnings.push(`What was lost could not be counted: ${problemOf(error).message}`)
    }
  }

  #judgeLoss(lost: number | null, duplicates: number): void {
    if ((lost ?? 0) === 0 && duplicates === 0) return
    this.failedPhase ??= this.kind === 'failover' ? 'health-after-failback' : 'health-after-restore'
    const message = `${lost ?? 'an unknown number of'} ticks that a line delivered are not in the journal, ${duplicates} are there twice`
    const remedy = 'Keep the journal of this day and report it: neither may happen.'
    this.problems.push({ name: 'ticks-lost', message, remedy })
  }

  /** Writes the report and judges the recovery time, which counts only when every phase went well. */
  async finish({ recoveryMs, objectiveMs }: { recoveryMs: number | null; objectiveMs: number }): Promise<ModeEnd> {
    if (this.failedPhase === null && (recoveryMs === null || recoveryMs > objectiveMs)) {
      this.failedPhase = 'objective'
      const took = recoveryMs === null ? 'was not measured' : `took ${formatDuration(recoveryMs)}`
      const message = `recovery ${took}, the objective is ${formatDuration(objectiveMs)}`
      const remedy = 'See the report for the phase that took long; STANDBY_MODE=hot is the fastest.'
      this.problems.push({ name: 'over-objective', message, remedy })
    }
    const report = this.#report(recoveryMs, objectiveMs)
    const files = await this.#write(report)
    this.#sayResult(report)
    return {
      outcome: report.outcome,
      exitCode: report.exit_code,
      problems: this.problems,
      status: await this.run.control.status().catch(() => null),
      failover: this.switches[0] ?? null,
      further: { drill: report, ...(files && { report_files: files }) },
      samples: samplesOf(report),
      drill: this.id,
    }
  }

  #report(recoveryMs: number | null, objectiveMs: number): DrillReport {
    const { config, clock, options, warnings } = this.run
    const failed = this.failedPhase
    const exitCode =
      failed === null ? EXIT.done : failed === 'objective' ? EXIT_OVER_OBJECTIVE : EXIT_CODE_OF_PHASE[failed]
    const gaps = this.switches.flatMap(({ gap_ms: ms }) => (ms === null ? [] : [ms]))
    const { facts = null, scan = null } = this.#comparison ?? {}
    return {
      schema: 'feed-supervisor/drill/1',
      id: this.id,
      kind: this.kind,
      started_at: isoShanghai(this.#startedMs),
      finished_at: isoShanghai(clock.wallMs()),
      profile: config.profile,
      version: VERSION,
      reason: options.reason,
      outcome: failed === null ? 'passed' : 'failed',
      exit_code: exitCode,
      failed_phase: failed,
      began_on: this.began?.serving_line ?? null,
      ended_on: this.endedOn,
      phases: this.phases,
      switches: this.switches.map((each) => ({ ...each, duplicates: scan?.duplicates ?? null })),
      recovery_ms: recoveryMs === null ? null : Math.round(recoveryMs * 10) / 10,
      objective_ms: objectiveMs,
      gap_ms: gaps.length === 0 ? null : Math.max(...gaps),
      lost: facts === null ? null : lostBetween(facts),
      duplicates: scan?.duplicates ?? null,
      lines: facts === null ? {} : deliveriesOf(facts),
      journal: scan === null ? null : { from: scan.from, to: scan.to },
      problems: this.problems,
      warnings: [...warnings],
    }
  }

  async #write(report: DrillReport): Promise<{ json: string; markdown: string } | null> {
    if (!this.#isKept) return null
    try {
      return await writeDrillReport(this.run.config.stateDir, report, drillPage(report))
    } catch (error) {
      this.run.warnings.push(`The drill's report was not written: ${problemOf(error).message}`)
      return null
    }
  }

  #sayResult({ id, recovery_ms: recovery, objective_ms: objective, gap_ms: gap, lost, duplicates }: DrillReport): void {
    const { terminal, options } = this.run
    if (options.shared.quiet) return
    const time = recovery === null ? 'not measured' : formatDuration(recovery)
    terminal.say(`\ndrill ${id}: recovery ${time} (objective ${formatDuration(objective)})`)
    const longest = gap === null ? '' : `, longest gap between ticks ${formatDuration(gap)}`
    terminal.say(`${lost ?? 'unknown'} ticks lost, ${duplicates ?? 'unknown'} duplicates${longest}`)
  }
}

const REMEDY_OF_STATUS = 'See start-live-env status and check-feed-health for what is wrong; then repeat the drill.'

function interruption(): Problem {
  return {
    name: 'interrupted',
    message: 'interrupted; the feed is put back on the line it began with',
    remedy: 'Repeat the drill when it suits.',
  }
}

function samplesOf(report: DrillReport): PushedSample[] {
  const samples = report.phases.map(({ phase, duration_ms: ms }) => sample('md_drill_seconds', ms / 1000, { phase }))
  const worst = (times: readonly (number | null)[]) =>
    times.reduce((most: number | null, ms) => (ms === null ? most : Math.max(most ?? 0, ms)), null)
  const { switches } = report
  const parts = {
    detect: worst(switches.map((each) => each.detect_ms)),
    decide: worst(switches.map((each) => each.decide_ms)),
    first_tick: worst(switches.map((each) => each.first_tick_ms)),
    coverage_restored: worst(switches.map((each) => each.coverage_restored_ms)),
    recovery: report.recovery_ms,
  }
  for (const [phase, ms] of Object.entries(parts)) {
    if (ms !== null) samples.push(sample('md_drill_seconds', ms / 1000, { phase }))
  }
  return samples
}

/** The slower of both switches. */
export function worstRecovery(switches: readonly FailoverRecord[]): number | null {
  const times = switches.map(recoveryOf)
  return times.length === 0 || times.includes(null) ? null : Math.max(...times.map((ms) => ms ?? 0))
}
