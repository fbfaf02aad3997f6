/**
 * Sends the journal's live ticks over one link, in order, each to its own place in the stream, never more unacknowledged than the window.
 * The window bounds everything: what waits in the socket, what must be sent again, and the memory of a slow bus.
 */
import { MARGIN_BYTES, TextBuffer } from '#adapters/bus/ascii-writer.ts'
import type { BusLink, OutgoingTick } from '#adapters/bus/tick-bus.ts'
import { isOffSession, TICK_JSON_BYTES_MAX, TickEncoder } from '#adapters/bus/tick-encoder.ts'
import type { JournalBlock } from '#adapters/journal/journal-block.ts'
import { JOURNAL_AT } from '#adapters/journal/journal-format.ts'
import type { Clock } from '#clock.ts'
import { InFlightTicks } from './in-flight-ticks.ts'
import type { LatestTicks } from './latest-ticks.ts'
import { WakeUp } from './wake-up.ts'

/** An answer for every tick would cost the server more than storing them; one answers for all before it. */
const ACK_EVERY = 64

export interface PumpParts {
  clock: Clock
  subjectPrefix: string
  windowTicks: number
  latest: LatestTicks | null
  /** For each acknowledged tick: ms since it was sent, and since the vendor's callback by the wall clock. */
  acknowledged(ackMs: number, latencyMs: number): void
  /** Everything up to this journal sequence is in the stream, or is not meant to be there. */
  progressed(sequence: number): void
}

export class TickPump {
  /** Ticks acknowledged since the process began. */
  published = 0
  /** The highest journal sequence ever sent. */
  sentMax = 0
  readonly inFlight: InFlightTicks
  readonly #parts: PumpParts
  readonly #encoder: TickEncoder
  readonly #buffer = new TextBuffer(TICK_JSON_BYTES_MAX + MARGIN_BYTES)
  /** The same bytes: cutting a piece off a Buffer takes several times as long. */
  readonly #bytes = new Uint8Array(this.#buffer.bytes.buffer, this.#buffer.bytes.byteOffset, this.#buffer.bytes.length)
  readonly #tick: OutgoingTick = {
    subject: '',
    json: new Uint8Array(0),
    sequence: 0,
    streamSequence: 0,
    wantsAck: false,
  }
  readonly #room = new WakeUp()
  #nowMs = 0
  #nowWallMs = 0
  /** Every tick up to here was sent or needs no sending. */
  #passed = 0
  /** Up to this message each tick is answered for, so that a refusal comes with its own reason and not with the next one's. */
  #askEachUntil = 0
  /**
   * Whether a tick of this link was acknowledged. Until then one goes out alone: where the stream's end was told wrong, one tick is
   * refused and not a window of them, and replicas of nats-server 2.9 that count refusals differently drift apart.
   */
  #isConfirmed = false
  readonly #done = (sentMs: number, receivedWallMs: number) =>
    this.#parts.acknowledged(this.#nowMs - sentMs, this.#nowWallMs - receivedWallMs)

  constructor(parts: PumpParts) {
    this.#parts = parts
    this.#encoder = new TickEncoder(parts.subjectPrefix)
    this.inFlight = new InFlightTicks(parts.windowTicks)
  }

  /** Forgets what was in flight: the next tick is the one after `sequence` and becomes message `streamSequence` + 1. */
  restart(sequence: number, streamSequence: number): void {
    this.inFlight.restart(streamSequence + 1)
    this.#passed = sequence
    this.#askEachUntil = streamSequence + this.#parts.windowTicks
    this.#isConfirmed = false
  }

  get #isFull(): boolean {
    return this.#isConfirmed ? this.inFlight.isFull : this.inFlight.count > 0
  }

  /** Sends one block. Waits for room in the window; false when the link failed meanwhile. */
  async send(link: BusLink, block: JournalBlock, failed: AbortSignal): Promise<boolean> {
    const { clock, latest } = this.#parts
    const lastLive = lastLiveIndex(block)
    let nowMs = clock.monotonicMs()
    for (let i = 0; i < block.count; i++) {
      if (i > lastLive || isOffSession(block, i)) {
        if (latest !== null) this.#encode(block, i)
        continue
      }
      if (this.#isFull) {
        await this.#room.wait()
        if (failed.aborted) return false
        nowMs = clock.monotonicMs()
      }
      this.#publish(link, block, i, nowMs, i === lastLive)
    }
    if (failed.aborted) return false
    this.#passed = block.lastSequence
    if (this.inFlight.count === 0) this.#parts.progressed(block.lastSequence)
    return true
  }

  /** False when the server acknowledged what was never sent. */
  acknowledge(streamSequence: number): boolean {
    const { clock, progressed } = this.#parts
    this.#nowMs = clock.monotonicMs()
    this.#nowWallMs = clock.wallMs()
    const before = this.inFlight.count
    const sequence = this.inFlight.acknowledge(streamSequence, this.#done)
    if (sequence === false) return false
    this.published += before - this.inFlight.count
    if (sequence > 0) this.#isConfirmed = true
    if (sequence > 0) progressed(this.inFlight.count === 0 ? Math.max(sequence, this.#passed) : sequence)
    // Woken at half a window, so that ticks go out in batches and not one for one.
    if (this.inFlight.count <= this.#parts.windowTicks / 2) this.#room.wake()
    return true
  }

  /** Ends a wait for room after the link failed. */
  wake(): void {
    this.#room.wake()
  }

  #publish(link: BusLink, block: JournalBlock, index: number, nowMs: number, isLast: boolean): void {
    const { inFlight } = this
    const double = (block.offsets[index] ?? 0) >> 3
    const sequence = block.firstSequence + index
    const tick = this.#tick
    tick.json = this.#encode(block, index)
    tick.subject = this.#encoder.name.subject
    tick.sequence = sequence
    tick.streamSequence = inFlight.nextStreamSequence
    inFlight.add(sequence, nowMs, block.views.f64[double + JOURNAL_AT.receivedWallMs / 8] ?? 0)
    tick.wantsAck =
      isLast || inFlight.isFull || tick.streamSequence % ACK_EVERY === 0 || tick.streamSequence <= this.#askEachUntil
    if (sequence > this.sentMax) this.sentMax = sequence
    link.publish(tick)
  }

  #encode(block: JournalBlock, index: number): Uint8Array {
    const json = this.#bytes.subarray(0, this.#encoder.encode(block, index, this.#buffer, 0))
    this.#parts.latest?.put(this.#encoder.name, block.firstSequence + index, json)
    return json
  }
}

function lastLiveIndex(block: JournalBlock): number {
  let index = block.count - 1
  while (index >= 0 && isOffSession(block, index)) index--
  return index
}
