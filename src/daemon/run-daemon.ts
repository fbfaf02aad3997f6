/**
 * The daemon from start to end: opens everything in dependency order, keeps the rounds going, and closes it all in reverse. Reads like a
 * table of contents; what each part does is in its own file.
 */
import { join } from 'node:path'
import { serveControl } from '#adapters/control/control-server.ts'
import type { JournalWriter } from '#adapters/journal/journal-writer.ts'
import { openJournal } from '#adapters/journal/open-journal.ts'
import { metricsPage } from '#adapters/metrics/daemon-metrics.ts'
import { serveMetrics } from '#adapters/metrics/metrics-server.ts'
import { checkpointPath } from '#adapters/state/checkpoint-file.ts'
import { EpochFile } from '#adapters/state/epoch-file.ts'
import { setKillLatch } from '#adapters/state/latches.ts'
import { type Pause, readPause, removePause, writePause } from '#adapters/state/pause-file.ts'
import { takeLock } from '#adapters/state/run-lock.ts'
import { controlSocketPath } from '#adapters/state/state-dir.ts'
import type { Notifier } from '#adapters/systemd/notifier.ts'
import { type Clock, sleep } from '#clock.ts'
import type { Config } from '#config/config.ts'
import { linesOf as linesIn } from '#config/config.ts'
import { configFingerprint } from '#config/fingerprint.ts'
import type { Environment } from '#config/parse-config.ts'
import { Arbiter } from '#domain/arbitration.ts'
import { Failure, problemOf } from '#domain/failure.ts'
import { productOfInstrument } from '#domain/instrument.ts'
import { IntervalHistogram, RecentHistogram } from '#domain/interval-histogram.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import { LINES, type Line } from '#domain/line.ts'
import type { TickTotals } from '#domain/status.ts'
import { Closers } from './closers.ts'
import { controlRoutes, subscribe, subscriptions } from './control-routes.ts'
import { DecisionAudit } from './decision-audit.ts'
import { ReplayDriver } from './drive-replay.ts'
import { linesOf, readiness, type StatusParts, Throughput, tickTotals } from './feed-status.ts'
import { FeedSupervisor } from './feed-supervisor.ts'
import { healthReport } from './health-report.ts'
import { HostFacts } from './host-facts.ts'
import { InstrumentSlots } from './instrument-slots.ts'
import { journalLog } from './journal-log.ts'
import { EvidenceKeeper } from './line-evidence.ts'
import { LoginPermits } from './login-permits.ts'
import { metricSampler } from './metric-samples.ts'
import { FeedBus } from './open-bus.ts'
import { type OpenFeed, openFeed } from './open-feed.ts'
import { type LineParts, type LineSessions, listContracts, openLines } from './open-lines.ts'
import { restoreSlots, saveSlots } from './restore-slots.ts'
import { ReturnHold } from './return-hold.ts'
import { TickPath } from './tick-path.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type Log = (level: LogLevel, message: string, details?: Record<string, unknown>) => void

export interface DaemonOptions {
  config: Config
  version: string
  packageDir: string
  /** For secrets given as `env:NAME`. */
  env: Environment
  host: string
  clock: Clock
  notifier: Notifier
  log: Log
  /** Reads the contract list where it comes by file; null: the bridges are asked. @throws Failure when the file is damaged */
  readContracts: (() => Promise<readonly { symbol: string; exchange: string }[]>) | null
  /** Hands over what is to be done when an operator asks to reload. */
  onReload(reload: () => Promise<void>): void
  /** Start without looking at checkpoint and journal. */
  cold: boolean
  /** Leave by itself when a replay is over and all of it is on disk. */
  untilEnd: boolean
  configWarnings: readonly string[]
  /** First signal: drain and leave. */
  stop: AbortSignal
  /** Second signal: leave at once. */
  cut: AbortSignal
  started(facts: { metricsPort: number }): void
}

export type DaemonEnd =
  | { kind: 'stopped'; reason: string }
  | { kind: 'replay-over'; ticks: TickTotals; lost: number; isOnDisk: boolean }

type FaultCounts = Map<string, { component: string; severity: string; count: number }>

const ROUND_MS = 100
/** A round that comes later than this was held up with everything else here; the pipes are read before lines are judged by them. */
const ROUND_LATE_MS = 500
const LATCHES_EVERY_MS = 1_000
const STATUS_EVERY_MS = 30_000
const LINES_DEADLINE_MS = 7_000
/** A replay at full speed waits for the disk from here on, far below what the journal holds at most. */
const REPLAY_HELD_BYTES_MAX = 8 << 20
/** A write that takes longer than this will not come back. */
const JOURNAL_STUCK_MS = 20_000
const BUS_EPOCH_TIMEOUT_MS = 1_500

/**
 * Runs until stopped. Everything opened is closed again, whatever happens.
 * @throws Failure when something that the feed can't do without can't be opened: `daemon-running`, journal, control socket, metrics port
 */
export async function runDaemon(options: DaemonOptions): Promise<DaemonEnd> {
  const closers = new Closers()
  const faults: FaultCounts = new Map()
  const log = countingLog(options.log, faults)
  try {
    return await openAndRun({ ...options, log }, closers, faults)
  } finally {
    for (const { name, outcome, message } of await closers.closeAll(options.cut)) {
      if (outcome !== 'closed') log('error', `closing ${name}: ${outcome} ${message ?? ''}`.trimEnd())
    }
  }
}

async function openAndRun(options: DaemonOptions, closers: Closers, faults: FaultCounts): Promise<DaemonEnd> {
  const { config, clock, log, notifier } = options
  const startedAtMs = clock.wallMs()
  const startedMonotonicMs = clock.monotonicMs()
  const warnings = new Set(options.configWarnings)
  const ending = new Ending(options.stop)

  await holdDaemonLock(options, closers)
  const audit = openAudit(options, closers)
  const automation = { pause: await readPause(config.stateDir) }
  const feed = await openFeed(config, options)
  const latency = { recent: new RecentHistogram(30_000), total: new IntervalHistogram() }
  const journal = await openTickJournal(options, closers, { latency, warnings })
  const bus = await openBus(options, closers, { journal, latency })
  const slots = new InstrumentSlots(feed.calendar)
  const arbiter = new Arbiter(slots.live, config.arbitration)
  const restored = await restore(options, { slots, arbiter, lastSequence: journal.recovery.lastSequence, warnings })
  const path = new TickPath({ arbiter, table: slots.table, log: journalLog(journal.writer, slots.table) })

  const permits = new LoginPermits({
    stateDir: config.stateDir,
    clock,
    perMinute: config.pacing.loginPerMinute,
    onTrouble: (message) => log('warn', message),
  })
  await permits.open(linesIn(config).map((line) => feed.adapters[line.line]?.accountKey ?? ''))

  const rounds = new Rounds(clock, () => ending.signal.aborted)
  const replay: { driver: ReplayDriver | null } = { driver: null }
  const returning = new ReturnHold({ path, isUp: (line) => sessions[LINES[line]]?.loggedIn === true })
  const lineParts: LineParts = {
    config,
    clock,
    listsByFile: options.readContracts !== null,
    adapters: feed.adapters,
    arbiter,
    path,
    slots,
    permits,
    tick: (line, slot, views, at) => {
      if (replay.driver === null) returning.take(line, slot, views, at)
      else replay.driver.hold(line, slot, views, at)
    },
    reached: (line, reachedMs, nextMs) => replay.driver?.reached(line, reachedMs, nextMs),
    changed: () => rounds.soon(),
    latched: (line, message) => {
      log('error', `${line}: ${message} The account is latched. ${CLEAR_LATCH} ${line}.`, { component: line })
      audit.add({ event: 'latch', command: null, reason: message, outcome: 'latched', details: { line } })
    },
    log,
  }
  const sessions = openLines(lineParts)
  if (options.readContracts !== null) listContracts(await options.readContracts(), sessions, lineParts)
  replay.driver = openReplay(options, { feed, sessions, path, ending, writer: journal.writer })

  const supervisor = await openSupervisor(options, {
    feed,
    sessions,
    path,
    restoredEpoch: restored.epoch,
    writer: journal.writer,
    bus,
    audit,
    isPaused: automation.pause !== null,
  })
  const throughput = new Throughput()
  const lineThroughput = [new Throughput(), new Throughput()] as const
  rounds.perform = (nowMs) => {
    returning.releaseIfDue(nowMs)
    supervisor.round()
    throughput.sample(path.accepted, nowMs)
    for (const index of [0, 1] as const) lineThroughput[index].sample(path.lines[index].firstArrivals, nowMs)
  }
  const status: StatusParts = {
    supervisor,
    sessions,
    path,
    table: slots.table,
    calendar: feed.calendar,
    marketClock: feed.marketClock,
    clock,
    latency: latency.recent,
    throughput,
    lineThroughput,
    journal: journal.writer,
    bus,
    recovery: journal.recovery.message,
    coverageThreshold: config.coverage.threshold,
    identity: {
      profile: config.profile,
      adapter: config.feed.adapter,
      version: options.version,
      configFingerprint: configFingerprint(config),
      startedAtMs,
      startedMonotonicMs,
    },
    paused: () => automation.pause,
    warnings: () => [...warnings],
  }
  await openControl(options, closers, { status, writer: journal.writer, ending, audit, automation })
  bus?.answer(requestProviders(status, log))
  const journalMoves = writerProgress(journal.writer, clock)
  const isAlive = () => rounds.areKept && journalMoves()
  const metricsPort = await openMetrics(options, closers, { status, faults, latency: latency.total, isAlive })

  const timers = new Timers()
  const running: Promise<void>[] = []
  let saving: Promise<void> | null = null
  const saveCheckpoint = async () => {
    await saving
    saving = checkpoint(options, { status, arbiter, sequence: journal.writer.writtenSequence })
    await saving
    saving = null
  }
  closers.add({
    name: 'lines',
    deadlineMs: LINES_DEADLINE_MS,
    close: async () => {
      timers.clear()
      await Promise.all(running)
      returning.end()
      await supervisor.settled()
      await saveCheckpoint()
    },
  })
  rounds.now()
  timers.every(ROUND_MS, () => rounds.now())
  timers.every(config.journal.checkpointIntervalMs, () => {
    // A disk that takes longer than the interval must not collect a queue of them.
    if (saving === null) void saveCheckpoint()
  })
  timers.every(LATCHES_EVERY_MS, async () => {
    await permits.refresh().catch((error: unknown) => log('warn', String(error)))
    // The order to cut may not have reached a daemon that was just starting; the latch says it all.
    if (permits.isKilled && supervisor.feedState !== 'KILLED' && !ending.signal.aborted) supervisor.round('kill')
  })
  timers.every(STATUS_EVERY_MS, () => notifier.status(statusLine(status)))
  if (notifier.watchdogIntervalMs !== null)
    timers.every(notifier.watchdogIntervalMs, () => isAlive() && notifier.alive())
  for (const session of linesOf(sessions)) running.push(session.run(ending.signal))
  if (replay.driver !== null) running.push(replay.driver.run(ending.signal, sleep))

  options.onReload(() => reload(options, sessions, lineParts))
  options.started({ metricsPort })
  notifier.ready(statusLine(status))
  const end = await ending.reached
  notifier.stopping()
  log('info', `stopping: ${end.kind === 'stopped' ? end.reason : 'the replay is over'}`)
  return end
}

const CLEAR_LATCH = 'Correct the cause, then run: start-live-env status --reason TEXT --clear-latch'

/** Why the daemon leaves: told once, first reason wins. */
class Ending {
  readonly reached: Promise<DaemonEnd>
  readonly signal: AbortSignal
  readonly #own = new AbortController()
  #tell: (end: DaemonEnd) => void = () => undefined

  constructor(stop: AbortSignal) {
    this.signal = AbortSignal.any([stop, this.#own.signal])
    this.reached = new Promise((resolve) => {
      this.#tell = resolve
    })
    const onStop = () => this.leave({ kind: 'stopped', reason: 'a signal' })
    if (stop.aborted) onStop()
    else stop.addEventListener('abort', onStop, { once: true })
  }

  leave(end: DaemonEnd): void {
    this.#tell(end)
    this.#own.abort()
  }
}

/** Whether the journal's writer gets on: a disk that refuses is its business, one that never answers needs a new process. */
function writerProgress(writer: JournalWriter, clock: Clock): () => boolean {
  let written = writer.writtenSequence
  let movedAtMs = clock.monotonicMs()
  return () => {
    const hasWork = writer.heldBytes > 0 && writer.state === 'writing'
    if (!hasWork || writer.writtenSequence !== written) movedAtMs = clock.monotonicMs()
    written = writer.writtenSequence
    return clock.monotonicMs() - movedAtMs < JOURNAL_STUCK_MS
  }
}

/** The supervisor's rounds: at an interval, and soon after something changed. */
class Rounds {
  perform: (nowMs: number) => void = () => undefined
  readonly #clock: Clock
  readonly #isOver: () => boolean
  #lastMs: number
  #isDue = false

  constructor(clock: Clock, isOver: () => boolean) {
    this.#clock = clock
    this.#isOver = isOver
    this.#lastMs = clock.monotonicMs()
  }

  /** For the watchdog: the event loop turns. */
  get areKept(): boolean {
    return this.#clock.monotonicMs() - this.#lastMs < 10 * ROUND_MS + ROUND_LATE_MS
  }

  now(): void {
    const nowMs = this.#clock.monotonicMs()
    const isLate = nowMs - this.#lastMs > ROUND_MS + ROUND_LATE_MS
    this.#lastMs = nowMs
    if (isLate) this.soon()
    else if (!this.#isOver()) this.perform(nowMs)
  }

  soon(): void {
    if (this.#isDue) return
    this.#isDue = true
    setImmediate(() => {
      this.#isDue = false
      if (!this.#isOver()) this.perform(this.#clock.monotonicMs())
    })
  }
}

class Timers {
  readonly #timers: NodeJS.Timeout[] = []

  every(ms: number, act: () => unknown): void {
    this.#timers.push(setInterval(act, ms))
  }

  clear(): void {
    for (const timer of this.#timers) clearInterval(timer)
  }
}

async function holdDaemonLock({ config, clock }: DaemonOptions, closers: Closers): Promise<void> {
  const attempt = await takeLock(config.stateDir, 'daemon', {
    pid: process.pid,
    command: 'full-feed-subscription run',
    since: isoShanghai(clock.wallMs()),
  })
  if (attempt.kind === 'taken') {
    throw new Failure(
      'daemon-running',
      `another daemon${attempt.by === null ? '' : ` (pid ${attempt.by.pid})`} holds ${config.stateDir}`,
      'Use start-live-env status to look at it, or give this one a state directory of its own.',
    )
  }
  const { lock } = attempt
  closers.add({ name: 'daemon lock', deadlineMs: 1_000, close: () => lock.release() })
}

async function openTickJournal(
  { config, clock, host, log, cut }: DaemonOptions,
  closers: Closers,
  { latency, warnings }: { latency: { recent: RecentHistogram; total: IntervalHistogram }; warnings: Set<string> },
) {
  const journal = await openJournal({
    directory: journalDirectory(config),
    host,
    clock,
    policy: {
      segmentBytesMax: config.journal.segmentBytes,
      syncIntervalMs: config.journal.syncIntervalMs,
      keepDays: config.journal.retentionDays,
      keepBytes: config.journal.maxBytes,
      minFreeBytes: config.journal.minFreeBytes,
    },
    onTrouble: ({ kind, message, remedy }) => log('error', `${message} ${remedy}`, { component: 'journal', kind }),
    onEvent: (event) =>
      log(event.kind === 'segment-started' ? 'debug' : 'warn', `journal: ${event.kind}`, {
        ...event,
        component: 'journal',
      }),
    onWritten: (_lastSequence, nowMs, receivedMs, count) => {
      // With a bus, a tick has arrived when the bus has it.
      if (config.bus !== null) return
      for (let i = 0; i < count; i++) {
        const tookMs = nowMs - (receivedMs[i] ?? nowMs)
        latency.recent.observe(tookMs)
        latency.total.observe(tookMs)
      }
    },
  })
  const { writer, recovery } = journal
  closers.add({
    name: 'journal',
    deadlineMs: config.timeouts.stopMs,
    close: () => writer.close({ cut: cut.aborted }),
  })
  // Asked again during a close, it hurries.
  cut.addEventListener('abort', () => void writer.close({ cut: true }), { once: true })
  if (recovery.message !== null) {
    warnings.add(recovery.message)
    log('warn', recovery.message, { component: 'journal' })
  }
  return journal
}

/** Closed after the lines, so that it has everything, and before the journal that it reads. */
async function openBus(
  { config, env, clock, host, log, cut }: DaemonOptions,
  closers: Closers,
  parts: {
    journal: Awaited<ReturnType<typeof openTickJournal>>
    latency: { recent: RecentHistogram; total: IntervalHistogram }
  },
): Promise<FeedBus | null> {
  if (config.bus === null) return null
  const { writer, recovery } = parts.journal
  const bus = await FeedBus.open({
    bus: config.bus,
    stateDir: config.stateDir,
    env,
    clock,
    host,
    journalDirectory: journalDirectory(config),
    writer,
    numbering: { last: recovery.lastSequence, next: recovery.nextSequence },
    latency: parts.latency,
    log: (level, message, details) => log(level, message, { ...details, component: 'bus' }),
  })
  closers.add({
    name: 'bus',
    deadlineMs: config.timeouts.stopMs + 1_000,
    close: () => bus.close(config.timeouts.stopMs, cut),
  })
  return bus
}

function requestProviders(status: StatusParts, log: Log) {
  const audit = (event: string, details: Record<string, unknown>) => log('info', `over the bus: ${event}`, details)
  return {
    contracts: () => status.table.names,
    subscriptions: () =>
      subscriptions(status).subscriptions.map((row) => ({ ...row, product: productOfInstrument(row.symbol), row })),
    subscribe: (symbols: readonly string[]) => subscribe({ ...status, audit }, { symbols, line: null, only: null }),
    health: () => healthReport(status, { mode: 'dry-run', thresholds: {} }),
  }
}

async function restore(
  { config, cold, log }: DaemonOptions,
  parts: { slots: InstrumentSlots; arbiter: Arbiter; lastSequence: number; warnings: Set<string> },
) {
  const { slots, arbiter, lastSequence } = parts
  const restored = await restoreSlots({
    checkpointPath: checkpointPath(config.stateDir),
    journalDirectory: journalDirectory(config),
    lastSequence,
    arbiter,
    table: slots.table,
    slotOf: (symbol, exchange) => slots.slotOf(symbol, exchange),
    cold,
  })
  for (const warning of restored.warnings) {
    parts.warnings.add(warning)
    log('warn', warning, { component: 'checkpoint' })
  }
  if (restored.lastReceivedMs !== null) {
    const since = isoShanghai(restored.lastReceivedMs)
    log('info', `restored ${restored.instruments} instruments; nothing was received since ${since}`, {
      gap_from: since,
    })
  }
  return restored
}

/** An operator changed the contract list or cleared a latch. A damaged list changes nothing. */
async function reload(
  { clock, log, notifier, readContracts }: DaemonOptions,
  sessions: LineSessions,
  parts: LineParts,
) {
  notifier.reloading(BigInt(Math.round(clock.monotonicMs() * 1_000)))
  try {
    await parts.permits.refresh()
    if (readContracts === null) {
      log('info', 'reloaded: latches; the contract list comes from the feed itself')
    } else {
      const { added, removed } = listContracts(await readContracts(), sessions, parts)
      log('info', `reloaded: latches and contract list, ${added} contracts came and ${removed} went`)
    }
  } catch (error) {
    const { message, remedy } = problemOf(error)
    log('error', `not reloaded: ${message} ${remedy}`)
  }
  notifier.ready('reloaded')
}

function openReplay(
  { config, clock, log, untilEnd }: DaemonOptions,
  parts: { feed: OpenFeed; sessions: LineSessions; path: TickPath; ending: Ending; writer: JournalWriter },
): ReplayDriver | null {
  const { feed, sessions, path, ending, writer } = parts
  if (feed.recordingClock === null) return null
  const ended = () => {
    log('info', `the replay is over: ${path.accepted} ticks accepted`)
    if (!untilEnd) return
    void writer.sync().then((isOnDisk) => {
      ending.leave({ kind: 'replay-over', ticks: tickTotals(path), lost: path.refusedByLog, isOnDisk })
    })
  }
  return new ReplayDriver(
    {
      clock,
      marketClock: feed.recordingClock,
      calendar: feed.calendar,
      sessions,
      speed: config.replay.speed,
      take: (line, slot, views, at) => path.take(line, slot, views, at),
      isBacklogged: () => writer.heldBytes > REPLAY_HELD_BYTES_MAX,
      ended,
    },
    // Just before the first row, so that the first permit does not already let it go.
    feed.recordingClock.nowMs() - 1,
  )
}

async function openSupervisor(
  { config, clock, log }: DaemonOptions,
  parts: {
    feed: OpenFeed
    sessions: LineSessions
    path: TickPath
    restoredEpoch: number
    writer: JournalWriter
    bus: FeedBus | null
    audit: DecisionAudit
    isPaused: boolean
  },
): Promise<FeedSupervisor> {
  const { feed, sessions, path, restoredEpoch, writer, bus, audit, isPaused } = parts
  const { calendar, marketClock } = feed
  const epochFile = new EpochFile(config.stateDir)
  const supervisor = new FeedSupervisor({
    sessions,
    path,
    evidence: new EvidenceKeeper({
      path,
      sessions,
      calendar,
      nowMs: clock.monotonicMs(),
      marketMs: marketClock.nowMs(),
    }),
    calendar,
    marketClock,
    clock,
    epochFile,
    liveness: config.liveness,
    failover: config.failover.policy,
    standbyMode: config.feed.standbyMode,
    firstTickMs: config.timeouts.firstTickMs,
    home: homeLine(config),
    automatic: config.failover.automatic && !isPaused,
    linesShareFront: linesShareFront(config),
    lost: () => path.refusedByLog,
    log: (level, message, details) => log(level, message, { ...details, component: 'failover' }),
    tradingDayChanged: (tradingDay) => {
      writer.rotate()
      log('info', `trading day ${tradingDay} begins`)
    },
    published: (change) => {
      const { epoch, servingLine, feedState, sinceMs, step } = change
      log('info', `feed state ${feedState}, serving line ${servingLine}, epoch ${epoch}`, { reason: step.reason })
      bus?.publishState(change, clock.wallMs() - (clock.monotonicMs() - sinceMs))
    },
    decided: (step, record) => audit.decided(step, record),
  })
  const onDisk = await epochFile.read()
  if (onDisk.damaged) log('warn', 'the epoch file was damaged; the number in the checkpoint is taken instead')
  // A bus that can't be asked now is no reason to wait: the file has every epoch that this host ever used.
  const onBus = (await bus?.publisher.busEpoch(BUS_EPOCH_TIMEOUT_MS)) ?? 0
  await supervisor.begin(Math.max(onDisk.epoch, restoredEpoch, onBus))
  return supervisor
}

async function openControl(
  { config, clock, log }: DaemonOptions,
  closers: Closers,
  parts: {
    status: StatusParts
    writer: JournalWriter
    ending: Ending
    audit: DecisionAudit
    automation: { pause: Pause | null }
  },
): Promise<void> {
  const { status, writer, ending, audit, automation } = parts
  const routes = controlRoutes({
    ...status,
    journalDirectory: journalDirectory(config),
    journalNotifier: writer,
    // After the answer is on its way.
    shutdown: (reason) => setImmediate(() => ending.leave({ kind: 'stopped', reason })),
    latchKill: (reason, drill) => setKillLatch(config.stateDir, { since: isoShanghai(clock.wallMs()), reason, drill }),
    keepPause: async (pause) => {
      automation.pause = pause === null ? null : { since: isoShanghai(clock.wallMs()), reason: pause.reason }
      try {
        await (automation.pause === null ? removePause(config.stateDir) : writePause(config.stateDir, automation.pause))
        return null
      } catch (error) {
        const message = `this will not outlive a restart of the daemon: ${String(error)}`
        log('warn', message, { component: 'control' })
        return message
      }
    },
    audit: (event, { reason = null, drill = null, outcome = 'done', ...details }) => {
      log('info', `operator: ${event}`, { reason, drill, outcome, ...details, component: 'control' })
      audit.add({
        event: 'order',
        command: event,
        reason: textOrNull(reason),
        drill: textOrNull(drill),
        outcome: String(outcome),
        details,
      })
    },
  })
  const control = await serveControl(controlSocketPath(config.stateDir), routes, (error) =>
    log('error', `control socket: ${String(error)}`, { component: 'control' }),
  )
  closers.add({ name: 'control socket', deadlineMs: 2_000, close: () => control.close() })
}

function openAudit({ config, clock, env, log }: DaemonOptions, closers: Closers): DecisionAudit {
  const { stateDir, audit } = config
  const decisions = new DecisionAudit({ stateDir, clock, retentionDays: audit.retentionDays }, env, (message) =>
    log('warn', message, { component: 'audit' }),
  )
  closers.add({ name: 'audit log', deadlineMs: 2_000, close: () => decisions.settled() })
  return decisions
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

async function openMetrics(
  { config, log }: DaemonOptions,
  closers: Closers,
  parts: { status: StatusParts; faults: FaultCounts; latency: IntervalHistogram; isAlive(): boolean },
): Promise<number> {
  const { status, faults, latency, isAlive } = parts
  const { primary, backup } = config.feed
  const hostFacts = new HostFacts(journalDirectory(config), {
    primary: primary.password,
    backup: backup?.password ?? null,
  })
  closers.add({ name: 'host facts', deadlineMs: 1_000, close: async () => hostFacts.close() })
  void hostFacts.look()
  const limits = {
    failoverObjectiveMs: config.failover.objectiveMs,
    journalBytesMax: config.journal.maxBytes,
    journalFreeBytesMin: config.journal.minFreeBytes,
  }
  const metrics = await serveMetrics({
    host: config.monitoring.metricsHost,
    port: config.monitoring.metricsPort,
    page: metricsPage({ samples: metricSampler({ ...status, faults, hostFacts, limits }), latency }),
    live: () => ({
      ok: isAlive(),
      detail: isAlive() ? 'alive' : 'the rounds of the supervisor or the writes of the journal stand still',
    }),
    ready: () => {
      const { ready, detail } = readiness(status)
      return { ok: ready, detail }
    },
    onFault: (error) => log('error', `metrics: ${String(error)}`, { component: 'metrics' }),
  })
  closers.add({ name: 'metrics port', deadlineMs: 2_000, close: () => metrics.close() })
  return metrics.port
}

async function checkpoint(
  { config, clock, log }: DaemonOptions,
  { status, arbiter, sequence }: { status: StatusParts; arbiter: Arbiter; sequence: number },
): Promise<void> {
  try {
    await saveSlots({
      checkpointPath: checkpointPath(config.stateDir),
      arbiter,
      table: status.table,
      sequence,
      epoch: status.supervisor.epoch,
      nowMs: clock.wallMs(),
    })
  } catch (error) {
    log('warn', `the checkpoint could not be written: ${String(error)}`, { component: 'checkpoint' })
  }
}

function journalDirectory(config: Config): string {
  return join(config.stateDir, 'journal')
}

function countingLog(log: Log, faults: FaultCounts): Log {
  return (level, message, details) => {
    if (level === 'warn' || level === 'error') {
      const component = typeof details?.['component'] === 'string' ? details['component'] : 'daemon'
      const severity = level === 'warn' ? 'warning' : 'error'
      const key = `${component} ${severity}`
      faults.set(key, { component, severity, count: (faults.get(key)?.count ?? 0) + 1 })
    }
    log(level, message, details)
  }
}

function homeLine(config: Config): Line {
  return config.feed.routeSelector === 'backup' && config.feed.backup !== null ? 'backup' : 'primary'
}

/** Both lines on one front or with one broker: one outage may take both. Bridges of ours share nothing but this host. */
function linesShareFront({ feed: { primary, backup, adapter } }: Config): boolean {
  if (backup === null || adapter !== 'ctp') return false
  const fronts = new Set(primary.mdFronts.map((front) => JSON.stringify(front)))
  return primary.brokerId === backup.brokerId || backup.mdFronts.some((front) => fronts.has(JSON.stringify(front)))
}

function statusLine({ supervisor, throughput, sessions }: StatusParts): string {
  const { subscribed = 0, expected = 0 } = sessions[supervisor.serving]?.book ?? {}
  const rate = Math.round(throughput.perSecond)
  return `${supervisor.feedState} on ${supervisor.serving}, ${subscribed}/${expected} contracts, ${rate} ticks/s`
}
