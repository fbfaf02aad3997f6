/** Tick records from a few words, and an arbiter that is told which line brought them: what the tests of the tick path speak in. */
import { Arbiter, type ArbitrationPolicy, OUTCOME_NAMES } from '#domain/arbitration.ts'
import { productOfInstrument } from '#domain/instrument.ts'
import { type Line, lineIndex } from '#domain/line.ts'
import { LiveSessions, type MarketCalendar } from '#domain/session-calendar.ts'
import { TICK_AT, TICK_BYTES, TICK_F64, type TickDouble, type TickViews, tickViews } from '#domain/tick.ts'
import { at, shippedCalendar } from './shipped-calendar.ts'

export interface TickWords {
  /** Exchange time, ms since the epoch; gives `UpdateTime` and `UpdateMillisec`. */
  eventMs: number
  /** Wall clock at the callback; 40 ms after the event unless told. */
  receivedMs?: number
  receivedMonotonicMs?: number
  /** Raw text instead of the event's time of day, cut or padded to 8 bytes. */
  time?: string
  millisecond?: number
  tradingDay?: string
  actionDay?: string
  volume?: number
  bidVolume?: number
  askVolume?: number
  /** Any doubles; those not given are a plausible book. */
  prices?: Partial<Record<TickDouble, number>>
  instrument?: number
}

export type OutcomeName = (typeof OUTCOME_NAMES)[number]

const SHANGHAI_OFFSET_MS = 8 * 3_600_000
const USUAL_PRICES: Partial<Record<TickDouble, number>> = {
  LastPrice: 3127,
  BidPrice1: 3126,
  AskPrice1: 3127,
  OpenInterest: 1_500_000,
  Turnover: 31_270_000,
}

/** One record at byte 0 of views of its own. */
export function tickRecord(words: TickWords): TickViews {
  const views = tickViews(new ArrayBuffer(TICK_BYTES))
  writeTick(views, 0, words)
  return views
}

export function writeTick(views: TickViews, start: number, words: TickWords): void {
  const { f64, i32, u8 } = views
  const { eventMs, receivedMs = eventMs + 40 } = words
  const clock = new Date(eventMs + SHANGHAI_OFFSET_MS).toISOString()
  const date = clock.slice(0, 10).replaceAll('-', '')
  f64[(start + TICK_AT.receivedWallMs) >> 3] = receivedMs
  f64[(start + TICK_AT.receivedMonotonicMs) >> 3] = words.receivedMonotonicMs ?? receivedMs
  writeText(u8, start + TICK_AT.tradingDay, words.tradingDay ?? date)
  writeText(u8, start + TICK_AT.actionDay, words.actionDay ?? date)
  writeText(u8, start + TICK_AT.updateTime, words.time ?? clock.slice(11, 19))
  i32[(start + TICK_AT.updateMillisec) >> 2] = words.millisecond ?? Number(clock.slice(20, 23))
  i32[(start + TICK_AT.volume) >> 2] = words.volume ?? 0
  f64.fill(Number.NaN, (start + TICK_AT.doubles) >> 3, (start + TICK_AT.bidVolumes) >> 3)
  for (const [name, price] of Object.entries({ ...USUAL_PRICES, ...words.prices })) {
    f64[(start >> 3) + TICK_F64[name as TickDouble]] = price
  }
  i32.fill(0, (start + TICK_AT.bidVolumes) >> 2, (start + TICK_BYTES) >> 2)
  i32[(start + TICK_AT.bidVolumes) >> 2] = words.bidVolume ?? 12
  i32[(start + TICK_AT.askVolumes) >> 2] = words.askVolume ?? 34
  i32[(start >> 2) + 3] = words.instrument ?? 0
}

function writeText(u8: Uint8Array, start: number, text: string): void {
  for (let i = 0; i < 8; i++) u8[start + i] = i < text.length ? text.charCodeAt(i) : 0
}

let calendar: MarketCalendar | undefined

/** The shipped calendar, read once. */
export function realCalendar(): MarketCalendar {
  calendar ??= shippedCalendar()
  return calendar
}

/** An arbiter of one market with real sessions; instruments are named as `rb2605.SHFE`. */
export class ArbiterRig {
  readonly arbiter: Arbiter
  readonly #sessions = new LiveSessions(realCalendar())
  readonly #slots = new Map<string, number>()

  constructor(policy?: ArbitrationPolicy) {
    this.arbiter = new Arbiter(this.#sessions, policy)
  }

  slotOf(instrument: string): number {
    const slot = this.#slots.get(instrument) ?? this.#slots.size
    this.#slots.set(instrument, slot)
    return slot
  }

  /** The line has just subscribed: its next tick is the front's snapshot. */
  subscribe(line: Line, instrument: string): void {
    this.arbiter.expectSnapshot(lineIndex(line), this.slotOf(instrument))
  }

  deliver(line: Line, instrument: string, words: TickWords, alone = false): OutcomeName {
    const [symbol = '', exchange = ''] = instrument.split('.')
    const product = this.#sessions.productIndex(exchange, productOfInstrument(symbol))
    const outcome = this.arbiter.classify(
      lineIndex(line),
      this.slotOf(instrument),
      product,
      tickRecord(words),
      0,
      alone,
    )
    return OUTCOME_NAMES[outcome]
  }
}

/** `09:30:00.5` on a Thursday with a night session before and after it, or a whole stamp such as `2026-11-20 21:00:00`. */
export function moment(text: string): number {
  return at(text.includes(' ') ? text : `2026-11-19 ${text}`)
}
