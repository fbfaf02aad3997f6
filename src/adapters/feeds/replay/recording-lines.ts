/** The bytes of a recording, plain or gzip, cut at line ends; and what can be wrong with a file before any row is understood. */
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { Failure } from '#domain/failure.ts'

const READ_BYTES = 256 * 1024
/** A longer line is no row of ticks. */
const LINE_BYTES_MAX = 16 * 1024
const NEWLINE = 0x0a

/** Whole lines: bytes `from` to before `to`, the last line's newline included unless the file ends without. */
export interface Lines {
  bytes: Buffer
  from: number
  to: number
  isLast: boolean
}

export function endOfLine({ bytes, to }: Lines, from: number): number {
  const newline = bytes.indexOf(NEWLINE, from)
  return newline < 0 || newline > to ? to : newline
}

/** Cuts the file's bytes at line ends. The bytes of a piece are valid until the next is asked for. */
export async function* readLines(path: string): AsyncGenerator<Lines> {
  let rest: Buffer = Buffer.alloc(0)
  const stream = await openBytes(path)
  try {
    for await (const chunk of stream) {
      if (!Buffer.isBuffer(chunk)) continue
      const bytes: Buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      const to = bytes.lastIndexOf(NEWLINE) + 1
      if (to > 0) yield { bytes, from: 0, to, isLast: false }
      rest = bytes.subarray(to)
      if (rest.length > LINE_BYTES_MAX) {
        throw malformedRow(path, `a line of more than ${LINE_BYTES_MAX} bytes: this is not a CSV file of ticks`)
      }
    }
  } catch (error) {
    throw error instanceof Failure ? error : readingFailure(path, error)
  } finally {
    stream.destroy()
  }
  if (rest.length > 0) yield { bytes: rest, from: 0, to: rest.length, isLast: true }
}

async function openBytes(path: string): Promise<Readable> {
  try {
    const file = await open(path, 'r')
    try {
      const magic = Buffer.alloc(2)
      await file.read(magic, 0, 2, 0)
      const raw = createReadStream(path, { highWaterMark: READ_BYTES })
      if (magic[0] !== 0x1f || magic[1] !== 0x8b) return raw
      const plain = createGunzip({ chunkSize: READ_BYTES })
      raw.on('error', (error) => plain.destroy(error))
      plain.on('close', () => raw.destroy())
      return raw.pipe(plain)
    } finally {
      await file.close()
    }
  } catch (error) {
    throw readingFailure(path, error)
  }
}

function readingFailure(path: string, error: unknown): Failure {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const why = error instanceof Error ? error.message : String(error)
  if (code === 'Z_BUF_ERROR') {
    return new Failure(
      'replay-file-truncated',
      `${path}: the compressed file ends in the middle`,
      'Copy the file again, completely.',
      error,
    )
  }
  const remedy = code.startsWith('Z_')
    ? 'The compressed file is damaged: copy it again.'
    : 'Correct REPLAY_FILES, or make the file readable for this user.'
  return new Failure('replay-file-unreadable', `${path}: ${why}`, remedy, error)
}

export function malformedRow(path: string, message: string): Failure {
  return new Failure(
    'replay-row-malformed',
    `${path}: ${message}`,
    'Repair or remove the row; every row needs as many fields as the header.',
  )
}
