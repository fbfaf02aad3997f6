/**
 * Which contracts each line should carry on this trading day. The list comes by file, with the days between which a contract is listed at
 * its exchange, and is gone through anew with every trading day; or it comes row by row from the bridges, which list what trades.
 */
import type { Config } from '#config/config.ts'
import { LINES, type Line } from '#domain/line.ts'
import { isListedOn, type ListingPeriod } from '#domain/listing-period.ts'
import { type InstrumentSlots, wantedBy } from './instrument-slots.ts'
import type { LineSession } from './line-session.ts'
import type { TickPath } from './tick-path.ts'

export interface DatedContract extends ListingPeriod {
  readonly symbol: string
  readonly exchange: string
}

export type LineSessions = Readonly<Record<Line, LineSession | null>>

type Wanted = (symbol: string, exchange: string) => boolean

export class ContractList {
  readonly #slots: InstrumentSlots
  readonly #path: TickPath
  readonly #contractsMax: number
  readonly #wanted: Readonly<Record<Line, Wanted>>
  #contracts: readonly DatedContract[] = []
  #resting = new Set<number>()

  constructor(parts: { config: Config; slots: InstrumentSlots; path: TickPath }) {
    const { config, slots, path } = parts
    const wantedOn = (line: Line): Wanted => {
      const lineConfig = config.feed[line]
      return lineConfig === null ? () => false : wantedBy(lineConfig, config)
    }
    this.#slots = slots
    this.#path = path
    this.#contractsMax = config.catalogue.limit ?? Number.POSITIVE_INFINITY
    this.#wanted = { primary: wantedOn('primary'), backup: wantedOn('backup') }
  }

  /** Slots that a line should carry, but not today: not listed yet, or expired. */
  get resting(): ReadonlySet<number> {
    return this.#resting
  }

  /** A bridge lists a contract. */
  add(session: LineSession, { symbol, exchange }: { symbol: string; exchange: string }): void {
    const slot = this.#slots.slotOf(symbol, exchange)
    if (slot !== null && this.#isWanted(session, slot)) this.#list(session, slot)
  }

  /**
   * Makes a list that came by file the list of every line, as far as its filters let it: at the start, and again when the file has changed.
   * Tells how many contracts came and went on the primary line.
   */
  replace(
    contracts: readonly DatedContract[],
    sessions: LineSessions,
    tradingDay: number,
  ): { added: number; removed: number } {
    this.#contracts = contracts
    return this.turnTo(tradingDay, sessions)
  }

  /** The same list on another trading day. Changes nothing where the bridges list. */
  turnTo(tradingDay: number, sessions: LineSessions): { added: number; removed: number } {
    if (this.#contracts.length === 0) return { added: 0, removed: 0 }
    const named = new Set<number>()
    const resting = new Set<number>()
    for (const contract of this.#contracts) {
      const slot = this.#slots.slotOf(contract.symbol, contract.exchange)
      if (slot === null) continue
      this.#slots.table.setListing(slot, contract)
      if (isListedOn(contract, tradingDay)) named.add(slot)
      else resting.add(slot)
    }
    this.#resting = new Set<number>()
    const changes = LINES.map((line) => this.#listOn(sessions[line], named, resting))
    return changes[0] ?? { added: 0, removed: 0 }
  }

  #listOn(session: LineSession | null, named: ReadonlySet<number>, resting: ReadonlySet<number>) {
    if (session === null) return { added: 0, removed: 0 }
    for (const slot of resting) if (this.#isWanted(session, slot)) this.#resting.add(slot)
    const before = session.book.expected
    const removed = session.book.listed().filter((slot) => !named.has(slot))
    const { listedOn } = this.#path
    for (const slot of removed) listedOn[slot] = (listedOn[slot] ?? 0) & ~(1 << session.index)
    session.listChanged(removed)
    for (const slot of named) if (this.#isWanted(session, slot)) this.#list(session, slot)
    session.listChanged([])
    return { added: session.book.expected - before + removed.length, removed: removed.length }
  }

  #isWanted({ line }: LineSession, slot: number): boolean {
    const { symbol, exchange } = this.#slots.table.name(slot)
    return this.#wanted[line](symbol, exchange)
  }

  #list(session: LineSession, slot: number): void {
    if (session.book.expected >= this.#contractsMax) return
    session.book.list(slot)
    const { listedOn } = this.#path
    listedOn[slot] = (listedOn[slot] ?? 0) | (1 << session.index)
  }
}
