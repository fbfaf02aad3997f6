/**
 * A bus in memory with the rules of a JetStream stream: a message is stored only behind the one its header names. Between publisher and
 * stream lies a network that may be slow: what was sent over a link that died can arrive after a new link was made.
 */
import type { BusLink, LinkEvents, OutgoingTick, TickBus } from '#adapters/bus/tick-bus.ts'
import type { StreamEnd, StreamTick } from '#domain/bus-cursor.ts'
import { type BusFailureKind, busFailure } from '#domain/bus-failure.ts'

export interface StoredMessage {
  id: string
  tick: StreamTick | null
}

interface Sent {
  id: string
  /** Id that must be the last, or for the first of a link the sequence. */
  behind: string | number
  tick: StreamTick
  acknowledge: ((streamSequence: number) => void) | null
  refuse(kind: BusFailureKind): void
}

export class MemoryBus implements TickBus {
  messages: StoredMessage[] = []
  created = 'first'
  states: string[] = []
  isDown = false
  /** Of what is told of the stream's end, this much is left out: a new leader that has still to apply its log. */
  untold = 0
  firstSequence = 1
  /** While held, nothing that is sent arrives. */
  isHeld = false
  #network: Sent[] = []
  #links = 0
  #current: { fail(kind: BusFailureKind): void } | null = null

  /** Everything on its way arrives, in order. */
  deliver(count = Number.POSITIVE_INFINITY): void {
    for (const sent of this.#network.splice(0, Math.min(count, this.#network.length))) this.#store(sent)
  }

  /** Messages on their way. */
  get underway(): number {
    return this.#network.length
  }

  /** What is on its way never arrives. */
  drop(): void {
    this.#network = []
  }

  failLink(kind: BusFailureKind = 'bus-connection-lost'): void {
    this.#current?.fail(kind)
  }

  async open(signal: AbortSignal, events: LinkEvents): Promise<BusLink> {
    signal.throwIfAborted()
    if (this.isDown) throw busFailure('bus-unreachable', 'The bus is down.')
    return new MemoryLink(this, `link${++this.#links}`, events)
  }

  attach(link: { fail(kind: BusFailureKind): void }): void {
    this.#current = link
  }

  send(sent: Sent): void {
    this.#network.push(sent)
    if (!this.isHeld) queueMicrotask(() => this.isHeld || this.deliver())
  }

  #store(sent: Sent): void {
    const last = this.messages.at(-1)
    const holds = typeof sent.behind === 'number' ? sent.behind === this.messages.length : sent.behind === last?.id
    if (!holds) {
      sent.refuse('bus-out-of-step')
      return
    }
    this.messages.push({ id: sent.id, tick: sent.tick })
    sent.acknowledge?.(this.messages.length)
  }
}

class MemoryLink implements BusLink {
  readonly server = { name: 'memory', version: '2.9.0' }
  readonly drift = []
  readonly made = []
  readonly #bus: MemoryBus
  readonly #name: string
  readonly #events: LinkEvents
  #isOpen = true
  #last: string | null = null

  constructor(bus: MemoryBus, name: string, events: LinkEvents) {
    this.#bus = bus
    this.#name = name
    this.#events = events
    bus.attach(this)
  }

  fail(kind: BusFailureKind): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#events.failed(busFailure(kind, `The link failed: ${kind}.`))
  }

  publish({ json, sequence, streamSequence, wantsAck }: OutgoingTick): void {
    if (!this.#isOpen) return
    const { host, epoch } = JSON.parse(Buffer.from(json).toString())
    const id = `${this.#name}-${streamSequence}`
    this.#bus.send({
      id,
      behind: this.#last ?? streamSequence - 1,
      tick: { host, epoch, sequence },
      acknowledge: wantsAck ? (stored) => this.#isOpen && this.#events.acknowledged(stored) : null,
      refuse: (kind) => {
        if (wantsAck) this.fail(kind)
      },
    })
    this.#last = id
  }

  async streamEnd(): Promise<StreamEnd> {
    const { created, firstSequence, untold } = this.#bus
    const messages = this.#bus.messages.slice(0, this.#bus.messages.length - untold)
    const last = messages.at(-1)
    return {
      name: 'MEMORY',
      created,
      firstSequence,
      lastSequence: messages.length,
      expiry: { maxAgeMs: 0, isFull: false },
      last: last === undefined ? null : { streamSequence: messages.length, tick: last.tick },
    }
  }

  async tickAt(streamSequence: number): Promise<StreamTick | null> {
    return this.#bus.messages[streamSequence - 1]?.tick ?? null
  }

  async publishState(json: string): Promise<void> {
    if (!this.#isOpen) throw busFailure('bus-connection-lost', 'The link failed.')
    this.#bus.states.push(json)
  }

  async lastStateEpoch(): Promise<number | null> {
    const last = this.#bus.states.at(-1)
    return last === undefined ? null : JSON.parse(last).epoch
  }

  async lastTicks(): Promise<void> {}

  async consumerBacklogs() {
    return []
  }

  async close(): Promise<void> {
    this.#isOpen = false
  }
}
