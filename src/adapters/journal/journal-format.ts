/**
 * The bytes of a journal segment, version 1 (docs/journal-format.md): a segment header, then blocks; a block is a header and a payload
 * of records. Everything is little-endian and a multiple of 8 bytes long, so that typed arrays can be laid over any block.
 * Each byte is covered by a CRC: what was not written can't be read as if it had been.
 */
import { crc32 } from 'node:zlib'

const FORMAT_VERSION = 1
export const SEGMENT_HEADER_BYTES = 128
export const BLOCK_HEADER_BYTES = 40
/** A reader believes no longer block. */
export const BLOCK_BYTES_MAX = 1 << 19

/** "FSJOURN1" and "FSBK", as they stand in the file. */
const SEGMENT_MAGIC = Buffer.from('FSJOURN1', 'latin1')
export const BLOCK_MAGIC = 0x4b425346

/** u16 at byte 4 of a record. A reader skips kinds it doesn't know. */
export const RecordKind = { instrument: 1, tick: 2 } as const

/** Bits of the u16 at byte 6 of a tick record. */
export const TICK_FLAG = {
  /** Line index: 0 primary, 1 backup. */
  line: 1,
  offSession: 2,
  /** The depth tail follows the base. */
  depth: 4,
} as const

/** Bits of the u32 flags of a block. */
export const BLOCK_FLAG = {
  /** Some record of the payload defines an instrument, so a reader that skips the block must look into it. */
  instruments: 1,
} as const

export const TICK_BASE_BYTES = 184
export const TICK_DEPTH_BYTES = 296
export const INSTRUMENT_BYTES_MAX = 264

/** Byte offsets within a tick record of what is not one of the doubles below. */
export const JOURNAL_AT = {
  /** u32 */
  length: 0,
  /** u16 */
  kind: 4,
  /** u16, TICK_FLAG */
  flags: 6,
  /** f64, an integer below 2^53 */
  sequence: 8,
  /** f64: wall clock at the vendor callback, ms */
  receivedWallMs: 16,
  /** f64: the exchange's moment, ms */
  eventMs: 24,
  /** u32: defined by an instrument record earlier in the same segment */
  instrument: 32,
  /** u32 */
  epoch: 36,
  /** u32, yyyymmdd */
  tradingDay: 40,
  /** i32 */
  volume: 44,
  bidVolume1: 48,
  askVolume1: 52,
  /** The first double of JOURNAL_DOUBLES. */
  doubles: 56,
  /** Depth tail: four i32 each, levels 2-5. */
  bidVolumes2: 184,
  askVolumes2: 200,
  /** Depth tail: four f64 each, levels 2-5, then the two banding prices. */
  bidPrices2: 216,
  askPrices2: 248,
  bandingUpper: 280,
  bandingLower: 288,
} as const

/** The doubles of every tick record in order, from byte 56; NaN is "not given". Names follow the vendor's, as in `#domain/tick.ts`. */
export const JOURNAL_DOUBLES = [
  'LastPrice',
  'PreSettlementPrice',
  'PreClosePrice',
  'PreOpenInterest',
  'OpenPrice',
  'HighestPrice',
  'LowestPrice',
  'Turnover',
  'OpenInterest',
  'ClosePrice',
  'SettlementPrice',
  'UpperLimitPrice',
  'LowerLimitPrice',
  'BidPrice1',
  'AskPrice1',
  'AveragePrice',
] as const
export type JournalDouble = (typeof JOURNAL_DOUBLES)[number]

/** Index of each double in a Float64Array laid over the record (record start divided by 8, plus this). */
export const JOURNAL_F64 = Object.fromEntries(JOURNAL_DOUBLES.map((name, i) => [name, JOURNAL_AT.doubles / 8 + i])) as {
  readonly [Name in JournalDouble]: number
}

/** Several typed views over the bytes of blocks; a record's `at` is its byte offset in them, a multiple of 8. */
export interface RecordViews {
  readonly u8: Buffer
  readonly i32: Int32Array
  readonly u32: Uint32Array
  readonly f64: Float64Array
}

export function recordViews(buffer: ArrayBuffer): RecordViews {
  return {
    u8: Buffer.from(buffer),
    i32: new Int32Array(buffer),
    u32: new Uint32Array(buffer),
    f64: new Float64Array(buffer),
  }
}

export interface SegmentHeader {
  createdWallMs: number
  firstSequence: number
  /** Last sequence written to the journal before this segment, 0 when none: a missing segment shows as a broken chain. */
  previousSequence: number
  host: string
}

const HOST_AT = 40
const HOST_BYTES = 80

/** The host is cut to 80 bytes. */
export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES)
  SEGMENT_MAGIC.copy(bytes, 0)
  bytes.writeUInt32LE(FORMAT_VERSION, 8)
  bytes.writeUInt32LE(SEGMENT_HEADER_BYTES, 12)
  bytes.writeDoubleLE(header.createdWallMs, 16)
  bytes.writeDoubleLE(header.firstSequence, 24)
  bytes.writeDoubleLE(header.previousSequence, 32)
  bytes.write(header.host, HOST_AT, HOST_BYTES, 'utf8')
  bytes.writeUInt32LE(crc32(bytes.subarray(0, SEGMENT_HEADER_BYTES - 4)), SEGMENT_HEADER_BYTES - 4)
  return bytes
}

export type SegmentHeaderReading =
  | { kind: 'good'; header: SegmentHeader }
  | { kind: 'short' | 'damaged' | 'newer-version' }

/** `bytes` are the first of a segment file, SEGMENT_HEADER_BYTES or fewer. */
export function decodeSegmentHeader(bytes: Buffer): SegmentHeaderReading {
  if (bytes.length < SEGMENT_HEADER_BYTES) return { kind: 'short' }
  const checked = crc32(bytes.subarray(0, SEGMENT_HEADER_BYTES - 4)) === bytes.readUInt32LE(SEGMENT_HEADER_BYTES - 4)
  if (!checked || !bytes.subarray(0, SEGMENT_MAGIC.length).equals(SEGMENT_MAGIC)) return { kind: 'damaged' }
  if (bytes.readUInt32LE(8) !== FORMAT_VERSION) return { kind: 'newer-version' }
  return {
    kind: 'good',
    header: {
      createdWallMs: bytes.readDoubleLE(16),
      firstSequence: bytes.readDoubleLE(24),
      previousSequence: bytes.readDoubleLE(32),
      host: bytes.toString('utf8', HOST_AT, HOST_AT + HOST_BYTES).replace(/\0+$/, ''),
    },
  }
}

export interface BlockHeader {
  payloadBytes: number
  /** Tick records in the payload; 0 in a block of definitions only. */
  count: number
  flags: number
  /** Sequence of the first tick record; the others follow without a gap. */
  firstSequence: number
  writtenWallMs: number
  payloadCrc: number
}

/** Fills the header at the start of a block whose payload already stands behind it. */
export function sealBlock(views: RecordViews, header: Omit<BlockHeader, 'payloadCrc'>): void {
  const { u8, u32, f64 } = views
  u32[0] = BLOCK_MAGIC
  u32[1] = header.payloadBytes
  u32[2] = header.count
  u32[3] = header.flags
  f64[2] = header.firstSequence
  f64[3] = header.writtenWallMs
  u32[8] = crc32(u8.subarray(BLOCK_HEADER_BYTES, BLOCK_HEADER_BYTES + header.payloadBytes))
  u32[9] = crc32(u8.subarray(0, BLOCK_HEADER_BYTES - 4))
}

/** The block header at byte `at` (a multiple of 8), or null when no intact one stands there. All 40 bytes must be in the views. */
export function decodeBlockHeader(views: RecordViews, at: number): BlockHeader | null {
  const { u8, u32, f64 } = views
  const word = at >> 2
  if (u32[word] !== BLOCK_MAGIC) return null
  if (crc32(u8.subarray(at, at + BLOCK_HEADER_BYTES - 4)) !== u32[word + 9]) return null
  const payloadBytes = u32[word + 1] ?? 0
  if (payloadBytes === 0 || payloadBytes % 8 !== 0 || payloadBytes > BLOCK_BYTES_MAX - BLOCK_HEADER_BYTES) return null
  return {
    payloadBytes,
    count: u32[word + 2] ?? 0,
    flags: u32[word + 3] ?? 0,
    firstSequence: f64[(at >> 3) + 2] ?? 0,
    writtenWallMs: f64[(at >> 3) + 3] ?? 0,
    payloadCrc: u32[word + 8] ?? 0,
  }
}

/** An instrument record: u32 length, u16 kind, u16 0, u32 number, u16 and u16 byte lengths, then exchange and symbol in UTF-8. */
export function encodeInstrument(number: number, name: { exchange: string; symbol: string }): Uint8Array {
  const exchange = Buffer.from(name.exchange, 'utf8')
  const symbol = Buffer.from(name.symbol, 'utf8')
  const length = (16 + exchange.length + symbol.length + 7) & ~7
  if (length > INSTRUMENT_BYTES_MAX) throw new RangeError(`instrument name of ${exchange.length + symbol.length} bytes`)
  const record = Buffer.alloc(length)
  record.writeUInt32LE(length, 0)
  record.writeUInt16LE(RecordKind.instrument, 4)
  record.writeUInt32LE(number, 8)
  record.writeUInt16LE(exchange.length, 12)
  record.writeUInt16LE(symbol.length, 14)
  record.set(exchange, 16)
  record.set(symbol, 16 + exchange.length)
  return record
}

export interface InstrumentName {
  readonly exchange: string
  readonly symbol: string
  /** `symbol.exchange` */
  readonly vtSymbol: string
}

/** Reads the instrument record at byte `at`, or null when its lengths don't fit. */
export function decodeInstrument(views: RecordViews, at: number): { number: number; name: InstrumentName } | null {
  const { u8 } = views
  const length = u8.readUInt32LE(at)
  const exchangeBytes = u8.readUInt16LE(at + 12)
  const symbolBytes = u8.readUInt16LE(at + 14)
  if (16 + exchangeBytes + symbolBytes > length) return null
  const exchange = u8.toString('utf8', at + 16, at + 16 + exchangeBytes)
  const symbol = u8.toString('utf8', at + 16 + exchangeBytes, at + 16 + exchangeBytes + symbolBytes)
  return { number: u8.readUInt32LE(at + 8), name: { exchange, symbol, vtSymbol: `${symbol}.${exchange}` } }
}

const SEGMENT_NAME = /^(\d{20})\.journal$/

export function segmentName(firstSequence: number): string {
  return `${String(firstSequence).padStart(20, '0')}.journal`
}

/** First sequence of the segment with this file name, or null when it is another file. */
export function sequenceOfSegmentName(name: string): number | null {
  const digits = SEGMENT_NAME.exec(name)?.[1]
  const sequence = digits === undefined ? Number.NaN : Number(digits)
  return Number.isSafeInteger(sequence) ? sequence : null
}
