/**
 * Questions put to the world before anything is started: all at once, each with its own deadline, so that an operator waits seconds and
 * learns everything that is wrong in one run.
 */
import type { Clock } from '#clock.ts'
import { Failure, problemOf } from '#domain/failure.ts'

type CheckVerdict = 'ok' | 'warning' | 'failed' | 'skipped'

export interface Finding {
  readonly result: CheckVerdict
  readonly detail: string
  /** What to do; null where there is nothing to do. */
  readonly remedy: string | null
}

export interface PreflightCheck {
  readonly name: string
  /** A Failure thrown is a `failed` with its remedy. The signal aborts at the deadline. */
  run(signal: AbortSignal): Promise<Finding>
}

export interface CheckResult extends Finding {
  readonly name: string
  readonly duration_ms: number
}

/** The whole preflight promises five seconds; no check may take more than this. */
const CHECK_DEADLINE_MS = 4_000

export function ok(detail: string): Finding {
  return { result: 'ok', detail, remedy: null }
}

export function skipped(detail: string): Finding {
  return { result: 'skipped', detail, remedy: null }
}

export function warning(detail: string, remedy: string): Finding {
  return { result: 'warning', detail, remedy }
}

export function failed(detail: string, remedy: string): Finding {
  return { result: 'failed', detail, remedy }
}

/** Results in the order of `checks`. Never rejects. */
export async function runPreflight(
  checks: readonly PreflightCheck[],
  clock: Pick<Clock, 'monotonicMs'>,
  deadlineMs = CHECK_DEADLINE_MS,
): Promise<CheckResult[]> {
  return Promise.all(
    checks.map(async (check) => {
      const startedMs = clock.monotonicMs()
      const finding = await withinDeadline(check, deadlineMs)
      return { name: check.name, ...finding, duration_ms: Math.round(clock.monotonicMs() - startedMs) }
    }),
  )
}

async function withinDeadline(check: PreflightCheck, deadlineMs: number): Promise<Finding> {
  const deadline = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Finding>((resolve) => {
    timer = setTimeout(() => {
      deadline.abort()
      resolve(failed(`no answer within ${deadlineMs} ms`, 'Find out what the disk or the network is waiting for.'))
    }, deadlineMs)
  })
  try {
    return await Promise.race([check.run(deadline.signal), late])
  } catch (error) {
    const { message, remedy } = problemOf(error)
    return failed(error instanceof Failure ? message : `unexpected fault: ${message}`, remedy)
  } finally {
    clearTimeout(timer)
  }
}
