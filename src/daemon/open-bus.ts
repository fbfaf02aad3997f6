/**
 * The bus of a daemon that has one: the publisher that follows the journal, the desk that answers requests, and what status and metrics
 * tell about both. Without NATS_URL there is none, and the journal is all there is.
 */
import { join } from 'node:path'
import { CURSOR_FILE } from '#adapters/bus/cursor-file.ts'
import type { Dialling } from '#adapters/bus/nats/dial.ts'
import { natsRequestBus } from '#adapters/bus/nats/nats-request-bus.ts'
import { natsTickBus } from '#adapters/bus/nats/nats-tick-bus.ts'
import type { JournalWriter } from '#adapters/journal/journal-writer.ts'
import { resolveSecret, type SecretStores } from '#adapters/secrets/resolve-secret.ts'
import type { Clock } from '#clock.ts'
import type { Config } from '#config/config.ts'
import type { JournalNumbering } from '#domain/bus-cursor.ts'
import { type Bounds, boundsOf } from '#domain/feed-state.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import type { BusStatus } from '#domain/status.ts'
import {
  BUSY_ANSWER,
  RequestDesk,
  type RequestProviders,
  type RequestServer,
  serveRequests,
} from './answer-requests.ts'
import type { Closers } from './closers.ts'
import type { DaemonOptions } from './daemon-options.ts'
import type { FeedChange } from './feed-supervisor.ts'
import { LatestTicks } from './latest-ticks.ts'
import { journalDirectory, type Latency, type TickJournal } from './open-tick-journal.ts'
import { Publisher } from './publish-ticks.ts'

export interface BusParts {
  bus: NonNullable<Config['bus']>
  stateDir: string
  stores: SecretStores
  clock: Clock
  host: string
  journalDirectory: string
  writer: JournalWriter
  numbering: JournalNumbering
  latency: Latency
  log(level: 'info' | 'warn' | 'error', message: string, details?: Record<string, unknown>): void
}

/**
 * Null where none is configured. Closed after the lines, so that it has everything, and before the journal that it reads: open it after
 * the journal and before them.
 */
export async function openBus(
  { config, clock, host, log, cut }: DaemonOptions,
  closers: Closers,
  { journal, latency, stores }: { journal: TickJournal; latency: Latency; stores: SecretStores },
): Promise<FeedBus | null> {
  if (config.bus === null) return null
  const { writer, recovery } = journal
  const bus = await FeedBus.open({
    bus: config.bus,
    stateDir: config.stateDir,
    stores,
    clock,
    host,
    journalDirectory: journalDirectory(config),
    writer,
    numbering: { last: recovery.lastSequence, next: recovery.nextSequence },
    latency,
    log: (level, message, details) => log(level, message, { ...details, component: 'bus' }),
  })
  closers.add({
    name: 'bus',
    deadlineMs: config.timeouts.stopMs + 1_000,
    close: () => bus.close(config.timeouts.stopMs, cut),
  })
  return bus
}

export class FeedBus {
  readonly publisher: Publisher
  readonly #parts: BusParts
  readonly #dialling: Dialling
  readonly #latest: LatestTicks
  #requests: RequestServer | null = null

  private constructor(parts: BusParts, made: { dialling: Dialling; publisher: Publisher; latest: LatestTicks }) {
    this.#parts = parts
    this.#dialling = made.dialling
    this.publisher = made.publisher
    this.#latest = made.latest
  }

  /** Begins to publish at once; a bus that can't be reached is tried again for as long as it takes. */
  static async open(parts: BusParts): Promise<FeedBus> {
    const { bus, stores, clock, host, writer, latency } = parts
    const dialling: Dialling = {
      options: bus,
      name: `feed-supervisor on ${host}`,
      resolveSecret: async (ref, signal) => (await resolveSecret(ref, stores, signal)).text,
    }
    const latest = new LatestTicks()
    const publisher = await Publisher.open({
      bus: natsTickBus(dialling),
      host,
      subjectPrefix: bus.subjectPrefix,
      journalDirectory: parts.journalDirectory,
      notifier: writer,
      numbering: parts.numbering,
      written: () => writer.writtenSequence,
      cursorPath: join(parts.stateDir, CURSOR_FILE),
      clock,
      log: parts.log,
      onPublished: (sequence) => {
        writer.publishedSequence = sequence
      },
      onLatency: (ms) => {
        latency.recent.observe(ms)
        latency.total.observe(ms)
      },
      latest,
      jitter: Math.random,
    })
    return new FeedBus(parts, { dialling, publisher, latest })
  }

  status(): BusStatus {
    const { durables, consumerBacklogMax } = this.#parts.bus
    const { backlog, connected, consumers } = this.publisher
    const counted =
      durables.length === 0
        ? consumers
        : consumers && durables.map((name) => consumers.find(({ consumer }) => consumer === name) ?? lostConsumer(name))
    return { kind: 'nats', backlog, connected, consumers: counted, consumer_backlog_max: consumerBacklogMax }
  }

  /** From now on requests over the bus are answered. */
  answer(providers: Omit<RequestProviders, 'latest'>): void {
    const { clock, log } = this.#parts
    this.#requests = serveRequests({
      bus: natsRequestBus(this.#dialling, {
        clock,
        busyAnswer: BUSY_ANSWER,
        flooded: () => log('warn', 'requests over the bus come faster than they may; they are not read for a while'),
      }),
      desk: new RequestDesk({ ...providers, latest: this.#latest }, clock),
      jitter: Math.random,
      log,
    })
  }

  publishState(change: FeedChange, sinceWallMs: number): void {
    const { epoch, servingLine, feedState } = change
    this.publisher.publishState({
      epoch,
      serving_line: servingLine,
      state: feedState,
      since: isoShanghai(sinceWallMs),
      ...this.#bounds(change),
      host: this.#parts.host,
    })
  }

  /** Publishes what the journal holds, within the deadline, then lets go. Never throws. */
  async close(deadlineMs: number, cut: AbortSignal): Promise<void> {
    await this.#requests?.close()
    await this.publisher.close(deadlineMs, cut)
  }

  /** A gap is kept in monotonic time; consumers are told dates. */
  #bounds(change: FeedChange): Bounds {
    const { clock } = this.#parts
    return boundsOf(change, clock.wallMs() - clock.monotonicMs())
  }
}

/** Somebody deleted it: nobody knows what it has still to get. */
function lostConsumer(consumer: string): { consumer: string; messages: null } {
  return { consumer, messages: null }
}
