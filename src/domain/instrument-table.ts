/**
 * Every instrument that this daemon ever heard of gets a slot number, and everything known per instrument is an array over slots.
 * Slots are never reused within a process life: a contract that expired keeps its slot, so late frames can't hit a stranger.
 */
import { assert } from './assert.ts'
import type { ListingPeriod } from './listing-period.ts'

/** 18,000 contracts are listed today; the rest is room for listings within the process life and for the largest simulation. */
export const INSTRUMENTS_MAX = 40_000

export interface InstrumentName {
  readonly symbol: string
  readonly exchange: string
  readonly product: string
}

export class InstrumentTable {
  readonly names: InstrumentName[] = []
  /** Index of the product for LiveSessions, by slot. */
  readonly productIndex = new Uint16Array(INSTRUMENTS_MAX)
  /** First and last trading day by slot, yyyymmdd; 0 while unknown. */
  readonly openDay = new Int32Array(INSTRUMENTS_MAX)
  readonly expiryDay = new Int32Array(INSTRUMENTS_MAX)
  readonly #slots = new Map<string, number>()

  get count(): number {
    return this.names.length
  }

  /** Slot by `symbol` alone: CTP ids are unique over all exchanges, and an ordinary front leaves the exchange empty. */
  slotOf(symbol: string): number | undefined {
    return this.#slots.get(symbol)
  }

  name(slot: number): InstrumentName {
    const name = this.names[slot]
    assert(name !== undefined, `slot ${slot} was handed out`)
    return name
  }

  setListing(slot: number, { openDay, expiryDay }: ListingPeriod): void {
    this.openDay[slot] = openDay ?? 0
    this.expiryDay[slot] = expiryDay ?? 0
  }

  /** Slot of the instrument, new or known. */
  add(name: InstrumentName, productIndex: number): number {
    const known = this.#slots.get(name.symbol)
    if (known !== undefined) return known
    assert(this.names.length < INSTRUMENTS_MAX, `at most ${INSTRUMENTS_MAX} instruments`)
    const slot = this.names.push(name) - 1
    this.productIndex[slot] = productIndex
    this.#slots.set(name.symbol, slot)
    return slot
  }
}
