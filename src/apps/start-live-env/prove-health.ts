/**
 * The last steps of a start: the daemon's own health verdict, the checkpoint before the window opens, and a snapshot of the configuration
 * that got there.
 */
import type { TransmittedHealth } from '#adapters/control/parse-answers.ts'
import { type PushedSample, sample } from '#adapters/metrics/pushed-metrics.ts'
import { sleep } from '#clock.ts'
import { type Problem, problemOf } from '#domain/failure.ts'
import { formatRatio } from '../terminal.ts'
import type { Run } from './run.ts'
import { keepSnapshot, snapshotPath } from './snapshot.ts'

export type HealthProof =
  | { healthy: true; samples: readonly PushedSample[] }
  | { healthy: false; problems: readonly Problem[] }

const LOOK_EVERY_MS = 250
const CHECKPOINT_BEFORE_MS = 5 * 60_000

export interface ProofOptions {
  /** Monotonic. At least one question is asked. */
  deadlineMs: number
  /** A daemon that was found running has its snapshot from the start that brought it up. */
  snapshot: boolean
}

/** Waits for a verdict of OK or WARNING. */
export async function proveHealth(run: Run, { deadlineMs, snapshot }: ProofOptions): Promise<HealthProof> {
  const startedMs = run.clock.monotonicMs()
  let health = await ask(run)
  while (!isHealthy(health) && run.clock.monotonicMs() < deadlineMs && !run.interrupted.aborted) {
    await sleep(LOOK_EVERY_MS)
    health = await ask(run)
  }
  if (health === null || !isHealthy(health)) {
    const detail =
      health === null ? 'the daemon gave no health report' : `${health.verdict}: ${health.errors.join(' ')}`
    run.steps.record('health', 'failed', detail, startedMs)
    const remedy = 'See check-feed-health for the contracts concerned; the daemon keeps trying.'
    return { healthy: false, problems: [{ name: 'not-healthy', message: detail, remedy }] }
  }
  const coverage = health.coverage_ratio === null ? 'unknown' : formatRatio(health.coverage_ratio)
  const detail = `${health.verdict}, coverage ${coverage} (${health.subscribed_total}/${health.expected_total})`
  run.steps.record('health', health.verdict === 'OK' ? 'ok' : 'warning', detail, startedMs)
  run.warnings.push(...health.warnings)
  const samples = checkpoint(run, health)
  if (snapshot) await recordSnapshot(run, health)
  return { healthy: true, samples }
}

async function ask({ control }: Run): Promise<TransmittedHealth | null> {
  return control.health({ mode: 'dry-run' }).catch(() => null)
}

function isHealthy(health: TransmittedHealth | null): boolean {
  return health?.verdict === 'OK' || health?.verdict === 'WARNING'
}

/** A start that ends within the last five minutes, or later, is itself the checkpoint; an earlier one leaves it to the timer. */
function checkpoint({ window, clock, steps }: Run, health: TransmittedHealth): PushedSample[] {
  if (window.opensMs === null) return []
  const due = clock.wallMs() >= window.opensMs - CHECKPOINT_BEFORE_MS
  if (due) steps.record('t5-checkpoint', 'ok', `passed with ${health.verdict}`, clock.monotonicMs())
  return due
    ? [sample('md_t5_checkpoint_status', 1), sample('md_t5_checkpoint_timestamp_seconds', clock.wallMs() / 1000)]
    : [sample('md_t5_checkpoint_status', -1)]
}

/** A start that worked is not undone by a snapshot that did not. */
async function recordSnapshot(run: Run, health: TransmittedHealth): Promise<void> {
  const startedMs = run.clock.monotonicMs()
  try {
    const kept = await keepSnapshot(run, health)
    run.steps.record('snapshot', 'ok', snapshotPath(run.config, kept), startedMs)
  } catch (error) {
    const { message } = problemOf(error)
    run.steps.record('snapshot', 'warning', message, startedMs)
    run.warnings.push(`No configuration snapshot was kept: ${message}`)
  }
}
