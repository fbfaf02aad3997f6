/**
 * Recordings of an invented market over a weekend, with the vendor's quirks as the recorders of this trade meet them: CZCE stamps whole
 * seconds and sends twins and natural dates, DCE dates its night with the trading day, SHFE has five levels, unset prices are the
 * largest double, a stale snapshot comes first, the last row comes twice, settlement comes after the close.
 *
 * The columns `TrueDate` and `TrueTradingDay` say what the vendor's dates do not; the product does not know them.
 */
import type { TemporaryFiles } from './recordings.ts'

type Exchange = 'SHFE' | 'DCE' | 'CZCE'

interface Contract {
  symbol: string
  exchange: Exchange
  /** Night section as minutes since midnight; past 24:00 it is the next morning. */
  nightMinutes: readonly [number, number] | null
}

const CONTRACTS: readonly Contract[] = [
  { symbol: 'AP701', exchange: 'CZCE', nightMinutes: null },
  { symbol: 'SR701', exchange: 'CZCE', nightMinutes: [21 * 60, 23 * 60] },
  { symbol: 'rb2701', exchange: 'SHFE', nightMinutes: [21 * 60, 23 * 60] },
  { symbol: 'i2701', exchange: 'DCE', nightMinutes: [21 * 60, 23 * 60] },
  { symbol: 'au2702', exchange: 'SHFE', nightMinutes: [21 * 60, 26 * 60 + 30] },
]

/** Friday, the night from Friday to Saturday, Monday: the night and Monday are one trading day. */
const FRIDAY = '20261120'
const SATURDAY = '20261121'
const MONDAY = '20261123'
const DAY_SECTIONS = [
  [9 * 60, 10 * 60 + 15],
  [10 * 60 + 30, 11 * 60 + 30],
  [13 * 60 + 30, 15 * 60],
] as const

const DBL_MAX = '1.7976931348623157e+308'
const COLUMNS = [
  ...['TradingDay', 'InstrumentID', 'ExchangeID', 'LastPrice', 'PreSettlementPrice', 'PreClosePrice'],
  ...['PreOpenInterest', 'OpenPrice', 'HighestPrice', 'LowestPrice', 'Volume', 'Turnover', 'OpenInterest'],
  ...['ClosePrice', 'SettlementPrice', 'UpperLimitPrice', 'LowerLimitPrice', 'UpdateTime', 'UpdateMillisec'],
  ...[1, 2, 3, 4, 5].flatMap((n) => [`BidPrice${n}`, `BidVolume${n}`, `AskPrice${n}`, `AskVolume${n}`]),
  ...['AveragePrice', 'ActionDay', 'TrueDate', 'TrueTradingDay'],
]

interface Row {
  /** Sorts rows of one file: date, then ms of the day. */
  key: number
  text: string
}

export interface GeneratedRecordings {
  paths: string[]
  /** Rows that no exchange sends. */
  invalid: number
}

/** @param seed the same seed gives the same files */
export function generateRecordings(
  files: TemporaryFiles,
  seed: number,
  { ticksPerSection = 120 } = {},
): GeneratedRecordings {
  const recorder = new Recorder(seed, ticksPerSection)
  const paths = (['SHFE', 'DCE', 'CZCE'] as const).map((exchange) => {
    const contracts = CONTRACTS.filter((contract) => contract.exchange === exchange)
    const rows = contracts.flatMap((contract) => recorder.record(contract)).sort((a, b) => a.key - b.key)
    // Contracts of one exchange are on one feed; its rows keep their order within a moment.
    const name = `${exchange}-${seed}.csv${exchange === 'SHFE' ? '.gz' : ''}`
    return files.write(name, `${COLUMNS.join(',')}\n${rows.map(({ text }) => `${text}\n`).join('')}`)
  })
  return { paths, invalid: recorder.invalid }
}

interface Stamp {
  date: string
  tradingDay: string
  msOfDay: number
}

class Recorder {
  invalid = 0
  readonly #ticksPerSection: number
  #state: number
  #volume = 0
  #tickCount = 0

  constructor(seed: number, ticksPerSection: number) {
    this.#state = seed
    this.#ticksPerSection = ticksPerSection
  }

  record(contract: Contract): Row[] {
    const rows: Row[] = []
    const add = (...more: Row[]) => rows.push(...more)
    this.#volume = 0
    // Pushed on subscribing, before the market opens: yesterday's evening, nothing traded.
    add(this.#row(contract, { date: '20261119', tradingDay: FRIDAY, msOfDay: ms(19, 29) }, { bare: true }))
    this.#tradeDay(contract, FRIDAY, FRIDAY, add)
    if (contract.nightMinutes !== null) {
      this.#volume = 0
      add(this.#row(contract, this.#inMinute(FRIDAY, MONDAY, 20 * 60 + 57)))
      add(this.#row(contract, this.#inMinute(FRIDAY, MONDAY, 20 * 60 + 59)))
      this.#section(contract, FRIDAY, MONDAY, contract.nightMinutes, add)
    } else {
      this.#volume = 0
    }
    this.#tradeDay(contract, MONDAY, MONDAY, add)
    return rows
  }

  #tradeDay(contract: Contract, date: string, tradingDay: string, add: (...rows: Row[]) => void): void {
    if (contract.nightMinutes === null) add(this.#row(contract, this.#inMinute(date, tradingDay, 8 * 60 + 59)))
    for (const [i, section] of DAY_SECTIONS.entries()) {
      this.#section(contract, date, tradingDay, section, add)
      // What the front happens to say in the first break is no trade.
      if (i === 0) add(this.#row(contract, { date, tradingDay, msOfDay: ms(10, 20) + this.#millisecond(contract) }))
    }
    const last = this.#row(contract, { date, tradingDay, msOfDay: ms(15, 0) }, { lots: 0 })
    add(last, last)
    add(this.#row(contract, { date, tradingDay, msOfDay: ms(15, 35) + this.#millisecond(contract) }, { lots: 0 }))
  }

  #section(
    contract: Contract,
    date: string,
    tradingDay: string,
    [fromMinute, toMinute]: readonly [number, number],
    add: (...rows: Row[]) => void,
  ): void {
    const step = ((toMinute - fromMinute) * 60_000) / this.#ticksPerSection
    for (let i = 0; i < this.#ticksPerSection; i++) {
      const at = this.#stamp(contract, date, tradingDay, fromMinute * 60_000 + i * step + this.#below(step - 2_000))
      add(this.#row(contract, at))
      const twins = contract.exchange === 'CZCE' && this.#below(4) === 0 ? 1 + this.#below(2) : 0
      for (let twin = 0; twin < twins; twin++) add(this.#row(contract, at, { lots: 0 }))
      if (this.#below(25) === 0) {
        this.invalid++
        add(this.#garbage(contract, at))
      }
    }
    add(this.#row(contract, this.#stamp(contract, date, tradingDay, toMinute * 60_000)))
  }

  /** A row of the same moment that is none; in its place in the file. */
  #garbage(contract: Contract, at: Stamp): Row {
    const kind = this.#below(3)
    if (kind === 0) return this.#row(contract, at, { lots: 0, time: '99:99:99' })
    if (kind === 1) return this.#row(contract, at, { lots: 0, volume: '-5' })
    return this.#row(contract, at, { lots: 0, volume: '2147483647' })
  }

  #inMinute(date: string, tradingDay: string, minute: number): Stamp {
    return { date, tradingDay, msOfDay: minute * 60_000 }
  }

  #stamp(contract: Contract, date: string, tradingDay: string, msOfSection: number): Stamp {
    const isNextMorning = msOfSection >= 86_400_000
    const whole = Math.floor(msOfSection / 1000) * 1000
    return {
      date: isNextMorning ? SATURDAY : date,
      tradingDay,
      msOfDay: (isNextMorning ? whole - 86_400_000 : whole) + this.#millisecond(contract),
    }
  }

  #millisecond({ exchange }: Contract): number {
    if (exchange === 'CZCE') return 0
    return exchange === 'SHFE' ? this.#below(2) * 500 : this.#below(1000)
  }

  #row(
    contract: Contract,
    at: Stamp,
    {
      lots = this.#below(40),
      bare = false,
      time,
      volume,
    }: { lots?: number; bare?: boolean; time?: string; volume?: string } = {},
  ): Row {
    const { exchange, symbol } = contract
    this.#volume += bare ? 0 : lots
    const last = 3000 + this.#below(50)
    const isLimitUp = this.#below(30) === 0
    // Neighbours never have the same book, as twins do not.
    const size = (++this.#tickCount % 1000) + 1
    const cells: Record<string, string | number> = {
      TradingDay: exchange === 'CZCE' ? at.date : at.tradingDay,
      ActionDay: exchange === 'DCE' ? at.tradingDay : at.date,
      InstrumentID: symbol,
      ExchangeID: exchange === 'SHFE' ? '' : exchange,
      LastPrice: bare ? DBL_MAX : last,
      PreSettlementPrice: 2990,
      PreClosePrice: '2991.5',
      PreOpenInterest: 150_000,
      OpenPrice: bare ? DBL_MAX : 3001,
      HighestPrice: bare ? DBL_MAX : 3060,
      LowestPrice: bare ? DBL_MAX : '2980.400000000001',
      Volume: volume ?? this.#volume,
      Turnover: this.#volume * 31_270,
      OpenInterest: 150_000 + (size % 7),
      ClosePrice: DBL_MAX,
      SettlementPrice: DBL_MAX,
      UpperLimitPrice: 3200,
      LowerLimitPrice: 2800,
      UpdateTime: time ?? clock(at.msOfDay),
      UpdateMillisec: at.msOfDay % 1000,
      AveragePrice: 3010,
      TrueDate: at.date,
      TrueTradingDay: at.tradingDay,
    }
    for (let level = 1; level <= 5; level++) {
      const isGiven = !bare && (level === 1 || exchange === 'SHFE')
      cells[`BidPrice${level}`] = isGiven ? last - level : DBL_MAX
      cells[`BidVolume${level}`] = isGiven ? size : 0
      cells[`AskPrice${level}`] = isGiven && !isLimitUp ? last + level : DBL_MAX
      cells[`AskVolume${level}`] = isGiven && !isLimitUp ? size + 3 : 0
    }
    return { key: Number(at.date) * 86_400_000 + at.msOfDay, text: COLUMNS.map((name) => cells[name] ?? '').join(',') }
  }

  /** A whole number from 0 to below `limit`, from the seed alone. */
  #below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((this.#state / 4_294_967_296) * limit)
  }
}

function ms(hour: number, minute: number): number {
  return (hour * 60 + minute) * 60_000
}

function clock(msOfDay: number): string {
  const second = Math.floor(msOfDay / 1000)
  return [Math.floor(second / 3600), Math.floor(second / 60) % 60, second % 60]
    .map((part) => String(part).padStart(2, '0'))
    .join(':')
}
