/** The journal as text, in journal order: NDJSON or CSV with the field names that consumers know. */
import type { JournalProblem } from './journal-problem.ts'
import { type ReadOptions, readJournal } from './journal-reader.ts'
import { decodeTick, type JournalTick } from './journal-tick.ts'

export interface ExportOptions {
  directory: string
  format: 'ndjson' | 'csv'
  /** Ticks outside trading sessions too. */
  offSession: boolean
  /** First and last sequence wanted; everything that is kept by default. */
  from?: number
  to?: number
  onProblem(problem: JournalProblem): void
  files?: ReadOptions['files']
}

const LEVELS = [1, 2, 3, 4, 5] as const

/** The columns of the CSV, all of them in every file. */
export const CSV_COLUMNS: readonly (keyof JournalTick)[] = [
  'symbol',
  'exchange',
  'vt_symbol',
  'datetime',
  'localtime',
  'trading_day',
  'last_price',
  'volume',
  'turnover',
  'open_interest',
  'open_price',
  'high_price',
  'low_price',
  'pre_close',
  'pre_settlement',
  'limit_up',
  'limit_down',
  ...LEVELS.map((level) => `bid_price_${level}` as const),
  ...LEVELS.map((level) => `ask_price_${level}` as const),
  ...LEVELS.map((level) => `bid_volume_${level}` as const),
  ...LEVELS.map((level) => `ask_volume_${level}` as const),
  'line',
  'epoch',
  'seq',
  'host',
  'off_session',
]

/**
 * Yields text, many whole lines at a time, up to what is written now. CSV begins with its header; an absent field is an empty cell.
 * A segment that can't be read is reported and passed over. @throws Node's error when the directory can't be listed.
 */
export async function* exportJournal(options: ExportOptions): AsyncGenerator<string, void, void> {
  const { directory, format, offSession, from = 0, to = Number.POSITIVE_INFINITY, onProblem } = options
  const line = format === 'csv' ? csvLine : (tick: JournalTick) => JSON.stringify(tick)
  if (format === 'csv') yield `${CSV_COLUMNS.join(',')}\n`
  const files = options.files === undefined ? {} : { files: options.files }
  for await (const block of readJournal({ directory, from, skipUnreadable: true, onProblem, ...files })) {
    let text = ''
    for (let i = 0; i < block.count && block.firstSequence + i <= to; i++) {
      const tick = decodeTick(block, i)
      if (offSession || tick.off_session !== true) text += `${line(tick)}\n`
    }
    if (text !== '') yield text
    if (block.lastSequence >= to) return
  }
}

function csvLine(tick: JournalTick): string {
  return CSV_COLUMNS.map((column) => csvCell(tick[column])).join(',')
}

function csvCell(value: string | number | boolean | undefined): string {
  const text = value === undefined ? '' : String(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
