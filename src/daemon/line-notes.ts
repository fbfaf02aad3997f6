/**
 * What a line is told by its bridge, or by the daemon around it, while it waits for an answer; and how what it was doing ends when the
 * answer is another one than hoped for. The story of a line is these notes read forwards.
 */
import type { BridgeEnd } from '#adapters/feeds/bridge-process.ts'
import { kindOfBridgeExit } from '#adapters/feeds/ctp/bridge-exit.ts'
import type { Message } from '#adapters/feeds/wire.ts'
import type { FeedErrorKind } from '#domain/feed-error.ts'
import { Inbox, type ReadingTime } from './inbox.ts'

export type Note =
  | { type: 'hello'; message: Message }
  | { type: 'connected' }
  | { type: 'disconnected'; reason: number }
  | { type: 'loggedIn'; message: Message }
  /** The vendor's function did not take a request. */
  | { type: 'not-taken'; request: number; code: number }
  /** An error that answers a request, from the front or, with a negative code, from the bridge itself. */
  | { type: 'frontError'; request: number; code: number; words: BridgeWords }
  | { type: 'catalogueEnd' }
  /** `complaint`: what the bridge said before, with the negative exit code in front. */
  | { type: 'ended'; end: BridgeEnd; complaint: (BridgeWords & { code: number }) | null }
  /** The daemon gives the bridge up; without a failure when the line is to rest. */
  | { type: 'recycle'; failure: LineFailure | null }

export interface BridgeWords {
  message: string
  remedy: string
}

/** Why a bridge or a connection was given up. */
export interface LineFailure {
  kind: FeedErrorKind
  message: string
}

/** How something ends short of its aim. `disconnected`: the same bridge will connect again. Null: on purpose. */
export type CutShort = LineFailure | 'disconnected' | null

const NOTES_MAX = 100_000

export type LineInbox = Inbox<Note>

export function newLineInbox(time: ReadingTime): LineInbox {
  return new Inbox<Note>(NOTES_MAX, time)
}

export function cutShort(note: Extract<Note, { type: 'disconnected' | 'ended' | 'recycle' }>): CutShort {
  return note.type === 'disconnected' ? 'disconnected' : failureOf(note)
}

export function failureOf(note: Extract<Note, { type: 'ended' | 'recycle' }>): LineFailure | null {
  return note.type === 'recycle' ? note.failure : failureOfEnd(note)
}

function failureOfEnd({ end, complaint }: Extract<Note, { type: 'ended' }>): LineFailure {
  switch (end.kind) {
    case 'exited': {
      const kind = kindOfBridgeExit(end.code)
      if (complaint !== null && -complaint.code === end.code) return { kind, message: sentenceOf(complaint) }
      const how = end.signal === null ? `exit code ${end.code}` : `signal ${end.signal}`
      const where = end.unfinishedBytes === undefined ? '' : `, ${end.unfinishedBytes} bytes into a frame`
      return { kind, message: `the bridge process ended (${how}${where})` }
    }
    case 'protocol-fault':
      return { kind: 'protocol-fault', message: `the bridge process spoke nonsense: ${end.message}` }
    case 'not-started':
      return {
        kind: end.passes ? 'host-exhausted' : 'bridge-unavailable',
        message: `the bridge process could not be started: ${end.message}`,
      }
  }
}

/** What happened and what is to be done, for where there is room for one text. */
export function sentenceOf({ message, remedy }: BridgeWords): string {
  return remedy === '' ? message : `${message}. ${remedy}`
}
