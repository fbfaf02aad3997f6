/** What a decision per tick costs with 25,000 instruments and both lines delivering everything. */
import { Arbiter } from '#domain/arbitration.ts'
import { TICK_AT, TICK_BYTES, TICK_F64, tickViews } from '#domain/tick.ts'

const INSTRUMENTS = 25_000
const ROUNDS = 60

export function benchArbitration(): { nsPerTick: number } {
  const arbiter = new Arbiter({ isLive: () => true, tradingDay: () => 20_261_123 })
  const views = tickViews(new ArrayBuffer(TICK_BYTES))
  const startMs = Date.parse('2026-11-23T09:30:00+08:00')
  let spentMs = 0
  let ticks = 0
  for (let round = 0; round < ROUNDS; round++) {
    const second = 30 + Math.floor(round / 2)
    views.u8.set(
      Buffer.from(
        `09:${String(30 + Math.floor(second / 60)).padStart(2, '0')}:${String(second % 60).padStart(2, '0')}`,
      ),
      TICK_AT.updateTime,
    )
    views.i32[TICK_AT.updateMillisec >> 2] = (round % 2) * 500
    views.f64[TICK_AT.receivedWallMs >> 3] = startMs + round * 500 + 30_000
    views.i32[TICK_AT.volume >> 2] = 1_000 + round
    views.f64[TICK_F64.LastPrice] = 3_000 + round
    views.f64[TICK_F64.BidPrice1] = 2_999 + round
    views.f64[TICK_F64.AskPrice1] = 3_001 + round
    const started = performance.now()
    for (const line of [0, 1] as const) {
      for (let slot = 0; slot < INSTRUMENTS; slot++) arbiter.classify(line, slot, 0, views, 0, false)
    }
    // The first rounds teach the compiler.
    if (round < 10) continue
    spentMs += performance.now() - started
    ticks += 2 * INSTRUMENTS
  }
  return { nsPerTick: (spentMs * 1e6) / ticks }
}
