/** A market calendar that answers from memory until the next state change: simulations ask it the same question a dozen times a round. */
import type { MarketCalendar, SessionState } from '#domain/session-calendar.ts'

const MINUTE_MS = 60_000

export function rememberingCalendar(calendar: MarketCalendar): MarketCalendar {
  let fromMs = 0
  let toMs = 0
  let market: SessionState | null = null
  const exchanges = new Map<string, SessionState>()
  const products = new Map<string, SessionState>()
  let day = { fromMs: 0, tradingDay: 0 }

  const moveTo = (ms: number) => {
    if (ms >= fromMs && ms < toMs) return
    fromMs = ms
    toMs = calendar.nextChangeMs(ms)
    market = null
    exchanges.clear()
    products.clear()
  }
  const remembered = (memory: Map<string, SessionState>, key: string, ask: () => SessionState) => {
    const known = memory.get(key)
    if (known !== undefined) return known
    const state = ask()
    memory.set(key, state)
    return state
  }
  return {
    ...calendar,
    tradingDayOf(ms) {
      const minuteMs = Math.floor(ms / MINUTE_MS) * MINUTE_MS
      if (day.fromMs !== minuteMs) day = { fromMs: minuteMs, tradingDay: calendar.tradingDayOf(ms) }
      return day.tradingDay
    },
    exchangeState(exchange, ms) {
      moveTo(ms)
      return remembered(exchanges, exchange, () => calendar.exchangeState(exchange, ms))
    },
    productState(exchange, product, ms) {
      if (ms < fromMs) return calendar.productState(exchange, product, ms)
      moveTo(ms)
      return remembered(products, `${exchange}.${product}`, () => calendar.productState(exchange, product, ms))
    },
    marketState(ms) {
      moveTo(ms)
      market ??= calendar.marketState(ms)
      return market
    },
  }
}
