/**
 * Durations counted in fixed buckets: about 13 ns an observation, bounded memory, quantiles good to the bucket's width. The edges serve
 * the Prometheus histogram and the quantiles alike.
 */
export const DURATION_EDGES_MS: readonly number[] = [
  0.1, 0.25, 0.5, 1, 1.5, 2, 3, 4, 5, 7.5, 10, 15, 20, 30, 50, 75, 100, 150, 250, 500, 1_000, 2_500, 5_000, 10_000,
  30_000,
]

export class IntervalHistogram {
  /** One count per edge (at or below it), then one for everything above. */
  readonly counts = new Float64Array(DURATION_EDGES_MS.length + 1)
  sumMs = 0
  total = 0

  observe(ms: number): void {
    let low = 0
    let high = DURATION_EDGES_MS.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (ms <= (DURATION_EDGES_MS[middle] ?? 0)) high = middle
      else low = middle + 1
    }
    this.counts[low] = (this.counts[low] ?? 0) + 1
    this.sumMs += ms
    this.total++
  }

  /** Upper edge of the bucket that holds the quantile (0 to 1); null when nothing was observed. */
  quantileMs(quantile: number): number | null {
    return quantileOf(this.counts, this.total, quantile)
  }

  reset(): void {
    this.counts.fill(0)
    this.sumMs = 0
    this.total = 0
  }
}

/** Observations of the last one to two spans, so that a quantile speaks of the present without keeping samples. Turned by whoever keeps it. */
export class RecentHistogram {
  #current = new IntervalHistogram()
  #previous = new IntervalHistogram()
  readonly #spanMs: number
  #turnedAtMs = Number.NEGATIVE_INFINITY

  constructor(spanMs: number) {
    this.#spanMs = spanMs
  }

  observe(ms: number): void {
    this.#current.observe(ms)
  }

  /**
   * Null below `least` observations.
   * @param nowMs monotonic
   */
  quantileMs(quantile: number, nowMs: number, least = 1): number | null {
    this.turn(nowMs)
    if (this.#current.total + this.#previous.total < least) return null
    const counts = this.#current.counts.map((count, i) => count + (this.#previous.counts[i] ?? 0))
    return quantileOf(counts, this.#current.total + this.#previous.total, quantile)
  }

  /** To be called often: what was observed since the last call counts as observed now. */
  turn(nowMs: number): void {
    if (this.#turnedAtMs === Number.NEGATIVE_INFINITY) this.#turnedAtMs = nowMs
    if (nowMs - this.#turnedAtMs < this.#spanMs) return
    const isLongAgo = nowMs - this.#turnedAtMs >= 2 * this.#spanMs
    const oldest = this.#previous
    this.#previous = this.#current
    this.#current = oldest
    this.#current.reset()
    if (isLongAgo) this.#previous.reset()
    this.#turnedAtMs = nowMs
  }
}

function quantileOf(counts: Float64Array, total: number, quantile: number): number | null {
  if (total === 0) return null
  const rank = Math.ceil(quantile * total)
  let below = 0
  for (let i = 0; i < counts.length; i++) {
    below += counts[i] ?? 0
    if (below >= rank) return DURATION_EDGES_MS[Math.min(i, DURATION_EDGES_MS.length - 1)] ?? null
  }
  return null
}
