/**
 * The bridge's side of the pipe: frames go out on one stream in a bounded number of chunks, commands come in on another. Ticks are
 * written in place into the chunk that goes out next; when the reader stalls there is no room, and the caller decides what that means.
 * Frames wait for at most a turn of the event loop (messages) or the caller's flush (ticks), so that many share one write.
 */
import type { Writable } from 'node:stream'
import { type Clock, systemClock } from '#clock.ts'
import { TICK_BYTES, type TickViews, tickViews } from '#domain/tick.ts'
import { encodeMessage, FRAME_BYTES_MAX, type FrameTypeName, type MessageFields, writeTickHeader } from './wire.ts'

/** 128 chunks are 26,000 ticks: the snapshots of the largest market fit at once. */
const CHUNKS_FOR_TICKS = 128
/** Answers may not be dropped, but a supervisor that asks and never reads must not eat the machine's memory. */
const CHUNKS_MAX = 512

interface Chunk {
  views: TickViews
  bytes: Buffer
  used: number
}

/** The supervisor has not read for so long that even answers no longer fit. */
export class ReaderStalled extends Error {
  override readonly name = 'ReaderStalled'
}

export class BridgeWriter {
  /** Ticks that came from the market, that went to the pipe, and that were dropped between the two. */
  readonly ticks = { received: 0, written: 0, dropped: 0 }
  /** Most frames' bytes ever waiting, in ticks. */
  highWater = 0

  readonly #out: Writable
  readonly #clock: Clock
  readonly #free: Chunk[] = []
  /** Full or flushed chunks, oldest first; the first one may be on its way. */
  readonly #waiting: Chunk[] = []
  #chunks = 0
  #current: Chunk
  #sequence = 0
  #isWriting = false
  #flushIsDue = false
  #onDrained: (() => void)[] = []

  constructor(out: Writable, clock: Clock = systemClock) {
    this.#out = out
    this.#clock = clock
    this.#current = this.#takeChunk()
  }

  /** The views that `reserveTick`'s offsets refer to; they change with every reservation. */
  get views(): TickViews {
    return this.#current.views
  }

  /** How many ticks can be reserved now. */
  get room(): number {
    const left = Math.floor((FRAME_BYTES_MAX - this.#current.used) / TICK_BYTES)
    const chunksLeft = CHUNKS_FOR_TICKS - 1 - this.#waiting.length
    return left + Math.max(0, chunksLeft) * TICKS_PER_CHUNK
  }

  /**
   * Makes room for one tick and writes its header; the caller must fill in the rest of the record in `views` before anything else is
   * written. Returns its byte offset, or -1 when the pipe is full.
   */
  reserveTick(instrument: number): number {
    let chunk = this.#current
    if (chunk.used + TICK_BYTES > FRAME_BYTES_MAX) {
      if (this.#waiting.length + 1 >= CHUNKS_FOR_TICKS) return -1
      this.#seal()
      chunk = this.#current
    }
    const at = chunk.used
    chunk.used = at + TICK_BYTES
    this.#sequence = (this.#sequence + 1) | 0
    writeTickHeader(chunk.views, at, { sequence: this.#sequence, instrument })
    this.ticks.written += 1
    return at
  }

  /** Ticks that found no room: their numbers are skipped, so that the reader sees the loss. */
  dropTicks(count: number): void {
    this.ticks.dropped += count
    this.#sequence = (this.#sequence + count) | 0
  }

  /**
   * Sends any frame but a tick.
   * @throws ReaderStalled
   */
  send(
    type: Exclude<FrameTypeName, 'tick'>,
    wallMs: number,
    fields: Omit<MessageFields, 'sequence' | 'wallMs' | 'monotonicMs'> = {},
  ): void {
    this.#sequence = (this.#sequence + 1) | 0
    const frame = encodeMessage(type, {
      ...fields,
      sequence: this.#sequence >>> 0,
      wallMs,
      monotonicMs: this.#clock.monotonicMs(),
    })
    if (this.#current.used + frame.length > FRAME_BYTES_MAX) this.#seal()
    this.#current.bytes.set(frame, this.#current.used)
    this.#current.used += frame.length
    if (this.#flushIsDue) return
    this.#flushIsDue = true
    setImmediate(() => this.flush())
  }

  /** Cumulative, so one that can't be sent is not missed. */
  sendCounters(wallMs: number): void {
    if (this.#waiting.length >= CHUNKS_FOR_TICKS) return
    const { received, written, dropped } = this.ticks
    this.send('counters', wallMs, { numbers: [received, written, dropped, this.highWater] })
  }

  flush(): void {
    this.#flushIsDue = false
    this.#noteHighWater()
    if (this.#current.used > 0 && !this.#isWriting) this.#seal()
    this.#pump()
  }

  /** Resolves when everything sent so far is with the kernel. */
  drained(): Promise<void> {
    this.flush()
    if (!this.#isWriting) return Promise.resolve()
    return new Promise((resolve) => this.#onDrained.push(resolve))
  }

  #seal(): void {
    this.#waiting.push(this.#current)
    this.#current = this.#takeChunk()
    if (!this.#isWriting) this.#pump()
  }

  #takeChunk(): Chunk {
    const free = this.#free.pop()
    if (free !== undefined) {
      free.used = 0
      return free
    }
    if (this.#chunks >= CHUNKS_MAX) throw new ReaderStalled('nothing was read from the bridge for too long')
    this.#chunks += 1
    const buffer = new ArrayBuffer(FRAME_BYTES_MAX)
    return { views: tickViews(buffer), bytes: Buffer.from(buffer), used: 0 }
  }

  #pump(): void {
    const chunk = this.#waiting[0]
    if (chunk === undefined || this.#isWriting) return
    this.#isWriting = true
    this.#out.write(chunk.bytes.subarray(0, chunk.used), () => this.#written())
  }

  #written(): void {
    this.#isWriting = false
    const chunk = this.#waiting.shift()
    if (chunk !== undefined) this.#free.push(chunk)
    // What gathered during a slow write goes out with the next one, however little it is.
    if (this.#waiting.length === 0 && this.#current.used > 0) this.#seal()
    else this.#pump()
    if (this.#isWriting) return
    for (const resolve of this.#onDrained.splice(0)) resolve()
  }

  #noteHighWater(): void {
    const bytes = this.#waiting.length * FRAME_BYTES_MAX + this.#current.used
    this.highWater = Math.max(this.highWater, Math.ceil(bytes / TICK_BYTES))
  }
}

const TICKS_PER_CHUNK = Math.floor(FRAME_BYTES_MAX / TICK_BYTES)
