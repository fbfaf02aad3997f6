/**
 * Where publication goes on after a start, a reconnection or a rejected tick. Two witnesses are compared: what was last acknowledged
 * (kept locally, possibly a little old) and the stream's own end (always right about what landed, if it is still the same stream).
 *
 * Every tick is published with the tick that must come before it, so it lands once or not at all, and a window of unacknowledged ticks
 * lands as a prefix. Hence the stream's last message alone says how much of the window is there.
 */

/** What is known to be in the stream: journal sequence `sequence` is the message `streamSequence`, and everything before it is in too. */
export interface BusCursor {
  /** Last journal sequence that needs no publishing any more. */
  sequence: number
  /** Null before the first contact with a stream. */
  stream: { name: string; created: string; lastSequence: number } | null
}

/** The end of a stream as the server tells it. */
export interface StreamEnd {
  name: string
  /** When the stream was made: one that was deleted and made anew has another date. */
  created: string
  firstSequence: number
  /** Stays what it was when messages are removed. */
  lastSequence: number
  /** The last message kept: null when none is; `tick` null when it is none of a feed supervisor's. */
  last: { streamSequence: number; tick: StreamTick | null } | null
  /** After which messages go by themselves, 0 for never; and whether they go for want of room. */
  expiry: { maxAgeMs: number; isFull: boolean }
}

export interface StreamTick {
  host: string
  sequence: number
  epoch: number
}

/** When the stream ended with which message. */
export interface StreamMark {
  lastSequence: number
  atMs: number
}

/**
 * Messages that are gone from the stream's beginning although they are too young to go by themselves: somebody removed them, or servers
 * of a cluster lost them. Those from before the first mark may be more.
 * @param marks oldest first, of this stream
 */
export function lostBeginning(
  { firstSequence, expiry }: StreamEnd,
  marks: readonly StreamMark[],
  nowMs: number,
): { from: number; to: number } | null {
  const mark = marks.find(({ atMs }) => expiry.maxAgeMs === 0 || nowMs - atMs < expiry.maxAgeMs)
  if (mark === undefined || expiry.isFull || firstSequence <= mark.lastSequence + 1) return null
  return { from: mark.lastSequence + 1, to: firstSequence - 1 }
}

export type ResumeReason =
  /** Nothing was added since the last acknowledgement known. */
  | 'unchanged'
  /** Ticks of ours landed whose acknowledgements had not been seen. */
  | 'unseen-acknowledgements'
  /** The first stream that this cursor meets. */
  | 'first-contact'
  /** No cursor was kept, and the stream has ticks of ours: what comes behind them is published. */
  | 'cursor-restored'
  /** The server lost its last messages (power loss): they are published again under the same stream sequences. */
  | 'lost-tail-repaired'
  | StreamAlarm

/** Reasons an operator has to know: the stream does not hold what it held. */
export type StreamAlarm = 'stream-replaced' | 'stream-emptied' | 'stream-lost-messages' | 'journal-replaced'

export type Resume =
  /** Publish what comes after `sequence`. */
  | { kind: 'resume'; sequence: number; reason: ResumeReason }
  /**
   * The end is gone, and no message is left there that tells which tick it was. Publication goes on behind the tick that lies `lost` live
   * ticks before the cursor, so that each gets its own place again: servers that still have those messages have the same ones.
   */
  | { kind: 'count-back'; lost: number }
  /** Somebody else wrote the end of the stream. */
  | { kind: 'foreign-writer'; by: StreamTick | null }

export interface ResumeInput {
  cursor: BusCursor
  end: StreamEnd
  host: string
  /** The highest sequence of this journal that may have been sent. */
  sentMax: number
  /** No cursor was kept, so that the one given only says where this run began. */
  isGuess: boolean
}

/** A tail up to this long is published again by itself: a minute or so of ticks, caught up with in seconds. */
export const REPAIR_MAX = 1_000_000

export function resumeFrom({ cursor, end, host, sentMax, isGuess }: ResumeInput): Resume {
  const known = cursor.stream
  const ours = end.last?.tick?.host === host ? end.last.tick : null
  const isOther = end.last !== null && ours === null

  if (known === null || known.created !== end.created || known.name !== end.name) {
    if (isOther) return { kind: 'foreign-writer', by: end.last?.tick ?? null }
    if (ours !== null && ours.sequence > sentMax) return resume(cursor.sequence, 'journal-replaced')
    if (ours !== null && isGuess) return resume(ours.sequence, 'cursor-restored')
    // Which of the ticks before the cursor a strange stream holds doesn't matter: history is published again only on order.
    const sequence = Math.max(cursor.sequence, ours?.sequence ?? 0)
    return resume(sequence, known === null ? 'first-contact' : 'stream-replaced')
  }

  const added = end.lastSequence - known.lastSequence
  const isEndThere = end.last?.streamSequence === end.lastSequence
  // Whatever the count says: where we wrote last, or behind it, somebody else did.
  if (isEndThere && ours === null) return { kind: 'foreign-writer', by: end.last?.tick ?? null }
  if (added === 0) {
    const isEmptied = end.last === null && end.lastSequence > 0
    return resume(cursor.sequence, isEmptied ? 'stream-emptied' : 'unchanged')
  }
  if (added < 0) return afterLoss(cursor, isEndThere ? ours : null, -added)
  // Removed at once by somebody or by a limit, so nobody can tell what it was.
  if (!isEndThere || ours === null) return resume(cursor.sequence, 'stream-emptied')
  // Between the cursor and the end there can't be more messages than journal sequences.
  const isPlausible = ours.sequence <= sentMax && ours.sequence - cursor.sequence >= added
  return isPlausible ? resume(ours.sequence, 'unseen-acknowledgements') : { kind: 'foreign-writer', by: ours }
}

function afterLoss(cursor: BusCursor, ours: StreamTick | null, lost: number): Resume {
  if (lost > REPAIR_MAX) return resume(cursor.sequence, 'stream-lost-messages')
  if (ours === null) return { kind: 'count-back', lost }
  return ours.sequence <= cursor.sequence
    ? resume(ours.sequence, 'lost-tail-repaired')
    : resume(cursor.sequence, 'stream-lost-messages')
}

function resume(sequence: number, reason: ResumeReason): Resume {
  return { kind: 'resume', sequence, reason }
}

/** What an operator is told about each reason, null where there is nothing to tell. */
export const RESUME_SENTENCES: Record<ResumeReason, string | null> = {
  unchanged: null,
  'unseen-acknowledgements': null,
  'first-contact': null,
  'cursor-restored': 'The local bus cursor was missing; publication goes on behind the last tick in the stream.',
  'lost-tail-repaired':
    'The stream had lost its last messages; they are published again under the same stream sequences.',
  'stream-replaced':
    'The stream is not the one published to before: it was deleted or restored. Publication goes on with the next tick; `publish --from` republishes history.',
  'stream-emptied':
    'Messages were removed from the end of the stream. Publication goes on with the next tick; `publish --from` republishes history.',
  'stream-lost-messages':
    'The stream holds less than was acknowledged. Publication goes on with the next tick; `publish --from` republishes history.',
  'journal-replaced':
    'The stream holds ticks of this host that this journal never had: the state directory is a new one. Its ticks are published from its beginning.',
}

/** Where the journal's numbering has a hole: after an unclean stop numbers between `last` and `next` were never given. */
export interface JournalNumbering {
  /** Last sequence found at the start. */
  last: number
  /** First sequence of this run. */
  next: number
}

/** Ticks that wait to be published, counted in sequences. */
export function busBacklog(journal: JournalNumbering & { written: number }, published: number): number {
  const { last, next, written } = journal
  const before = Math.max(0, Math.min(last, written) - published)
  const since = Math.max(0, written - Math.max(published, next - 1))
  return before + since
}

/**
 * Seconds until the backlog is gone at the present rates, both a second; 0 without one worth the name, null when it does not shrink.
 * A backlog of less than a quarter second of arrivals is the pipeline at work.
 */
export function catchUpSeconds(backlog: number, arriving: number, publishing: number): number | null {
  if (backlog <= Math.max(1024, arriving / 4)) return 0
  const gain = publishing - arriving
  return gain <= 0 ? null : backlog / gain
}
