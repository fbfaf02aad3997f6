/**
 * How much later than the other line does a line bring the same tick? Of each instrument one accepted tick at a time is remembered; when
 * the other line brings that very tick, or goes past it, the probe is done. Exact, whatever the stamps' resolution, and a few
 * comparisons per tick.
 *
 * Stamps are made in the bridges, so our own slowness does not show in them as such. But a bridge whose pipe we leave full may take its
 * ticks late, and that delay is ours: what a line brings while it is read late, and for a while after, says nothing about the line.
 */
import { INSTRUMENTS_MAX } from './instrument-table.ts'
import type { LineIndex } from './line.ts'

const NONE = 255
/** Far less than fills a pipe and the bridge's own buffer behind it, even in a flood. */
const READ_LATE_MS = 250
/** A bridge makes up for what it could not hand over for about this long. */
const MAKES_UP_MS = 5_000

export class DelayProbes {
  readonly #line = new Uint8Array(INSTRUMENTS_MAX).fill(NONE)
  readonly #eventMs = new Float64Array(INSTRUMENTS_MAX)
  readonly #volume = new Float64Array(INSTRUMENTS_MAX)
  readonly #receivedMs = new Float64Array(INSTRUMENTS_MAX)
  /** By line: stamps from before say nothing. */
  readonly #soundFromMs = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]

  /** A tick of the line was stamped and read then, both on CLOCK_MONOTONIC. To be told of each tick, before it is measured. */
  heedReading(line: LineIndex, receivedMs: number, readMs: number): void {
    if (readMs - receivedMs > READ_LATE_MS) this.#soundFromMs[line] = readMs + MAKES_UP_MS
  }

  /** An accepted tick; remembered unless one already is. Times are of the vendor callback, on CLOCK_MONOTONIC. */
  arm(line: LineIndex, slot: number, eventMs: number, volume: number, receivedMs: number): void {
    if (this.#line[slot] !== NONE) return
    this.#line[slot] = line
    this.#eventMs[slot] = eventMs
    this.#volume[slot] = volume
    this.#receivedMs[slot] = receivedMs
  }

  /**
   * Any valid tick: how many ms behind the other line it is when it is the one remembered from there, otherwise NaN. Below 0 when this
   * line was first after all: of two pipes, the earlier callback may be read second.
   */
  measure(line: LineIndex, slot: number, eventMs: number, volume: number, receivedMs: number): number {
    const armedBy = this.#line[slot]
    if (armedBy === undefined || armedBy === NONE || armedBy === line) return Number.NaN
    const probeEventMs = this.#eventMs[slot] ?? 0
    const probeVolume = this.#volume[slot] ?? 0
    if (eventMs < probeEventMs || volume < probeVolume) return Number.NaN
    this.#line[slot] = NONE
    const isTheOne = eventMs === probeEventMs && volume === probeVolume
    if (!isTheOne) return Number.NaN
    const probeMs = this.#receivedMs[slot] ?? 0
    const isSound =
      receivedMs >= probeMs ? this.#isSound(line, receivedMs) : this.#isSound(armedBy === 0 ? 0 : 1, probeMs)
    return isSound ? receivedMs - probeMs : Number.NaN
  }

  #isSound(later: LineIndex, stampMs: number): boolean {
    return stampMs >= (this.#soundFromMs[later] ?? 0)
  }
}
