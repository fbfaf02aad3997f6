/** The session state of each contract's product at one moment: 25,000 contracts have a hundred products, and the calendar is asked once for each. */
import type { InstrumentTable } from '#domain/instrument-table.ts'
import type { MarketCalendar, SessionState } from '#domain/session-calendar.ts'

interface CalendarParts {
  table: InstrumentTable
  calendar: MarketCalendar
}

export class ProductStates {
  readonly #parts: CalendarParts
  readonly #marketMs: number
  readonly #known: { sessionState: SessionState; inStateForMs: number }[] = []

  constructor(parts: CalendarParts, marketMs: number) {
    this.#parts = parts
    this.#marketMs = marketMs
  }

  of(slot: number): { sessionState: SessionState; inStateForMs: number } {
    const { table, calendar } = this.#parts
    const product = table.productIndex[slot] ?? 0
    const known = this.#known[product]
    if (known !== undefined) return known
    const name = table.name(slot)
    const sessionState = calendar.productState(name.exchange, name.product, this.#marketMs)
    const fresh = { sessionState, inStateForMs: this.#heldFor(name.exchange, name.product, sessionState) }
    this.#known[product] = fresh
    return fresh
  }

  /** How long the state has held, looked for over the last ten minutes: health asks for no more. */
  #heldFor(exchange: string, product: string, state: SessionState): number {
    const { calendar } = this.#parts
    let provenMs = 0
    for (const minutes of [1, 2, 5, 10]) {
      if (calendar.productState(exchange, product, this.#marketMs - minutes * 60_000) !== state) break
      provenMs = minutes * 60_000
    }
    return provenMs
  }
}
