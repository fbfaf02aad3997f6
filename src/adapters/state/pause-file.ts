/**
 * That an operator switched automatic failover off, on disk so that a restart does not switch it on behind his back. A file that can't be
 * read counts as a pause: the operator meant something.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { readIfPresent, writeDurably } from './durable-file.ts'

export interface Pause {
  /** ISO 8601. */
  since: string
  reason: string
}

export async function readPause(stateDir: string): Promise<Pause | null> {
  const text = await readIfPresent(pausePath(stateDir))
  if (text === null) return null
  const { since, reason } = fieldsOf(text)
  return {
    since: typeof since === 'string' ? since : 'an unknown time',
    reason: typeof reason === 'string' ? reason : 'the note of it is damaged',
  }
}

/** Durable when it resolves. */
export async function writePause(stateDir: string, pause: Pause): Promise<void> {
  await writeDurably(pausePath(stateDir), `${JSON.stringify(pause)}\n`)
}

export async function removePause(stateDir: string): Promise<void> {
  await rm(pausePath(stateDir), { force: true })
}

function pausePath(stateDir: string): string {
  return join(stateDir, 'automation-paused.json')
}

function fieldsOf(text: string): { since?: unknown; reason?: unknown } {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}
