/** `full-feed-subscription run`: configuration, log, signals, and the daemon between them. */
import { hostname } from 'node:os'
import { openLog } from '#adapters/log/logger.ts'
import { accountKey, isKilled, latchOf, readLatches } from '#adapters/state/latches.ts'
import { prepareStateDir } from '#adapters/state/state-dir.ts'
import { readHandedSecrets } from '#adapters/supervisors/handed-secrets.ts'
import { createNotifier } from '#adapters/systemd/notifier.ts'
import { systemClock } from '#clock.ts'
import { type Config, linesOf } from '#config/config.ts'
import type { Log } from '#daemon/daemon-options.ts'
import { runDaemon } from '#daemon/run-daemon.ts'
import { Failure, type Problem, problemOf } from '#domain/failure.ts'
import { readContractList } from '../contract-list.ts'
import { EXIT } from '../exit-codes.ts'
import type { RunOptions } from '../full-feed-subscription.ts'
import { loadAppConfig, packageDir } from '../load-app-config.ts'
import { NOT_PUBLISHED, withoutBus } from '../no-publish.ts'
import { outputFormOf, type SharedOptions } from '../shared-options.ts'
import { openTerminal, type Terminal, wantsColor } from '../terminal.ts'
import { VERSION } from '../version.ts'
import { runReport, sayRun } from './run-report.ts'

export async function runCommand(
  shared: SharedOptions,
  processEnv: NodeJS.ProcessEnv,
  options: RunOptions,
): Promise<number> {
  const terminal = terminalOf(shared, processEnv)
  const handed = options.handedSecrets === undefined ? {} : handedOrFailure()
  if (handed instanceof Failure) return refuse(shared, [problemOf(handed)], EXIT.configuration)
  const env = { ...processEnv, ...handed }
  const parsed = await loadAppConfig(shared, env, { flags: flagsOf(options) })
  if (!parsed.ok) return refuse(shared, parsed.problems, EXIT.configuration)
  const config = options.publish ? parsed.config : withoutBus(parsed.config)
  const warnings = parsed.warnings.map(({ name, message }) => `${name}: ${message}`)
  if (!options.publish) warnings.push(NOT_PUBLISHED)
  if (options.dryRun) {
    const { adapter, primary, backup } = config.feed
    const lines = backup === null ? [primary.line] : [primary.line, backup.line]
    terminal.say(`would run profile ${config.profile} (${adapter}) with ${lines.join(' and ')} in ${config.stateDir}`)
    for (const warning of warnings) terminal.say(`${terminal.paint('caution', '!')} ${warning}`)
    print(terminal, {
      command: 'run',
      outcome: 'dry-run',
      exit_code: 0,
      profile: config.profile,
      adapter,
      lines,
      state_dir: config.stateDir,
      warnings,
    })
    return EXIT.done
  }
  try {
    await prepareStateDir(config.stateDir)
    const listFile = options.contracts ?? config.catalogue.file
    // Read once before anything starts, so that a damaged file is told here; and again by the daemon, now and at every reload.
    if (listFile !== null) await readContractList(listFile, config)
    const latches = await readLatches(config.stateDir)
    if (isKilled(latches)) throw killed()
    const mayLogIn = linesOf(config).some(
      (line) => latchOf(latches, accountKey(`${line.brokerId}/${line.userId}`)) === null,
    )
    if (!mayLogIn) throw noLineMayLogIn()
    if (config.feed.adapter === 'ctp') await checkLibraries(config, env)
    if (config.feed.adapter === 'replay') await checkRecordings(config)
    const { logger, close } = openLog({
      name: 'full-feed-subscription',
      stateDir: config.stateDir,
      fileLevel: shared.verbose ? 'debug' : config.logs.level,
      stderrLevel: shared.verbose ? 'debug' : shared.quiet ? 'error' : config.logs.level,
      totalBytesMax: config.logs.maxBytes,
      retentionDays: config.logs.retentionDays,
    })
    const log: Log = (level, message, details) => logger[level](details ?? {}, message)
    const signals = listenForSignals(log)
    try {
      const end = await runDaemon({
        config,
        version: VERSION,
        packageDir: packageDir(),
        env,
        host: hostname(),
        clock: systemClock,
        notifier: createNotifier(env, (message) => log('warn', message)),
        log,
        readContracts: listFile === null ? null : async () => (await readContractList(listFile, config)).contracts,
        onReload: signals.onReload,
        cold: options.cold,
        untilEnd: options.untilEnd,
        configWarnings: warnings,
        stop: signals.stop,
        cut: signals.cut,
        started: ({ metricsPort }) =>
          log(
            'info',
            `version ${VERSION}, profile ${config.profile}, adapter ${config.feed.adapter}, metrics on port ${metricsPort}`,
          ),
      })
      const report = runReport(end)
      for (const problem of terminal.form === 'table' ? [] : report.problems) tellProblem(problem)
      sayRun(terminal, end)
      print(terminal, report)
      return report.exit_code
    } finally {
      signals.forget()
      close()
    }
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return refuse(shared, [problemOf(error)], exitCodeOf(error.kind))
  }
}

function handedOrFailure(): Record<string, string> | Failure {
  try {
    return readHandedSecrets()
  } catch (error) {
    if (error instanceof Failure) return error
    throw error
  }
}

function flagsOf(options: RunOptions) {
  return {
    SUBSCRIBE_BATCH_SIZE: options.batchSize,
    SUBSCRIBE_RATE_LIMIT_MAX_REQUESTS: options.rateLimitMax,
    SUBSCRIBE_RATE_LIMIT_WINDOW_SECONDS: options.rateLimitWindow,
    SUBSCRIBE_MAX_RETRIES: options.maxRetries,
    SUBSCRIBE_RETRY_DELAY_SECONDS: options.retryDelay,
    CONTRACTS_INCLUDE: options.include,
    CONTRACTS_EXCLUDE: options.exclude,
    CONTRACTS_LIMIT: options.limit,
    METRICS_HOST: options.metricsHost,
    METRICS_PORT: options.metricsPort,
  }
}

/** Read to the end, because that is where a copy that was cut short shows. @throws Failure as surveyRecording does */
async function checkRecordings({ replay }: Config): Promise<void> {
  const { RecordedInstruments, surveyRecording } = await import('#adapters/feeds/replay/recording.ts')
  for (const file of replay.files) await surveyRecording(file, new RecordedInstruments())
}

/** Without them no line will ever come up, so that is told here and not by a line that has given up. @throws Failure<'bridge-unavailable'> */
async function checkLibraries({ feed }: Config, env: NodeJS.ProcessEnv): Promise<void> {
  const { inspectLibrary } = await import('#adapters/feeds/ctp/build-record.ts')
  await inspectLibrary('md', feed, env)
  if (feed.tdLoginFirst) await inspectLibrary('td', feed, env)
}

function killed(): Failure {
  return new Failure(
    'killed',
    'the kill latch is set, so the feed stays cut',
    'Once it may run again: start-live-env status --clear-latch kill --reason TEXT.',
  )
}

function noLineMayLogIn(): Failure {
  return new Failure(
    'no-line-may-log-in',
    'the account of every line is latched after a refused login',
    'Correct the cause, then clear the latch: start-live-env status --clear-latch primary --reason TEXT.',
  )
}

function exitCodeOf(kind: string): number {
  if (kind === 'daemon-running') return EXIT.locked
  if (kind === 'killed' || kind === 'no-line-may-log-in') return EXIT.refused
  return EXIT.configuration
}

/** The first SIGTERM or SIGINT drains, the second cuts; SIGHUP reloads. */
function listenForSignals(log: Log) {
  const stop = new AbortController()
  const cut = new AbortController()
  const onSignal = (signal: NodeJS.Signals) => {
    if (!stop.signal.aborted) {
      log('info', `${signal}: stopping in order; a second signal cuts`)
      stop.abort()
    } else {
      log('warn', `${signal} again: leaving at once`)
      cut.abort()
    }
  }
  let reload = async () => log('info', 'SIGHUP before the start was over: nothing to reload yet')
  const onHangup = () => void reload()
  process.on('SIGHUP', onHangup)
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  return {
    stop: stop.signal,
    cut: cut.signal,
    onReload(act: () => Promise<void>) {
      reload = act
    },
    forget() {
      process.off('SIGHUP', onHangup)
      process.off('SIGTERM', onSignal)
      process.off('SIGINT', onSignal)
    },
  }
}

function refuse(shared: SharedOptions, problems: readonly Problem[], exitCode: number): number {
  for (const problem of problems) tellProblem(problem)
  if (shared.json)
    process.stdout.write(documentOf({ command: 'run', outcome: 'refused', exit_code: exitCode, problems }))
  return exitCode
}

function tellProblem({ name, message, remedy }: Problem): void {
  process.stderr.write(`${name}: ${message}\n  -> ${remedy}\n`)
}

function terminalOf({ json, quiet }: SharedOptions, env: NodeJS.ProcessEnv): Terminal {
  const output = process.stdout
  const form = outputFormOf({ json }, output.isTTY === true)
  return openTerminal({ form, output, quiet, color: wantsColor(env, output) })
}

/** One line, whether it was asked for or only goes into a pipe: what reads it is a program either way. */
function print(terminal: Terminal, report: object): void {
  if (terminal.form !== 'table') process.stdout.write(documentOf(report))
}

function documentOf(report: object): string {
  return `${JSON.stringify({ schema: 'feed-supervisor/run/1', ...report })}\n`
}
