/**
 * Where every instrument stood, every few seconds, so that a restarted daemon knows at once what is old. Names as JSON, numbers as
 * doubles, one CRC over both; written beside and renamed. The journal behind `sequence` brings it up to date.
 *
 *     0 u32 magic   4 u32 CRC-32 of all that follows   8 u32 bytes of JSON   12 u32 rows
 *     16 JSON {sequence, writtenAtMs, epoch, symbols: [[symbol, exchange], ...]}, padded with spaces to a multiple of 8
 *     then rows x 10 doubles: trading day, event ms, volume, off-session 0|1, six doubles of the book
 */
import { readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { assert } from '#domain/assert.ts'
import { writeDurably } from './durable-file.ts'

export const CHECKPOINT_COLUMNS = 10
const MAGIC = 0x46535043
const HEADER_BYTES = 16

export interface Checkpoint {
  /** Everything up to this journal sequence is contained. */
  sequence: number
  writtenAtMs: number
  epoch: number
  symbols: readonly (readonly [symbol: string, exchange: string])[]
  /** CHECKPOINT_COLUMNS doubles for each symbol. */
  rows: Float64Array
}

export type CheckpointReading =
  | { kind: 'read'; checkpoint: Checkpoint }
  | { kind: 'none' }
  /** Set aside under this name, for whoever wants to know why. */
  | { kind: 'damaged'; setAsideAs: string; why: string }

export function checkpointPath(stateDir: string): string {
  return join(stateDir, 'checkpoint')
}

export async function writeCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  const { sequence, writtenAtMs, epoch, symbols, rows } = checkpoint
  assert(rows.length === symbols.length * CHECKPOINT_COLUMNS, 'a checkpoint has one row per symbol')
  const json = Buffer.from(JSON.stringify({ sequence, writtenAtMs, epoch, symbols }))
  const jsonBytes = (json.length + 7) & ~7
  const file = Buffer.alloc(HEADER_BYTES + jsonBytes + rows.byteLength, ' ')
  file.writeUInt32LE(MAGIC, 0)
  file.writeUInt32LE(jsonBytes, 8)
  file.writeUInt32LE(symbols.length, 12)
  file.set(json, HEADER_BYTES)
  file.set(Buffer.from(rows.buffer, rows.byteOffset, rows.byteLength), HEADER_BYTES + jsonBytes)
  file.writeUInt32LE(crc32(file.subarray(8)), 4)
  await writeDurably(path, file)
}

/** A damaged checkpoint is renamed, so that it neither stops a start nor is lost. Throws only when the file can't be read at all. */
export async function readCheckpoint(path: string): Promise<CheckpointReading> {
  let file: Buffer
  try {
    file = await readFile(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { kind: 'none' }
    throw error
  }
  const parsed = parseCheckpoint(file)
  if (typeof parsed !== 'string') return { kind: 'read', checkpoint: parsed }
  const setAsideAs = `${path}.damaged`
  await rename(path, setAsideAs)
  return { kind: 'damaged', setAsideAs, why: parsed }
}

/** The checkpoint, or what is wrong with it. */
function parseCheckpoint(file: Buffer): Checkpoint | string {
  if (file.length < HEADER_BYTES || file.readUInt32LE(0) !== MAGIC) return 'it is no checkpoint'
  if (crc32(file.subarray(8)) !== file.readUInt32LE(4)) return 'its checksum is wrong'
  const jsonBytes = file.readUInt32LE(8)
  const rowCount = file.readUInt32LE(12)
  const rowBytes = rowCount * CHECKPOINT_COLUMNS * 8
  if (HEADER_BYTES + jsonBytes + rowBytes !== file.length) return 'its length is wrong'
  const head: unknown = JSON.parse(file.subarray(HEADER_BYTES, HEADER_BYTES + jsonBytes).toString('utf8'))
  if (!isHead(head) || head.symbols.length !== rowCount) return 'its head is of another version'
  const bytes = Uint8Array.prototype.slice.call(file, HEADER_BYTES + jsonBytes)
  return { ...head, rows: new Float64Array(bytes.buffer, bytes.byteOffset, rowCount * CHECKPOINT_COLUMNS) }
}

function isHead(value: unknown): value is Omit<Checkpoint, 'rows'> {
  if (typeof value !== 'object' || value === null) return false
  const numbers = ['sequence', 'writtenAtMs', 'epoch'].every((name) => typeof Reflect.get(value, name) === 'number')
  const symbols: unknown = Reflect.get(value, 'symbols')
  return numbers && Array.isArray(symbols) && symbols.every((pair) => Array.isArray(pair) && pair.length === 2)
}
