/** One entry in the audit log for each run that changed something, or was asked to: also for those that failed or were refused. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { auditActor } from '#adapters/state/audit-actor.ts'
import { appendAudit } from '#adapters/state/audit-log.ts'
import type { Clock } from '#clock.ts'
import type { Config } from '#config/config.ts'
import type { ParsedConfig } from '#config/parse-config.ts'
import { MODES } from './modes.ts'
import type { RunOptions } from './options.ts'
import type { ModeEnd } from './run.ts'

export interface AuditedRun {
  options: RunOptions
  /** Null when it was not valid. */
  config: Config | null
  profile: string
  env: NodeJS.ProcessEnv
  clock: Clock
  end: ModeEnd
  startedMs: number
}

const RETENTION_DAYS = 90
const DEFAULT_STATE_DIR = './var'

/** Warnings: a log that can't be written stops nothing. */
export async function auditRun(run: AuditedRun): Promise<string[]> {
  const { options, config, env, clock, end } = run
  if (options.dryRun || (!MODES[options.mode].changes && options.clearLatch === null)) return []
  const stateDir = config?.stateDir ?? stateDirOf(null, options, env)
  // Where nothing could be read, nothing is made either.
  if (!existsSync(stateDir)) return []
  const { problems = [] } = end
  const to = config?.audit.forward ?? 'none'
  const forward = to === 'none' ? null : { to, path: env['PATH'] }
  const result = await appendAudit(
    { stateDir, clock, retentionDays: config?.audit.retentionDays ?? RETENTION_DAYS, forward },
    {
      event: 'command',
      actor: auditActor(env),
      command: options.clearLatch === null ? options.mode : `status --clear-latch ${options.clearLatch}`,
      reason: options.reason,
      plan: end.plan ?? null,
      drill: end.drill ?? null,
      outcome: end.outcome,
      exit_code: end.exitCode,
      duration_ms: Math.round(clock.monotonicMs() - run.startedMs),
      details: {
        profile: run.profile,
        ...(options.config !== null && { config: options.config }),
        ...(options.window !== null && { window: options.window }),
        ...(end.failover && { from: end.failover.from, to: end.failover.to }),
        ...(problems.length > 0 && { problems: problems.map(({ name, message }) => `${name}: ${message}`) }),
      },
    },
  )
  return result.warning === null ? [] : [result.warning]
}

/** Of a configuration as far as it goes; else where the command line and the environment say, or the default. */
export function stateDirOf(parsed: ParsedConfig | null, options: RunOptions, env: NodeJS.ProcessEnv): string {
  if (parsed?.ok) return parsed.config.stateDir
  if (parsed?.draft) return parsed.draft.config.stateDir
  const given = options.shared.stateDir ?? (env['FEED_STATE_DIR'] || env['STATE_DIRECTORY'] || DEFAULT_STATE_DIR)
  return resolve(given)
}
