/**
 * Puts every instrument back where an earlier process left it, before any login: from the checkpoint, then from the journal behind it.
 * Without that the first snapshot after a restart would be taken for news.
 */
import { setImmediate } from 'node:timers/promises'
import type { RecordViews } from '#adapters/journal/journal-format.ts'
import { JOURNAL_AT, JOURNAL_F64, TICK_FLAG } from '#adapters/journal/journal-format.ts'
import { readJournal } from '#adapters/journal/journal-reader.ts'
import { CHECKPOINT_COLUMNS, readCheckpoint, writeCheckpoint } from '#adapters/state/checkpoint-file.ts'
import { type Arbiter, type RestoredTick, TICK_KINDS } from '#domain/arbitration.ts'
import type { InstrumentName, InstrumentTable } from '#domain/instrument-table.ts'

export interface RestoreParts {
  checkpointPath: string
  journalDirectory: string
  /** The last sequence in the journal. */
  lastSequence: number
  arbiter: Arbiter
  table: InstrumentTable
  /** Slot of the instrument, made on first sight; null for an exchange that the calendar does not know. */
  slotOf(symbol: string, exchange: string): number | null
  /** Ignore the checkpoint and the journal. */
  cold: boolean
}

export interface Restored {
  instruments: number
  /** Wall time of the last tick that the journal holds, null when it holds none. */
  lastReceivedMs: number | null
  warnings: string[]
  epoch: number
}

/** Without a checkpoint, this many of the journal's last ticks are read: about two minutes of the busiest market, or a quiet day. */
const TICKS_READ_MAX = 2_000_000

export async function restoreSlots(parts: RestoreParts): Promise<Restored> {
  const warnings: string[] = []
  if (parts.cold) return { instruments: 0, lastReceivedMs: null, warnings, epoch: 0 }
  const reading = await readCheckpoint(parts.checkpointPath)
  let from = Math.max(1, parts.lastSequence - TICKS_READ_MAX)
  let epoch = 0
  switch (reading.kind) {
    case 'none':
      break
    case 'damaged':
      warnings.push(`the checkpoint was damaged (${reading.why}) and is set aside as ${reading.setAsideAs}`)
      break
    case 'read': {
      const { checkpoint } = reading
      epoch = checkpoint.epoch
      checkpoint.symbols.forEach(([symbol, exchange], i) => {
        const slot = parts.slotOf(symbol, exchange)
        if (slot !== null) restoreRow(parts.arbiter, slot, checkpoint.rows.subarray(i * CHECKPOINT_COLUMNS))
      })
      from = Math.max(from, checkpoint.sequence + 1)
      break
    }
  }
  const journal = await restoreFromJournal(parts, from, warnings)
  return {
    instruments: parts.table.count,
    lastReceivedMs: journal.lastReceivedMs,
    warnings,
    epoch: Math.max(epoch, journal.epoch),
  }
}

async function restoreFromJournal(parts: RestoreParts, from: number, warnings: string[]) {
  let lastReceivedMs: number | null = null
  let epoch = 0
  const blocks = readJournal({
    directory: parts.journalDirectory,
    from,
    onProblem: (problem) => warnings.push(problem.message),
  })
  for await (const block of blocks) {
    for (let i = 0; i < block.count; i++) {
      const at = block.offsets[i] ?? 0
      const name = block.instruments.get(block.views.u32[(at + JOURNAL_AT.instrument) >> 2] ?? 0)
      const slot = name === undefined ? null : parts.slotOf(name.symbol, name.exchange)
      if (slot !== null) parts.arbiter.restore(slot, restoredTick(block.views, at))
      epoch = Math.max(epoch, block.views.u32[(at + JOURNAL_AT.epoch) >> 2] ?? 0)
      lastReceivedMs = block.views.f64[(at + JOURNAL_AT.receivedWallMs) >> 3] ?? lastReceivedMs
    }
  }
  return { lastReceivedMs, epoch }
}

function restoredTick(views: RecordViews, at: number): RestoredTick {
  const { f64, i32, u32 } = views
  const double = (index: number) => f64[(at >> 3) + index] ?? Number.NaN
  return {
    tradingDay: u32[(at + JOURNAL_AT.tradingDay) >> 2] ?? 0,
    eventMs: f64[(at + JOURNAL_AT.eventMs) >> 3] ?? 0,
    volume: i32[(at + JOURNAL_AT.volume) >> 2] ?? 0,
    offSession: (((u32[(at >> 2) + 1] ?? 0) >>> 16) & TICK_FLAG.offSession) !== 0,
    book: [
      double(JOURNAL_F64.OpenInterest),
      double(JOURNAL_F64.LastPrice),
      double(JOURNAL_F64.BidPrice1),
      double(JOURNAL_F64.AskPrice1),
      i32[(at + JOURNAL_AT.bidVolume1) >> 2] ?? 0,
      i32[(at + JOURNAL_AT.askVolume1) >> 2] ?? 0,
    ],
  }
}

function restoreRow(arbiter: Arbiter, slot: number, row: Float64Array): void {
  const [tradingDay = 0, eventMs = 0, volume = 0, offSession = 0] = row
  arbiter.restore(slot, {
    tradingDay,
    eventMs,
    volume,
    offSession: offSession === 1,
    book: row.subarray(4, CHECKPOINT_COLUMNS),
  })
}

/** So many instruments are described between two looks at the lines: well under a millisecond of work. */
const SLOTS_AT_ONCE = 1_024

/**
 * Writes where every instrument stands now. `sequence` is the last one that the arbiter has seen go to the journal. Ticks go on arriving
 * meanwhile: an instrument described a moment later is ahead of `sequence`, which the journal behind it then repeats without harm.
 */
export async function saveSlots(parts: {
  checkpointPath: string
  arbiter: Arbiter
  table: InstrumentTable
  sequence: number
  epoch: number
  nowMs: number
}): Promise<void> {
  const { arbiter, table } = parts
  const slots = table.count
  let rows = new Float64Array(slots * 2 * CHECKPOINT_COLUMNS)
  const symbols: InstrumentName[] = []
  for (let slot = 0; slot < slots; slot++) {
    // A settlement row after the close stands beside the last live tick, or the next start would take its snapshot for a new one.
    for (const kind of TICK_KINDS) {
      for (let back = arbiter.booksHeld(slot, kind) - 1; back >= 0; back--) {
        const at = symbols.length * CHECKPOINT_COLUMNS
        if (at === rows.length) rows = doubled(rows)
        arbiter.describe(slot, kind, rows, at, back)
        symbols.push(table.name(slot))
      }
    }
    if (slot % SLOTS_AT_ONCE === SLOTS_AT_ONCE - 1) await setImmediate()
  }
  await writeCheckpoint(parts.checkpointPath, {
    sequence: parts.sequence,
    writtenAtMs: parts.nowMs,
    epoch: parts.epoch,
    symbols: symbols.map(({ symbol, exchange }) => [symbol, exchange] as const),
    rows: rows.subarray(0, symbols.length * CHECKPOINT_COLUMNS),
  })
}

function doubled(rows: Float64Array): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(rows.length * 2)
  larger.set(rows)
  return larger
}
