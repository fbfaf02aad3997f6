/** Runs the day of the feed: one mode per call, under a lock where it changes anything, ending in one result and one exit code. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { controlClient } from '#adapters/control/control-client.ts'
import { type OpenLog, openLog } from '#adapters/log/logger.ts'
import { openSecretStores } from '#adapters/secrets/resolve-secret.ts'
import { takeLock } from '#adapters/state/run-lock.ts'
import { controlSocketPath } from '#adapters/state/state-dir.ts'
import { localSupervisor } from '#adapters/supervisors/local-supervisor.ts'
import { type Clock, systemClock } from '#clock.ts'
import type { Config } from '#config/config.ts'
import type { GivenSettings, ParsedConfig } from '#config/parse-config.ts'
import type { SettingName } from '#config/schema.ts'
import type { ConfigSnapshot } from '#domain/config-snapshot.ts'
import { inSentences, type Problem } from '#domain/failure.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import type { FeedStatus } from '#domain/status.ts'
import { EXIT } from './exit-codes.ts'
import { loadAppConfig, packageDir } from './load-app-config.ts'
import { withoutBus } from './no-publish.ts'
import { forgetRuns, pushRun } from './push-run.ts'
import { outputFormOf, parseCommandLine } from './shared-options.ts'
import { auditRun, stateDirOf } from './start-live-env/audit-run.ts'
import { makeReadyStateDir } from './start-live-env/make-ready.ts'
import { MODES } from './start-live-env/modes.ts'
import { environmentCommand, type RunOptions, runOptionsOf } from './start-live-env/options.ts'
import { snapshotToGoBackTo } from './start-live-env/rollback.ts'
import { EndRun, endOf, lineFacts, type ModeEnd, type Run, StepLog } from './start-live-env/run.ts'
import { openTerminal, type Terminal, wantsColor } from './terminal.ts'
import { windowFacts } from './trading-window.ts'

export async function main(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const command = environmentCommand()
  const given: { options?: RunOptions } = {}
  command.action(() => {
    given.options = runOptionsOf(command)
  })
  const ended = await parseCommandLine(command, argv)
  if (ended !== null || given.options === undefined) return ended ?? EXIT.usage
  return runMode(given.options, env, systemClock)
}

async function runMode(options: RunOptions, env: NodeJS.ProcessEnv, clock: Clock): Promise<number> {
  const started = { wallMs: clock.wallMs(), monotonicMs: clock.monotonicMs() }
  const output = process.stdout
  const { json, quiet } = options.shared
  const form = outputFormOf({ json }, output.isTTY === true)
  const terminal = openTerminal({ form, output, quiet, color: wantsColor(env, output), clock })
  const flags = {
    FEED_WINDOW: options.window ?? undefined,
    CTP_ROUTE_SELECTOR: options.config ?? undefined,
    FEED_SUPERVISOR: options.supervisor ?? undefined,
  }
  const inputs = await inputsOfMode(options, env, flags)
  const { parsed } = inputs
  const told = (end: ModeEnd, run: Run | null, profile: string, warnings: readonly string[]) =>
    tell(terminal, { options, end, run, profile, warnings, started, clock })
  if (!parsed.ok) {
    const end = { outcome: 'invalid-configuration', exitCode: EXIT.configuration, problems: parsed.problems }
    const unread = parsed.warnings.map(sentenceOf)
    const { profile } = parsed
    unread.push(
      ...(await auditRun({ options, config: null, profile, env, clock, end, startedMs: started.monotonicMs })),
    )
    return told(end, null, profile, unread)
  }
  const config = options.noPublish ? withoutBus(parsed.config) : parsed.config
  const warnings = parsed.warnings.map(sentenceOf)
  const interrupt = interruptSignal(terminal)
  let log: OpenLog | null = null
  let run: Run | null = null
  let end: ModeEnd
  try {
    if (config.supervisor !== 'local') throw unsupported(config.supervisor)
    if (MODES[options.mode].changes && !options.dryRun)
      warnings.push(...(await makeReadyStateDir(options.mode, config)))
    log = openRunLog(options, config, clock, form === 'table')
    const { given } = parsed
    const interrupted = interrupt.signal
    run = openRun({ ...inputs, config, given, terminal, clock, log, warnings, interrupted })
    end = await underLock(run)
  } catch (error) {
    end = endOf(error)
  }
  interrupt.dispose()
  log?.logger.info({ outcome: end.outcome, exit_code: end.exitCode, problems: end.problems }, `${options.mode} ended`)
  if (run !== null && MODES[options.mode].changes) await pushMetrics(run, end, started.monotonicMs)
  const { profile } = config
  warnings.push(...(await auditRun({ options, config, profile, env, clock, end, startedMs: started.monotonicMs })))
  log?.close()
  return told(end, run, config.profile, warnings)
}

interface ModeInputs {
  options: RunOptions
  parsed: ParsedConfig
  env: NodeJS.ProcessEnv
  snapshot: ConfigSnapshot | null
}

/** What is configured; for a rollback, what worked last. */
async function inputsOfMode(
  options: RunOptions,
  env: NodeJS.ProcessEnv,
  flags: Readonly<Partial<Record<SettingName, string | undefined>>>,
): Promise<ModeInputs> {
  const parsed = await loadAppConfig(options.shared, env, { flags })
  if (options.mode !== 'rollback') return { options, parsed, env, snapshot: null }
  const found = await snapshotToGoBackTo({ options, present: parsed, env, stateDir: stateDirOf(parsed, options, env) })
  if (found.kind === 'none') return { options, parsed: found.parsed, env, snapshot: null }
  const { snapshot, inputs } = found
  const shared = { ...options.shared, envFile: inputs.envFile }
  return { options: { ...options, shared }, parsed: inputs.parsed, env: inputs.env, snapshot }
}

interface RunParts extends Omit<ModeInputs, 'parsed'> {
  config: Config
  given: GivenSettings
  terminal: Terminal
  clock: Clock
  log: OpenLog
  warnings: string[]
  interrupted: AbortSignal
}

function openRun(parts: RunParts): Run {
  const { options, config, env, given, snapshot, terminal, clock, log, warnings, interrupted } = parts
  const control = controlClient({ socketPath: controlSocketPath(config.stateDir) })
  const daemonScript = join(packageDir(), 'bin', 'full-feed-subscription')
  const { stateDir } = config
  const window = windowFacts(config, clock.wallMs())
  if (window.remark !== null) warnings.push(window.remark)
  return {
    options,
    config,
    env,
    given,
    cwd: snapshot?.cwd ?? process.cwd(),
    snapshot,
    window,
    control,
    supervisor: localSupervisor({ stateDir, program: [process.execPath, daemonScript], control, clock }),
    terminal,
    logger: log.logger,
    clock,
    interrupted,
    steps: new StepLog(terminal, clock, log.logger),
    warnings,
  }
}

function openRunLog({ shared, mode, dryRun }: RunOptions, config: Config, clock: Clock, forPerson: boolean): OpenLog {
  return openLog({
    name: 'start-live-env',
    stateDir: MODES[mode].changes && !dryRun ? config.stateDir : null,
    fileLevel: config.logs.level,
    // A person has the steps on the terminal and needs no log lines between them.
    stderrLevel: shared.verbose ? 'debug' : forPerson ? 'error' : 'warn',
    totalBytesMax: config.logs.maxBytes,
    retentionDays: config.logs.retentionDays,
    clock,
  })
}

async function underLock(run: Run): Promise<ModeEnd> {
  const mode = MODES[run.options.mode]
  // A dry run changes nothing, and where there is no directory nothing can be changed.
  if (!mode.locks || run.options.dryRun || !existsSync(run.config.stateDir)) return mode.run(run)
  const since = isoShanghai(run.clock.wallMs())
  const attempt = await takeLock(run.config.stateDir, 'run', { pid: process.pid, command: run.options.mode, since })
  if (attempt.kind === 'taken') {
    const by =
      attempt.by === null
        ? 'another run'
        : `start-live-env ${attempt.by.command} (process ${attempt.by.pid}, since ${attempt.by.since})`
    const message = `${by} holds the lock of ${run.config.stateDir}`
    const remedy = 'Wait until it ends, or end it, then repeat the command.'
    return { outcome: 'locked', exitCode: EXIT.locked, problems: [{ name: 'locked', message, remedy }] }
  }
  try {
    return await mode.run(run)
  } finally {
    await attempt.lock.release()
  }
}

/** The first signal asks to come to an end in good order, the second does not ask. */
function interruptSignal(terminal: Terminal): { signal: AbortSignal; dispose(): void } {
  const controller = new AbortController()
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(EXIT.notReady)
    controller.abort()
    terminal.say('interrupted: leaving things in order (once more to leave at once)')
  }
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal)
  return {
    signal: controller.signal,
    dispose: () => void process.off('SIGINT', onSignal).off('SIGTERM', onSignal),
  }
}

function unsupported(supervisor: string): EndRun {
  const problem = {
    name: 'FEED_SUPERVISOR',
    message: `the supervisor ${supervisor} is not part of this version`,
    remedy: 'Use --supervisor local.',
  }
  return new EndRun({ outcome: 'invalid-configuration', exitCode: EXIT.configuration, problems: [problem] })
}

async function pushMetrics(run: Run, end: ModeEnd, startedMs: number): Promise<void> {
  const { pushgateway } = run.config.monitoring
  // A dry run is no run: it must not renew a success.
  if (pushgateway === null || run.options.dryRun) return
  const stores = openSecretStores(run.config.secretStores, run.env, run.clock)
  if (run.options.decommission && end.exitCode === EXIT.done) {
    const result = await forgetRuns(pushgateway, stores, run.config.profile)
    if (result.kind === 'failed') run.warnings.push(result.warning)
    return
  }
  const result = await pushRun(
    pushgateway,
    stores,
    {
      kind: 'command',
      name: run.options.mode,
      profile: run.config.profile,
      window: run.window.window,
      exitCode: end.exitCode,
      durationMs: run.clock.monotonicMs() - startedMs,
      // A plan that finds changes did what it is for.
      succeeded: end.exitCode === EXIT.done || end.exitCode === EXIT.changes,
      finishedMs: run.clock.wallMs(),
    },
    end.samples ?? [],
  )
  if (result.kind === 'failed') run.warnings.push(result.warning)
}

interface Told {
  options: RunOptions
  end: ModeEnd
  run: Run | null
  profile: string
  warnings: readonly string[]
  started: { wallMs: number; monotonicMs: number }
  clock: Clock
}

function tell(terminal: Terminal, told: Told): number {
  const { options, end, run, profile, warnings, started, clock } = told
  const { status = null, problems = [] } = end
  tellPerson(terminal, told)
  terminal.result({
    schema: 'feed-supervisor/run/1',
    command: options.mode,
    outcome: end.outcome,
    exit_code: end.exitCode,
    profile,
    ...windowTold(run, status),
    serving_line: status?.serving_line ?? null,
    started_at: isoShanghai(started.wallMs),
    finished_at: isoShanghai(clock.wallMs()),
    duration_ms: Math.round(clock.monotonicMs() - started.monotonicMs),
    steps: run?.steps.records ?? [],
    pid: status?.pid ?? null,
    lines: status === null ? {} : { primary: lineFacts(status.lines.primary), backup: lineFacts(status.lines.backup) },
    ...(end.failover && { failover: end.failover }),
    ...end.further,
    problems,
    warnings,
  })
  return end.exitCode
}

const SETTING = /^[A-Z][A-Z0-9_]*$/

function tellPerson(terminal: Terminal, { options, end, warnings }: Told): void {
  if (!options.shared.quiet)
    for (const warning of warnings) terminal.say(`${terminal.paint('caution', '!')} ${warning}`)
  for (const { name, message, remedy } of end.problems ?? []) {
    // A problem of a setting speaks about the setting without naming it.
    const about = SETTING.test(name) ? `${name}: ` : ''
    terminal.say(`${terminal.paint('bad', '✘')} ${about}${message}\n  ${terminal.paint('strong', '→')} ${remedy}`)
  }
  const tone = end.exitCode === EXIT.done ? 'good' : end.exitCode === EXIT.changes ? 'caution' : 'bad'
  if (options.mode !== 'status') {
    terminal.say(
      terminal.paint(tone, `${options.mode}: ${end.outcome}`) +
        (end.exitCode === EXIT.done ? '' : ` (exit code ${end.exitCode})`),
    )
  }
}

function sentenceOf(problem: Problem): string {
  return `${problem.name}: ${inSentences(problem)}`
}

/** A window and its own trading day: as asked for, or else as the daemon has them. */
function windowTold(run: Run | null, status: FeedStatus | null): { window: string | null; trading_day: string | null } {
  if (status !== null && (run === null || run.config.window === 'auto')) {
    return { window: status.window, trading_day: status.trading_day }
  }
  return { window: run?.window.window ?? null, trading_day: run?.window.tradingDay ?? null }
}
