/** The bus cursor on disk: written at intervals, so it may be a little old, never ahead of what the bus has acknowledged. */
import { readIfPresent, writeDurably } from '#adapters/state/durable-file.ts'
import type { BusCursor } from '#domain/bus-cursor.ts'

export const CURSOR_FILE = 'bus-cursor.json'
const SCHEMA = 'feed-supervisor/bus-cursor/1'

/** Null when there is none or it can't be understood: the stream then tells how far publication got. @throws Node's error otherwise */
export async function readCursor(path: string): Promise<BusCursor | null> {
  const text = await readIfPresent(path)
  if (text === null) return null
  try {
    return parseCursor(JSON.parse(text))
  } catch {
    // Written in one piece, so this is damage from outside; the stream knows better anyway.
    return null
  }
}

export async function writeCursor(path: string, cursor: BusCursor): Promise<void> {
  await writeDurably(path, `${JSON.stringify({ schema: SCHEMA, ...cursor })}\n`)
}

function parseCursor(value: unknown): BusCursor | null {
  if (field(value, 'schema') !== SCHEMA) return null
  const sequence = field(value, 'sequence')
  if (!isCount(sequence)) return null
  const stream = field(value, 'stream')
  const name = field(stream, 'name')
  const created = field(stream, 'created')
  const lastSequence = field(stream, 'lastSequence')
  const isStream = typeof name === 'string' && typeof created === 'string' && isCount(lastSequence)
  return { sequence, stream: isStream ? { name, created, lastSequence } : null }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}
