/**
 * One line of a recorded CSV, straight from bytes into a tick record: a day of the whole market is tens of millions of fields, so
 * nothing is turned into a string that need not be.
 */
import { TICK_AT, TICK_BYTES, type TickViews } from '#domain/tick.ts'
import { type ColumnPlan, Place } from './recording-columns.ts'

const QUOTE = 0x22
const COMMA = 0x2c
const CR = 0x0d
/** At and beyond this a price is the vendor's DBL_MAX: not given. */
const NOT_GIVEN = 1e300
const TEXT_BYTES = 8
const INT32_MAX = 2_147_483_647

/** Where the texts that identify the instrument lie in the line; valid until the next line is parsed. */
export interface ParsedRow {
  idFrom: number
  idTo: number
  exchangeFrom: number
  exchangeTo: number
}

export class RowParser {
  readonly row: ParsedRow = { idFrom: 0, idTo: 0, exchangeFrom: 0, exchangeTo: 0 }
  readonly #plan: ColumnPlan
  readonly #blank: Int32Array

  constructor(plan: ColumnPlan) {
    this.#plan = plan
    // What the recording does not tell is not given.
    const blank = new ArrayBuffer(TICK_BYTES)
    new Float64Array(blank, TICK_AT.doubles, (TICK_AT.bidVolumes - TICK_AT.doubles) / 8).fill(Number.NaN)
    this.#blank = new Int32Array(blank)
  }

  /**
   * Parses the line's bytes from `from` to before `to` into the record at byte `at`. Header and receive stamps are left zero.
   * @returns the number of fields found
   */
  parse(bytes: Buffer, from: number, to: number, views: TickViews, at: number): number {
    views.i32.set(this.#blank, at >> 2)
    const { places, offsets } = this.#plan
    const end = to > from && bytes[to - 1] === CR ? to - 1 : to
    let column = 0
    let start = from
    for (let i = from; ; i++) {
      if (i < end && bytes[i] !== COMMA) continue
      const place = places[column] ?? Place.skip
      if (place !== Place.skip) {
        const isQuoted = i - start >= 2 && bytes[start] === QUOTE && bytes[i - 1] === QUOTE
        const fieldFrom = isQuoted ? start + 1 : start
        const fieldTo = isQuoted ? i - 1 : i
        this.#place(place, at + (offsets[column] ?? 0), bytes, fieldFrom, fieldTo, views)
      }
      column += 1
      start = i + 1
      if (i >= end) return column
    }
  }

  #place(place: number, offset: number, bytes: Buffer, from: number, to: number, views: TickViews): void {
    switch (place) {
      case Place.double: {
        const value = parseDecimal(bytes, from, to)
        views.f64[offset >> 3] = Math.abs(value) < NOT_GIVEN ? value : Number.NaN
        return
      }
      case Place.count: {
        const value = parseDecimal(bytes, from, to)
        views.i32[offset >> 2] = Number.isNaN(value) ? 0 : Math.min(value, INT32_MAX)
        return
      }
      case Place.volume: {
        const value = parseDecimal(bytes, from, to)
        // No exchange sends a negative volume, so the arbiter throws the row out instead of taking it for an untraded contract.
        views.i32[offset >> 2] = Number.isNaN(value) ? -1 : Math.min(value, INT32_MAX)
        return
      }
      case Place.text:
        for (let i = 0; i < TEXT_BYTES && from + i < to; i++) views.u8[offset + i] = bytes[from + i] ?? 0
        return
      case Place.instrument:
        this.row.idFrom = from
        this.row.idTo = to
        return
      case Place.exchange:
        this.row.exchangeFrom = from
        this.row.exchangeTo = to
        return
    }
  }
}

const POWERS_OF_TEN = Float64Array.from({ length: 23 }, (_, i) => 10 ** i)
/** Integers of this many digits are exact in a double. */
const EXACT_DIGITS = 15

/** The number that `Number` would read, NaN for what is none ('', 'N/A') or begins with a letter. */
export function parseDecimal(bytes: Buffer, from: number, to: number): number {
  let i = from
  const isNegative = bytes[i] === 0x2d
  if (isNegative) i += 1
  let mantissa = 0
  let digits = 0
  let decimals = 0
  let sawPoint = false
  for (; i < to; i++) {
    const byte = bytes[i] ?? 0
    const digit = byte - 48
    if (digit >= 0 && digit <= 9) {
      mantissa = mantissa * 10 + digit
      if (mantissa !== 0) digits += 1
      if (sawPoint) decimals += 1
    } else if (byte === 0x2e && !sawPoint) sawPoint = true
    else if (i === from && byte >= 0x41) return Number.NaN
    else return parseSlowly(bytes, from, to)
  }
  // Both operands are exact then, so the division rounds once, as reading the text does.
  if (digits > EXACT_DIGITS || decimals >= POWERS_OF_TEN.length) return parseSlowly(bytes, from, to)
  if (digits === 0 && !hasDigit(bytes, from, to)) return Number.NaN
  const value = mantissa / (POWERS_OF_TEN[decimals] ?? 1)
  return isNegative ? -value : value
}

function parseSlowly(bytes: Buffer, from: number, to: number): number {
  const text = bytes.toString('latin1', from, to).trim()
  return text === '' ? Number.NaN : Number(text)
}

function hasDigit(bytes: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const byte = bytes[i] ?? 0
    if (byte >= 48 && byte <= 57) return true
  }
  return false
}
