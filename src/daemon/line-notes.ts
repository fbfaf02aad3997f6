/**
 * What a line is told by its bridge, or by the daemon around it, while it waits for an answer; and how what it was doing ends when the
 * answer is another one than hoped for. The story of a line is these notes read forwards.
 */
import type { BridgeEnd } from '#adapters/feeds/bridge-process.ts'
import { kindOfBridgeExit } from '#adapters/feeds/ctp/bridge-exit.ts'
import type { Message } from '#adapters/feeds/wire.ts'
import type { FeedErrorKind } from '#domain/feed-error.ts'
import { Inbox } from './inbox.ts'

export type Note =
  | { type: 'hello'; message: Message }
  | { type: 'connected' }
  | { type: 'disconnected'; reason: number }
  | { type: 'loggedIn'; message: Message }
  | { type: 'catalogueEnd' }
  | { type: 'ended'; end: BridgeEnd }
  /** The daemon gives the bridge up; without a failure when the line is to rest. */
  | { type: 'recycle'; failure: LineFailure | null }

/** Why a bridge or a connection was given up. */
export interface LineFailure {
  kind: FeedErrorKind
  message: string
}

/** How something ends short of its aim. `disconnected`: the same bridge will connect again. Null: on purpose. */
export type CutShort = LineFailure | 'disconnected' | null

const NOTES_MAX = 100_000

export type LineInbox = Inbox<Note>

export function newLineInbox(): LineInbox {
  return new Inbox<Note>(NOTES_MAX)
}

export function cutShort(note: Extract<Note, { type: 'disconnected' | 'ended' | 'recycle' }>): CutShort {
  return note.type === 'disconnected' ? 'disconnected' : failureOf(note)
}

export function failureOf(note: Extract<Note, { type: 'ended' | 'recycle' }>): LineFailure | null {
  return note.type === 'recycle' ? note.failure : failureOfEnd(note.end)
}

function failureOfEnd(end: BridgeEnd): LineFailure {
  switch (end.kind) {
    case 'exited':
      return {
        kind: kindOfBridgeExit(end.code),
        message: `the bridge process ended (${end.signal === null ? `exit code ${end.code}` : `signal ${end.signal}`})`,
      }
    case 'protocol-fault':
      return { kind: 'protocol-fault', message: `the bridge process spoke nonsense: ${end.message}` }
    case 'not-started':
      return { kind: 'bridge-unavailable', message: `the bridge process could not be started: ${end.message}` }
  }
}
