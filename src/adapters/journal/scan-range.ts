/**
 * A stretch of the journal as it stands on disk, for comparing it with what the lines delivered: how many ticks each line brought, and
 * whether any tick is there twice. A tick is what the exchange said: instrument, trading day, moment, volume and the top of the book.
 */
import { join } from 'node:path'
import { LINES, type Line } from '#domain/line.ts'
import type { JournalBlock } from './journal-block.ts'
import { JOURNAL_AT, JOURNAL_F64, TICK_FLAG } from './journal-format.ts'
import { readJournal } from './journal-reader.ts'

export interface RangeScan {
  from: number
  to: number
  records: Record<Line, number>
  duplicates: number
  /** One sentence for each damage found. */
  problems: string[]
}

/** Doubles that arbitration tells ticks apart by, besides time and volume; bid and ask volumes are read apart. */
const BOOK = [JOURNAL_F64.OpenInterest, JOURNAL_F64.LastPrice, JOURNAL_F64.BidPrice1, JOURNAL_F64.AskPrice1] as const

/** Reads `from` to `to`, both included, also beside a daemon that writes on. Throws what the file system says when it can't be read. */
export async function scanRange(stateDir: string, from: number, to: number): Promise<RangeScan> {
  const scan: RangeScan = { from, to, records: { primary: 0, backup: 0 }, duplicates: 0, problems: [] }
  if (to < from) return scan
  const seen = new Map<string, Set<number>>()
  const blocks = readJournal({
    directory: join(stateDir, 'journal'),
    from,
    onProblem: ({ segment, message }) => scan.problems.push(`${segment}: ${message}`),
  })
  for await (const block of blocks) {
    if (block.firstSequence > to) break
    takeBlock(block, scan, seen)
  }
  return scan
}

function takeBlock(block: JournalBlock, scan: RangeScan, seen: Map<string, Set<number>>): void {
  const { u32, f64 } = block.views
  for (let i = 0; i < block.count; i++) {
    const at = block.offsets[i] ?? 0
    if ((f64[(at + JOURNAL_AT.sequence) >> 3] ?? 0) > scan.to) return
    const flags = (u32[(at >> 2) + 1] ?? 0) >>> 16
    scan.records[LINES[flags & TICK_FLAG.line ? 1 : 0]]++
    // Instrument numbers belong to their segment; names don't.
    const number = u32[(at + JOURNAL_AT.instrument) >> 2] ?? 0
    const name = block.instruments.get(number)?.vtSymbol ?? `#${number}`
    let ticks = seen.get(name)
    if (ticks === undefined) {
      ticks = new Set()
      seen.set(name, ticks)
    }
    const identity = identityOf(block, at)
    if (ticks.has(identity)) scan.duplicates++
    ticks.add(identity)
  }
}

/** 52 bits of hash, kept apart by instrument: a drill's few thousand ticks of one contract don't collide by chance. */
function identityOf({ views: { u32 } }: JournalBlock, at: number): number {
  const hash = new TwoHashes()
  hash.add(u32[(at + JOURNAL_AT.tradingDay) >> 2] ?? 0)
  hash.add(u32[(at + JOURNAL_AT.eventMs) >> 2] ?? 0)
  hash.add(u32[((at + JOURNAL_AT.eventMs) >> 2) + 1] ?? 0)
  hash.add(u32[(at + JOURNAL_AT.volume) >> 2] ?? 0)
  hash.add(u32[(at + JOURNAL_AT.bidVolume1) >> 2] ?? 0)
  hash.add(u32[(at + JOURNAL_AT.askVolume1) >> 2] ?? 0)
  for (const double of BOOK) {
    hash.add(u32[(at >> 2) + 2 * double] ?? 0)
    hash.add(u32[(at >> 2) + 2 * double + 1] ?? 0)
  }
  return hash.value
}

class TwoHashes {
  #a = 0x811c9dc5
  #b = 0x9e3779b9

  add(word: number): void {
    this.#a = Math.imul(this.#a ^ word, 0x01000193)
    this.#a ^= this.#a >>> 15
    this.#b = Math.imul(this.#b ^ word, 0x85ebca6b)
    this.#b ^= this.#b >>> 13
  }

  get value(): number {
    return (this.#a >>> 0) * 2 ** 20 + ((this.#b >>> 0) & 0xfffff)
  }
}
