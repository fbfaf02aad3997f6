/**
 * Is the feed healthy? Asked every minute by a timer, so it loads next to nothing: the daemon judges itself, this command carries the
 * verdict to people, files, metrics and the exit code. Whatever keeps it from evidence makes the verdict UNKNOWN, never OK.
 */
import { join } from 'node:path'
import { type ControlClient, controlClient, type HealthQuestion } from '#adapters/control/control-client.ts'
import type { TransmittedHealth } from '#adapters/control/parse-answers.ts'
import type { SecretStores } from '#adapters/secrets/resolve-secret.ts'
import { type Clock, sleep, systemClock } from '#clock.ts'
import { inSentences, type Problem, problemOf } from '#domain/failure.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import { type CheckOptions, checkCommand, checkOptionsOf } from './check-feed-health/options.ts'
import { sayReport, summaryLine, unknownReport } from './check-feed-health/report.ts'
import { type QuickSettings, quickSettings } from './quick-settings.ts'
import { outputFormOf, parseCommandLine } from './shared-options.ts'
import { openTerminal, type Terminal, wantsColor } from './terminal.ts'

const UNKNOWN = 3
const ASK_AGAIN_MS = 500
/** An attempt to resubscribe shows within the daemon's own ack timeout, or not at all. */
const SETTLE_MS = 10_000
const ESCALATION_TIMEOUT_MS = 30_000
const CHECKPOINT_BEFORE_MS = 5 * 60_000

export async function main(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const command = checkCommand()
  const given: { options?: CheckOptions } = {}
  command.action(() => {
    given.options = checkOptionsOf(command)
  })
  const ended = await parseCommandLine(command, argv, UNKNOWN)
  if (ended !== null || given.options === undefined) return ended ?? UNKNOWN
  try {
    return await runCheck(given.options, env, systemClock)
  } catch (error) {
    // Node would end with 1, which in this convention means WARNING; what keeps us from asking is no evidence of anything.
    process.stderr.write(`check-feed-health: ${inSentences(problemOf(error))}\n`)
    return UNKNOWN
  }
}

async function runCheck(options: CheckOptions, env: NodeJS.ProcessEnv, clock: Clock): Promise<number> {
  const startedMs = clock.monotonicMs()
  const { json, quiet } = options.shared
  const output = process.stdout
  const form = outputFormOf({ json }, output.isTTY === true)
  const terminal = openTerminal({ form, output, quiet, color: wantsColor(env, output), clock })
  let settings: QuickSettings
  try {
    settings = await quickSettings(options.shared, env, process.cwd())
  } catch (error) {
    const profile = options.shared.profile ?? env['FEED_PROFILE'] ?? 'sim'
    return tell(terminal, unknown(options, profile, clock, problemOf(error)), quiet)
  }
  const check: Check = {
    options,
    settings,
    env,
    clock,
    startedMs,
    control: controlClient({ socketPath: settings.controlSocket }),
  }
  if (options.ifTradingDay && !(await tradesToday(check))) return tellSkipped(terminal, check)
  const report = await judged(check)
  await keepReport(check, report)
  await pushMetrics(check, report)
  return tell(terminal, report, quiet)
}

interface Check {
  options: CheckOptions
  settings: QuickSettings
  env: NodeJS.ProcessEnv
  clock: Clock
  startedMs: number
  control: ControlClient
}

/** The report after waiting and, in mode enforce, after mending what could be mended. */
async function judged(check: Check): Promise<TransmittedHealth> {
  const { options, clock } = check
  const deadline = clock.monotonicMs() + options.waitMs
  let report = await ask(check)
  while (report.verdict !== 'OK' && clock.monotonicMs() < deadline) {
    await sleep(ASK_AGAIN_MS)
    report = await ask(check)
  }
  return options.mode === 'enforce' ? enforce(check, report) : report
}

async function ask(check: Check): Promise<TransmittedHealth> {
  const { options, settings, clock, control } = check
  try {
    const { catalogue, activeFile } = options
    if (catalogue === null) return await control.health(questionOf(options))
    const { judgeByCatalogue, judgeOffline } = await import('./check-feed-health/seldom.ts')
    if (activeFile === null) return await judgeByCatalogue(control, questionOf(options), catalogue)
    return await judgeOffline({ options, catalogue, activeFile, settings, nowMs: clock.wallMs() })
  } catch (error) {
    return unknown(options, settings.profile, clock, problemOf(error))
  }
}

function questionOf(options: CheckOptions): HealthQuestion {
  const { mode, coverageThreshold, lagWarningSeconds, lagCriticalSeconds } = options
  return {
    mode,
    ...(coverageThreshold !== null && { coverageThreshold }),
    ...(lagWarningSeconds !== null && { lagWarningSeconds }),
    ...(lagCriticalSeconds !== null && { lagCriticalSeconds }),
  }
}

async function enforce(check: Check, first: TransmittedHealth): Promise<TransmittedHealth> {
  const { options, control, clock } = check
  const { remediate } = await import('./check-feed-health/seldom.ts')
  const result = await remediate(first, {
    control,
    ask: () => ask(check),
    maxAttempts: options.maxRemediationAttempts,
    settleMs: SETTLE_MS,
    clock,
  })
  const report: TransmittedHealth = {
    ...result.report,
    remediation: result.remediation,
    warnings: [...result.report.warnings, ...result.warnings],
  }
  if (options.escalationCommand === null || (result.unresolved === 0 && report.exit_code < 2)) return report
  return escalated(check, report, options.escalationCommand)
}

async function escalated(
  check: Check,
  report: TransmittedHealth,
  words: readonly string[],
): Promise<TransmittedHealth> {
  const { escalate } = await import('./check-feed-health/seldom.ts')
  const stamp = isoShanghai(check.clock.wallMs()).slice(0, 19).replaceAll(/[-:]/g, '')
  const marker = `FEED-${report.verdict}-${check.settings.profile}-${stamp}`
  const { env } = check
  const fault = await escalate({ words, marker, exitCode: report.exit_code, env, timeoutMs: ESCALATION_TIMEOUT_MS })
  const told = fault === null ? `escalated as ${marker}` : `escalation ${marker} failed: ${fault}`
  return { ...report, warnings: [...report.warnings, told] }
}

/** An audit without its file is not done, so that a failure to write shows in the verdict. */
async function keepReport(check: Check, report: TransmittedHealth): Promise<void> {
  const { options, settings } = check
  const form = options.out ?? (options.mode === 'audit' ? 'json' : null)
  if (form === null) return
  const { writeReport } = await import('./check-feed-health/seldom.ts')
  try {
    const directory = options.outDir ?? join(settings.stateDir, 'reports')
    report.report_file = await writeReport(directory, form, report)
  } catch (error) {
    report.errors = [...report.errors, inSentences(problemOf(error))]
    if (report.exit_code === 0) Object.assign(report, { verdict: 'WARNING', exit_code: 1 })
  }
}

async function storesOf({ options, settings, env }: Check): Promise<SecretStores> {
  const source = settings.pushgateway.password?.source
  if (source !== 'vault' && source !== 'aws-sm') return { env }
  const { configuredStores } = await import('./check-feed-health/configured-stores.ts')
  return configuredStores(options.shared, env)
}

async function pushMetrics(check: Check, report: TransmittedHealth): Promise<void> {
  const { options, settings, clock } = check
  const url = options.pushgatewayUrl ?? settings.pushgateway.url
  if (options.skipMetrics || url === null) return
  const { pushRun, sample } = await import('./check-feed-health/seldom.ts')
  const stalled = (severity: string) =>
    report.stalled_contracts.filter((contract) => contract.severity === severity).length
  const result = await pushRun(
    { ...settings.pushgateway, url },
    await storesOf(check),
    {
      kind: 'check',
      name: 'feed-health',
      profile: settings.profile,
      window: report.window ?? 'unknown',
      exitCode: report.exit_code,
      durationMs: clock.monotonicMs() - check.startedMs,
      // A check has succeeded when it came to know something, good or bad.
      succeeded: report.verdict !== 'UNKNOWN',
      finishedMs: clock.wallMs(),
    },
    [
      sample('md_health_verdict', report.exit_code),
      sample('md_subscription_missing_contracts', report.missing_contracts.length),
      sample('md_subscription_stalled_contracts', stalled('warning'), { severity: 'warning' }),
      sample('md_subscription_stalled_contracts', stalled('critical'), { severity: 'critical' }),
      ...(isCheckpoint(report, clock.wallMs())
        ? [
            sample('md_t5_checkpoint_status', report.exit_code < 2 ? 1 : 0),
            sample('md_t5_checkpoint_timestamp_seconds', clock.wallMs() / 1000),
          ]
        : []),
    ],
  )
  if (result.kind === 'failed') report.warnings = [...report.warnings, result.warning]
}

/** The checks of the last five minutes before the window opens; each replaces the one before. */
function isCheckpoint({ window_opens_at: opensAt }: TransmittedHealth, nowMs: number): boolean {
  if (opensAt === undefined) return false
  const untilOpenMs = Date.parse(opensAt) - nowMs
  return untilOpenMs > 0 && untilOpenMs <= CHECKPOINT_BEFORE_MS
}

function unknown(options: CheckOptions, profile: string, clock: Clock, problem: Problem): TransmittedHealth {
  return unknownReport({ mode: options.mode, profile, nowMs: clock.wallMs(), problems: [problem] })
}

function tell(terminal: Terminal, report: TransmittedHealth, quiet: boolean): number {
  sayReport(terminal, report, quiet)
  terminal.result({ summary: summaryLine(report), ...report })
  return report.exit_code
}

/** The daemon knows its market best; without one the calendar of this machine decides. */
async function tradesToday({ control, settings, clock }: Check): Promise<boolean> {
  const state = await control.status().then(
    (status) => status.session_state,
    () => null,
  )
  if (state !== null) return state !== 'holiday'
  const { marketCalendarOf, marketTimeOf, tradesOnDateOf } = await import('./check-feed-health/seldom.ts')
  return tradesOnDateOf(marketCalendarOf(settings.market), marketTimeOf(settings.market, clock.wallMs()))
}

function tellSkipped(terminal: Terminal, { options, settings, clock }: Check): number {
  terminal.say('skipped: no trading today')
  terminal.result({
    schema: 'feed-supervisor/health/1',
    generated_at: isoShanghai(clock.wallMs()),
    mode: options.mode,
    profile: settings.profile,
    outcome: 'skipped',
    session_state: 'holiday',
    exit_code: 0,
  })
  return 0
}
