/**
 * One block of records while it is filled: the hot path copies each tick from its 312-byte record straight to where it will be written
 * from, and makes no object.
 */
import type { LineIndex } from '#domain/line.ts'
import { TICK_AT, TICK_F64, type TickViews } from '#domain/tick.ts'
import {
  BLOCK_FLAG,
  BLOCK_HEADER_BYTES,
  INSTRUMENT_BYTES_MAX,
  JOURNAL_AT,
  JOURNAL_DOUBLES,
  RecordKind,
  recordViews,
  sealBlock,
  TICK_BASE_BYTES,
  TICK_DEPTH_BYTES,
  TICK_FLAG,
} from './journal-format.ts'

/** Large enough for few writes under load; a block is written long before it is full when there is less to do. */
export const BLOCK_BYTES = 1 << 18
const RECORDS_MAX = Math.floor((BLOCK_BYTES - BLOCK_HEADER_BYTES) / TICK_BASE_BYTES)
const APPEND_BYTES_MAX = INSTRUMENT_BYTES_MAX + TICK_DEPTH_BYTES

/** What the journal keeps of a tick besides its record. The owner reuses one object for all ticks. */
export interface TickMeta {
  /** From JournalWriter.instrument(). */
  instrument: number
  /** The exchange's moment, ms since the epoch. */
  eventMs: number
  /** yyyymmdd */
  tradingDay: number
  epoch: number
  line: LineIndex
  offSession: boolean
}

export class BlockBuffer {
  readonly views = recordViews(new ArrayBuffer(BLOCK_BYTES))
  /** CLOCK_MONOTONIC of each tick's vendor callback, for the owner's latency figures; not written. */
  readonly receivedMonotonicMs = new Float64Array(RECORDS_MAX)
  bytes = BLOCK_HEADER_BYTES
  count = 0
  firstSequence = 0
  /** Which of the writer's segments the block belongs to: definitions are given once in each. */
  segment = 0
  #flags = 0
  #isSealed = false

  begin(segment: number, firstSequence: number): void {
    this.bytes = BLOCK_HEADER_BYTES
    this.count = 0
    this.firstSequence = firstSequence
    this.segment = segment
    this.#flags = 0
    this.#isSealed = false
  }

  get lastSequence(): number {
    return this.firstSequence + this.count - 1
  }

  get isEmpty(): boolean {
    return this.bytes === BLOCK_HEADER_BYTES
  }

  /** One more definition and tick of any size would fit. */
  hasRoom(): boolean {
    return this.bytes + APPEND_BYTES_MAX <= BLOCK_BYTES
  }

  addInstrument(record: Uint8Array): void {
    this.views.u8.set(record, this.bytes)
    this.bytes += record.length
    this.#flags |= BLOCK_FLAG.instruments
  }

  addTick(source: TickViews, sourceAt: number, sequence: number, meta: TickMeta): void {
    const { i32, f64 } = this.views
    const at = this.bytes
    const word = at >> 2
    const double = at >> 3
    const fromWord = sourceAt >> 2
    const fromDouble = sourceAt >> 3
    const hasDepth = depthIsSet(source, sourceAt)
    const length = hasDepth ? TICK_DEPTH_BYTES : TICK_BASE_BYTES
    const flags = meta.line | (meta.offSession ? TICK_FLAG.offSession : 0) | (hasDepth ? TICK_FLAG.depth : 0)

    i32[word] = length
    i32[word + 1] = RecordKind.tick | (flags << 16)
    f64[double + JOURNAL_AT.sequence / 8] = sequence
    f64[double + JOURNAL_AT.receivedWallMs / 8] = source.f64[fromDouble + TICK_AT.receivedWallMs / 8] ?? 0
    f64[double + JOURNAL_AT.eventMs / 8] = meta.eventMs
    i32[word + JOURNAL_AT.instrument / 4] = meta.instrument
    i32[word + JOURNAL_AT.epoch / 4] = meta.epoch
    i32[word + JOURNAL_AT.tradingDay / 4] = meta.tradingDay
    i32[word + JOURNAL_AT.volume / 4] = source.i32[fromWord + TICK_AT.volume / 4] ?? 0
    i32[word + JOURNAL_AT.bidVolume1 / 4] = source.i32[fromWord + TICK_AT.bidVolumes / 4] ?? 0
    i32[word + JOURNAL_AT.askVolume1 / 4] = source.i32[fromWord + TICK_AT.askVolumes / 4] ?? 0
    for (let i = 0; i < SOURCE_OF_DOUBLE.length; i++) {
      f64[double + JOURNAL_AT.doubles / 8 + i] = source.f64[fromDouble + (SOURCE_OF_DOUBLE[i] ?? 0)] ?? 0
    }
    if (hasDepth) this.#addDepth(source, sourceAt)

    this.receivedMonotonicMs[this.count] = source.f64[fromDouble + TICK_AT.receivedMonotonicMs / 8] ?? 0
    this.bytes = at + length
    this.count++
  }

  #addDepth(source: TickViews, sourceAt: number): void {
    const { i32, f64 } = this.views
    const word = this.bytes >> 2
    const double = this.bytes >> 3
    const fromWord = sourceAt >> 2
    const fromDouble = sourceAt >> 3
    for (let i = 0; i < 4; i++) {
      i32[word + JOURNAL_AT.bidVolumes2 / 4 + i] = source.i32[fromWord + TICK_AT.bidVolumes / 4 + 1 + i] ?? 0
      i32[word + JOURNAL_AT.askVolumes2 / 4 + i] = source.i32[fromWord + TICK_AT.askVolumes / 4 + 1 + i] ?? 0
      f64[double + JOURNAL_AT.bidPrices2 / 8 + i] = source.f64[fromDouble + TICK_F64.BidPrice2 + i] ?? 0
      f64[double + JOURNAL_AT.askPrices2 / 8 + i] = source.f64[fromDouble + TICK_F64.AskPrice2 + i] ?? 0
    }
    f64[double + JOURNAL_AT.bandingUpper / 8] = source.f64[fromDouble + TICK_F64.BandingUpperPrice] ?? 0
    f64[double + JOURNAL_AT.bandingLower / 8] = source.f64[fromDouble + TICK_F64.BandingLowerPrice] ?? 0
  }

  /** The block as it is to be written. Sealed once: a second try writes the same bytes. */
  sealed(writtenWallMs: number): Uint8Array {
    if (!this.#isSealed) {
      sealBlock(this.views, {
        payloadBytes: this.bytes - BLOCK_HEADER_BYTES,
        count: this.count,
        flags: this.#flags,
        firstSequence: this.firstSequence,
        writtenWallMs,
      })
      this.#isSealed = true
    }
    return this.views.u8.subarray(0, this.bytes)
  }
}

/** Where in the bridge's record each double of a journal record comes from. */
const SOURCE_OF_DOUBLE: readonly number[] = JOURNAL_DOUBLES.map((name) => TICK_F64[name])

/** Most exchanges and fronts give one level: the rest of the book then costs nothing. */
function depthIsSet(source: TickViews, at: number): boolean {
  const { f64, i32 } = source
  const double = at >> 3
  const word = at >> 2
  for (let i = 0; i < 4; i++) {
    if (isNumber(f64[double + TICK_F64.BidPrice2 + i]) || isNumber(f64[double + TICK_F64.AskPrice2 + i])) return true
    if (i32[word + TICK_AT.bidVolumes / 4 + 1 + i] !== 0 || i32[word + TICK_AT.askVolumes / 4 + 1 + i] !== 0)
      return true
  }
  return isNumber(f64[double + TICK_F64.BandingUpperPrice]) || isNumber(f64[double + TICK_F64.BandingLowerPrice])
}

function isNumber(value: number | undefined): boolean {
  return !Number.isNaN(value)
}
