import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MARGIN_BYTES, putNumber, TextBuffer } from '#adapters/bus/ascii-writer.ts'
import { TICK_JSON_BYTES_MAX, TickEncoder } from '#adapters/bus/tick-encoder.ts'
import type { JournalBlock } from '#adapters/journal/journal-block.ts'
import {
  JOURNAL_AT,
  recordViews,
  TICK_BASE_BYTES,
  TICK_DEPTH_BYTES,
  TICK_FLAG,
} from '#adapters/journal/journal-format.ts'
import { decodeTick } from '#adapters/journal/journal-tick.ts'

const NAME = { symbol: 'SP a2501&a2506', exchange: 'DCE', vtSymbol: 'SP a2501&a2506.DCE' }

interface RawTick {
  flags: number
  sequence: number
  receivedWallMs: number
  eventMs: number
  instrument: number
  epoch: number
  tradingDay: number
  words: readonly number[]
  doubles: readonly number[]
}

/** A block of one record in which every byte that the format knows is as given. */
function blockOf(raw: RawTick, host = 'md-host-1', segmentSequence = 1): JournalBlock {
  const views = recordViews(new ArrayBuffer(TICK_DEPTH_BYTES))
  const { u32, i32, f64 } = views
  u32[1] = 2 | (raw.flags << 16)
  f64[JOURNAL_AT.sequence / 8] = raw.sequence
  f64[JOURNAL_AT.receivedWallMs / 8] = raw.receivedWallMs
  f64[JOURNAL_AT.eventMs / 8] = raw.eventMs
  u32[JOURNAL_AT.instrument / 4] = raw.instrument
  u32[JOURNAL_AT.epoch / 4] = raw.epoch
  u32[JOURNAL_AT.tradingDay / 4] = raw.tradingDay
  i32.set(raw.words.slice(0, 3), JOURNAL_AT.volume / 4)
  f64.set(raw.doubles.slice(0, 16), JOURNAL_AT.doubles / 8)
  if (raw.flags & TICK_FLAG.depth) {
    i32.set(raw.words.slice(3, 11), TICK_BASE_BYTES / 4)
    f64.set(raw.doubles.slice(16, 26), JOURNAL_AT.bidPrices2 / 8)
  }
  return {
    views,
    count: 1,
    offsets: new Uint32Array([0]),
    firstSequence: raw.sequence,
    lastSequence: raw.sequence,
    instruments: new Map([[7, NAME]]),
    host,
    segmentSequence,
    writtenWallMs: 0,
  }
}

const price = fc.oneof(
  fc.double(),
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 0, 1e21, 1e15, 1e-7, 5e-324),
  fc.integer({ min: -1_000_000_000, max: 1_000_000_000 }).map((n) => n / 10_000),
  fc.integer({ min: 0, max: 2 ** 53 - 1 }).map((n) => n / 100),
  fc.integer({ min: 0, max: 2 ** 53 - 1 }),
)
const moment = fc.oneof(
  fc.double(),
  fc.integer({ min: Date.UTC(1960, 0, 1), max: Date.UTC(2100, 0, 1) }),
  fc.integer({ min: 0, max: 5_000 }).map((ms) => Date.UTC(2026, 0, 5, 1, 30) + ms + 0.625),
  fc.constantFrom(Number.NaN, 8.64e15, -8.64e15, 253_402_300_800_000 - 8 * 3_600_000),
)
const rawTick: fc.Arbitrary<RawTick> = fc.record({
  flags: fc.integer({ min: 0, max: 7 }),
  sequence: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  receivedWallMs: moment,
  eventMs: moment,
  instrument: fc.constantFrom(7, 7, 8),
  epoch: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  tradingDay: fc.oneof(fc.constant(20260105), fc.integer({ min: 0, max: 2 ** 32 - 1 })),
  words: fc.array(fc.oneof(fc.constant(0), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })), {
    minLength: 11,
    maxLength: 11,
  }),
  doubles: fc.array(price, { minLength: 26, maxLength: 26 }),
})

const target = new TextBuffer(5 + TICK_JSON_BYTES_MAX + MARGIN_BYTES)
function encoded(encoder: TickEncoder, block: JournalBlock): string {
  return target.bytes.toString('utf8', 5, encoder.encode(block, 0, target, 5))
}

describe('a tick as consumers get it', () => {
  test('is, byte for byte, the plain JSON of the documented object, whatever the record holds', () => {
    const encoder = new TickEncoder('market')
    fc.assert(
      fc.property(rawTick, fc.constantFrom('md-host-1', 'zürich "2"'), (raw, host) => {
        const block = blockOf(raw, host)
        expect(encoded(encoder, block)).toBe(JSON.stringify(decodeTick(block, 0)))
      }),
      { numRuns: 3000 },
    )
  })

  test('names the subject of its instrument with everything unusual spelled in hexadecimal', () => {
    const encoder = new TickEncoder('market')
    const raw = fc.sample(rawTick, { numRuns: 1, seed: 1 })[0]
    if (raw === undefined) return expect.unreachable()
    encoded(encoder, blockOf({ ...raw, instrument: 7 }))
    expect(encoder.name.subject).toBe('market.tick.DCE.SP%20a2501%26a2506')
  })

  test('takes names from its own segment, though numbers are used again in the next', () => {
    const encoder = new TickEncoder('market')
    const raw = fc.sample(rawTick, { numRuns: 1, seed: 1 })[0]
    if (raw === undefined) return expect.unreachable()
    const first = blockOf({ ...raw, instrument: 7 })
    const other = { symbol: 'rb2605', exchange: 'SHFE', vtSymbol: 'rb2605.SHFE' }
    const second = { ...first, segmentSequence: 2, instruments: new Map([[7, other]]) }
    encoded(encoder, first)
    expect(JSON.parse(encoded(encoder, second))).toMatchObject({ vt_symbol: 'rb2605.SHFE' })
  })

  test('never outgrows the room that is kept for it', () => {
    const longest = '\u0001'.repeat(120)
    const block = blockOf(
      {
        flags: 7,
        sequence: Number.MAX_SAFE_INTEGER,
        receivedWallMs: Number.NaN,
        eventMs: 8e15,
        instrument: 7,
        epoch: 2 ** 32 - 1,
        tradingDay: 2 ** 32 - 1,
        words: Array(11).fill(-(2 ** 31)),
        doubles: Array(26).fill(Number('-1.2345678901234567e-300')),
      },
      '\u0001'.repeat(80),
    )
    const named = {
      ...block,
      instruments: new Map([[7, { symbol: longest, exchange: longest, vtSymbol: `${longest}.${longest}` }]]),
    }
    expect(Buffer.byteLength(JSON.stringify(decodeTick(named, 0)))).toBeLessThan(TICK_JSON_BYTES_MAX)
  })
})

test('a double is written as its shortest text, so that it is read back bit for bit', () => {
  fc.assert(
    fc.property(price, (value) => {
      if (!Number.isFinite(value)) return
      const text = target.bytes.toString('latin1', 0, putNumber(target, 0, value))
      expect(text).toBe(String(value))
    }),
    { numRuns: 20_000 },
  )
})
