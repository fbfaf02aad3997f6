// How late a line is, told by the stamps of its own callbacks: whatever our reading does, it must not look like the line's doing.
import { beforeEach, describe, expect, test } from 'vitest'
import { DelayProbes } from '#domain/delay-probes.ts'
import { IntervalHistogram } from '#domain/interval-histogram.ts'
import type { LineIndex } from '#domain/line.ts'
import { DEFAULT_LIVENESS_POLICY } from '#domain/liveness.ts'

const [PRIMARY, BACKUP] = [0, 1] as const

interface Seen {
  line: LineIndex
  tick: number
  stampMs: number
  readMs: number
}

/** Both lines' delays, gathered as the tick path does it; tick `n` is published at 10 * n ms for slot n % 50. */
class Rig {
  readonly probes = new DelayProbes()
  readonly behind = [new IntervalHistogram(), new IntervalHistogram()] as const
  readonly #latest = new Map<number, number>()

  take({ line, tick, stampMs, readMs }: Seen): void {
    const slot = tick % 50
    this.probes.heedReading(line, stampMs, readMs)
    const behindMs = this.probes.measure(line, slot, tick, tick, stampMs)
    if (!Number.isNaN(behindMs)) {
      this.behind[line].observe(Math.max(0, behindMs))
      this.behind[line === 0 ? 1 : 0].observe(Math.max(0, -behindMs))
    }
    if (tick <= (this.#latest.get(slot) ?? -1)) return
    this.#latest.set(slot, tick)
    this.probes.arm(line, slot, tick, tick, stampMs)
  }

  /** All of it in the order of reading. */
  takeAll(seen: readonly Seen[]): void {
    for (const each of [...seen].sort((a, b) => a.readMs - b.readMs)) this.take(each)
  }

  p95(line: LineIndex): number | null {
    return this.behind[line].quantileMs(0.95)
  }
}

let rig = new Rig()
beforeEach(() => {
  rig = new Rig()
})

function ticks(from: number, to: number, seen: (tick: number) => Seen): Seen[] {
  return Array.from({ length: to - from }, (_, i) => seen(from + i))
}

/** Stamped `latencyMs` after the exchange published, read at once. */
const prompt = (line: LineIndex, latencyMs: number) => (tick: number) => {
  const stampMs = 10 * tick + latencyMs
  return { line, tick, stampMs, readMs: stampMs + 1 }
}

describe('a delay is the line’s own', () => {
  test('when it brings the same ticks later by its own stamps', () => {
    rig.takeAll([...ticks(0, 3_000, prompt(PRIMARY, 620)), ...ticks(0, 3_000, prompt(BACKUP, 20))])
    expect(rig.p95(PRIMARY)).toBeGreaterThan(DEFAULT_LIVENESS_POLICY.delayP95MaxMs)
    expect(rig.p95(BACKUP)).toBeLessThan(1)
    expect(rig.behind[PRIMARY].total).toBeGreaterThan(1_000)
  })

  test('whichever pipe is read first', () => {
    const late = (line: LineIndex, latencyMs: number, readLateMs: number) => (tick: number) => {
      const stampMs = 10 * tick + latencyMs
      return { line, tick, stampMs, readMs: stampMs + readLateMs }
    }
    rig.takeAll([...ticks(0, 3_000, late(PRIMARY, 40, 200)), ...ticks(0, 3_000, late(BACKUP, 180, 1))])
    expect(rig.p95(BACKUP)).toBe(150)
    expect(rig.p95(PRIMARY)).toBeLessThan(1)
  })

  test('not when neither brought the very same tick', () => {
    rig.takeAll([
      ...ticks(0, 500, prompt(PRIMARY, 0)).filter(({ tick }) => tick % 100 < 50),
      ...ticks(0, 500, prompt(BACKUP, 900)).filter(({ tick }) => tick % 100 >= 50),
    ])
    expect(rig.behind.map(({ total }) => total)).toEqual([0, 0])
  })
})

describe('a stall of our own is no delay of a line', () => {
  const STALL_FROM_MS = 10_000
  const STALL_TO_MS = 13_000

  test('when both pipes were read late, one after the other, and the stamps are sound', () => {
    const stalled = (line: LineIndex, latencyMs: number, turnMs: number) => (tick: number) => {
      const stampMs = 10 * tick + latencyMs
      const isHeld = stampMs >= STALL_FROM_MS && stampMs < STALL_TO_MS + turnMs
      return { line, tick, stampMs, readMs: isHeld ? STALL_TO_MS + turnMs : stampMs + 1 }
    }
    rig.takeAll([...ticks(0, 3_000, stalled(PRIMARY, 20, 0)), ...ticks(0, 3_000, stalled(BACKUP, 25, 900))])
    expect(rig.p95(PRIMARY)).toBeLessThanOrEqual(5)
    expect(rig.p95(BACKUP)).toBeLessThanOrEqual(5)
  })

  test('when the pipe was full, so that the bridge took its ticks late and stamped them so', () => {
    // The backup's pipe is emptied more than a second after the primary's, and its bridge makes up for the rest as it can.
    const heldUp = (line: LineIndex, emptiedMs: number) => (tick: number) => {
      const dueMs = 10 * tick + 20
      const isBuffered = dueMs < STALL_FROM_MS + 500
      const isWaiting = !isBuffered && dueMs < emptiedMs + 1_000
      const stampMs = isWaiting ? Math.max(dueMs, emptiedMs + (dueMs - STALL_FROM_MS) / 3) : dueMs
      const isReadLate = dueMs >= STALL_FROM_MS && isBuffered
      return { line, tick, stampMs, readMs: isReadLate ? emptiedMs : stampMs + 1 }
    }
    rig.takeAll([...ticks(0, 3_000, heldUp(PRIMARY, 12_000)), ...ticks(0, 3_000, heldUp(BACKUP, 13_300))])
    expect(rig.behind[BACKUP].total).toBeGreaterThan(1_000)
    expect(rig.behind[BACKUP].quantileMs(1)).toBeLessThanOrEqual(DEFAULT_LIVENESS_POLICY.delayP95MaxMs)
    expect(rig.behind[PRIMARY].quantileMs(1)).toBeLessThanOrEqual(DEFAULT_LIVENESS_POLICY.delayP95MaxMs)
  })

  test('and the other line is judged meanwhile', () => {
    const readLate = (tick: number) => ({ ...prompt(BACKUP, 20)(tick), readMs: 10 * tick + 400 })
    rig.takeAll([...ticks(0, 3_000, prompt(PRIMARY, 620)), ...ticks(0, 3_000, readLate)])
    expect(rig.p95(PRIMARY)).toBeGreaterThan(DEFAULT_LIVENESS_POLICY.delayP95MaxMs)
    expect(rig.behind[PRIMARY].total).toBeGreaterThan(1_000)
  })
})
