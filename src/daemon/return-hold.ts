/**
 * Lets a line that comes back wait behind the one that held the fort. The pipes are read one after the other, so after a stall the first
 * ticks of the line that returns may be read before older ones that only the other line brought; those would then be stale, and nobody
 * would ever have them. So the ticks of a line that was away are held for a moment while the other delivers, and offered when the other's
 * are read beyond its return: by then nearly all are duplicates, and none is lost for waiting.
 *
 * A line that merely races, or a quiet market, is never held: only one whose own stamps show that it was away while the other ticked.
 */
import type { LineIndex } from '#domain/line.ts'
import { TICK_AT, TICK_BYTES, type TickViews, tickViews } from '#domain/tick.ts'
import type { TickPath } from './tick-path.ts'

/** Away: no tick for this long, by its own stamps, while the other line brought at least so many. */
const AWAY_MS = 100
const MISSED_MIN = 20
/** The other line is of no use as a witness when it has been silent for this long. */
const ALIVE_MS = 1_000
/** The other line is read this far beyond the return, which makes room for a bridge that was late with its callbacks. */
const BEYOND_MS = 250
/** If it isn't by then, it has fallen silent itself, and what is held is all there is. */
const PATIENCE_MS = 750
const HELD_MIN = 1_024
const HELD_MAX = 131_072

interface Hold {
  line: LineIndex
  /** Stamp that the other line must reach. */
  untilMs: number
  /** CLOCK_MONOTONIC at which waiting ends anyway. */
  giveUpMs: number
}

export interface ReturnHoldParts {
  path: Pick<TickPath, 'take' | 'readAtMs'>
  /** The line has a session, so that more may come of it. */
  isUp(line: LineIndex): boolean
}

export class ReturnHold {
  readonly #parts: ReturnHoldParts
  /** Stamp of each line's last tick. */
  readonly #lastMs = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]
  /** Ticks that the other line brought since. */
  readonly #missed = [0, 0]
  #hold: Hold | null = null
  #views: TickViews = tickViews(new ArrayBuffer(HELD_MIN * TICK_BYTES))
  #slots = new Int32Array(HELD_MIN)
  #count = 0

  constructor(parts: ReturnHoldParts) {
    this.#parts = parts
  }

  /** Takes the tick record at byte `at`; it is valid during the call only, so what is held is copied. */
  take(line: LineIndex, slot: number, views: TickViews, at: number): void {
    const { path } = this.#parts
    const stampMs = views.f64[(at + TICK_AT.receivedMonotonicMs) >> 3] ?? 0
    if (this.#hold === null && this.#returns(line, stampMs)) {
      this.#hold = { line, untilMs: stampMs + BEYOND_MS, giveUpMs: path.readAtMs + PATIENCE_MS }
    }
    this.#lastMs[line] = stampMs
    this.#missed[line] = 0
    const witness = other(line)
    this.#missed[witness] = (this.#missed[witness] ?? 0) + 1
    const hold = this.#hold
    if (hold?.line === line) {
      this.#keep(slot, views, at)
      if (this.#count === HELD_MAX) this.#release()
      else this.releaseIfDue(path.readAtMs)
      return
    }
    path.take(line, slot, views, at)
    if (hold !== null && stampMs >= hold.untilMs) this.#release()
  }

  /** To be asked now and then: the other line may have ended, or have fallen silent. */
  releaseIfDue(nowMs: number): void {
    const hold = this.#hold
    if (hold !== null && (nowMs >= hold.giveUpMs || !this.#parts.isUp(other(hold.line)))) this.#release()
  }

  /** Before the journal closes. */
  end(): void {
    if (this.#hold !== null) this.#release()
  }

  #returns(line: LineIndex, stampMs: number): boolean {
    const witness = other(line)
    return (
      (this.#missed[line] ?? 0) >= MISSED_MIN &&
      stampMs - (this.#lastMs[line] ?? 0) >= AWAY_MS &&
      stampMs - (this.#lastMs[witness] ?? 0) < ALIVE_MS &&
      this.#parts.isUp(witness)
    )
  }

  #keep(slot: number, views: TickViews, at: number): void {
    if (this.#count === this.#slots.length) this.#grow()
    this.#views.u8.set(views.u8.subarray(at, at + TICK_BYTES), this.#count * TICK_BYTES)
    this.#slots[this.#count++] = slot
  }

  #grow(): void {
    const { u8 } = this.#views
    const slots = this.#slots
    this.#views = tickViews(new ArrayBuffer(2 * slots.length * TICK_BYTES))
    this.#views.u8.set(u8)
    this.#slots = new Int32Array(2 * slots.length)
    this.#slots.set(slots)
  }

  #release(): void {
    const hold = this.#hold
    const count = this.#count
    this.#hold = null
    this.#count = 0
    if (hold === null) return
    for (let i = 0; i < count; i++) {
      this.#parts.path.take(hold.line, this.#slots[i] ?? -1, this.#views, i * TICK_BYTES)
    }
    if (this.#slots.length === HELD_MIN) return
    this.#views = tickViews(new ArrayBuffer(HELD_MIN * TICK_BYTES))
    this.#slots = new Int32Array(HELD_MIN)
  }
}

function other(line: LineIndex): LineIndex {
  return line === 0 ? 1 : 0
}
