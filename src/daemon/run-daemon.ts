/**
 * The daemon from start to end: opens everything in dependency order, keeps it going, and closes it all in reverse. Reads like a table of
 * contents; what each part does is in its own file.
 */
import type { JournalWriter } from '#adapters/journal/journal-writer.ts'
import { readPause } from '#adapters/state/pause-file.ts'
import { sleep } from '#clock.ts'
import { linesOf as linesIn } from '#config/config.ts'
import { configFingerprint } from '#config/fingerprint.ts'
import { Arbiter } from '#domain/arbitration.ts'
import { IntervalHistogram, RecentHistogram } from '#domain/interval-histogram.ts'
import { LINES, type Line } from '#domain/line.ts'
import { Closers } from './closers.ts'
import { catalogueFingerprint, configFacts } from './config-facts.ts'
import { ContractList } from './contract-list.ts'
import { holdDaemonLock } from './daemon-lock.ts'
import type { DaemonEnd, DaemonOptions, DaemonReport } from './daemon-options.ts'
import { openAudit } from './decision-audit.ts'
import type { ReplayDriver } from './drive-replay.ts'
import { Ending } from './ending.ts'
import { countingLog, type FaultCounts } from './fault-counts.ts'
import { linesOf, type StatusParts, Throughput } from './feed-status.ts'
import type { FeedSupervisor } from './feed-supervisor.ts'
import { InstrumentSlots } from './instrument-slots.ts'
import { journalLog } from './journal-log.ts'
import { CheckpointKeeper, restoreInstruments } from './keep-checkpoint.ts'
import { LoginPermits } from './login-permits.ts'
import { openBus } from './open-bus.ts'
import { openControl, openMetrics, requestProviders } from './open-control.ts'
import { type OpenFeed, openFeed } from './open-feed.ts'
import { openLines } from './open-lines.ts'
import { openReplay } from './open-replay.ts'
import { openSecretWatch } from './open-secret-watch.ts'
import { openSupervisor } from './open-supervisor.ts'
import { openTickJournal } from './open-tick-journal.ts'
import { OVERVIEW_STEP_MS, OverviewKeeper } from './overview.ts'
import { OwnPauses } from './own-pauses.ts'
import { reload } from './reload.ts'
import { ReturnHold } from './return-hold.ts'
import { ROUND_MS, Rounds, Timers, writerProgress } from './rounds.ts'
import { TickPath } from './tick-path.ts'

const LATCHES_EVERY_MS = 1_000
const STATUS_EVERY_MS = 30_000
const LINES_DEADLINE_MS = 7_000
const LATENCY_SPAN_MS = 30_000
const CLEAR_LATCH = 'Correct the cause, then run: start-live-env status --reason TEXT --clear-latch'

/**
 * Runs until stopped. Everything opened is closed again, whatever happens.
 * @throws Failure when something that the feed can't do without can't be opened: `daemon-running`, journal, control socket, metrics port
 */
export async function runDaemon(options: DaemonOptions): Promise<DaemonReport> {
  const closers = new Closers()
  const { log, faults } = countingLog(options.log)
  const held: HeldJournal = { writer: null }
  let end: DaemonEnd
  try {
    end = await openAndRun({ ...options, log }, closers, { faults, held })
  } finally {
    for (const { name, outcome, message } of await closers.closeAll(options.cut)) {
      if (outcome !== 'closed') log('error', `closing ${name}: ${outcome} ${message ?? ''}`.trimEnd())
    }
  }
  // A close that ran out of time leaves ticks that nobody counted.
  const { lostAtClose = 0, heldTicks = 0 } = held.writer ?? {}
  return { ...end, lostAtClose: Math.max(lostAtClose, heldTicks) }
}

/** What the end has to be told of, once everything is closed. */
interface HeldJournal {
  writer: Pick<JournalWriter, 'lostAtClose' | 'heldTicks'> | null
}

async function openAndRun(
  options: DaemonOptions,
  closers: Closers,
  { faults, held }: { faults: FaultCounts; held: HeldJournal },
): Promise<DaemonEnd> {
  const { config, clock, log, notifier } = options
  const startedAt = { wallMs: clock.wallMs(), monotonicMs: clock.monotonicMs() }
  const warnings = new Set(options.configWarnings)
  const latency = { recent: new RecentHistogram(LATENCY_SPAN_MS), total: new IntervalHistogram() }
  const ending = new Ending(options.stop)
  const rounds = new Rounds(clock, () => ending.signal.aborted)
  const pauses = new OwnPauses(clock, (ms) => {
    const seconds = (ms / 1_000).toFixed(1)
    log('warn', `this process was held up for ${seconds} s; silence of that time counts against no line`, {
      paused_ms: ms,
    })
  })
  const readingSinceMs = () => pauses.readingSinceMs()

  const inForce = { catalogue: await catalogueFingerprint(config) }

  // What is kept on disk, and what was kept before.
  await holdDaemonLock(options, closers)
  const audit = openAudit(options, closers)
  const automation = { pause: await readPause(config.stateDir) }
  const feed = await openFeed(config, options)
  const { writer, recovery } = await openTickJournal(options, closers, { latency, warnings })
  held.writer = writer
  const bus = await openBus(options, closers, { journal: { writer, recovery }, latency, stores: feed.stores })
  const slots = new InstrumentSlots(feed.calendar)
  const arbiter = new Arbiter(slots.live, config.arbitration)
  const { lastSequence } = recovery
  const restored = await restoreInstruments(options, { slots, arbiter, lastSequence, warnings })
  const permits = await openPermits(options, feed)

  const tellLatched = (line: Line, message: string) => {
    log('error', `${line}: ${message} The account is latched. ${CLEAR_LATCH} ${line}.`, { component: line })
    audit.add({ event: 'latch', command: null, reason: message, outcome: 'latched', details: { line } })
  }

  // From a line's tick to the journal.
  const path = new TickPath({ arbiter, table: slots.table, log: journalLog(writer, slots.table) })
  const list = new ContractList({ config, slots, path })
  const returning = new ReturnHold({ path, isUp: (line) => sessions[LINES[line]]?.loggedIn === true })
  const replay: { driver: ReplayDriver | null } = { driver: null }
  const sessions = openLines({
    config,
    clock,
    listsByFile: options.readContracts !== null,
    adapters: feed.adapters,
    arbiter,
    path,
    slots,
    list,
    permits,
    readingSinceMs,
    tick: (line, slot, views, at) => {
      if (replay.driver === null) returning.take(line, slot, views, at)
      else replay.driver.hold(line, slot, views, at)
    },
    reached: (line, reachedMs, nextMs) => replay.driver?.reached(line, reachedMs, nextMs),
    changed: () => rounds.soon(),
    latched: (line, message) => {
      tellLatched(line, message)
      secretWatch.refusedInUse(line)
    },
    log,
  })
  replay.driver = openReplay(options, { feed, sessions, path, ending, writer })

  // Who decides, and who may ask and order.
  const isPaused = automation.pause !== null
  const supervisor = await openSupervisor(options, {
    ...{ feed, sessions, list, path, writer, bus, audit, isPaused, readingSinceMs },
    restoredEpoch: restored.epoch,
  })
  const secretWatch = openSecretWatch(options, {
    ...{ feed, permits, sessions, supervisor, audit },
    latched: tellLatched,
  })
  const tradingDay = () => supervisor.tradingDay
  if (options.readContracts !== null) list.replace(await options.readContracts(), sessions, tradingDay())
  const throughput = new Throughput()
  const lineThroughput = [new Throughput(), new Throughput()] as const
  rounds.perform = (nowMs) => {
    readingSinceMs()
    returning.releaseIfDue(nowMs)
    supervisor.round()
    latency.recent.turn(nowMs)
    throughput.sample(path.accepted, nowMs)
    for (const index of [0, 1] as const) lineThroughput[index].sample(path.lines[index].firstArrivals, nowMs)
  }
  const status: StatusParts = {
    ...{ supervisor, sessions, path, bus, clock, readingSinceMs, throughput, lineThroughput },
    table: slots.table,
    resting: () => list.resting,
    calendar: feed.calendar,
    marketClock: feed.marketClock,
    latency: latency.recent,
    journal: writer,
    recovery: recovery.message,
    coverageThreshold: config.coverage.threshold,
    identity: {
      profile: config.profile,
      adapter: config.feed.adapter,
      version: options.version,
      configFingerprint: configFingerprint(config),
      startedAtMs: startedAt.wallMs,
      startedMonotonicMs: startedAt.monotonicMs,
    },
    paused: () => automation.pause,
    secrets: secretWatch,
    warnings: () => [...warnings, ...secretWatch.warnings()],
  }
  const facts = () => factsInForce(options, { feed, catalogue: inForce.catalogue })
  await openControl(options, closers, { status, writer, ending, audit, automation, configFacts: facts })
  bus?.answer(requestProviders(status, log))
  const journalMoves = writerProgress(writer, clock)
  const isAlive = () => rounds.areKept && journalMoves()
  const overview = new OverviewKeeper(status, config.stateDir, (error) => log('warn', `status page: ${String(error)}`))
  const metricsPort = await openMetrics(options, closers, { status, faults, latency: latency.total, overview, isAlive })

  // What happens again and again, until the end.
  const checkpoint = new CheckpointKeeper(options, {
    ...{ arbiter, slots },
    epoch: () => supervisor.epoch,
    writtenSequence: () => writer.writtenSequence,
  })
  const timers = new Timers()
  const running: Promise<void>[] = []
  closers.add({
    name: 'lines',
    deadlineMs: LINES_DEADLINE_MS,
    close: async () => {
      timers.clear()
      await Promise.all(running)
      returning.end()
      await supervisor.settled()
      await checkpoint.save()
    },
  })
  rounds.now()
  timers.every(ROUND_MS, () => rounds.now())
  timers.every(config.journal.checkpointIntervalMs, () => checkpoint.saveIfIdle())
  timers.every(LATCHES_EVERY_MS, () => heedLatches(options, { permits, supervisor, ending }))
  timers.every(OVERVIEW_STEP_MS, () => overview.step())
  timers.every(STATUS_EVERY_MS, () => notifier.status(statusLine(status)))
  if (notifier.watchdogIntervalMs !== null) {
    timers.every(notifier.watchdogIntervalMs, () => isAlive() && notifier.alive())
  }
  for (const session of linesOf(sessions)) running.push(session.run(ending.signal))
  if (replay.driver !== null) running.push(replay.driver.run(ending.signal, sleep))
  running.push(secretWatch.run(ending.signal))

  options.onReload(async () => {
    secretWatch.lookSoon()
    const listed = await catalogueFingerprint(config)
    const isReloaded = await reload(options, { permits, list, sessions, tradingDay })
    if (isReloaded) inForce.catalogue = listed
  })
  options.started({ metricsPort })
  notifier.ready(statusLine(status))
  const end = await ending.reached
  notifier.stopping()
  log('info', `stopping: ${end.kind === 'stopped' ? end.reason : 'the replay is over'}`)
  return end
}

/** Secrets as the lines hold them, whatever their sources say by now. */
function factsInForce(
  { config, version }: DaemonOptions,
  { feed, catalogue }: { feed: OpenFeed; catalogue: string | null },
) {
  const held = (name: string) => {
    const [, line, which] = /^CTP_(PRIMARY|BACKUP)_(PASSWORD|AUTH_CODE)$/.exec(name) ?? []
    const watched = feed.secrets.find(({ secrets }) => secrets.line.toUpperCase() === line)
    return watched?.secrets.inUse(which === 'PASSWORD' ? 'password' : 'authCode') ?? null
  }
  return configFacts(config, { version, stores: feed.stores, catalogue, held })
}

async function openPermits({ config, clock, log }: DaemonOptions, feed: OpenFeed): Promise<LoginPermits> {
  const permits = new LoginPermits({
    stateDir: config.stateDir,
    clock,
    perMinute: config.pacing.loginPerMinute,
    onTrouble: (message) => log('warn', message),
  })
  await permits.open(linesIn(config).map((line) => feed.adapters[line.line]?.accountKey ?? ''))
  return permits
}

/** Latches that were set or cleared outside of this process. */
async function heedLatches(
  { log }: DaemonOptions,
  { permits, supervisor, ending }: { permits: LoginPermits; supervisor: FeedSupervisor; ending: Ending },
): Promise<void> {
  await permits.refresh().catch((error: unknown) => log('warn', String(error)))
  // The order to cut may not have reached a daemon that was just starting; the latch says it all.
  if (permits.isKilled && supervisor.feedState !== 'KILLED' && !ending.signal.aborted) supervisor.round('kill')
}

function statusLine({ supervisor, throughput, sessions }: StatusParts): string {
  const { subscribed = 0, expected = 0 } = sessions[supervisor.serving]?.book ?? {}
  const rate = Math.round(throughput.perSecond)
  return `${supervisor.feedState} on ${supervisor.serving}, ${subscribed}/${expected} contracts, ${rate} ticks/s`
}
