/**
 * A stream has one writer. Another one is not fought, since fighting would shuffle both into nonsense: we wait until it is silent, each
 * time longer, and go on behind what it wrote.
 */
import type { BusLink } from '#adapters/bus/tick-bus.ts'
import type { Clock } from '#clock.ts'
import type { BusCursor, StreamEnd } from '#domain/bus-cursor.ts'

const QUIET_FIRST_MS = 10_000
const QUIET_MAX_MS = 300_000
/** After this long without a foreign writer the first patience is enough again. */
const FORGET_MS = 900_000

export class ForeignWatch {
  readonly pollMs: number
  readonly #clock: Clock
  readonly #quietFirstMs: number
  #quietMs: number
  #seen = -1
  #sinceMs = 0
  #releasedMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, quietFirstMs = QUIET_FIRST_MS) {
    this.#clock = clock
    this.#quietFirstMs = quietFirstMs
    this.#quietMs = quietFirstMs
    this.pollMs = quietFirstMs / 10
  }

  /** To be asked regularly with the stream's end; true once the other writer has been silent for long enough. */
  isQuiet(lastSequence: number): boolean {
    const nowMs = this.#clock.monotonicMs()
    if (this.#seen === -1) {
      const isAgain = nowMs - this.#releasedMs < FORGET_MS
      this.#quietMs = isAgain ? Math.min(QUIET_MAX_MS, this.#quietMs * 2) : this.#quietFirstMs
    }
    if (lastSequence !== this.#seen) {
      this.#seen = lastSequence
      this.#sinceMs = nowMs
    }
    if (nowMs - this.#sinceMs < this.#quietMs) return false
    this.#seen = -1
    this.#releasedMs = nowMs
    return true
  }
}

interface Place {
  link: BusLink
  cursor: BusCursor
  end: StreamEnd
  host: string
}

/**
 * Journal sequence of our last tick before the other writer's messages. Ours since the cursor are the first of those added, so the border
 * is found by halving. @throws Failure<BusFailureKind>
 */
export async function lastOfOurs(place: Place): Promise<number> {
  const { link, cursor, end, host } = place
  const known = cursor.stream
  if (known === null || known.created !== end.created) return cursor.sequence
  if (!(await isOurs(place, known.lastSequence))) return await lastBeforeLoss(place, known.lastSequence)
  let ours = known.lastSequence
  let theirs = end.lastSequence + 1
  let sequence = cursor.sequence
  while (theirs - ours > 1) {
    const middle = Math.floor((ours + theirs) / 2)
    const tick = await link.tickAt(middle)
    if (tick !== null && tick.host === host && tick.sequence > sequence) {
      ours = middle
      sequence = tick.sequence
    } else {
      theirs = middle
    }
  }
  return sequence
}

/** Whether what the cursor remembers is there. */
async function isOurs({ link, cursor, end, host }: Place, streamSequence: number): Promise<boolean> {
  if (streamSequence < end.firstSequence) return true
  const tick = streamSequence > end.lastSequence ? null : await link.tickAt(streamSequence)
  return tick !== null && tick.host === host && tick.sequence <= cursor.sequence
}

/** As far as is looked back for it. */
const LOOK_BACK_MAX = 10_000

/** The stream lost its end and somebody else has written there since: what we had there is published again behind him. */
async function lastBeforeLoss({ link, cursor, end, host }: Place, known: number): Promise<number> {
  const from = Math.min(known, end.lastSequence)
  const to = Math.max(end.firstSequence, from - LOOK_BACK_MAX)
  for (let streamSequence = from; streamSequence >= to; streamSequence--) {
    const tick = await link.tickAt(streamSequence)
    if (tick?.host === host && tick.sequence <= cursor.sequence) return tick.sequence
  }
  return cursor.sequence
}
