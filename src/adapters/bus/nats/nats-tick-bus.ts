/**
 * The tick bus over NATS JetStream. Ticks go out as plain messages with one shared inbox for answers, because a promise per tick would
 * cost more than the tick; what they look like (tick-commands.ts) makes the server store each one at its own place or not at all.
 */
import { type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { createInbox, type Msg, type NatsConnection, NatsConnectionImpl } from '@nats-io/transport-node'
import { assert } from '#domain/assert.ts'
import type { StreamEnd, StreamTick } from '#domain/bus-cursor.ts'
import { type BusFailure, type BusFailureKind, busFailure } from '#domain/bus-failure.ts'
import type { BusLink, ConsumerBacklog, LinkEvents, OutgoingTick, StreamDrift, TickBus } from '../tick-bus.ts'
import { stateStream, stateSubject } from './bus-options.ts'
import { type Declaration, declareStreams } from './declare-streams.ts'
import { type Dialling, dial } from './dial.ts'
import { lastPerSubject } from './last-per-subject.ts'
import { failureOfCode, natsFailure } from './nats-failures.ts'
import { acknowledgedSequence, refusalIn } from './pub-ack.ts'
import { TickCommands } from './tick-commands.ts'

const API_TIMEOUT_MS = 5_000
/** Share of a stream's bytes from which on messages may have gone for want of room. */
const NEARLY_FULL = 0.9
const OLDEST_SERVER = [2, 9] as const

export function natsTickBus(dialling: Dialling): TickBus {
  return {
    async open(signal, events) {
      const connection = await dial(dialling, signal)
      try {
        checkServer(connection)
        const jsm = await jetstreamManager(connection, { timeout: API_TIMEOUT_MS })
        signal.throwIfAborted()
        const declaration = await declareStreams(jsm, dialling.options)
        return new NatsLink({ connection, jsm, declaration, dialling, events })
      } catch (error) {
        await connection.close().catch(() => undefined)
        signal.throwIfAborted()
        throw natsFailure(error, 'making the streams ready')
      }
    },
  }
}

function checkServer(connection: NatsConnection): void {
  const version = connection.info?.version ?? '0.0.0'
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10))
  const [oldestMajor, oldestMinor] = OLDEST_SERVER
  if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor)) {
    throw busFailure(
      'bus-server-too-old',
      `The NATS server is ${version}; ${oldestMajor}.${oldestMinor} is the oldest that will do.`,
    )
  }
}

interface LinkParts {
  connection: NatsConnection
  jsm: JetStreamManager
  declaration: Declaration
  dialling: Dialling
  events: LinkEvents
}

class NatsLink implements BusLink {
  readonly server: { name: string; version: string }
  readonly drift: readonly StreamDrift[]
  readonly made: readonly string[]
  readonly #connection: NatsConnection
  readonly #jsm: JetStreamManager
  readonly #stream: string
  readonly #subjectPrefix: string
  readonly #events: LinkEvents
  readonly #commands: TickCommands
  #state: 'open' | 'failed' | 'closed' = 'open'

  constructor({ connection, jsm, declaration, dialling, events }: LinkParts) {
    const { info } = connection
    this.server = { name: info?.server_name ?? '', version: info?.version ?? '' }
    this.drift = declaration.drift
    this.made = declaration.made
    this.#connection = connection
    this.#jsm = jsm
    this.#stream = dialling.options.stream
    this.#subjectPrefix = dialling.options.subjectPrefix
    this.#events = events

    const inbox = createInbox()
    // The library's own door for whole commands; it sees to order, authentication and TLS as for its own.
    assert(connection instanceof NatsConnectionImpl, "a connection is of the library's only kind")
    const { protocol } = connection
    this.#commands = new TickCommands(inbox, (piece) => {
      if (this.#state === 'open') protocol.sendCommand(piece)
    })
    connection.subscribe(inbox, { callback: (error, message) => this.#onAnswer(error, message) })
    void this.#watchClose()
    void this.#watchErrors()
  }

  publish(tick: OutgoingTick): void {
    if (this.#state === 'open') this.#commands.add(tick)
  }

  #onAnswer(error: Error | null, message: Msg): void {
    if (error !== null) {
      this.#fail(natsFailure(error, 'waiting for acknowledgements'))
      return
    }
    const { data } = message
    const sequence = acknowledgedSequence(data)
    if (sequence > 0) {
      if (this.#state === 'open') this.#events.acknowledged(sequence)
    } else if (data.length === 0 && message.headers?.code === 503) {
      // Nobody listens on the stream's subjects: it is gone, or has no leader just now.
      this.#fail(busFailure('stream-missing', `No stream takes the ticks at present: ${this.#stream} does not answer.`))
    } else {
      const { code, description } = refusalIn(data)
      this.#fail(failureOfCode(code, description))
    }
  }

  async streamEnd(): Promise<StreamEnd> {
    return await this.#asking('asking for the end of the stream', async () => {
      const { config, created, state } = await this.#jsm.streams.info(this.#stream)
      const isFull = config.max_bytes > 0 && state.bytes > NEARLY_FULL * config.max_bytes
      const end = {
        name: this.#stream,
        created,
        firstSequence: state.first_seq,
        lastSequence: state.last_seq,
        expiry: { maxAgeMs: config.max_age / 1e6, isFull: isFull || config.max_msgs > 0 },
      }
      if (state.messages === 0) return { ...end, last: null }
      // The one with the last sequence may have been removed; the last of any subject is then the end.
      const last = await this.#jsm.streams.getMessage(this.#stream, { last_by_subj: '>' })
      if (last === null) return { ...end, last: null }
      const lastSequence = Math.max(state.last_seq, last.seq)
      return { ...end, lastSequence, last: { streamSequence: last.seq, tick: tickIn(last.data) } }
    })
  }

  async tickAt(streamSequence: number): Promise<StreamTick | null> {
    return await this.#asking('reading from the stream', async () => {
      const message = await this.#jsm.streams.getMessage(this.#stream, { seq: streamSequence })
      return message === null ? null : tickIn(message.data)
    })
  }

  async publishState(json: string): Promise<void> {
    await this.#asking('publishing the feed state', async () => {
      await jetstream(this.#connection, { timeout: API_TIMEOUT_MS }).publish(stateSubject(this.#subjectPrefix), json)
    })
  }

  async lastStateEpoch(): Promise<number | null> {
    return await this.#asking('reading the feed state', async () => {
      const subject = stateSubject(this.#subjectPrefix)
      const message = await this.#jsm.streams.getMessage(stateStream(this.#stream), { last_by_subj: subject })
      const epoch = message === null ? null : numberIn(parseJson(message.data), 'epoch')
      return epoch
    })
  }

  async lastTicks(signal: AbortSignal, take: (json: Uint8Array) => void): Promise<void> {
    await this.#asking('reading the last ticks', () =>
      lastPerSubject({ connection: this.#connection, jsm: this.#jsm, stream: this.#stream }, signal, take),
    )
  }

  async consumerBacklogs(max: number): Promise<ConsumerBacklog[]> {
    return await this.#asking('asking for consumers', async () => {
      const backlogs: ConsumerBacklog[] = []
      for await (const consumer of this.#jsm.consumers.list(this.#stream)) {
        if (consumer.config.durable_name === undefined) continue
        backlogs.push({ consumer: consumer.name, messages: consumer.num_pending + consumer.num_ack_pending })
        if (backlogs.length >= max) break
      }
      return backlogs
    })
  }

  async close(): Promise<void> {
    if (this.#state !== 'failed') this.#state = 'closed'
    await this.#connection.close().catch(() => undefined)
  }

  async #asking<T>(doing: string, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask()
    } catch (error) {
      throw natsFailure(error, doing)
    }
  }

  async #watchClose(): Promise<void> {
    const error = await this.#connection.closed()
    const text = error instanceof Error ? `: ${error.message}` : ''
    const failure = error instanceof Error ? natsFailure(error, 'being connected') : null
    const isTold = failure !== null && LASTING.has(failure.kind)
    this.#fail(isTold ? failure : busFailure('bus-connection-lost', `The connection to NATS was lost${text}.`, error))
  }

  async #watchErrors(): Promise<void> {
    for await (const status of this.#connection.status()) {
      if (status.type === 'error') {
        const failure = natsFailure(status.error, 'being connected')
        // A refused publish has no other answer; whatever else the server complains about shows in its answers.
        if (failure.kind === 'bus-permission-denied') this.#fail(failure)
      }
    }
  }

  #fail(failure: BusFailure): void {
    if (this.#state !== 'open') return
    this.#state = 'failed'
    this.#events.failed(failure)
  }
}

/** Reasons for a lost connection that another try will not make go away. */
const LASTING: ReadonlySet<BusFailureKind> = new Set(['bus-credentials-rejected', 'bus-permission-denied'])

function parseJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.length).toString('utf8'))
  } catch {
    // Whoever wrote it, it is no tick of ours.
    return null
  }
}

function numberIn(value: unknown, name: string): number | null {
  const found: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, name) : null
  return typeof found === 'number' && Number.isFinite(found) ? found : null
}

function tickIn(data: Uint8Array): StreamTick | null {
  const tick = parseJson(data)
  const host: unknown = typeof tick === 'object' && tick !== null ? Reflect.get(tick, 'host') : null
  const sequence = numberIn(tick, 'seq')
  if (typeof host !== 'string' || sequence === null) return null
  return { host, sequence, epoch: numberIn(tick, 'epoch') ?? 0 }
}
