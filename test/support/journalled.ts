/** What every journal must show, whatever happened to the daemon that wrote it. */
import { expect } from 'vitest'
import type { JournalTick } from '#adapters/journal/journal-tick.ts'

/** Everything that the exchange said in a tick, and nothing of how it came here. */
export function saidBy(tick: JournalTick): string {
  const { seq: _seq, line: _line, epoch: _epoch, localtime: _localtime, host: _host, ...said } = tick
  return JSON.stringify(said)
}

/** No tick is there twice, sequence numbers rise, and per instrument neither time nor volume goes back. */
export function expectOneStream(ticks: readonly JournalTick[]): void {
  const seen = new Map<string, JournalTick>()
  const last = new Map<string, JournalTick>()
  let sequence = 0
  for (const tick of ticks) {
    const said = saidBy(tick)
    const twin = seen.get(said)
    expect(twin, `${JSON.stringify(twin)} is there again as ${JSON.stringify(tick)}`).toBeUndefined()
    seen.set(said, tick)
    if (tick.seq <= sequence) expect(tick.seq, `after sequence ${sequence}`).toBeGreaterThan(sequence)
    sequence = tick.seq
    if (tick.off_session === true) continue
    const before = last.get(tick.vt_symbol)
    last.set(tick.vt_symbol, tick)
    if (before === undefined || before.trading_day !== tick.trading_day) continue
    if (tick.datetime < before.datetime || tick.volume < before.volume) {
      expect.fail(`${JSON.stringify(before)}\nis followed by ${JSON.stringify(tick)}`)
    }
  }
}
