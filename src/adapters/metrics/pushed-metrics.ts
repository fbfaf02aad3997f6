/** The metrics that the commands push, with their help: results of runs, which no scrape of a daemon would see. */
export interface PushedSample {
  name: PushedName
  help: string
  value: number
  labels?: Readonly<Record<string, string>>
}

const HELP = {
  md_runbook_exit_code: 'Exit code of the last run of this command.',
  md_runbook_duration_seconds: 'How long the last run of this command took.',
  md_runbook_last_success_timestamp_seconds: 'When this command last succeeded, seconds since the epoch.',
  md_t5_checkpoint_status: 'Health verdict five minutes before the window opens: 1 passed, 0 failed, -1 not run.',
  md_t5_checkpoint_timestamp_seconds: 'When the checkpoint before the window was last judged, seconds since the epoch.',
  md_drill_seconds: 'How long each phase of the last drill took.',
  md_subscription_missing_contracts: 'Contracts expected and not subscribed at the last health check.',
  md_subscription_stalled_contracts: 'Contracts judged stalled at the last health check, by severity.',
  md_config_drift: 'Whether the running configuration differs from the wanted one: 0 no, 1 yes, -1 nothing runs.',
  md_health_verdict: 'Verdict of the last health check: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.',
} as const
export type PushedName = keyof typeof HELP
export const PUSHED_NAMES = Object.keys(HELP)

export function sample(name: PushedName, value: number, labels?: Readonly<Record<string, string>>): PushedSample {
  return { name, help: HELP[name], value, ...(labels && { labels }) }
}
