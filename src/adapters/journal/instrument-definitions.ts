/** The writer's instrument numbers, and in which segment each was last explained: a segment must be readable without any other. */
import { encodeInstrument } from './journal-format.ts'

export class InstrumentDefinitions {
  readonly #records: Uint8Array[] = []
  readonly #numbers = new Map<string, number>()
  #definedIn = new Uint32Array(1024)

  /** The instrument's number, the same at every call; numbers count from 0. @throws RangeError for names of over 248 bytes. */
  number(name: { symbol: string; exchange: string }): number {
    const key = `${name.symbol}.${name.exchange}`
    const known = this.#numbers.get(key)
    if (known !== undefined) return known
    const number = this.#records.length
    this.#records.push(encodeInstrument(number, name))
    this.#numbers.set(key, number)
    if (number >= this.#definedIn.length) {
      const larger = new Uint32Array(2 * this.#definedIn.length)
      larger.set(this.#definedIn)
      this.#definedIn = larger
    }
    return number
  }

  /** The definition that a record needs before it when it is the instrument's first in the segment (counted from 1), else null. */
  takeDefinition(number: number, segment: number): Uint8Array | null {
    if (this.#definedIn[number] === segment) return null
    const record = this.#records[number]
    if (record === undefined) throw new RangeError(`instrument ${number} has no name`)
    this.#definedIn[number] = segment
    return record
  }

  /** Every definition given in this segment or a later one. */
  definitionsSince(segment: number): Uint8Array[] {
    return this.#records.filter((_, number) => (this.#definedIn[number] ?? 0) >= segment)
  }
}
