/** Makes the supervisor of the configuration: its home line, its epoch, and who is told of its decisions. */
import type { JournalWriter } from '#adapters/journal/journal-writer.ts'
import { EpochFile, EpochReserve } from '#adapters/state/epoch-file.ts'
import type { Config } from '#config/config.ts'
import type { Line } from '#domain/line.ts'
import type { ContractList, LineSessions } from './contract-list.ts'
import type { DaemonOptions } from './daemon-options.ts'
import type { DecisionAudit } from './decision-audit.ts'
import { FeedSupervisor } from './feed-supervisor.ts'
import { EvidenceKeeper } from './line-evidence.ts'
import type { FeedBus } from './open-bus.ts'
import type { OpenFeed } from './open-feed.ts'
import type { TickPath } from './tick-path.ts'

const BUS_EPOCH_TIMEOUT_MS = 1_500

interface SupervisorSurroundings {
  feed: OpenFeed
  sessions: LineSessions
  list: ContractList
  path: TickPath
  restoredEpoch: number
  writer: JournalWriter
  bus: FeedBus | null
  audit: DecisionAudit
  isPaused: boolean
  readingSinceMs(): number
}

/** Its first epoch is durable when this resolves. */
export async function openSupervisor(
  { config, clock, log }: DaemonOptions,
  { feed, sessions, list, path, restoredEpoch, writer, bus, audit, isPaused, readingSinceMs }: SupervisorSurroundings,
): Promise<FeedSupervisor> {
  const { calendar, marketClock } = feed
  const epochFile = new EpochFile(config.stateDir)
  const supervisor = new FeedSupervisor({
    sessions,
    path,
    evidence: new EvidenceKeeper({
      path,
      sessions,
      calendar,
      readingSinceMs,
      guardWindowMs: config.guardWindowMs,
      nowMs: clock.monotonicMs(),
      marketMs: marketClock.nowMs(),
    }),
    calendar,
    marketClock,
    clock,
    epochFile: new EpochReserve(epochFile, (message) => log('warn', message, { component: 'failover' })),
    liveness: config.liveness,
    failover: config.failover.policy,
    standbyMode: config.feed.standbyMode,
    firstTickMs: config.timeouts.firstTickMs,
    readingSinceMs,
    home: homeLine(config),
    automatic: config.failover.automatic && !isPaused,
    linesShareFront: linesShareFront(config),
    lost: () => path.refusedByLog,
    log: (level, message, details) => log(level, message, { ...details, component: 'failover' }),
    tradingDayChanged: (tradingDay) => {
      writer.rotate()
      const { added, removed } = list.turnTo(tradingDay, sessions)
      log('info', `trading day ${tradingDay} begins`, { contracts_came: added, contracts_went: removed })
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
  await supervisor.begin(Math.max(onDisk.epoch, restoredEpoch, onBus), path.lastRestoredMs())
  return supervisor
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
