/**
 * The daemon from start to end: opens everything in dependency order, keeps the rounds going, and closes it all in reverse. Reads like a
 * table of contents; what each part does is in its own file.
 */
import { join } from 'node:path'
import { serveControl } from '#adapters/control/control-server.ts'
import { openJournal } from '#adapters/journal/open-journal.ts'
import { metricsPage } from '#adapters/metrics/daemon-metrics.ts'
import { serveMetrics } from '#adapters/metrics/metrics-server.ts'
import { checkpointPath } from '#adapters/state/checkpoint-file.ts'
import { EpochFile } from '#adapters/state/epoch-file.ts'
import { setKillLatch } from '#adapters/state/latches.ts'
import { takeLock } from '#adapters/state/run-lock.ts'
import { controlSocketPath } from '#adapters/state/state-dir.ts'
import type { Notifier } from '#adapters/systemd/notifier.ts'
import { type Clock, sleep } from '#clock.ts'
import type { Config, LineConfig } from '#config/config.ts'
import { configFingerprint } from '#config/fingerprint.ts'
import { Arbiter } from '#domain/arbitration.ts'
import { contractFilter } from '#domain/contract-filter.ts'
import { Failure } from '#domain/failure.ts'
import { isExchange, productOfInstrument } from '#domain/instrument.ts'
import { InstrumentTable } from '#domain/instrument-table.ts'
import { IntervalHistogram, RecentHistogram } from '#domain/interval-histogram.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import { LINES, type Line } from '#domain/line.ts'
import { LiveSessions } from '#domain/session-calendar.ts'
import type { TickTotals } from '#domain/status.ts'
import { Closers } from './closers.ts'
import { controlRoutes } from './control-routes.ts'
import { ReplayDriver } from './drive-replay.ts'
import { type JournalFacts, linesOf, readiness, type StatusParts, Throughput, tickTotals } from './feed-status.ts'
import { FeedSupervisor } from './feed-supervisor.ts'
import { EvidenceKeeper } from './line-evidence.ts'
import { LineSession } from './line-session.ts'
import { LoginPermits } from './login-permits.ts'
import { metricSamples } from './metric-samples.ts'
import { openFeed } from './open-feed.ts'
import { restoreSlots, saveSlots } from './restore-slots.ts'
import { createSubscriptionPacer } from './subscription-pacer.ts'
import { TickPath } from './tick-path.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type Log = (level: LogLevel, message: string, details?: Record<string, unknown>) => void

export interface DaemonOptions {
  config: Config
  version: string
  packageDir: string
  host: string
  clock: Clock
  notifier: Notifier
  log: Log
  /** Contracts given by file, instead of asking the bridges; null: ask them. */
  contracts: readonly { symbol: string; exchange: string }[] | null
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

export type DaemonEnd = { kind: 'stopped'; reason: string } | { kind: 'replay-over'; ticks: TickTotals }

const ROUND_MS = 100
const SESSIONS_DEADLINE_MS = 5_000

/**
 * Runs until stopped. Everything opened is closed again, whatever happens.
 * @throws Failure when something that the feed can't do without can't be opened: `daemon-running`, journal, control socket, metrics port
 */
export async function runDaemon(options: DaemonOptions): Promise<DaemonEnd> {
  const closers = new Closers()
  const faults = new Map<string, { component: string; severity: string; count: number }>()
  const log = countingLog(options.log, faults)
  try {
    return await openAndRun({ ...options, log }, closers, faults)
  } finally {
    for (const { name, outcome, message } of await closers.closeAll(options.cut)) {
      if (outcome !== 'closed')
        log('error', `closing ${name}: ${outcome} ${message ?? ''}`.trimEnd(), { component: 'daemon' })
    }
  }
}

async function openAndRun(
  options: DaemonOptions,
  closers: Closers,
  faults: Map<string, { component: string; severity: string; count: number }>,
): Promise<DaemonEnd> {
  const { config, clock, log, notifier } = options
  const startedAtMs = clock.wallMs()
  const startedMonotonicMs = clock.monotonicMs()
  const warnings = new Set(options.configWarnings)
  const lock = await takeLock(config.stateDir, 'daemon', {
    pid: process.pid,
    command: 'full-feed-subscription run',
    since: isoShanghai(startedAtMs),
  })
  if (lock.kind === 'taken') throw daemonRunning(lock.by?.pid ?? null)
  closers.add({ name: 'daemon lock', deadlineMs: 1_000, close: () => lock.lock.release() })

  const feed = await openFeed(config, options)
  const latency = new RecentHistogram(30_000)
  const latencyTotal = new IntervalHistogram()
  const { writer, recovery } = await openJournal({
    directory: join(config.stateDir, 'journal'),
    host: options.host,
    clock,
    policy: {
      segmentBytesMax: config.journal.segmentBytes,
      syncIntervalMs: config.journal.syncIntervalMs,
      keepDays: config.journal.retentionDays,
      keepBytes: config.journal.maxBytes,
      minFreeBytes: config.journal.minFreeBytes,
    },
    onTrouble: (failure) => {
      warnings.add(failure.message)
      log('error', `${failure.message} ${failure.remedy}`, { component: 'journal', kind: failure.kind })
    },
    onEvent: (event) =>
      log(event.kind === 'segment-started' ? 'debug' : 'warn', `journal: ${event.kind}`, {
        ...event,
        component: 'journal',
      }),
    onWritten: (_last, nowMs, receivedMs, count) => {
      for (let i = 0; i < count; i++) {
        const tookMs = nowMs - (receivedMs[i] ?? nowMs)
        latency.observe(tookMs)
        latencyTotal.observe(tookMs)
      }
    },
  })
  let isCut = false
  closers.add({
    name: 'journal',
    deadlineMs: config.timeouts.stopMs,
    close: () => writer.close({ cut: isCut }),
  })
  options.cut.addEventListener('abort', () => {
    isCut = true
    void writer.close({ cut: true })
  })
  if (recovery.message !== null) {
    warnings.add(recovery.message)
    log('warn', recovery.message, { component: 'journal' })
  }

  const table = new InstrumentTable()
  const live = new LiveSessions(feed.calendar)
  const arbiter = new Arbiter(live, config.arbitration)
  const slotOf = (symbol: string, exchange: string) => findOrAddSlot(table, live, feed.calendar, symbol, exchange)
  const restored = await restoreSlots({
    checkpointPath: checkpointPath(config.stateDir),
    journalDirectory: join(config.stateDir, 'journal'),
    lastSequence: recovery.lastSequence,
    arbiter,
    table,
    slotOf,
    cold: options.cold,
  })
  for (const warning of restored.warnings) {
    warnings.add(warning)
    log('warn', warning, { component: 'checkpoint' })
  }
  if (restored.lastReceivedMs !== null) {
    const downFrom = isoShanghai(restored.lastReceivedMs)
    log('info', `restored ${restored.instruments} instruments; nothing was received since ${downFrom}`, {
      gap_from: downFrom,
    })
  }

  const path = new TickPath({
    arbiter,
    table,
    log: journalLog(writer, table),
  })
  const permits = new LoginPermits({
    stateDir: config.stateDir,
    clock,
    perMinute: config.pacing.loginPerMinute,
    onTrouble: (message) => log('warn', message),
  })
  await permits.open(linesIn(config).map(accountOf))

  const ending = new AbortController()
  const stopped = AbortSignal.any([options.stop, ending.signal])
  let end: DaemonEnd = { kind: 'stopped', reason: 'a signal' }
  const leave = (why: DaemonEnd) => {
    if (stopped.aborted) return
    end = why
    ending.abort()
  }

  const soon = { roundIsDue: false }
  const sessions: Record<Line, LineSession | null> = { primary: null, backup: null }
  let replay: ReplayDriver | null = null
  for (const line of linesIn(config)) {
    const adapter = feed.adapters[line.line]
    if (adapter === null) continue
    const wants = lineListing(config, line)
    sessions[line.line] = new LineSession(line.line, adapter, 'off', {
      clock,
      timeouts: {
        helloMs: 10_000,
        connectMs: config.timeouts.connectMs,
        loginMs: config.timeouts.loginMs,
        ackMs: config.timeouts.ackMs,
        silenceMs: Math.max(2 * config.liveness.bridgeSilentMs, 5_000),
        catalogueMs: 120_000,
      },
      pacing: config.pacing,
      pacer: createSubscriptionPacer(config.pacing),
      maxSubscribeAttempts: 1 + config.pacing.maxRetries,
      requestLogin: (account) => permits.request(account),
      isLatched: (account) => permits.isLatched(account),
      latch: async (account, latchedLine, message) => {
        await permits.latch(account, latchedLine, adapter.account ?? '***', message)
        log(
          'error',
          `${latchedLine}: the account is latched: ${message} Correct the cause, then run start-live-env status --clear-latch ${latchedLine}.`,
          { component: latchedLine },
        )
      },
      slotFor: (of, symbol, exchange, isListing) => {
        const slot = slotOf(symbol, exchange)
        const session = sessions[of]
        if (slot === null || session === null || !isListing || !wants(symbol, table.name(slot).exchange)) return slot
        if (config.catalogue.limit !== null && session.book.expected >= config.catalogue.limit) return slot
        session.book.list(slot)
        path.listedOn[slot] = (path.listedOn[slot] ?? 0) | (1 << session.index)
        return slot
      },
      slotName: (slot) => table.name(slot),
      expectSnapshot: (index, slot) => arbiter.expectSnapshot(index, slot),
      reading: (nowMs) => {
        path.readAtMs = nowMs
      },
      tick: (index, slot, views, at) => {
        if (replay === null) path.take(index, slot, views, at)
        else replay.hold(index, slot, views, at)
      },
      reached: (of, reachedMs, nextMs) => replay?.reached(of, reachedMs, nextMs),
      changed: () => {
        if (soon.roundIsDue) return
        soon.roundIsDue = true
        setImmediate(() => {
          soon.roundIsDue = false
          if (!stopped.aborted) round()
        })
      },
      jitter: Math.random,
      marketIsOpen: () => feed.calendar.marketState(feed.marketClock.nowMs()) === 'open',
      log: (level, message, details) => log(level, message, { ...details, component: line.line }),
    })
  }

  const evidence = new EvidenceKeeper({
    path,
    sessions,
    calendar: feed.calendar,
    nowMs: clock.monotonicMs(),
    marketMs: feed.marketClock.nowMs(),
  })
  const epochFile = new EpochFile(config.stateDir)
  const supervisor = new FeedSupervisor({
    sessions,
    path,
    evidence,
    calendar: feed.calendar,
    marketClock: feed.marketClock,
    clock,
    epochFile,
    liveness: config.liveness,
    failover: config.failover.policy,
    standbyMode: config.feed.standbyMode,
    firstTickMs: config.timeouts.firstTickMs,
    home: homeLine(config),
    automatic: config.failover.automatic,
    linesShareFront: linesShareFront(config),
    lost: () => path.refusedByLog,
    log: (level, message, details) => log(level, message, { ...details, component: 'failover' }),
    tradingDayChanged: (tradingDay) => {
      writer.rotate()
      log('info', `trading day ${tradingDay} begins`)
    },
    published: ({ epoch, servingLine, feedState, step }) =>
      log('info', `feed state ${feedState}, serving line ${servingLine}, epoch ${epoch}`, { reason: step.reason }),
  })
  const epochOnDisk = await epochFile.read()
  if (epochOnDisk.damaged) log('warn', 'the epoch file was damaged; the checkpoint is taken instead')
  await supervisor.begin(Math.max(epochOnDisk.epoch, restored.epoch))

  const throughput = new Throughput()
  const journalFacts: JournalFacts = {
    get records() {
      return writer.records
    },
    get bytesWritten() {
      return writer.bytesWritten
    },
    get lastSequence() {
      return writer.lastSequence
    },
    get syncedSequence() {
      return writer.syncedSequence
    },
    lost: 0,
    get state() {
      return writer.state
    },
    recovery: recovery.message,
  }
  const status: StatusParts = {
    supervisor,
    sessions,
    path,
    table,
    calendar: feed.calendar,
    marketClock: feed.marketClock,
    clock,
    latency,
    throughput,
    journal: journalFacts,
    coverageThreshold: config.coverage.threshold,
    identity: {
      profile: config.profile,
      adapter: config.feed.adapter,
      version: options.version,
      configFingerprint: configFingerprint(config),
      startedAtMs,
      startedMonotonicMs,
    },
    warnings: () => [...warnings],
  }

  const control = await serveControl(
    controlSocketPath(config.stateDir),
    controlRoutes({
      ...status,
      journalDirectory: join(config.stateDir, 'journal'),
      journalNotifier: writer,
      shutdown: (reason) => setImmediate(() => leave({ kind: 'stopped', reason })),
      latchKill: (reason) => setKillLatch(config.stateDir, { since: isoShanghai(clock.wallMs()), reason }),
      audit: (event, details) => log('info', `operator: ${event}`, { ...details, component: 'control' }),
    }),
    (error) => log('error', `control socket: ${String(error)}`, { component: 'control' }),
  )
  closers.add({ name: 'control socket', deadlineMs: 2_000, close: () => control.close() })

  const metrics = await serveMetrics({
    host: config.monitoring.metricsHost,
    port: config.monitoring.metricsPort,
    page: metricsPage({
      samples: () =>
        metricSamples(
          status,
          { records: writer.records, lost: 0, bytes: writer.bytes, lastSyncMs: writer.lastSyncMs },
          faults,
        ),
      latency: latencyTotal,
    }),
    live: () => ({ ok: clock.monotonicMs() - lastRoundMs < 5_000, detail: 'the event loop runs' }),
    ready: () => {
      const { ready, detail } = readiness(status)
      return { ok: ready, detail }
    },
    onFault: (error) => log('error', `metrics: ${String(error)}`, { component: 'metrics' }),
  })
  closers.add({ name: 'metrics port', deadlineMs: 2_000, close: () => metrics.close() })

  let lastRoundMs = clock.monotonicMs()
  const round = () => {
    lastRoundMs = clock.monotonicMs()
    supervisor.round()
    throughput.sample(path.accepted, lastRoundMs)
  }
  const saveCheckpoint = () =>
    saveSlots({
      checkpointPath: checkpointPath(config.stateDir),
      arbiter,
      table,
      sequence: writer.writtenSequence,
      epoch: supervisor.epoch,
      nowMs: clock.wallMs(),
    }).catch((error: unknown) =>
      log('warn', `the checkpoint could not be written: ${String(error)}`, { component: 'checkpoint' }),
    )

  if (options.contracts !== null) listContracts(options.contracts, sessions, config, table, slotOf, path)
  if (feed.recordingClock !== null) {
    replay = new ReplayDriver(
      {
        clock,
        marketClock: feed.recordingClock,
        calendar: feed.calendar,
        sessions,
        speed: config.replay.speed,
        take: (index, slot, views, at) => path.take(index, slot, views, at),
        ended: () => {
          log('info', `the replay is over: ${path.accepted} ticks accepted`)
          if (options.untilEnd) {
            void writer.sync().then(() => leave({ kind: 'replay-over', ticks: tickTotals(path) }))
          }
        },
      },
      feed.recordingClock.nowMs() - 1,
    )
  }

  const roundTimer = setInterval(round, ROUND_MS)
  const checkpointTimer = setInterval(() => void saveCheckpoint(), config.journal.checkpointIntervalMs)
  const latchTimer = setInterval(() => {
    permits.refresh().catch((error: unknown) => log('warn', `the latches could not be read: ${String(error)}`))
  }, 1_000)
  const watchdogTimer = startWatchdog(notifier, () => clock.monotonicMs() - lastRoundMs < 5 * ROUND_MS + 1_000)
  const statusTimer = setInterval(() => notifier.status(statusLine(status)), 30_000)
  closers.add({
    name: 'lines',
    deadlineMs: SESSIONS_DEADLINE_MS + 2_000,
    close: async () => {
      for (const timer of [roundTimer, checkpointTimer, latchTimer, watchdogTimer, statusTimer]) clearInterval(timer)
      await Promise.all(running)
      await supervisor.settled()
      await saveCheckpoint()
    },
  })

  round()
  const running = linesOf(sessions).map((session) => session.run(stopped))
  const replaying = replay?.run(stopped, sleep)
  options.started({ metricsPort: metrics.port })
  notifier.ready(statusLine(status))
  await new Promise<void>((resolve) => stopped.addEventListener('abort', () => resolve(), { once: true }))
  notifier.stopping()
  log('info', `stopping: ${end.kind === 'stopped' ? end.reason : 'the replay is over'}`)
  await replaying
  return end
}

function countingLog(log: Log, faults: Map<string, { component: string; severity: string; count: number }>): Log {
  return (level, message, details) => {
    if (level === 'warn' || level === 'error') {
      const component = typeof details?.['component'] === 'string' ? details['component'] : 'daemon'
      const severity = level === 'warn' ? 'warning' : 'error'
      const key = `${component} ${severity}`
      const known = faults.get(key)
      if (known === undefined) faults.set(key, { component, severity, count: 1 })
      else known.count++
    }
    log(level, message, details)
  }
}

function daemonRunning(pid: number | null): Failure {
  return new Failure(
    'daemon-running',
    `another daemon${pid === null ? '' : ` (pid ${pid})`} holds this state directory`,
    'Use start-live-env status to look at it, or give this one a state directory of its own.',
  )
}

/** The journal behind the tick path. Instruments get their journal numbers on their first tick. */
function journalLog(
  writer: {
    instrument(name: { symbol: string; exchange: string }): number
    append(views: Parameters<TickPath['take']>[2], at: number, meta: JournalMeta): number
  },
  table: InstrumentTable,
): ConstructorParameters<typeof TickPath>[0]['log'] {
  const numbers: number[] = []
  const meta: JournalMeta = { instrument: 0, eventMs: 0, tradingDay: 0, epoch: 0, line: 0, offSession: false }
  return {
    append(views, at, slot, line, tick) {
      const number = numbers[slot] ?? writer.instrument(table.name(slot))
      numbers[slot] = number
      meta.instrument = number
      meta.eventMs = tick.eventMs
      meta.tradingDay = tick.tradingDay
      meta.epoch = tick.epoch
      meta.line = line
      meta.offSession = tick.offSession
      return writer.append(views, at, meta)
    },
  }
}

interface JournalMeta {
  instrument: number
  eventMs: number
  tradingDay: number
  epoch: number
  line: 0 | 1
  offSession: boolean
}

function findOrAddSlot(
  table: InstrumentTable,
  live: LiveSessions,
  calendar: { exchangeOf(product: string): string | undefined },
  symbol: string,
  exchange: string,
): number | null {
  const known = table.slotOf(symbol)
  if (known !== undefined) return known
  const product = productOfInstrument(symbol)
  // An ordinary market-data front leaves the exchange empty.
  const place = exchange === '' ? (calendar.exchangeOf(product) ?? '') : exchange
  if (!isExchange(place)) return null
  return table.add({ symbol, exchange: place, product }, live.productIndex(place, product))
}

function lineListing(config: Config, line: LineConfig): (symbol: string, exchange: string) => boolean {
  const all = contractFilter(config.catalogue.filter)
  const own = contractFilter(line.filter)
  return (symbol, exchange) => all({ symbol, exchange }) && own({ symbol, exchange })
}

function listContracts(
  contracts: readonly { symbol: string; exchange: string }[],
  sessions: Readonly<Record<Line, LineSession | null>>,
  config: Config,
  table: InstrumentTable,
  slotOf: (symbol: string, exchange: string) => number | null,
  path: TickPath,
): void {
  for (const line of linesIn(config)) {
    const session = sessions[line.line]
    const wants = lineListing(config, line)
    for (const { symbol, exchange } of contracts) {
      if (config.catalogue.limit !== null && (session?.book.expected ?? 0) >= config.catalogue.limit) break
      const slot = slotOf(symbol, exchange)
      if (slot === null || session === null || !wants(symbol, table.name(slot).exchange)) continue
      session.book.list(slot)
      path.listedOn[slot] = (path.listedOn[slot] ?? 0) | (1 << session.index)
    }
  }
}

function linesIn(config: Config): LineConfig[] {
  return LINES.map((line) => config.feed[line]).filter((line) => line !== null)
}

export function accountOf(line: LineConfig): string {
  return `${line.brokerId}/${line.userId}`
}

function homeLine(config: Config): Line {
  return config.feed.routeSelector === 'backup' && config.feed.backup !== null ? 'backup' : 'primary'
}

/** Both lines on one front or with one broker: one outage may take both. Bridges of ours share nothing but this host. */
function linesShareFront(config: Config): boolean {
  const { primary, backup, adapter } = config.feed
  if (backup === null || adapter !== 'ctp') return false
  const fronts = new Set(primary.mdFronts.map((front) => JSON.stringify(front)))
  return primary.brokerId === backup.brokerId || backup.mdFronts.some((front) => fronts.has(JSON.stringify(front)))
}

function startWatchdog(notifier: Notifier, isAlive: () => boolean): NodeJS.Timeout | undefined {
  if (notifier.watchdogIntervalMs === null) return undefined
  return setInterval(() => {
    if (isAlive()) notifier.alive()
  }, notifier.watchdogIntervalMs)
}

function statusLine(parts: StatusParts): string {
  const { supervisor, throughput, sessions } = parts
  const serving = sessions[supervisor.serving]
  const { subscribed = 0, expected = 0 } = serving?.book ?? {}
  return `${supervisor.feedState} on ${supervisor.serving}, ${subscribed}/${expected} contracts, ${Math.round(throughput.perSecond)} ticks/s`
}
