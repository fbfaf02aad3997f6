/** `full-feed-subscription run`: configuration, log, signals, and the daemon between them. */
import { hostname } from 'node:os'
import { openLog } from '#adapters/log/logger.ts'
import { accountKey, isKilled, latchOf, readLatches } from '#adapters/state/latches.ts'
import { prepareStateDir } from '#adapters/state/state-dir.ts'
import { createNotifier } from '#adapters/systemd/notifier.ts'
import { systemClock } from '#clock.ts'
import { type Config, linesOf } from '#config/config.ts'
import { type CatalogueContract, readCatalogue } from '#config/contract-files.ts'
import type { DaemonEnd, Log } from '#daemon/daemon-options.ts'
import { runDaemon } from '#daemon/run-daemon.ts'
import { Failure, type Problem, problemOf } from '#domain/failure.ts'
import { EXIT } from '../exit-codes.ts'
import type { RunOptions } from '../full-feed-subscription.ts'
import { loadAppConfig, packageDir } from '../load-app-config.ts'
import type { SharedOptions } from '../shared-options.ts'
import { VERSION } from '../version.ts'

export async function runCommand(shared: SharedOptions, env: NodeJS.ProcessEnv, options: RunOptions): Promise<number> {
  const parsed = await loadAppConfig(shared, env, { flags: flagsOf(options) })
  if (!parsed.ok) return refuse(shared, parsed.problems, EXIT.configuration)
  const { config } = parsed
  const warnings = parsed.warnings.map(({ name, message }) => `${name}: ${message}`)
  if (options.dryRun) {
    const { adapter, primary, backup } = config.feed
    print(shared, {
      command: 'run',
      outcome: 'dry-run',
      exit_code: 0,
      profile: config.profile,
      adapter,
      lines: backup === null ? [primary.line] : [primary.line, backup.line],
      state_dir: config.stateDir,
      warnings,
    })
    return EXIT.done
  }
  try {
    await prepareStateDir(config.stateDir)
    const listFile = options.contracts ?? config.catalogue.file
    // Read once before anything starts, so that a damaged file is told here; and again by the daemon, now and at every reload.
    if (listFile !== null) await contractsOf(listFile)
    const latches = await readLatches(config.stateDir)
    if (isKilled(latches)) throw killed()
    const mayLogIn = linesOf(config).some(
      (line) => latchOf(latches, accountKey(`${line.brokerId}/${line.userId}`)) === null,
    )
    if (!mayLogIn) throw noLineMayLogIn()
    if (config.feed.adapter === 'ctp') await checkLibraries(config, env)
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
        readContracts: listFile === null ? null : () => contractsOf(listFile),
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
      return reportEnd(shared, end)
    } finally {
      signals.forget()
      close()
    }
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return refuse(shared, [problemOf(error)], exitCodeOf(error.kind))
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

async function contractsOf(file: string): Promise<readonly CatalogueContract[]> {
  const { contracts } = await readCatalogue(file)
  return contracts
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

function reportEnd(shared: SharedOptions, end: DaemonEnd): number {
  const isWhole = end.kind === 'stopped' || (end.isOnDisk && end.lost === 0)
  const exitCode = isWhole ? EXIT.done : EXIT.fault
  print(shared, {
    command: 'run',
    outcome: end.kind,
    exit_code: exitCode,
    ...(end.kind === 'stopped' ? { reason: end.reason } : { ticks: end.ticks, lost: end.lost, on_disk: end.isOnDisk }),
  })
  if (!isWhole) {
    process.stderr.write('journal: not every tick of the replay is on disk\n  -> Free disk space and replay again.\n')
  }
  return exitCode
}

function refuse(shared: SharedOptions, problems: readonly Problem[], exitCode: number): number {
  for (const { name, message, remedy } of problems) process.stderr.write(`${name}: ${message}\n  -> ${remedy}\n`)
  if (shared.json) print(shared, { command: 'run', outcome: 'refused', exit_code: exitCode, problems })
  return exitCode
}

function print(shared: SharedOptions, report: object): void {
  if (shared.json || !process.stdout.isTTY) {
    process.stdout.write(`${JSON.stringify({ schema: 'feed-supervisor/run/1', ...report })}\n`)
  }
}
