/**
 * Plays a recording on both lines in step. The bridges may send only what was recorded up to a permitted moment; when both have said that
 * they are there, what they sent is taken in the order of recording time, so the outcome does not depend on which process was faster. The
 * market clock then moves on. Closed hours are skipped.
 */
import type { Clock } from '#clock.ts'
import { assert } from '#domain/assert.ts'
import { LINES, type Line, type LineIndex, lineIndex } from '#domain/line.ts'
import type { MarketCalendar } from '#domain/session-calendar.ts'
import { TICK_AT, TICK_BYTES, type TickViews, tickViews } from '#domain/tick.ts'
import type { LineSession } from './line-session.ts'
import type { RecordingClock } from './market-clock.ts'

export interface ReplayParts {
  clock: Clock
  marketClock: RecordingClock
  calendar: MarketCalendar
  sessions: Readonly<Record<Line, LineSession | null>>
  /** 1 as recorded, 0 as fast as it goes. */
  speed: number
  take(line: LineIndex, slot: number, views: TickViews, at: number): void
  /** The journal is behind: nothing more is permitted until it has caught up. */
  isBacklogged(): boolean
  /** Called once, when the last row of every line was taken. */
  ended(): void
  /** Called once, instead of `ended`, when a line's recording turns out to be damaged: what follows would be half a replay. */
  damaged(message: string): void
}

/** Rows that a step should bring from one line: enough to be fast, few enough to stay small. */
const ROWS_WANTED = 4_096
const ROWS_HELD_MAX = 1_000_000
const SPAN_MIN_MS = 1
const SPAN_MAX_MS = 600_000
/** A line that is about to stream again is waited for, in real time, but not for ever. */
const PATIENCE_MS = 15_000
const PACE_INTERVAL_MS = 10
const IDLE_TURNS_MAX = 1_000
/** Recorded silence longer than this, in a closed market, is skipped. */
const CLOSED_GAP_MS = 60_000

export class ReplayDriver {
  readonly #parts: ReplayParts
  readonly #held = [new HeldTicks(), new HeldTicks()] as const
  /** Per line: next row after the permitted moment, null while it has not said so. */
  readonly #nextMs: Record<Line, number | null> = { primary: null, backup: null }
  #permittedMs: number
  #spanMs = 1_000
  #waitingSinceMs: number | null = null
  #anchor: { marketMs: number; monotonicMs: number } | null = null
  #isOver = false
  readonly #wasStarted: Record<Line, boolean> = { primary: false, backup: false }
  #idleTurns = 0

  constructor(parts: ReplayParts, startMs: number) {
    this.#parts = parts
    this.#permittedMs = startMs
  }

  hold(line: LineIndex, slot: number, views: TickViews, at: number): void {
    this.#held[line].add(slot, views, at)
  }

  reached(line: Line, reachedMs: number, nextMs: number): void {
    if (reachedMs >= this.#permittedMs) this.#nextMs[line] = nextMs
  }

  /** Permits, waits and takes until the recording is over or the signal aborts. */
  async run(signal: AbortSignal, sleep: (ms: number, signal: AbortSignal) => Promise<void>): Promise<void> {
    this.#permit(this.#permittedMs)
    while (!signal.aborted && !this.#isOver) {
      const waitMs = this.#step()
      await (waitMs === 0 ? nextTurn() : sleep(waitMs, signal).catch(() => undefined))
    }
  }

  /** Does what can be done now; returns how long to wait before the next step, 0 for the event loop's next turn. */
  #step(): number {
    const { sessions, marketClock, speed } = this.#parts
    const unusable = LINES.map((line) => sessions[line]?.unusableInput).find((message) => typeof message === 'string')
    if (typeof unusable === 'string') {
      this.#isOver = true
      this.#parts.damaged(unusable)
      return 0
    }
    const live = LINES.filter((line) => sessions[line]?.isStarted === true)
    for (const line of LINES) this.#welcome(line)
    if (live.length === 0 || this.#mustWait() || this.#parts.isBacklogged()) return PACE_INTERVAL_MS
    // A bridge answers within a turn or two; one that does not must not cost a core.
    if (live.some((line) => this.#nextMs[line] === null)) return this.#idleTurns++ < IDLE_TURNS_MAX ? 0 : 1
    this.#idleTurns = 0
    this.#takeHeld()
    marketClock.moveTo(this.#permittedMs)
    const nextMs = Math.min(...live.map((line) => this.#nextMs[line] ?? Number.POSITIVE_INFINITY))
    if (nextMs === Number.POSITIVE_INFINITY) {
      this.#isOver = true
      this.#parts.ended()
      return 0
    }
    if (speed === 0) {
      this.#permit(Math.max(nextMs, this.#permittedMs) + this.#spanMs)
      return 0
    }
    this.#permit(this.#pacedMs(nextMs))
    return PACE_INTERVAL_MS
  }

  /** A bridge that has just been started knows nothing of what was permitted before. */
  #welcome(line: Line): void {
    const session = this.#parts.sessions[line]
    const isStarted = session?.isStarted === true
    if (isStarted && !this.#wasStarted[line]) {
      this.#nextMs[line] = null
      session.advance(this.#permittedMs)
    }
    this.#wasStarted[line] = isStarted
  }

  #permit(toMs: number): void {
    this.#permittedMs = toMs
    for (const line of LINES) {
      this.#nextMs[line] = null
      this.#parts.sessions[line]?.advance(toMs)
    }
  }

  /** Where the recording should be by the clock on the wall. */
  #pacedMs(nextMs: number): number {
    const { clock, calendar, speed } = this.#parts
    const nowMs = clock.monotonicMs()
    this.#anchor ??= { marketMs: this.#permittedMs, monotonicMs: nowMs }
    const isClosed = calendar.marketState(this.#permittedMs) !== 'open'
    if (isClosed && nextMs - this.#permittedMs > CLOSED_GAP_MS) {
      this.#anchor = { marketMs: nextMs, monotonicMs: nowMs }
    }
    return Math.max(this.#permittedMs, this.#anchor.marketMs + (nowMs - this.#anchor.monotonicMs) * speed)
  }

  /** Reconnecting takes real time, in which a recording at full speed would run away from the line. */
  #mustWait(): boolean {
    const nowMs = this.#parts.clock.monotonicMs()
    const isComingUp = LINES.some((line) => {
      const session = this.#parts.sessions[line]
      return session !== null && session.wanted !== 'off' && session.isComingUp
    })
    if (!isComingUp) {
      this.#waitingSinceMs = null
      return false
    }
    this.#waitingSinceMs ??= nowMs
    return nowMs - this.#waitingSinceMs < PATIENCE_MS
  }

  #takeHeld(): void {
    const [primary, backup] = this.#held
    let p = 0
    let b = 0
    while (p < primary.count || b < backup.count) {
      const isPrimary = b >= backup.count || (p < primary.count && primary.receivedMs(p) <= backup.receivedMs(b))
      const held = isPrimary ? primary : backup
      const i = isPrimary ? p++ : b++
      this.#parts.take(isPrimary ? lineIndex('primary') : lineIndex('backup'), held.slot(i), held.views, i * TICK_BYTES)
    }
    const rows = Math.max(primary.count, backup.count)
    if (rows > ROWS_WANTED) this.#spanMs = Math.max(SPAN_MIN_MS, this.#spanMs / 2)
    else if (rows < ROWS_WANTED / 4) this.#spanMs = Math.min(SPAN_MAX_MS, this.#spanMs * 2)
    primary.clear()
    backup.clear()
  }
}

/** Tick records of one line that wait for the other line to come as far. */
class HeldTicks {
  count = 0
  #capacity = ROWS_WANTED
  #views = tickViews(new ArrayBuffer(ROWS_WANTED * TICK_BYTES))
  #slots = new Int32Array(ROWS_WANTED)

  get views(): TickViews {
    return this.#views
  }

  slot(i: number): number {
    return this.#slots[i] ?? -1
  }

  receivedMs(i: number): number {
    return this.#views.f64[(i * TICK_BYTES + TICK_AT.receivedWallMs) >> 3] ?? 0
  }

  add(slot: number, views: TickViews, at: number): void {
    if (this.count === this.#capacity) this.#grow()
    this.#views.f64.set(views.f64.subarray(at >> 3, (at + TICK_BYTES) >> 3), (this.count * TICK_BYTES) >> 3)
    this.#slots[this.count] = slot
    this.count++
  }

  clear(): void {
    this.count = 0
  }

  #grow(): void {
    this.#capacity *= 2
    assert(this.#capacity <= ROWS_HELD_MAX * 2, `a replay step holds at most ${ROWS_HELD_MAX} rows`)
    const larger = tickViews(new ArrayBuffer(this.#capacity * TICK_BYTES))
    larger.f64.set(this.#views.f64)
    const slots = new Int32Array(this.#capacity)
    slots.set(this.#slots)
    this.#views = larger
    this.#slots = slots
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
