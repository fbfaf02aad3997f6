/**
 * Requests over NATS, in a queue group so that of several daemons one answers. A flood is not read: the subscriptions are taken back for
 * a while, and the server then tells requesters that nobody responds, at no cost here.
 */
import type { Msg, NatsConnection, Subscription } from '@nats-io/transport-node'
import type { Clock } from '#clock.ts'
import { busFailure } from '#domain/bus-failure.ts'
import { type GatePolicy, RequestGate } from '#domain/request-gate.ts'
import type { RequestBus, RequestListener } from '../request-bus.ts'
import { requestSubject } from './bus-options.ts'
import { type Dialling, dial } from './dial.ts'
import { natsFailure } from './nats-failures.ts'

const QUEUE_GROUP = 'feed-supervisor'
/** Answers that the server has not taken yet: beyond it requests are refused. */
const UNSENT_BYTES_MAX = 8 << 20
/** Room for subject and headers within what the server takes. */
const REPLY_MARGIN_BYTES = 4096

export interface RequestDoor {
  clock: Clock
  policy?: GatePolicy
  /** What is answered, cheaply, when there is no time for more. */
  busyAnswer: Uint8Array
  /** The door was shut because of a flood. */
  flooded(): void
}

export function natsRequestBus(dialling: Dialling, door: RequestDoor): RequestBus {
  return {
    async listen(signal, listener) {
      const connection = await dial({ ...dialling, name: `${dialling.name} requests` }, signal)
      const desk = new Desk(connection, { prefix: dialling.options.subjectPrefix, door, listener })
      const stop = () => void connection.close()
      signal.addEventListener('abort', stop, { once: true })
      if (signal.aborted) stop()
      desk.open()
      listener.listening()
      const error = await connection.closed()
      signal.removeEventListener('abort', stop)
      desk.close()
      if (signal.aborted) return null
      if (error instanceof Error) return natsFailure(error, 'answering requests')
      return busFailure('bus-connection-lost', 'The connection for requests was lost.')
    },
  }
}

class Desk {
  readonly #connection: NatsConnection
  readonly #prefix: string
  readonly #door: RequestDoor
  readonly #listener: RequestListener
  readonly #gate: RequestGate
  readonly #replyBytesMax: number
  #subscriptions: Subscription[] = []
  #reopening: NodeJS.Timeout | null = null
  #unsentBytes = 0
  #isFlushing = false

  constructor(connection: NatsConnection, parts: { prefix: string; door: RequestDoor; listener: RequestListener }) {
    this.#connection = connection
    this.#prefix = parts.prefix
    this.#door = parts.door
    this.#listener = parts.listener
    this.#gate = new RequestGate(parts.door.policy)
    this.#replyBytesMax = (connection.info?.max_payload ?? 1 << 20) - REPLY_MARGIN_BYTES
  }

  open(): void {
    this.#subscriptions = this.#listener.names.map((name) =>
      this.#connection.subscribe(requestSubject(this.#prefix, name), {
        queue: QUEUE_GROUP,
        callback: (error, message) => {
          if (error === null) this.#take(name, message)
        },
      }),
    )
  }

  close(): void {
    if (this.#reopening !== null) clearTimeout(this.#reopening)
  }

  #take(name: string, message: Msg): void {
    const { clock, busyAnswer } = this.#door
    const startedMs = clock.monotonicMs()
    const { data } = message
    const admission = this.#gate.admit(data.length, startedMs)
    if (admission === 'shut') {
      this.#shut()
      return
    }
    // Without a subject to answer to it is no request.
    if (message.reply === undefined || message.reply === '') return
    const isBusy = admission === 'busy' || this.#unsentBytes > UNSENT_BYTES_MAX
    this.#send(message, isBusy ? busyAnswer : this.#listener.answer(name, data, this.#replyBytesMax))
    this.#gate.spent(clock.monotonicMs() - startedMs)
  }

  #send(message: Msg, answer: Uint8Array): void {
    if (this.#connection.isClosed()) return
    message.respond(answer)
    this.#unsentBytes += answer.length
    if (this.#isFlushing) return
    // The server answers a ping when it has read everything before it.
    this.#isFlushing = true
    const covered = this.#unsentBytes
    this.#connection
      .flush()
      .then(
        () => {
          this.#unsentBytes -= covered
        },
        () => undefined,
      )
      .finally(() => {
        this.#isFlushing = false
      })
  }

  #shut(): void {
    if (this.#reopening !== null) return
    for (const subscription of this.#subscriptions) subscription.unsubscribe()
    this.#subscriptions = []
    this.#door.flooded()
    this.#reopening = setTimeout(() => {
      this.#reopening = null
      if (!this.#connection.isClosed()) this.open()
    }, this.#gate.shutMs).unref()
  }
}
