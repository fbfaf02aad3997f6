/**
 * How much later than the other line does a line bring the same tick? Of each instrument one accepted tick at a time is remembered; when
 * the other line brings that very tick, or goes past it, the probe is done. Exact, whatever the stamps' resolution, and a few
 * comparisons per tick.
 */
import { INSTRUMENTS_MAX } from './instrument-table.ts'
import type { LineIndex } from './line.ts'

const NONE = 255

export class DelayProbes {
  readonly #line = new Uint8Array(INSTRUMENTS_MAX).fill(NONE)
  readonly #eventMs = new Float64Array(INSTRUMENTS_MAX)
  readonly #volume = new Float64Array(INSTRUMENTS_MAX)
  readonly #receivedMs = new Float64Array(INSTRUMENTS_MAX)

  /** An accepted tick; remembered unless one already is. Times are of the vendor callback, on CLOCK_MONOTONIC. */
  arm(line: LineIndex, slot: number, eventMs: number, volume: number, receivedMs: number): void {
    if (this.#line[slot] !== NONE) return
    this.#line[slot] = line
    this.#eventMs[slot] = eventMs
    this.#volume[slot] = volume
    this.#receivedMs[slot] = receivedMs
  }

  /** Any valid tick: its delay in ms when it is the one remembered from the other line, otherwise NaN. */
  measure(line: LineIndex, slot: number, eventMs: number, volume: number, receivedMs: number): number {
    const armedBy = this.#line[slot]
    if (armedBy === NONE || armedBy === line) return Number.NaN
    const probeEventMs = this.#eventMs[slot] ?? 0
    const probeVolume = this.#volume[slot] ?? 0
    if (eventMs < probeEventMs || volume < probeVolume) return Number.NaN
    this.#line[slot] = NONE
    const isTheOne = eventMs === probeEventMs && volume === probeVolume
    // Read from two pipes, the earlier callback may be read second.
    return isTheOne ? Math.max(0, receivedMs - (this.#receivedMs[slot] ?? 0)) : Number.NaN
  }
}
