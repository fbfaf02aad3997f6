/** The doors through which the running daemon is asked and ordered: the control socket, requests over the bus, and the metrics port. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { serveControl } from '#adapters/control/control-server.ts'
import type { JournalWriter } from '#adapters/journal/journal-writer.ts'
import { metricsPage } from '#adapters/metrics/daemon-metrics.ts'
import { serveMetrics } from '#adapters/metrics/metrics-server.ts'
import { setKillLatch } from '#adapters/state/latches.ts'
import { type Pause, removePause, writePause } from '#adapters/state/pause-file.ts'
import { controlSocketPath } from '#adapters/state/state-dir.ts'
import type { ConfigFacts } from '#domain/config-change.ts'
import { productOfInstrument } from '#domain/instrument.ts'
import type { IntervalHistogram } from '#domain/interval-histogram.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import type { RequestProviders } from './answer-requests.ts'
import type { Closers } from './closers.ts'
import { controlRoutes, subscribe, subscriptions } from './control-routes.ts'
import type { DaemonOptions, Log } from './daemon-options.ts'
import type { DecisionAudit } from './decision-audit.ts'
import type { Ending } from './ending.ts'
import type { FaultCounts } from './fault-counts.ts'
import { readiness, type StatusParts } from './feed-status.ts'
import { healthReport } from './health-report.ts'
import { HostFacts } from './host-facts.ts'
import { metricSampler } from './metric-samples.ts'
import { journalDirectory } from './open-tick-journal.ts'
import type { OverviewKeeper } from './overview.ts'

/** @throws Failure when the socket can't be made */
export async function openControl(
  { config, clock, log }: DaemonOptions,
  closers: Closers,
  parts: {
    status: StatusParts
    writer: JournalWriter
    ending: Ending
    audit: DecisionAudit
    automation: { pause: Pause | null }
    configFacts: () => Promise<ConfigFacts>
  },
): Promise<void> {
  const { status, writer, ending, audit, automation, configFacts } = parts
  const routes = controlRoutes({
    ...status,
    journalDirectory: journalDirectory(config),
    journalNotifier: writer,
    configFacts,
    // After the answer is on its way.
    shutdown: (reason) => setImmediate(() => ending.leave({ kind: 'stopped', reason })),
    latchKill: async (reason, drill) => {
      await setKillLatch(config.stateDir, { since: isoShanghai(clock.wallMs()), reason, drill })
    },
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

/** What may be asked over the bus: the same answers as over the control socket. */
export function requestProviders(status: StatusParts, log: Log): Omit<RequestProviders, 'latest'> {
  const audit = (event: string, details: Record<string, unknown>) => log('info', `over the bus: ${event}`, details)
  return {
    contracts: () => status.table.names,
    subscriptions: () =>
      subscriptions(status).subscriptions.map((row) => ({ ...row, product: productOfInstrument(row.symbol), row })),
    subscribe: (symbols) => subscribe({ ...status, audit }, { symbols, line: null, only: null }),
    health: () => healthReport(status, { mode: 'dry-run', thresholds: {} }),
  }
}

/** The port that was taken. @throws Failure when it can't be had */
export async function openMetrics(
  { config, log, packageDir }: DaemonOptions,
  closers: Closers,
  parts: {
    status: StatusParts
    faults: FaultCounts
    latency: IntervalHistogram
    overview: OverviewKeeper
    isAlive(): boolean
  },
): Promise<number> {
  const { status, faults, latency, overview, isAlive } = parts
  const hostFacts = new HostFacts(journalDirectory(config))
  closers.add({ name: 'host facts', deadlineMs: 1_000, close: async () => hostFacts.close() })
  void hostFacts.look()
  const limits = {
    failoverObjectiveMs: config.failover.objectiveMs,
    journalBytesMax: config.journal.maxBytes,
    journalFreeBytesMin: config.journal.minFreeBytes,
  }
  const statusPage = await readFile(join(packageDir, 'dist', 'status-page.html'), 'utf8')
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
    statusPage: { html: statusPage, overview: () => overview.overview() },
    onFault: (error) => log('error', `metrics: ${String(error)}`, { component: 'metrics' }),
  })
  closers.add({ name: 'metrics port', deadlineMs: 2_000, close: () => metrics.close() })
  return metrics.port
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
