/** From a symbol, as a front or a file spells it, to the instrument's slot; and from a contract list to what each line should carry. */
import type { Config, LineConfig } from '#config/config.ts'
import { contractFilter } from '#domain/contract-filter.ts'
import { isExchange, productOfInstrument } from '#domain/instrument.ts'
import { INSTRUMENTS_MAX, InstrumentTable } from '#domain/instrument-table.ts'
import { LiveSessions, type MarketCalendar } from '#domain/session-calendar.ts'

export class InstrumentSlots {
  readonly table = new InstrumentTable()
  readonly live: LiveSessions
  readonly #calendar: MarketCalendar

  constructor(calendar: MarketCalendar) {
    this.#calendar = calendar
    this.live = new LiveSessions(calendar)
  }

  /** The instrument's slot, made on first sight; null for an exchange that nobody knows, or when all slots are
   * taken. An ordinary front leaves `exchange` empty. */
  slotOf(symbol: string, exchange: string): number | null {
    const known = this.table.slotOf(symbol)
    if (known !== undefined) return known
    const product = productOfInstrument(symbol)
    const place = exchange === '' ? (this.#calendar.exchangeOf(product) ?? '') : exchange
    if (!isExchange(place) || this.table.count >= INSTRUMENTS_MAX) return null
    return this.table.add({ symbol, exchange: place, product }, this.live.productIndex(place, product))
  }
}

/** Which contracts a line should carry: the filters for all and the line's own. */
export function wantedBy(line: LineConfig, config: Config): (symbol: string, exchange: string) => boolean {
  const all = contractFilter(config.catalogue.filter)
  const own = contractFilter(line.filter)
  return (symbol, exchange) => all({ symbol, exchange }) && own({ symbol, exchange })
}
