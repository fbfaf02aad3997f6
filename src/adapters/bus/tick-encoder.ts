/**
 * Journal record -> the JSON that consumers get, byte for byte what `JSON.stringify(decodeTick(...))` gives, but written straight into
 * a buffer: the names of an instrument are made into bytes once, numbers and moments never become strings.
 */
import type { JournalBlock } from '#adapters/journal/journal-block.ts'
import { JOURNAL_AT, JOURNAL_F64, TICK_FLAG } from '#adapters/journal/journal-format.ts'
import { tickSubject } from '#domain/instrument.ts'
import {
  type FixedText,
  fixedText,
  MARGIN_BYTES,
  MomentWriter,
  putBytes,
  putEight,
  putFixed,
  putInteger,
  putNumber,
  type TextBuffer,
} from './ascii-writer.ts'

/** No tick is longer, even one of unheard-of names all of whose characters JSON has to escape. */
export const TICK_JSON_BYTES_MAX = 8192 - MARGIN_BYTES

const key = (name: string) => fixedText(`,"${name}":`)

const OPTIONAL_AFTER_VOLUME = [
  { key: key('turnover'), offset: JOURNAL_F64.Turnover },
  { key: key('open_interest'), offset: JOURNAL_F64.OpenInterest },
  { key: key('open_price'), offset: JOURNAL_F64.OpenPrice },
  { key: key('high_price'), offset: JOURNAL_F64.HighestPrice },
  { key: key('low_price'), offset: JOURNAL_F64.LowestPrice },
  { key: key('pre_close'), offset: JOURNAL_F64.PreClosePrice },
  { key: key('pre_settlement'), offset: JOURNAL_F64.PreSettlementPrice },
  { key: key('limit_up'), offset: JOURNAL_F64.UpperLimitPrice },
  { key: key('limit_down'), offset: JOURNAL_F64.LowerLimitPrice },
] as const

interface BookLevel {
  priceKey: FixedText
  volumeKey: FixedText
  /** Byte offsets from the record's start. */
  price: number
  volume: number
}

function bookSide(side: 'bid' | 'ask', first: { price: number; volume: number }, rest: typeof first): BookLevel[] {
  return [1, 2, 3, 4, 5].map((level) => ({
    priceKey: key(`${side}_price_${level}`),
    volumeKey: key(`${side}_volume_${level}`),
    price: level === 1 ? first.price : rest.price + (level - 2) * 8,
    volume: level === 1 ? first.volume : rest.volume + (level - 2) * 4,
  }))
}

const BOOK = [
  bookSide(
    'bid',
    { price: JOURNAL_F64.BidPrice1 * 8, volume: JOURNAL_AT.bidVolume1 },
    { price: JOURNAL_AT.bidPrices2, volume: JOURNAL_AT.bidVolumes2 },
  ),
  bookSide(
    'ask',
    { price: JOURNAL_F64.AskPrice1 * 8, volume: JOURNAL_AT.askVolume1 },
    { price: JOURNAL_AT.askPrices2, volume: JOURNAL_AT.askVolumes2 },
  ),
] as const

const LOCALTIME = fixedText('","localtime":"')
const TRADING_DAY = fixedText('","trading_day":"')
const QUOTE = fixedText('"')
const LAST_PRICE = key('last_price')
const VOLUME = key('volume')
const LINE_EPOCH = [fixedText(',"line":"primary","epoch":'), fixedText(',"line":"backup","epoch":')] as const
const SEQ = key('seq')
const OFF_SESSION = fixedText(',"off_session":true')
const END = fixedText('}')
const TRADING_DAY_MAX = 99_999_999

/** What is the same in every tick of an instrument. */
export interface EncodedName {
  readonly symbol: string
  readonly exchange: string
  readonly vtSymbol: string
  readonly subject: string
  /** Where the reader keeps the instrument's latest tick, -1 before it has a place. */
  place: number
  /** The JSON up to the value of `datetime`. */
  readonly prefix: Buffer
}

/** Far more than are ever listed: expired contracts are forgotten with the rest. */
const NAMES_MAX = 100_000

export class TickEncoder {
  /** Of the tick encoded last. */
  name: EncodedName = { symbol: '', exchange: '', vtSymbol: '', subject: '', place: -1, prefix: Buffer.alloc(0) }

  readonly #subjectPrefix: string
  readonly #datetime = new MomentWriter()
  readonly #localtime = new MomentWriter()
  #host = ''
  #hostField = Buffer.alloc(0)
  /** By the instrument number of the segment named by `#segment`. */
  #byNumber: (EncodedName | undefined)[] = []
  #segment = -1
  readonly #names = new Map<string, EncodedName>()

  /** @param subjectPrefix what stands before `.tick.` in subjects */
  constructor(subjectPrefix: string) {
    this.#subjectPrefix = subjectPrefix
  }

  /** Writes tick `index` of the block; returns the end. The target must have TICK_JSON_BYTES_MAX bytes from `at` on. */
  encode(block: JournalBlock, index: number, target: TextBuffer, at: number): number {
    const record = block.offsets[index] ?? 0
    const { i32, u32, f64 } = block.views
    const word = record >> 2
    const double = record >> 3
    const flags = (u32[word + 1] ?? 0) >>> 16
    const receivedMs = f64[double + JOURNAL_AT.receivedWallMs / 8] ?? Number.NaN
    const eventMs = f64[double + JOURNAL_AT.eventMs / 8] ?? Number.NaN
    if (block.segmentSequence !== this.#segment || block.host !== this.#host) this.#enterSegment(block)

    const number = u32[word + JOURNAL_AT.instrument / 4] ?? 0
    const name = this.#byNumber[number] ?? this.#nameOf(block, number)
    this.name = name

    let end = putBytes(target, at, name.prefix)
    end = this.#datetime.put(target, end, isGiven(eventMs) ? eventMs : receivedMs)
    end = putFixed(target, end, LOCALTIME)
    end = this.#localtime.put(target, end, receivedMs)
    end = putFixed(target, end, TRADING_DAY)
    const tradingDay = u32[word + JOURNAL_AT.tradingDay / 4] ?? 0
    end = tradingDay > TRADING_DAY_MAX ? putInteger(target, end, tradingDay) : putEight(target, end, tradingDay)
    end = putFixed(target, end, QUOTE)

    end = putGiven(target, end, LAST_PRICE, f64[double + JOURNAL_F64.LastPrice] ?? Number.NaN)
    end = putFixed(target, end, VOLUME)
    end = putNumber(target, end, i32[word + JOURNAL_AT.volume / 4] ?? 0)
    for (let i = 0; i < OPTIONAL_AFTER_VOLUME.length; i++) {
      const field = OPTIONAL_AFTER_VOLUME[i]
      if (field !== undefined) end = putGiven(target, end, field.key, f64[double + field.offset] ?? Number.NaN)
    }
    end = putBook(block, record, flags & TICK_FLAG.depth ? 5 : 1, target, end)

    end = putFixed(target, end, LINE_EPOCH[flags & TICK_FLAG.line ? 1 : 0])
    end = putInteger(target, end, u32[word + JOURNAL_AT.epoch / 4] ?? 0)
    end = putFixed(target, end, SEQ)
    end = putNumber(target, end, f64[double + JOURNAL_AT.sequence / 8] ?? 0)
    end = putBytes(target, end, this.#hostField)
    if (flags & TICK_FLAG.offSession) end = putFixed(target, end, OFF_SESSION)
    return putFixed(target, end, END)
  }

  #enterSegment(block: JournalBlock): void {
    this.#segment = block.segmentSequence
    this.#byNumber = []
    this.#host = block.host
    this.#hostField = Buffer.from(`,"host":${JSON.stringify(block.host)}`, 'utf8')
    if (this.#names.size > NAMES_MAX) this.#names.clear()
  }

  #nameOf(block: JournalBlock, number: number): EncodedName {
    const defined = block.instruments.get(number)
    const { symbol, exchange, vtSymbol } = defined ?? { symbol: `#${number}`, exchange: '', vtSymbol: `#${number}.` }
    const known = this.#names.get(vtSymbol)
    const name = known ?? {
      symbol,
      exchange,
      vtSymbol,
      subject: tickSubject(this.#subjectPrefix, exchange === '' ? '-' : exchange, symbol),
      place: -1,
      prefix: Buffer.from(
        `${JSON.stringify({ symbol, exchange, vt_symbol: vtSymbol }).slice(0, -1)},"datetime":"`,
        'utf8',
      ),
    }
    this.#names.set(vtSymbol, name)
    // One that is not defined yet may be later in the same segment.
    if (defined !== undefined) this.#byNumber[number] = name
    return name
  }
}

function putBook(block: JournalBlock, record: number, deepest: number, target: TextBuffer, at: number): number {
  const { i32, f64 } = block.views
  let end = at
  for (let side = 0; side < 2; side++) {
    const levels = BOOK[side === 0 ? 0 : 1]
    for (let i = 0; i < deepest; i++) {
      const level = levels[i]
      if (level !== undefined) {
        end = putGiven(target, end, level.priceKey, f64[(record + level.price) >> 3] ?? Number.NaN)
      }
    }
  }
  for (let side = 0; side < 2; side++) {
    const levels = BOOK[side === 0 ? 0 : 1]
    for (let i = 0; i < deepest; i++) {
      const level = levels[i]
      if (level === undefined) continue
      const volume = i32[(record + level.volume) >> 2] ?? 0
      // A volume of 0 without a price says nothing.
      if (volume === 0 && !isGiven(f64[(record + level.price) >> 3] ?? Number.NaN)) continue
      end = putFixed(target, end, level.volumeKey)
      end = putNumber(target, end, volume)
    }
  }
  return end
}

function putGiven(target: TextBuffer, at: number, key: FixedText, value: number): number {
  return isGiven(value) ? putNumber(target, putFixed(target, at, key), value) : at
}

/** Neither NaN nor infinite; cheaper than Number.isFinite in this path. */
function isGiven(value: number): boolean {
  return value - value === 0
}

/** Whether tick `index` of the block is one that live consumers must not see as such. */
export function isOffSession(block: JournalBlock, index: number): boolean {
  const record = block.offsets[index] ?? 0
  return (((block.views.u32[(record >> 2) + 1] ?? 0) >>> 16) & TICK_FLAG.offSession) !== 0
}
