/**
 * What the stream has lost. Servers of a cluster that are killed faster than they catch up do lose acknowledged messages, so a missing end
 * is filled in from the journal, each tick at its old place, and a missing beginning, which can't be, is told with its bounds.
 */
import type { Clock } from '#clock.ts'
import {
  type BusCursor,
  lostBeginning,
  REPAIR_MAX,
  type Resume,
  type ResumeReason,
  type StreamEnd,
  type StreamMark,
} from '#domain/bus-cursor.ts'
import { tickBefore } from './count-back.ts'

/** A stream's new leader tells a short end until it has applied its log: a loss is believed when the end has stood still for this long. */
const PATIENCE_MS = 5_000
const MARK_INTERVAL_MS = 3_600_000
/** More than a week of them. */
const MARKS_MAX = 200

export interface LossParts {
  journalDirectory: string
  clock: Clock
  patienceMs?: number | undefined
  log(level: 'error', message: string, details: Record<string, unknown>): void
}

export interface Resumption {
  sequence: number
  reason: ResumeReason
}

export class StreamLosses {
  readonly #parts: LossParts
  /** How long the stream was at certain times of this run: what is younger must still be there. */
  #marks: StreamMark[] = []
  #markedStream = ''
  #toldUpTo = 0
  #end = -1
  #sinceMs = 0

  constructor(parts: LossParts) {
    this.#parts = parts
  }

  /** To be asked again until it is true: whether messages behind `lastSequence` are lost, and not only still to be applied. */
  isProven(lastSequence: number): boolean {
    const { clock, patienceMs = PATIENCE_MS } = this.#parts
    const nowMs = clock.monotonicMs()
    if (lastSequence !== this.#end) [this.#end, this.#sinceMs] = [lastSequence, nowMs]
    if (nowMs - this.#sinceMs < patienceMs) return false
    this.#end = -1
    return true
  }

  /** Where publication goes on after a proven loss. @throws Node's error when the journal can't be read */
  async resumption({ sequence }: BusCursor, resume: Exclude<Resume, { kind: 'foreign-writer' }>): Promise<Resumption> {
    if (resume.kind === 'resume') return resume
    const before = await tickBefore(this.#parts.journalDirectory, sequence, resume.lost)
    return before === null
      ? { sequence, reason: 'stream-lost-messages' }
      : { sequence: before, reason: 'lost-tail-repaired' }
  }

  /** Remembers now and then how long the stream is. */
  mark({ stream }: BusCursor): void {
    if (stream === null) return
    const atMs = this.#parts.clock.monotonicMs()
    if (stream.created !== this.#markedStream) {
      this.#marks = []
      this.#toldUpTo = 0
      this.#markedStream = stream.created
    }
    const last = this.#marks.at(-1)
    if (last !== undefined && atMs - last.atMs < MARK_INTERVAL_MS) return
    this.#marks.push({ lastSequence: stream.lastSequence, atMs })
    if (this.#marks.length > MARKS_MAX) this.#marks.shift()
  }

  /**
   * Tells messages that are gone from the beginning. An operator decides whether they are published again, behind the end.
   * @throws Node's error when the journal can't be read
   */
  async tellLostBeginning({ sequence, stream }: BusCursor, end: StreamEnd): Promise<void> {
    if (stream === null || end.created !== this.#markedStream) return
    const { clock, journalDirectory, log } = this.#parts
    const lost = lostBeginning(end, this.#marks, clock.monotonicMs())
    if (lost === null || lost.to <= this.#toldUpTo) return
    this.#toldUpTo = lost.to
    const count = stream.lastSequence - lost.from + 1
    const before = count < 1 || count > REPAIR_MAX ? null : await tickBefore(journalDirectory, sequence, count)
    const from = before === null ? 'SEQ' : before + 1
    log(
      'error',
      `bus: Messages ${lost.from} to ${lost.to} are gone from the stream before their time. Find out who removed them or which servers of the cluster lost them; \`full-feed-subscription publish --from ${from} --again\` publishes them again, behind the end.`,
      { kind: 'stream-lost-messages', ...lost, firstTick: before === null ? null : before + 1 },
    )
  }
}

/** Whether it says that acknowledged messages are not there: what has to be proven first. */
export function isLoss(resume: Resume): boolean {
  if (resume.kind !== 'resume') return resume.kind === 'count-back'
  return resume.reason === 'lost-tail-repaired' || resume.reason === 'stream-lost-messages'
}
