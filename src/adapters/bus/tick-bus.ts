/**
 * The bus as the publisher needs it. A link lives from one dial to the first trouble and is never repaired: whatever goes wrong, it fails,
 * and a new one is opened and asked where the stream stands. So there is one way back, and it is the one every start takes.
 */
import type { StreamEnd, StreamTick } from '#domain/bus-cursor.ts'
import type { BusFailure } from '#domain/bus-failure.ts'

export interface TickBus {
  /**
   * Dials, checks the server and makes the streams ready. When `signal` aborts it rejects with the signal's reason.
   * @throws Failure<BusFailureKind>
   */
  open(signal: AbortSignal, events: LinkEvents): Promise<BusLink>
}

export interface LinkEvents {
  /** Every tick up to stream sequence `streamSequence` is stored. */
  acknowledged(streamSequence: number): void
  /** The link is of no use any more. Called once, and not after `close`. */
  failed(failure: BusFailure): void
}

/** A setting of a stream that is not as declared; it is told and left alone. */
export interface StreamDrift {
  stream: string
  setting: string
  declared: string
  found: string
}

export interface BusLink {
  readonly server: { name: string; version: string }
  readonly drift: readonly StreamDrift[]
  readonly made: readonly string[]
  /** @throws Failure<BusFailureKind> */
  streamEnd(): Promise<StreamEnd>
  /** The message at a stream sequence: null when it is gone or no tick. @throws Failure<BusFailureKind> */
  tickAt(streamSequence: number): Promise<StreamTick | null>
  /**
   * Sends a tick. It is stored only directly behind the one published before it over this link, the first only as message
   * `streamSequence`: so what is published over a link is stored as an unbroken beginning of it. `json` is copied. With `wantsAck` the
   * server answers for this one and all before it. Never throws: trouble comes as `failed`.
   */
  publish(tick: OutgoingTick): void
  /** Stores a feed state; resolves when the server has it. @throws Failure<BusFailureKind> */
  publishState(json: string): Promise<void>
  /** Epoch of the last feed state, null when there is none. @throws Failure<BusFailureKind> */
  lastStateEpoch(): Promise<number | null>
  /** The last tick of every subject, as published. @throws Failure<BusFailureKind> */
  lastTicks(signal: AbortSignal, take: (json: Uint8Array) => void): Promise<void>
  /** What each durable consumer of the stream has still to get, at most `max` of them. @throws Failure<BusFailureKind> */
  consumerBacklogs(max: number): Promise<ConsumerBacklog[]>
  /** Idempotent; never throws. */
  close(): Promise<void>
}

/** Reused for every tick; valid during the call. */
export interface OutgoingTick {
  subject: string
  json: Uint8Array
  sequence: number
  streamSequence: number
  wantsAck: boolean
}

export interface ConsumerBacklog {
  consumer: string
  /** Not yet delivered, plus delivered and not acknowledged. */
  messages: number
}
