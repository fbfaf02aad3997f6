/**
 * Walks the blocks of one segment file and says of every byte what it is: an intact block, damage with an intact block behind it, or
 * a tail with nothing intact behind it. Reader, recovery and verification differ only in what they do about each.
 */
import { crc32 } from 'node:zlib'
import type { FileOperations, OpenFile } from './file-operations.ts'
import {
  BLOCK_BYTES_MAX,
  BLOCK_FLAG,
  BLOCK_HEADER_BYTES,
  BLOCK_MAGIC,
  type BlockHeader,
  decodeBlockHeader,
  decodeInstrument,
  decodeSegmentHeader,
  type InstrumentName,
  JOURNAL_AT,
  RecordKind,
  recordViews,
  SEGMENT_HEADER_BYTES,
  type SegmentHeaderReading,
  TICK_BASE_BYTES,
  TICK_DEPTH_BYTES,
  TICK_FLAG,
} from './journal-format.ts'

/** Room for the longest block and what is read ahead of it. */
const BUFFER_BYTES = 2 * BLOCK_BYTES_MAX
/** Enough to cover the headers of many small blocks in one read, little enough to waste on a large one. */
const HEADER_READ_BYTES = 64 * 1024
const RECORDS_MAX = Math.floor(BLOCK_BYTES_MAX / TICK_BASE_BYTES)

export type ScanStep =
  /** The block's records are at `scan.offsets`, unless it ended before `skipBelow`: then `skipped` is set and only definitions were read. */
  | { kind: 'block'; at: number; header: BlockHeader; skipped: boolean; malformed: string | null }
  | { kind: 'damage'; at: number; bytes: number; records: number | null }
  /** Bytes at the end without an intact block behind them; 0 bytes is a clean end. `records` when an intact block header tells. */
  | { kind: 'tail'; at: number; bytes: number; records: number | null }

export class SegmentScan {
  readonly views = recordViews(new ArrayBuffer(BUFFER_BYTES))
  readonly offsets = new Uint32Array(RECORDS_MAX)
  readonly instruments = new Map<number, InstrumentName>()
  readonly #file: OpenFile
  #heading: SegmentHeaderReading = { kind: 'short' }
  /** File position of the next block. */
  #position = SEGMENT_HEADER_BYTES
  /** File position and length of what the buffer holds. */
  #bufferStart = 0
  #buffered = 0
  #knownEnd = 0

  private constructor(file: OpenFile) {
    this.#file = file
  }

  static async open(files: FileOperations, path: string): Promise<SegmentScan> {
    return new SegmentScan(await files.open(path, 'read'))
  }

  /** Known after the first step; `short` until the writer has written it. */
  get heading(): SegmentHeaderReading {
    return this.#heading
  }

  /** Also done by the first step. */
  async readHeading(): Promise<SegmentHeaderReading> {
    if (this.#heading.kind !== 'short') return this.#heading
    const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES)
    const read = await this.#file.read(bytes, 0)
    this.#heading = decodeSegmentHeader(bytes.subarray(0, read))
    return this.#heading
  }

  stat(): Promise<{ bytes: number; modifiedMs: number }> {
    return this.#file.stat()
  }

  /**
   * The next step. After a `tail` the position stays, so that a follower may ask again when the file has grown. Blocks that end before
   * sequence `skipBelow` are passed over by their header, without a look at the ticks.
   */
  async next(skipBelow = 0): Promise<ScanStep> {
    if ((await this.readHeading()).kind === 'short') {
      return { kind: 'tail', at: 0, bytes: (await this.#file.stat()).bytes, records: null }
    }
    const at = this.#position
    const ahead = skipBelow > 0 ? HEADER_READ_BYTES : BUFFER_BYTES
    if (!(await this.#hold(at, BLOCK_HEADER_BYTES, ahead))) return await this.#unreadable(at, null, skipBelow)
    const header = decodeBlockHeader(this.views, at - this.#bufferStart)
    if (header === null) return await this.#unreadable(at, null, skipBelow)

    const blockBytes = BLOCK_HEADER_BYTES + header.payloadBytes
    const hasDefinitions = (header.flags & BLOCK_FLAG.instruments) !== 0
    const skipped = header.firstSequence + header.count <= skipBelow
    if (skipped && !hasDefinitions && (await this.#reaches(at + blockBytes))) {
      this.#position = at + blockBytes
      return { kind: 'block', at, header, skipped, malformed: null }
    }
    if (!(await this.#hold(at, blockBytes, BUFFER_BYTES)) || !this.#payloadIsIntact(at, header)) {
      return await this.#unreadable(at, header.count, skipBelow)
    }
    this.#position = at + blockBytes
    return { kind: 'block', at, header, skipped, malformed: this.#readRecords(at - this.#bufferStart, header) }
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  /** Nothing intact was read at `at`: looks on, at every multiple of 8, for a block that is. */
  async #unreadable(at: number, records: number | null, skipBelow: number): Promise<ScanStep> {
    this.#knownEnd = (await this.#file.stat()).bytes
    let candidate = at + 8
    while (await this.#hold(candidate, BLOCK_HEADER_BYTES, BUFFER_BYTES)) {
      candidate = this.#nextMagic(candidate)
      if (await this.#isIntact(candidate)) {
        // A writer may have written both blocks since the first was looked at. Only what is broken now, with the second there, is damage.
        this.#buffered = 0
        if (await this.#isIntact(at)) return await this.next(skipBelow)
        this.#position = candidate
        return { kind: 'damage', at, bytes: candidate - at, records }
      }
      candidate += 8
    }
    // What was read may be half of a block that is being written: forget it.
    this.#buffered = 0
    const bytes = Math.max(0, this.#knownEnd - at)
    return { kind: 'tail', at, bytes, records: bytes > 0 ? records : null }
  }

  async #isIntact(at: number): Promise<boolean> {
    if (!(await this.#hold(at, BLOCK_HEADER_BYTES, BUFFER_BYTES))) return false
    const header = decodeBlockHeader(this.views, at - this.#bufferStart)
    if (header === null || !(await this.#hold(at, BLOCK_HEADER_BYTES + header.payloadBytes, BUFFER_BYTES))) return false
    return this.#payloadIsIntact(at, header)
  }

  /** File position of the next block magic in the buffer from `from` on, or of the first place that the buffer can't judge. */
  #nextMagic(from: number): number {
    const { u32 } = this.views
    const last = this.#buffered - BLOCK_HEADER_BYTES
    let at = from - this.#bufferStart
    while (at <= last && u32[at >> 2] !== BLOCK_MAGIC) at += 8
    return this.#bufferStart + at
  }

  #payloadIsIntact(at: number, header: BlockHeader): boolean {
    const start = at - this.#bufferStart + BLOCK_HEADER_BYTES
    return crc32(this.views.u8.subarray(start, start + header.payloadBytes)) === header.payloadCrc
  }

  /** Fills `offsets` and `instruments` from an intact block; returns what is wrong with its records, or null. */
  #readRecords(blockAt: number, header: BlockHeader): string | null {
    const { u32, f64 } = this.views
    const end = blockAt + BLOCK_HEADER_BYTES + header.payloadBytes
    let count = 0
    for (let at = blockAt + BLOCK_HEADER_BYTES; at < end; ) {
      const length = u32[at >> 2] ?? 0
      const kindAndFlags = u32[(at >> 2) + 1] ?? 0
      if (length < 16 || length % 8 !== 0 || at + length > end)
        return `record of ${length} bytes at byte ${at - blockAt} of the block`
      const kind = kindAndFlags & 0xffff
      if (kind === RecordKind.tick) {
        const expected = (kindAndFlags >>> 16) & TICK_FLAG.depth ? TICK_DEPTH_BYTES : TICK_BASE_BYTES
        const sequence = f64[(at + JOURNAL_AT.sequence) >> 3]
        if (length !== expected) return `tick of ${length} bytes instead of ${expected}`
        if (sequence !== header.firstSequence + count)
          return `tick ${sequence} where ${header.firstSequence + count} belongs`
        this.offsets[count++] = at
      } else if (kind === RecordKind.instrument) {
        const definition = decodeInstrument(this.views, at)
        if (definition === null) return `instrument name longer than its record at byte ${at - blockAt} of the block`
        this.instruments.set(definition.number, definition.name)
      }
      at += length
    }
    return count === header.count ? null : `${count} ticks instead of ${header.count}`
  }

  async #reaches(end: number): Promise<boolean> {
    if (this.#knownEnd < end) this.#knownEnd = (await this.#file.stat()).bytes
    return this.#knownEnd >= end
  }

  /** Makes `bytes` from file position `at` available in the buffer, reading up to `ahead` at once; false when the file ends before. */
  async #hold(at: number, bytes: number, ahead: number): Promise<boolean> {
    if (at >= this.#bufferStart && at + bytes <= this.#bufferStart + this.#buffered) return true
    this.#bufferStart = at
    this.#buffered = 0
    this.#buffered = await this.#file.read(this.views.u8.subarray(0, Math.max(bytes, ahead)), at)
    return this.#buffered >= bytes
  }
}
