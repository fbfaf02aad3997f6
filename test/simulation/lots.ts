/** A stream of numbers that look random and follow from the seed alone. */
import { lot } from '#adapters/feeds/noise.ts'

export class Lots {
  readonly #seed: number
  #drawn = 0

  constructor(seed: number) {
    this.#seed = seed
  }

  /** In [0, 1). */
  next(): number {
    return lot(this.#seed, ++this.#drawn)
  }

  between(low: number, high: number): number {
    return low + this.next() * (high - low)
  }

  whole(low: number, high: number): number {
    return Math.floor(this.between(low, high + 1))
  }

  isLucky(chance: number): boolean {
    return this.next() < chance
  }

  oneOf<T>(items: readonly [T, ...T[]]): T {
    return items[Math.floor(this.next() * items.length)] ?? items[0]
  }
}
