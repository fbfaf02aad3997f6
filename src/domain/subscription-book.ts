/**
 * Where each contract stands on one line: listed, asked for, acknowledged or refused. CTP answers fewer contracts than were asked
 * and subscribes them all the same, so a tick counts as an acknowledgement, and silence is asked again.
 */
import { INSTRUMENTS_MAX } from './instrument-table.ts'

export const Subscription = { unlisted: 0, wanted: 1, requested: 2, subscribed: 3, refused: 4 } as const
export type Subscription = (typeof Subscription)[keyof typeof Subscription]

export class SubscriptionBook {
  readonly #state = new Uint8Array(INSTRUMENTS_MAX)
  readonly #counts = new Int32Array(5)
  /** Highest slot ever listed, plus one: the scans below stop there. */
  #end = 0

  state(slot: number): Subscription {
    return (this.#state[slot] ?? Subscription.unlisted) as Subscription
  }

  /** Contracts that this line should carry, refused ones included: a refusal never flatters coverage. */
  get expected(): number {
    return this.wanted + this.requested + this.subscribed + this.refused
  }
  get wanted(): number {
    return this.#counts[Subscription.wanted] ?? 0
  }
  get requested(): number {
    return this.#counts[Subscription.requested] ?? 0
  }
  get subscribed(): number {
    return this.#counts[Subscription.subscribed] ?? 0
  }
  get refused(): number {
    return this.#counts[Subscription.refused] ?? 0
  }

  /** Puts a contract on the line's list; one that is listed stays as it is. */
  list(slot: number): void {
    if (this.state(slot) === Subscription.unlisted) this.#set(slot, Subscription.wanted)
  }

  unlist(slot: number): void {
    this.#set(slot, Subscription.unlisted)
  }

  /** The next contracts to ask for, at most `limit`, marked as requested. */
  takeBatch(limit: number): number[] {
    const batch: number[] = []
    for (let slot = 0; slot < this.#end && batch.length < limit; slot++) {
      if (this.#state[slot] !== Subscription.wanted) continue
      this.#set(slot, Subscription.requested)
      batch.push(slot)
    }
    return batch
  }

  /** The request never left, or nobody answered: ask again. */
  returnBatch(batch: readonly number[]): void {
    for (const slot of batch) if (this.#state[slot] === Subscription.requested) this.#set(slot, Subscription.wanted)
  }

  acknowledge(slot: number): void {
    const state = this.#state[slot]
    if (state === Subscription.wanted || state === Subscription.requested) this.#set(slot, Subscription.subscribed)
  }

  refuse(slot: number): void {
    if (this.state(slot) !== Subscription.unlisted) this.#set(slot, Subscription.refused)
  }

  /** The front forgot everything (a new login): what was subscribed is wanted again. What it refused stays refused. */
  forget(): void {
    for (let slot = 0; slot < this.#end; slot++) {
      const state = this.#state[slot]
      if (state === Subscription.requested || state === Subscription.subscribed) this.#set(slot, Subscription.wanted)
    }
  }

  /** An operator or a remediation wants these asked for again, whatever their state. */
  askAgain(slots: Iterable<number>): number {
    let asked = 0
    for (const slot of slots) {
      if (this.state(slot) === Subscription.unlisted) continue
      this.#set(slot, Subscription.wanted)
      asked++
    }
    return asked
  }

  /** Every slot on the line's list. */
  listed(): number[] {
    const slots: number[] = []
    for (let slot = 0; slot < this.#end; slot++) if (this.#state[slot] !== Subscription.unlisted) slots.push(slot)
    return slots
  }

  /** Slots in the given state, in slot order. */
  slotsIn(state: Subscription): number[] {
    const slots: number[] = []
    for (let slot = 0; slot < this.#end; slot++) if (this.#state[slot] === state) slots.push(slot)
    return slots
  }

  #set(slot: number, state: Subscription): void {
    const before = this.#state[slot] ?? 0
    this.#counts[before] = (this.#counts[before] ?? 0) - 1
    this.#counts[state] = (this.#counts[state] ?? 0) + 1
    this.#state[slot] = state
    if (slot >= this.#end) this.#end = slot + 1
  }
}
