/**
 * The file that makes sure no sequence number is given twice: numbers are used only below what it has on disk. While a writer runs it
 * holds the end of the block of numbers reserved for it; after an orderly close, the exact next one. Text, so that it can be read
 * at three in the morning; with a CRC, because a flipped digit would be believed.
 */
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { errorCode, type FileOperations } from './file-operations.ts'

export const SEQUENCE_FILE = 'sequence'
const TITLE = 'feed-supervisor journal sequence 1'
const BYTES_MAX = 512

export interface SequenceReservation {
  /** No number from here on was ever given. */
  next: number
  /** Last sequence in the journal; exact when `clean`. */
  last: number
  /** The writer closed in order. */
  clean: boolean
  /** Ticks that it had to give up when it closed. */
  lost?: number
}

export type ReservationReading =
  | { kind: 'good'; reservation: SequenceReservation }
  | { kind: 'missing' }
  | { kind: 'damaged' }

/** @throws Node's error when the file exists and can't be read. */
export async function readReservation(files: FileOperations, directory: string): Promise<ReservationReading> {
  const bytes = Buffer.alloc(BYTES_MAX)
  try {
    const file = await files.open(join(directory, SEQUENCE_FILE), 'read')
    try {
      return parseReservation(bytes.toString('latin1', 0, await file.read(bytes, 0)))
    } finally {
      await file.close()
    }
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return { kind: 'missing' }
    throw error
  }
}

/**
 * In the blocks that the file has already, for a disk that has no other. A crash half-way leaves a damaged file, and numbering then goes
 * on where it is surely safe. @throws Node's error
 */
export async function overwriteReservation(
  files: FileOperations,
  directory: string,
  reservation: SequenceReservation,
): Promise<void> {
  const bytes = Buffer.from(formatReservation(reservation), 'latin1')
  const file = await files.open(join(directory, SEQUENCE_FILE), 'update')
  try {
    await file.write(bytes, 0)
    await file.truncate(bytes.length)
    await file.datasync()
  } finally {
    await file.close()
  }
  await files.remove(join(directory, `${SEQUENCE_FILE}.new`)).catch(() => undefined)
}

/** On disk for good when this resolves. @throws Node's error; the old reservation then still holds. */
export async function writeReservation(
  files: FileOperations,
  directory: string,
  reservation: SequenceReservation,
): Promise<void> {
  const path = join(directory, SEQUENCE_FILE)
  const temporary = `${path}.new`
  const file = await files.open(temporary, 'replace')
  try {
    await file.write(Buffer.from(formatReservation(reservation), 'latin1'), 0)
    await file.datasync()
  } finally {
    await file.close()
  }
  await files.rename(temporary, path)
  await files.syncDirectory(directory)
}

function formatReservation({ next, last, clean, lost = 0 }: SequenceReservation): string {
  const losses = lost > 0 ? `lost ${lost}\n` : ''
  const text = `${TITLE}\nnext ${next}\nlast ${last}\nclean ${clean ? 'yes' : 'no'}\n${losses}`
  return `${text}crc ${checksum(text)}\n`
}

const PATTERN = new RegExp(
  `^(${TITLE}\\nnext (\\d+)\\nlast (\\d+)\\nclean (yes|no)\\n(?:lost (\\d+)\\n)?)crc ([0-9a-f]{8})\\n$`,
)

function parseReservation(content: string): ReservationReading {
  const match = PATTERN.exec(content)
  if (match === null) return { kind: 'damaged' }
  const [, text = '', next, last, clean, lost = '0', crc] = match
  if (crc !== checksum(text)) return { kind: 'damaged' }
  const reservation = { next: Number(next), last: Number(last), clean: clean === 'yes', lost: Number(lost) }
  return { kind: 'good', reservation }
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, '0')
}
