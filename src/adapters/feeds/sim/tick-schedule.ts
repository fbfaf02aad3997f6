/**
 * Which instrument ticks when. The market's ticks of a day are numbered from 0; the number alone says which instrument it is and how
 * many ticks that one had before, by a cycle that is laid out once: each instrument has as many places in it as its weight, evenly
 * spread. So any moment of the day can be computed without what went before it.
 */

/**
 * Weights by rank of activity: the busiest 3 % of all instruments tick 64 times per cycle, the next 12 % 16 times, the next 25 %
 * 4 times, the rest once. A cycle is then about 5.4 ticks per instrument: with 500 instruments at 1,000 ticks/s even the quietest
 * ticks every 2.7 s, the busiest 23 times a second.
 */
const WEIGHT_CLASSES: readonly { untilRank: number; weight: number }[] = [
  { untilRank: 0.03, weight: 64 },
  { untilRank: 0.15, weight: 16 },
  { untilRank: 0.4, weight: 4 },
  { untilRank: 1, weight: 1 },
]

export class TickSchedule {
  /** Ticks per cycle. */
  readonly length: number
  /** By place in the cycle: the instrument, and how often it ticked before in this cycle. */
  readonly instrumentAt: Uint16Array
  readonly ordinalAt: Uint8Array
  /** By instrument: ticks per cycle. */
  readonly weight: Uint8Array
  /** Places of each instrument in ascending order, all instruments one after the other. */
  readonly #places: Uint32Array
  readonly #firstPlace: Uint32Array

  constructor(weights: Uint8Array, phaseOf: (instrument: number) => number) {
    const count = weights.length
    this.weight = weights
    this.#firstPlace = new Uint32Array(count + 1)
    for (let i = 0; i < count; i++) this.#firstPlace[i + 1] = (this.#firstPlace[i] ?? 0) + (weights[i] ?? 0)
    this.length = this.#firstPlace[count] ?? 0

    // A counting sort by wished place: several instruments may wish for the same one, and keep their order then.
    const wished = new Uint32Array(this.length)
    const startOfWish = new Uint32Array(this.length + 1)
    let entry = 0
    for (let i = 0; i < count; i++) {
      const weight = weights[i] ?? 0
      const phase = phaseOf(i)
      for (let j = 0; j < weight; j++, entry++) {
        const wish = Math.min(this.length - 1, Math.floor(((j + phase) / weight) * this.length))
        wished[entry] = wish
        startOfWish[wish + 1] = (startOfWish[wish + 1] ?? 0) + 1
      }
    }
    for (let place = 0; place < this.length; place++) {
      startOfWish[place + 1] = (startOfWish[place + 1] ?? 0) + (startOfWish[place] ?? 0)
    }
    this.instrumentAt = new Uint16Array(this.length)
    entry = 0
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < (weights[i] ?? 0); j++, entry++) {
        const wish = wished[entry] ?? 0
        const place = startOfWish[wish] ?? 0
        startOfWish[wish] = place + 1
        this.instrumentAt[place] = i
      }
    }
    this.ordinalAt = new Uint8Array(this.length)
    this.#places = new Uint32Array(this.length)
    const seen = new Uint8Array(count)
    for (let place = 0; place < this.length; place++) {
      const i = this.instrumentAt[place] ?? 0
      const ordinal = seen[i] ?? 0
      seen[i] = ordinal + 1
      this.ordinalAt[place] = ordinal
      this.#places[(this.#firstPlace[i] ?? 0) + ordinal] = place
    }
  }

  /** How many of the market's ticks before number `n` belong to the instrument: the ordinal of its next one. */
  ordinalsBefore(instrument: number, n: number): number {
    const cycle = Math.floor(n / this.length)
    const place = n - cycle * this.length
    const first = this.#firstPlace[instrument] ?? 0
    let low = first
    let high = this.#firstPlace[instrument + 1] ?? first
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#places[middle] ?? 0) < place) low = middle + 1
      else high = middle
    }
    return cycle * (this.weight[instrument] ?? 0) + low - first
  }

  /** Number of the instrument's tick with this ordinal. */
  numberOf(instrument: number, ordinal: number): number {
    const weight = this.weight[instrument] ?? 1
    const cycle = Math.floor(ordinal / weight)
    return cycle * this.length + (this.#places[(this.#firstPlace[instrument] ?? 0) + ordinal - cycle * weight] ?? 0)
  }
}

/** Weights of instruments whose activity is only known relative to each other. */
export function weightsByActivity(activities: readonly number[]): Uint8Array {
  const ranked = activities.map((_, i) => i).sort((a, b) => (activities[b] ?? 0) - (activities[a] ?? 0) || a - b)
  const weights = new Uint8Array(activities.length)
  for (const [rank, instrument] of ranked.entries()) {
    const share = rank / ranked.length
    weights[instrument] = WEIGHT_CLASSES.find(({ untilRank }) => share < untilRank)?.weight ?? 1
  }
  return weights
}
