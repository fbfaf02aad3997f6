/**
 * Lets a line that comes back wait behind the one that held the fort. The pipes are read one after the other, so after a stall the first
 * ticks of the line that returns may be read before older ones that only the other line brought; those would then be stale, and nobody
 * would ever have them. So the ticks of a line that was away are held for a moment while the other delivers, and offered when the other's
 * are read beyond its return: by then nearly all are duplicates. None is lost for waiting: what is held of an instrument goes before
 * anything newer of it.
 *
 * A line that merely races, or a quiet market, is never held: only one that had no session, or whose own stamps show that it was away
 * while the other ticked.
 */
import type { LineIndex } from '#domain/line.ts'
import { TICK_AT, TICK_BYTES, type TickViews, tickViews, updateSecondOfDay } from '#domain/tick.ts'
import { DAY_MS } from '#domain/trading-day.ts'
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
/** Stands for the slot of a held tick that has gone before the others. */
const GONE = -2

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
  /** It was seen without a session since its last tick. */
  readonly #wasDown = [false, false]
  #hold: Hold | null = null
  #views: TickViews = tickViews(new ArrayBuffer(HELD_MIN * TICK_BYTES))
  #slots = new Int32Array(HELD_MIN)
  #count = 0
  /** Places of the held ticks of each slot, oldest first. */
  readonly #placesOf = new Map<number, number[]>()

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
    this.#wasDown[line] = false
    const witness = other(line)
    this.#missed[witness] = (this.#missed[witness] ?? 0) + 1
    const hold = this.#hold
    if (hold?.line === line) {
      this.#keep(slot, views, at)
      if (this.#count === HELD_MAX) this.#release()
      else this.releaseIfDue(path.readAtMs)
      return
    }
    if (hold !== null) this.#letOlderGo(hold, slot, views, at)
    path.take(line, slot, views, at)
    if (hold !== null && stampMs >= hold.untilMs) this.#release()
  }

  /** To be asked now and then, and soon after a line's state changes: a line may have ended, or have fallen silent. */
  releaseIfDue(nowMs: number): void {
    for (const line of [0, 1] as const) if (!this.#parts.isUp(line)) this.#wasDown[line] = true
    const hold = this.#hold
    if (hold !== null && (nowMs >= hold.giveUpMs || !this.#parts.isUp(other(hold.line)))) this.#release()
  }

  /** Before the journal closes. */
  end(): void {
    if (this.#hold !== null) this.#release()
  }

  #returns(line: LineIndex, stampMs: number): boolean {
    const witness = other(line)
    const wasMute = (this.#missed[line] ?? 0) >= MISSED_MIN && stampMs - (this.#lastMs[line] ?? 0) >= AWAY_MS
    if (!wasMute && this.#wasDown[line] !== true) return false
    return stampMs - (this.#lastMs[witness] ?? 0) < ALIVE_MS && this.#parts.isUp(witness)
  }

  #keep(slot: number, views: TickViews, at: number): void {
    if (this.#count === this.#slots.length) this.#grow()
    this.#views.u8.set(views.u8.subarray(at, at + TICK_BYTES), this.#count * TICK_BYTES)
    const places = this.#placesOf.get(slot)
    if (places === undefined) this.#placesOf.set(slot, [this.#count])
    else places.push(this.#count)
    this.#slots[this.#count++] = slot
  }

  /** The other line is past what is held of this instrument, and may have missed it. */
  #letOlderGo({ line }: Hold, slot: number, views: TickViews, at: number): void {
    const places = this.#placesOf.get(slot)
    if (places === undefined) return
    const held = this.#views
    for (let place = places[0]; place !== undefined; place = places[0]) {
      if (!isOlder(held, place * TICK_BYTES, views, at)) return
      places.shift()
      this.#slots[place] = GONE
      this.#parts.path.take(line, slot, held, place * TICK_BYTES)
    }
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
    this.#placesOf.clear()
    if (hold === null) return
    for (let i = 0; i < count; i++) {
      const slot = this.#slots[i] ?? GONE
      if (slot !== GONE) this.#parts.path.take(hold.line, slot, this.#views, i * TICK_BYTES)
    }
    if (this.#slots.length === HELD_MIN) return
    this.#views = tickViews(new ArrayBuffer(HELD_MIN * TICK_BYTES))
    this.#slots = new Int32Array(HELD_MIN)
  }
}

/** By volume, which only grows within a day, and by time of day where it stood still; a row without a time is older than nothing. */
function isOlder(a: TickViews, aAt: number, b: TickViews, bAt: number): boolean {
  const [aVolume, bVolume] = [a.i32[(aAt + TICK_AT.volume) >> 2] ?? 0, b.i32[(bAt + TICK_AT.volume) >> 2] ?? 0]
  if (aVolume !== bVolume) return aVolume < bVolume
  const aheadMs = timeOfDayMs(b, bAt) - timeOfDayMs(a, aAt)
  // More than half a day apart they lie on either side of midnight.
  return (aheadMs > 0 && aheadMs <= DAY_MS / 2) || aheadMs < -DAY_MS / 2
}

function timeOfDayMs({ u8, i32 }: TickViews, at: number): number {
  const second = updateSecondOfDay(u8, at)
  return second < 0 ? Number.NaN : second * 1_000 + (i32[(at + TICK_AT.updateMillisec) >> 2] ?? 0)
}

function other(line: LineIndex): LineIndex {
  return line === 0 ? 1 : 0
}
