/**
 * The bridge protocol, version 1: what a bridge process writes on file descriptor 3 and what the supervisor writes on its stdin.
 *
 * Both directions carry frames: a 16-byte header and a body, the whole a multiple of 8 bytes long, little-endian.
 *
 *     0  u32 length      of the whole frame, header included
 *     4  u16 type        FrameType
 *     6  u16 flags       0 in version 1
 *     8  u32 sequence    counts the writer's frames from 1, so that a reader sees a loss; wraps at 2^32
 *    12  u32 instrument  the bridge's number of the instrument, 0 where none is meant
 *    16  f64 wall        ms since the epoch when the cause of the frame happened
 *    24  f64 monotonic   the same on CLOCK_MONOTONIC
 *
 * A TICK frame goes on as `#domain/tick.ts` lays it out. Every other frame goes on:
 *
 *    32  i32 code        an error id, a reason or a return code, by type
 *    36  i32 request     the sequence of the command that this answers, 0 where none
 *    40  u16 numbers     count of doubles in the body
 *    42  u16 texts       count of texts in the body
 *    44  u32 reserved    0
 *    48  f64 x numbers, then each text as u16 byte length and bytes, then zeros up to a multiple of 8
 *
 * Texts are raw vendor bytes: CTP sends GBK, cut anywhere. Ids are ASCII.
 */
import { assert } from '#domain/assert.ts'
import { TICK_BYTES, type TickViews, tickViews } from '#domain/tick.ts'

export const PROTOCOL_VERSION = 1
export const HEADER_BYTES = 32
export const MESSAGE_HEADER_BYTES = 48
export const FRAME_BYTES_MAX = 65_536

/** 1 to 99 are sent by the bridge, 101 and up by the supervisor. Numbers are never reused. */
export const FrameType = {
  /** First frame of a bridge. code: PROTOCOL_VERSION; numbers: [pid]; texts: [adapter, API version]. */
  hello: 1,
  tick: 2,
  /** Explains an instrument number before its first use. texts: [instrument id, exchange or '']. */
  instrument: 3,
  /** The front accepted the connection; no login yet. */
  connected: 4,
  /** code: the vendor's reason, an opaque signed number. */
  disconnected: 5,
  /** Answer to `login`. code: vendor error id, 0 is success; texts: [message, trading day]. */
  loggedIn: 6,
  /** One contract's answer to `subscribe`. code: vendor error id; texts: [message]. */
  subscribed: 7,
  unsubscribed: 8,
  /** What the vendor's request function returned. code: 0 queued, -1 not connected, -2 too many unanswered, -3 too many per second. */
  requested: 9,
  /** Once a second, alive or not. numbers: [ticks received, ticks written, ticks dropped, ring high-water mark]. */
  counters: 10,
  /** An error that answers no known request. code: vendor error id; texts: [message]. */
  frontError: 11,
  /** texts: [line of text] for the supervisor's log. */
  log: 12,
  /** Replay only: every row up to numbers[0] (recording time, ms) is sent; the next one is at numbers[1], Infinity at the end. */
  reached: 13,
  /** Trading session: one instrument. texts: [id, exchange, product, product class, name, expiry, underlying, open date]; numbers: [multiplier, price tick, trading 0|1]. */
  catalogueRow: 14,
  /** Trading session: the query is over. code: vendor error id; numbers: [rows]. */
  catalogueEnd: 15,
  /** Trading session: answer to `authenticate`. */
  authenticated: 16,
  /** Trading session: status of a product. code: vendor status character; texts: [exchange, product, time]. */
  productStatus: 17,

  /** Connect. texts: name, value, name, value ...; the names are the adapter's own. */
  start: 101,
  /** texts: name, value pairs with the credentials. They travel here and nowhere else. */
  login: 102,
  /** texts: instrument ids. */
  subscribe: 103,
  unsubscribe: 104,
  /** Replay only: rows up to numbers[0] (recording time, ms) may be sent. */
  advance: 105,
  authenticate: 106,
  queryInstruments: 107,
} as const
export type FrameTypeName = keyof typeof FrameType

/** A decoded frame other than a tick. */
export interface Message {
  type: Exclude<FrameTypeName, 'tick'>
  sequence: number
  instrument: number
  wallMs: number
  monotonicMs: number
  code: number
  request: number
  numbers: number[]
  texts: Uint8Array[]
}

export interface MessageFields {
  sequence: number
  instrument?: number
  wallMs: number
  monotonicMs: number
  code?: number
  request?: number
  numbers?: readonly number[]
  texts?: readonly (string | Uint8Array)[]
}

const NAME_OF_TYPE = new Map<number, FrameTypeName>(
  Object.entries(FrameType).map(([name, type]) => [type, name as FrameTypeName]),
)

/** Thrown by FrameReader: the other side does not speak the protocol, and nothing after this byte can be believed. */
export class ProtocolFault extends Error {
  override readonly name = 'ProtocolFault'
}

/**
 * Encodes any frame but a tick.
 * @throws RangeError when the frame would be longer than FRAME_BYTES_MAX: the caller must batch.
 */
export function encodeMessage(type: Exclude<FrameTypeName, 'tick'>, fields: MessageFields): Buffer {
  const numbers = fields.numbers ?? []
  const texts = (fields.texts ?? []).map((text) => (typeof text === 'string' ? Buffer.from(text, 'utf8') : text))
  const bodyBytes = numbers.length * 8 + texts.reduce((sum, text) => sum + 2 + text.length, 0)
  const length = roundUpTo8(MESSAGE_HEADER_BYTES + bodyBytes)
  if (length > FRAME_BYTES_MAX) throw new RangeError(`${type} frame of ${length} bytes is over ${FRAME_BYTES_MAX}`)

  const frame = Buffer.alloc(length)
  frame.writeUInt32LE(length, 0)
  frame.writeUInt16LE(FrameType[type], 4)
  frame.writeUInt32LE(fields.sequence >>> 0, 8)
  frame.writeUInt32LE(fields.instrument ?? 0, 12)
  frame.writeDoubleLE(fields.wallMs, 16)
  frame.writeDoubleLE(fields.monotonicMs, 24)
  frame.writeInt32LE(fields.code ?? 0, 32)
  frame.writeInt32LE(fields.request ?? 0, 36)
  frame.writeUInt16LE(numbers.length, 40)
  frame.writeUInt16LE(texts.length, 42)
  let at = MESSAGE_HEADER_BYTES
  for (const number of numbers) at = frame.writeDoubleLE(number, at)
  for (const text of texts) {
    at = frame.writeUInt16LE(text.length, at)
    frame.set(text, at)
    at += text.length
  }
  return frame
}

/** Writes the header of a tick frame at byte `at` of a buffer; the caller fills the rest of the record. */
export function writeTickHeader(views: TickViews, at: number, header: { sequence: number; instrument: number }): void {
  views.i32[at >> 2] = TICK_BYTES
  views.i32[(at >> 2) + 1] = FrameType.tick
  views.i32[(at >> 2) + 2] = header.sequence | 0
  views.i32[(at >> 2) + 3] = header.instrument | 0
}

/** What a FrameReader hands its frames to. */
export interface FrameSink {
  /** A tick record starts at byte `at` of `views`, valid until the call returns. */
  tick(views: TickViews, at: number): void
  message(message: Message): void
}

/**
 * Cuts a byte stream into frames. Each chunk is copied once to an aligned buffer, so that typed arrays can be laid over it: three
 * times faster than reading each double from the Buffer (docs/benchmarks.md).
 */
export class FrameReader {
  readonly #buffer: ArrayBuffer
  readonly #views: TickViews
  readonly #bytes: Buffer
  readonly #sink: FrameSink
  #held = 0

  /** `capacity` bounds what is held: a chunk is taken in pieces of at most this size. */
  constructor(sink: FrameSink, capacity = 4 * FRAME_BYTES_MAX) {
    // A frame that can never be held whole would be waited for in a loop without end.
    assert(capacity >= FRAME_BYTES_MAX && capacity % 8 === 0, 'a frame reader has room for the longest frame, aligned')
    this.#sink = sink
    this.#buffer = new ArrayBuffer(capacity)
    this.#views = tickViews(this.#buffer)
    this.#bytes = Buffer.from(this.#buffer)
  }

  /** Bytes of an unfinished frame that are waiting for the rest. */
  get held(): number {
    return this.#held
  }

  /** @throws ProtocolFault on the first byte that can't be a frame; the reader must not be used after that. */
  push(chunk: Uint8Array): void {
    let taken = 0
    while (taken < chunk.length) {
      const room = Math.min(this.#bytes.length - this.#held, chunk.length - taken)
      this.#bytes.set(taken === 0 && room === chunk.length ? chunk : chunk.subarray(taken, taken + room), this.#held)
      this.#held += room
      taken += room
      this.#deliver()
    }
  }

  #deliver(): void {
    const { i32 } = this.#views
    let at = 0
    while (this.#held - at >= 8) {
      const length = i32[at >> 2] ?? 0
      // Type and flags in one, the flags being 0.
      const type = i32[(at >> 2) + 1] ?? 0
      if (type === FrameType.tick) {
        if (length !== TICK_BYTES) throw new ProtocolFault(`tick frame of ${length} bytes instead of ${TICK_BYTES}`)
        if (this.#held - at < TICK_BYTES) break
        this.#sink.tick(this.#views, at)
      } else {
        checkMessageHeader(length, type)
        if (this.#held - at < length) break
        this.#sink.message(decodeMessage(this.#bytes, at, length))
      }
      at += length
    }
    if (at > 0) this.#bytes.copyWithin(0, at, this.#held)
    this.#held -= at
  }
}

function checkMessageHeader(length: number, typeAndFlags: number): void {
  const type = typeAndFlags & 0xffff
  const flags = typeAndFlags >>> 16
  if (flags !== 0) throw new ProtocolFault(`frame of type ${type} has flags ${flags}: not version ${PROTOCOL_VERSION}`)
  if (!NAME_OF_TYPE.has(type)) throw new ProtocolFault(`unknown frame type ${type}`)
  if (length < MESSAGE_HEADER_BYTES || length > FRAME_BYTES_MAX || length % 8 !== 0) {
    throw new ProtocolFault(`frame of type ${type} has the impossible length ${length}`)
  }
}

function decodeMessage(bytes: Buffer, at: number, length: number): Message {
  const type = NAME_OF_TYPE.get(bytes.readUInt16LE(at + 4)) as Message['type']
  const numberCount = bytes.readUInt16LE(at + 40)
  const textCount = bytes.readUInt16LE(at + 42)
  const end = at + length
  let cursor = at + MESSAGE_HEADER_BYTES
  if (cursor + numberCount * 8 > end) throw new ProtocolFault(`${type} frame is too short for ${numberCount} numbers`)

  const numbers: number[] = []
  for (let i = 0; i < numberCount; i++, cursor += 8) numbers.push(bytes.readDoubleLE(cursor))

  const texts: Uint8Array[] = []
  for (let i = 0; i < textCount; i++) {
    const textBytes = cursor + 2 <= end ? bytes.readUInt16LE(cursor) : Number.POSITIVE_INFINITY
    if (cursor + 2 + textBytes > end) throw new ProtocolFault(`${type} frame is too short for its text ${i + 1}`)
    texts.push(Uint8Array.prototype.slice.call(bytes, cursor + 2, cursor + 2 + textBytes))
    cursor += 2 + textBytes
  }

  return {
    type,
    sequence: bytes.readUInt32LE(at + 8),
    instrument: bytes.readUInt32LE(at + 12),
    wallMs: bytes.readDoubleLE(at + 16),
    monotonicMs: bytes.readDoubleLE(at + 24),
    code: bytes.readInt32LE(at + 32),
    request: bytes.readInt32LE(at + 36),
    numbers,
    texts,
  }
}

/** Vendor text as a string: GBK (a superset of ASCII), a character cut in the middle becomes U+FFFD. */
export function vendorText(text: Uint8Array | undefined): string {
  return text === undefined ? '' : VENDOR_TEXT.decode(text).replace(/\0.*$/s, '')
}

const VENDOR_TEXT = new TextDecoder('gb18030')

/** A text of the bridge itself, as in its `log` frames and in front errors with a negative code: UTF-8, for it may hold paths. */
export function bridgeText(text: Uint8Array | undefined): string {
  return text === undefined ? '' : Buffer.from(text).toString('utf8')
}

/** The texts of a front error, whoever speaks: the bridge with negative codes, else the vendor. */
export function frontErrorTexts({ code, texts }: Pick<Message, 'code' | 'texts'>): { message: string; remedy: string } {
  const [message = '', remedy = ''] = texts.map(code < 0 ? bridgeText : vendorText)
  return { message, remedy }
}

/** Reads the name, value pairs of `start` and `login`. */
export function textPairs(message: Message): Map<string, string> {
  const pairs = new Map<string, string>()
  for (let i = 0; i + 1 < message.texts.length; i += 2) {
    pairs.set(
      Buffer.from(message.texts[i] ?? []).toString('utf8'),
      Buffer.from(message.texts[i + 1] ?? []).toString('utf8'),
    )
  }
  return pairs
}

function roundUpTo8(bytes: number): number {
  return (bytes + 7) & ~7
}
