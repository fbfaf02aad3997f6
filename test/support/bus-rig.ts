/** What the bus's tests share: a journal that grows, a publisher beside it, and a look at what the stream holds. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import type { BusOptions } from '#adapters/bus/nats/bus-options.ts'
import { natsTickBus } from '#adapters/bus/nats/nats-tick-bus.ts'
import type { TickBus } from '#adapters/bus/tick-bus.ts'
import type { JournalWriter } from '#adapters/journal/journal-writer.ts'
import { openJournal } from '#adapters/journal/open-journal.ts'
import { systemClock } from '#clock.ts'
import { Publisher, type PublisherOptions } from '#daemon/publish-ticks.ts'
import type { JournalNumbering } from '#domain/bus-cursor.ts'
import { HiddenText } from '#domain/secret-ref.ts'
import { TICK_AT, TICK_BYTES, TICK_F64, type TickViews, tickViews } from '#domain/tick.ts'

export const HOST = 'test-host'

export function busOptions(servers: readonly string[], more: Partial<BusOptions> = {}): BusOptions {
  return {
    servers,
    user: null,
    password: null,
    credsFile: null,
    tls: { caFile: null, certFile: null, keyFile: null },
    stream: 'MARKET_TICKS',
    subjectPrefix: 'market',
    limits: { replicas: 1, storage: 'file', maxAgeMs: 48 * 3_600_000, maxBytes: null },
    durables: [],
    ...more,
  }
}

export function natsBus(options: BusOptions): TickBus {
  return natsTickBus({
    options,
    name: 'feed-supervisor test',
    resolveSecret: async (ref) => (ref.source === 'literal' ? ref.value : new HiddenText('')),
  })
}

export interface LogLine {
  level: string
  message: string
  details: Record<string, unknown>
}

/** A state directory with a journal and, while open, its writer. */
export class BusRig {
  readonly stateDir: string
  readonly logs: LogLine[] = []
  writer: JournalWriter | null = null
  numbering: JournalNumbering = { last: 0, next: 1 }
  readonly #publishers: Publisher[] = []
  readonly #record: TickViews = tickViews(new ArrayBuffer(TICK_BYTES))
  #sent = 0

  /** @param stateDir one that another process began; a new one by default */
  constructor(stateDir = mkdtempSync(join(tmpdir(), 'bus-'))) {
    this.stateDir = stateDir
  }

  get journalDirectory(): string {
    return join(this.stateDir, 'journal')
  }

  async openJournal(host = HOST): Promise<JournalWriter> {
    const { writer, recovery } = await openJournal({
      directory: this.journalDirectory,
      host,
      clock: systemClock,
      onTrouble: (failure) => this.logs.push({ level: 'error', message: failure.message, details: {} }),
      onEvent: () => undefined,
      policy: { minFreeBytes: 0, reservedAtOnce: 100_000, syncIntervalMs: 200 },
    })
    this.writer = writer
    this.numbering = { last: recovery.lastSequence, next: recovery.nextSequence }
    return writer
  }

  async publish(bus: TickBus, more: Partial<PublisherOptions> = {}): Promise<Publisher> {
    const { writer } = this
    const publisher = await Publisher.open({
      bus,
      host: HOST,
      subjectPrefix: 'market',
      journalDirectory: this.journalDirectory,
      ...(writer !== null && { notifier: writer }),
      numbering: this.numbering,
      written: () => writer?.lastSequence ?? 0,
      cursorPath: join(this.stateDir, 'bus-cursor.json'),
      clock: systemClock,
      log: (level, message, details = {}) => this.logs.push({ level, message, details }),
      onPublished: (sequence) => {
        if (writer !== null) writer.publishedSequence = sequence
      },
      jitter: () => 0,
      ...more,
    })
    this.#publishers.push(publisher)
    return publisher
  }

  /** Appends `count` live ticks of some hundred instruments; every tenth off session when asked. */
  append(count: number, { offSessionEach = 0, instruments = 100, epoch = 3 } = {}): void {
    const { writer } = this
    if (writer === null) throw new Error('the journal is not open')
    const { i32, f64 } = this.#record
    for (let i = 0; i < count; i++) {
      const n = ++this.#sent
      f64.fill(Number.NaN)
      f64[TICK_AT.receivedWallMs / 8] = systemClock.wallMs()
      f64[TICK_AT.receivedMonotonicMs / 8] = 0
      f64[TICK_F64.LastPrice] = 3000 + (n % 100) / 2
      f64[TICK_F64.BidPrice1] = 2999.5
      f64[TICK_F64.AskPrice1] = 3001
      f64[TICK_F64.Turnover] = n * 10_000
      f64[TICK_F64.OpenInterest] = 1_234_567
      f64[TICK_F64.OpenPrice] = 2990
      f64[TICK_F64.HighestPrice] = 3050
      f64[TICK_F64.LowestPrice] = 2980.5
      f64[TICK_F64.PreSettlementPrice] = 3000
      f64[TICK_F64.UpperLimitPrice] = 3300
      f64[TICK_F64.LowerLimitPrice] = 2700
      i32[TICK_AT.volume / 4] = n
      i32.fill(0, TICK_AT.bidVolumes / 4, TICK_AT.bidVolumes / 4 + 5)
      i32.fill(0, TICK_AT.askVolumes / 4, TICK_AT.askVolumes / 4 + 5)
      i32[TICK_AT.bidVolumes / 4] = 12
      i32[TICK_AT.askVolumes / 4] = 34
      writer.append(this.#record, 0, {
        instrument: writer.instrument({ symbol: `rb${n % instruments}`, exchange: 'SHFE' }),
        eventMs: systemClock.wallMs(),
        tradingDay: 20260105,
        epoch,
        line: n % 2 === 0 ? 0 : 1,
        offSession: offSessionEach > 0 && n % offSessionEach === 0,
      })
    }
  }

  async remove(): Promise<void> {
    for (const publisher of this.#publishers) await publisher.close(0, AbortSignal.abort())
    await this.writer?.close({ cut: true })
    rmSync(this.stateDir, { recursive: true, force: true })
  }
}

export interface StoredTick {
  subject: string
  streamSequence: number
  sequence: number
  offSession: boolean
}

/**
 * Everything the stream's leader holds, in order. A consumer reads what its own server has, and a restarted one of a cluster may be short
 * of messages for minutes while it is called current: a consumer is made again until it sits with the leader.
 */
export async function storedTicks(connection: NatsConnection, stream = 'MARKET_TICKS'): Promise<StoredTick[]> {
  const jsm = await jetstreamManager(connection)
  const { state, cluster } = await jsm.streams.info(stream)
  if (state.messages === 0) return []
  const add = () => jsm.consumers.add(stream, { ack_policy: AckPolicy.None, deliver_policy: DeliverPolicy.All })
  let made = await add()
  for (let tries = 1; made.cluster?.leader !== cluster?.leader && tries < 100; tries++) {
    await jsm.consumers.delete(stream, made.name)
    made = await add()
  }
  const consumer = await jetstream(connection).consumers.get(stream, made.name)
  const ticks: StoredTick[] = []
  for (let emptyFetches = 0; ticks.length < state.messages && emptyFetches < 10; emptyFetches++) {
    const messages = await consumer.fetch({
      max_messages: Math.min(5000, state.messages - ticks.length),
      expires: 3000,
    })
    for await (const message of messages) {
      emptyFetches = -1
      const body: unknown = message.json()
      const sequence = Number(typeof body === 'object' && body !== null ? Reflect.get(body, 'seq') : Number.NaN)
      const offSession = typeof body === 'object' && body !== null && Reflect.has(body, 'off_session')
      ticks.push({ subject: message.subject, streamSequence: message.seq, sequence, offSession })
    }
  }
  await jsm.consumers.delete(stream, made.name)
  return ticks
}

export async function until(what: string, holds: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  const startedMs = performance.now()
  while (!(await holds())) {
    if (performance.now() - startedMs > timeoutMs) throw new Error(`waited ${timeoutMs} ms for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
