/**
 * Reads recorded CTP ticks: CSV, plain or gzip, with CTP field names as header. Files may be larger than memory, so rows stream by in
 * blocks of finished tick records. Recording time never goes back within a file: a row that is late or has no readable time counts as
 * received together with the row before it.
 *
 * The daemon calls `inspectRecording` before anything is started; a bridge that still meets a bad file reports the same Failure.
 */
import { Failure } from '#domain/failure.ts'
import { productOfInstrument } from '#domain/instrument.ts'
import type { MarketCalendar } from '#domain/session-calendar.ts'
import { TICK_AT, TICK_BYTES, type TickViews, tickViews, updateSecondOfDay } from '#domain/tick.ts'
import { type ColumnPlan, planColumns } from './recording-columns.ts'
import { RecordingDates, readDate } from './recording-dates.ts'
import { endOfLine, type Lines, malformedRow, readLines } from './recording-lines.ts'
import { type ParsedRow, RowParser } from './row-parser.ts'

export interface RecordingOptions {
  /** For the date of night rows; without it, or before its first day, every weekday is a trading day. */
  calendar?: MarketCalendar | undefined
  /** For recordings without ExchangeID, which an ordinary front leaves empty. */
  exchangeOfProduct?: ((product: string) => string | undefined) | undefined
}

/** Instruments in order of first appearance; several files share one list. */
export class RecordedInstruments {
  readonly ids: string[] = []
  readonly exchanges: string[] = []
  readonly #indexOf = new Map<string, number>()

  indexOf(id: string): number | undefined {
    return this.#indexOf.get(id)
  }

  add(id: string, exchange: string): number {
    const known = this.#indexOf.get(id)
    if (known !== undefined) return known
    const index = this.ids.push(id) - 1
    this.exchanges.push(exchange)
    this.#indexOf.set(id, index)
    return index
  }
}

/** Consecutive rows of a file. Valid until the next block is asked for. */
export interface RecordingBlock {
  count: number
  /** Record i begins at byte i * TICK_BYTES; its header and receive stamps are empty. */
  views: TickViews
  /** By row, ms since the epoch. */
  recordingMs: Float64Array
  /** By row, index in the RecordedInstruments. */
  instruments: Int32Array
}

export interface RecordingSummary {
  columns: readonly string[]
  rows: number
  firstRowMs: number
  lastRowMs: number
  instruments: RecordedInstruments
}

const ROWS_PER_BLOCK = 512

/**
 * Reads a whole recording once and tells what is in it.
 * @throws Failure as readRecording does, and 'replay-empty'
 */
export async function inspectRecording(path: string, options: RecordingOptions = {}): Promise<RecordingSummary> {
  const instruments = new RecordedInstruments()
  let columns: readonly string[] = []
  const summary = { rows: 0, firstRowMs: Number.NaN, lastRowMs: Number.NaN }
  const onColumns = (plan: ColumnPlan) => {
    columns = plan.names
  }
  for await (const block of readRecording(path, instruments, { ...options, onColumns })) {
    if (summary.rows === 0) summary.firstRowMs = block.recordingMs[0] ?? Number.NaN
    summary.lastRowMs = block.recordingMs[block.count - 1] ?? Number.NaN
    summary.rows += block.count
  }
  if (summary.rows === 0) {
    throw new Failure('replay-empty', `${path}: no rows behind the header`, 'Leave the file out of REPLAY_FILES.')
  }
  return { columns, instruments, ...summary }
}

/**
 * The rows of a recording in file order. Ending the iteration early closes the file.
 * @throws Failure 'replay-file-unreadable', 'replay-file-truncated', 'replay-columns-missing' or 'replay-row-malformed'
 */
export async function* readRecording(
  path: string,
  instruments: RecordedInstruments,
  options: RecordingOptions & { onColumns?: (plan: ColumnPlan) => void } = {},
): AsyncGenerator<RecordingBlock> {
  let reader: RowReader | undefined
  for await (const lines of readLines(path)) {
    let from = lines.from
    if (reader === undefined) {
      const headerEnd = endOfLine(lines, from)
      const plan = planColumns(lines.bytes.toString('utf8', from, headerEnd), path)
      options.onColumns?.(plan)
      reader = new RowReader({ path, plan, instruments, options })
      from = headerEnd + 1
    }
    while (from < lines.to) {
      const to = endOfLine(lines, from)
      reader.read(lines, from, to)
      from = to + 1
      if (reader.block.count === ROWS_PER_BLOCK) {
        yield reader.block
        reader.block.count = 0
      }
    }
  }
  if (reader === undefined) {
    throw new Failure('replay-empty', `${path} is empty`, 'Leave the file out of REPLAY_FILES.')
  }
  if (reader.block.count > 0) yield reader.block
}

/**
 * Adds the instruments of a recording in order of first appearance and returns the recording time of its first row, without parsing
 * anything else but the last row, where a file that was cut short shows: a bridge must list its contracts before the first row is due.
 * @returns Infinity for a file without rows
 * @throws Failure as readRecording does, but for malformed rows
 */
export async function surveyRecording(
  path: string,
  instruments: RecordedInstruments,
  options: RecordingOptions = {},
): Promise<number> {
  let reader: RowReader | undefined
  for await (const lines of readLines(path)) {
    let from = lines.from
    if (reader === undefined) {
      const headerEnd = endOfLine(lines, from)
      const plan = planColumns(lines.bytes.toString('utf8', from, headerEnd), path)
      reader = new RowReader({ path, plan, instruments, options })
      from = headerEnd + 1
    }
    while (from < lines.to) {
      const to = endOfLine(lines, from)
      if (reader.block.count === 0) reader.read(lines, from, to)
      else reader.pass(lines, from, to)
      from = to + 1
    }
  }
  return reader === undefined || reader.block.count === 0
    ? Number.POSITIVE_INFINITY
    : (reader.block.recordingMs[0] ?? Number.POSITIVE_INFINITY)
}

class RowReader {
  readonly block: RecordingBlock
  readonly #path: string
  readonly #plan: ColumnPlan
  readonly #parser: RowParser
  readonly #dates: RecordingDates
  readonly lister: InstrumentLister
  #row = 1
  #recordingMs = Number.NEGATIVE_INFINITY
  /** Dates of neighbouring rows are mostly alike: the texts as four words, and what else decides. */
  readonly #datedWords = new Int32Array(4)
  #dated = { hour: -1, isCzce: false, midnightMs: Number.NaN }

  constructor({
    path,
    plan,
    instruments,
    options,
  }: {
    path: string
    plan: ColumnPlan
    instruments: RecordedInstruments
    options: RecordingOptions
  }) {
    this.#path = path
    this.#plan = plan
    this.#parser = new RowParser(plan)
    this.#dates = new RecordingDates(options.calendar)
    this.lister = new InstrumentLister(plan, instruments, options)
    this.block = {
      count: 0,
      views: tickViews(new ArrayBuffer(ROWS_PER_BLOCK * TICK_BYTES)),
      recordingMs: new Float64Array(ROWS_PER_BLOCK),
      instruments: new Int32Array(ROWS_PER_BLOCK),
    }
  }

  /** Adds the line to the block; empty lines are passed over. */
  read({ bytes, isLast }: Lines, from: number, to: number): void {
    this.#row += 1
    if (to - from <= 1 && (to === from || bytes[from] === 0x0d)) return
    const { block } = this
    const at = block.count * TICK_BYTES
    const fields = this.#parser.parse(bytes, from, to, block.views, at)
    if (fields !== this.#plan.names.length) this.#rejectRow(fields, isLast)
    const index = this.lister.indexOf(bytes, this.#parser.row)
    block.instruments[block.count] = index
    block.recordingMs[block.count] = this.#receive(block.views, at, this.lister.isCzce(index))
    block.count += 1
  }

  /** Takes only the instrument; a line without its end is read as a whole. */
  pass(lines: Lines, from: number, to: number): void {
    if (lines.isLast) {
      this.read(lines, from, to)
      return
    }
    this.#row += 1
    this.lister.read(lines.bytes, from, to)
  }

  #rejectRow(fields: number, isLast: boolean): never {
    const wanted = this.#plan.names.length
    if (isLast && fields < wanted) {
      throw new Failure(
        'replay-file-truncated',
        `${this.#path}: the last row (line ${this.#row}) ends after ${fields} of ${wanted} fields`,
        'Copy the file again, completely.',
      )
    }
    throw malformedRow(this.#path, `line ${this.#row} has ${fields} fields, the header ${wanted}`)
  }

  /** Recording time of the row, which becomes the least possible one for the next. */
  #receive(views: TickViews, at: number, isCzce: boolean): number {
    const secondOfDay = updateSecondOfDay(views.u8, at)
    if (secondOfDay >= 0) {
      const midnightMs = this.#midnightOf(views, at, secondOfDay, isCzce)
      const millisecond = views.i32[(at + TICK_AT.updateMillisec) >> 2] ?? 0
      const eventMs = midnightMs + secondOfDay * 1000 + (millisecond >= 0 && millisecond < 1000 ? millisecond : 0)
      if (eventMs > this.#recordingMs) this.#recordingMs = eventMs
    }
    // A first row without a readable time has nothing to lean on but its day.
    if (this.#recordingMs === Number.NEGATIVE_INFINITY) {
      const midnightMs = this.#midnightOf(views, at, 9 * 3600, isCzce)
      return Number.isNaN(midnightMs) ? 0 : midnightMs
    }
    return this.#recordingMs
  }

  #midnightOf(views: TickViews, at: number, secondOfDay: number, isCzce: boolean): number {
    const hour = Math.floor(secondOfDay / 3600)
    const words = this.#datedWords
    const first = (at + TICK_AT.tradingDay) >> 2
    let isAlike = hour === this.#dated.hour && isCzce === this.#dated.isCzce
    for (let i = 0; i < words.length; i++) {
      const word = views.i32[first + i] ?? 0
      if (word !== words[i]) isAlike = false
      words[i] = word
    }
    if (isAlike) return this.#dated.midnightMs
    const tradingDay = readDate(views.u8, at + TICK_AT.tradingDay)
    const actionDay = readDate(views.u8, at + TICK_AT.actionDay)
    const midnightMs = this.#dates.midnightOfRow({ tradingDay, actionDay, secondOfDay, isCzce })
    this.#dated = { hour, isCzce, midnightMs }
    return midnightMs
  }
}

/** CZCE's ids have three digits where others have four. */
const CZCE_ID = /^[A-Z]{2}\d{3}(?!\d)/

/** Finds or adds the instrument of a row, mostly by noticing that it is the same as in the row before. */
class InstrumentLister {
  readonly #plan: ColumnPlan
  readonly #instruments: RecordedInstruments
  readonly #options: RecordingOptions
  readonly #exchangeColumn: number
  readonly #isCzce: boolean[] = []
  readonly #row: ParsedRow = { idFrom: 0, idTo: 0, exchangeFrom: 0, exchangeTo: 0 }
  #lastId = Buffer.alloc(0)
  #lastIndex = -1

  constructor(plan: ColumnPlan, instruments: RecordedInstruments, options: RecordingOptions) {
    this.#plan = plan
    this.#instruments = instruments
    this.#options = options
    this.#exchangeColumn = plan.names.indexOf('ExchangeID')
  }

  indexOf(bytes: Buffer, row: ParsedRow): number {
    const { idFrom, idTo } = row
    if (this.#lastIndex >= 0 && this.#isLastId(bytes, idFrom, idTo)) return this.#lastIndex
    const id = bytes.toString('latin1', idFrom, idTo).trim()
    this.#lastId = Buffer.from(bytes.subarray(idFrom, idTo))
    this.#lastIndex =
      this.#instruments.indexOf(id) ?? this.#add(id, bytes.toString('latin1', row.exchangeFrom, row.exchangeTo))
    return this.#lastIndex
  }

  #isLastId(bytes: Buffer, from: number, to: number): boolean {
    const last = this.#lastId
    if (to - from !== last.length) return false
    for (let i = 0; i < last.length; i++) if (bytes[from + i] !== last[i]) return false
    return true
  }

  isCzce(index: number): boolean {
    const known = this.#isCzce[index]
    if (known !== undefined) return known
    const exchange = this.#instruments.exchanges[index]
    const isCzce = exchange === '' ? CZCE_ID.test(this.#instruments.ids[index] ?? '') : exchange === 'CZCE'
    this.#isCzce[index] = isCzce
    return isCzce
  }

  /** Takes only the instrument from a line. */
  read(bytes: Buffer, from: number, to: number): void {
    if (to - from <= 1) return
    const row = this.#row
    const last = Math.max(this.#plan.instrumentColumn, this.#exchangeColumn)
    let start = from
    for (let column = 0; column <= last; column++) {
      const comma = bytes.indexOf(0x2c, start)
      const end = comma < 0 || comma > to ? to : comma
      const isQuoted = end - start >= 2 && bytes[start] === 0x22 && bytes[end - 1] === 0x22
      if (column === this.#plan.instrumentColumn) {
        row.idFrom = isQuoted ? start + 1 : start
        row.idTo = isQuoted ? end - 1 : end
      } else if (column === this.#exchangeColumn) {
        row.exchangeFrom = isQuoted ? start + 1 : start
        row.exchangeTo = isQuoted ? end - 1 : end
      }
      start = end + 1
    }
    this.indexOf(bytes, row)
  }

  #add(id: string, recordedExchange: string): number {
    const exchange = recordedExchange.trim() || this.#options.exchangeOfProduct?.(productOfInstrument(id)) || ''
    return this.#instruments.add(id, exchange)
  }
}
