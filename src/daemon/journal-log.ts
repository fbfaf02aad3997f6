/** The journal as the tick path sees it: numbers of its own for instruments, given on their first tick. */
import type { InstrumentTable } from '#domain/instrument-table.ts'
import type { LineIndex } from '#domain/line.ts'
import type { TickViews } from '#domain/tick.ts'
import type { AppendedTick, TickLog } from './tick-path.ts'

/** What is needed of a JournalWriter. */
export interface NumberedJournal {
  instrument(name: { symbol: string; exchange: string }): number
  append(views: TickViews, at: number, meta: JournalledTick): number
}

interface JournalledTick extends AppendedTick {
  instrument: number
  line: LineIndex
}

export function journalLog(journal: NumberedJournal, table: InstrumentTable): TickLog {
  const numbers: number[] = []
  const meta: JournalledTick = { instrument: 0, eventMs: 0, tradingDay: 0, epoch: 0, line: 0, offSession: false }
  return {
    append(views, at, slot, line, tick) {
      const number = numbers[slot] ?? journal.instrument(table.name(slot))
      numbers[slot] = number
      meta.instrument = number
      meta.eventMs = tick.eventMs
      meta.tradingDay = tick.tradingDay
      meta.epoch = tick.epoch
      meta.line = line
      meta.offSession = tick.offSession
      return journal.append(views, at, meta)
    },
  }
}
