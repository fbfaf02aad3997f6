/** The metrics of one run of a command, pushed under a group of their own so that no other profile, window or command is overwritten. */
import { type PushGroup, type PushResult, type PushTarget, pushSamples } from '#adapters/metrics/push.ts'
import { type PushedSample, sample } from '#adapters/metrics/pushed-metrics.ts'

export interface RunFigures {
  /** `command` for start-live-env, `check` for health checks. */
  kind: 'command' | 'check'
  name: string
  profile: string
  window: string
  exitCode: number
  durationMs: number
  /** Whether the time of the last success moves. */
  succeeded: boolean
  finishedMs: number
}

const JOB = 'feed-supervisor'

/** Never throws and never takes longer than the target's timeout. */
export function pushRun(target: PushTarget, run: RunFigures, further: readonly PushedSample[]): Promise<PushResult> {
  const group: PushGroup = [
    ['job', JOB],
    [run.kind, run.name],
    ['profile', run.profile],
    ['session_window', run.window],
  ]
  return pushSamples(target, group, [
    sample('md_runbook_exit_code', run.exitCode),
    sample('md_runbook_duration_seconds', run.durationMs / 1000),
    ...(run.succeeded ? [sample('md_runbook_last_success_timestamp_seconds', run.finishedMs / 1000)] : []),
    ...further,
  ])
}
