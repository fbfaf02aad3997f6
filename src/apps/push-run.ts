/** The metrics of one run of a command, pushed under a group of their own so that no other profile, window or command is overwritten. */
import {
  type PushGroup,
  type PushResult,
  type PushTarget,
  pushSamples,
  type RemovalResult,
  removeGroups,
} from '#adapters/metrics/push.ts'
import { type PushedSample, sample } from '#adapters/metrics/pushed-metrics.ts'
import { resolveSecret } from '#adapters/secrets/resolve-secret.ts'
import type { Config } from '#config/config.ts'

/** The gateway as configured; its password is still a reference. */
export type Pushgateway = NonNullable<Config['monitoring']['pushgateway']>

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

type Stores = Parameters<typeof resolveSecret>[1]

const JOB = 'feed-supervisor'

/** Never throws and never takes longer than the gateway's timeout. */
export function pushRun(
  gateway: Pushgateway,
  stores: Stores,
  run: RunFigures,
  further: readonly PushedSample[],
): Promise<PushResult> {
  const group: PushGroup = [
    ['job', JOB],
    [run.kind, run.name],
    ['profile', run.profile],
    ['session_window', run.window],
  ]
  return pushSamples(targetOf(gateway, stores), group, [
    sample('md_runbook_exit_code', run.exitCode),
    sample('md_runbook_duration_seconds', run.durationMs / 1000),
    ...(run.succeeded ? [sample('md_runbook_last_success_timestamp_seconds', run.finishedMs / 1000)] : []),
    ...further,
  ])
}

/** Forgets everything that a profile ever pushed. Never throws. */
export function forgetRuns(gateway: Pushgateway, stores: Stores, profile: string): Promise<RemovalResult> {
  return removeGroups(targetOf(gateway, stores), { job: JOB, profile })
}

function targetOf({ url, timeoutMs, user, password, tls }: Pushgateway, stores: Stores): PushTarget {
  const target: PushTarget = { url, timeoutMs, tls }
  if (user === null || password === null) return target
  return {
    ...target,
    login: async () => ({ user, password: (await resolveSecret(password, stores)).text.reveal() }),
  }
}
