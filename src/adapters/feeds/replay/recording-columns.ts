/** Which column of a recorded CSV goes where in a tick record. Columns come in any order, those without a place in the record are skipped. */
import { Failure } from '#domain/failure.ts'
import { TICK_AT, TICK_DOUBLES, TICK_F64 } from '#domain/tick.ts'

/** What to do with a field, by column. Small integers, because the row parser switches on them for every field. */
export const Place = { skip: 0, double: 1, volume: 2, count: 3, text: 4, instrument: 5, exchange: 6 } as const

export interface ColumnPlan {
  names: readonly string[]
  /** By column: one of `Place`, and the byte offset in the record where it has one. */
  places: Uint8Array
  offsets: Uint16Array
  /** Column of the instrument id. */
  instrumentColumn: number
}

const REQUIRED = ['InstrumentID', 'UpdateTime', 'Volume', 'LastPrice', 'TradingDay']

const PLACES: ReadonlyMap<string, { place: number; offset: number }> = new Map([
  ['InstrumentID', { place: Place.instrument, offset: 0 }],
  ['ExchangeID', { place: Place.exchange, offset: 0 }],
  ['TradingDay', { place: Place.text, offset: TICK_AT.tradingDay }],
  ['ActionDay', { place: Place.text, offset: TICK_AT.actionDay }],
  ['UpdateTime', { place: Place.text, offset: TICK_AT.updateTime }],
  ['UpdateMillisec', { place: Place.count, offset: TICK_AT.updateMillisec }],
  ['Volume', { place: Place.volume, offset: TICK_AT.volume }],
  ...[1, 2, 3, 4, 5].flatMap((level): [string, { place: number; offset: number }][] => [
    [`BidVolume${level}`, { place: Place.count, offset: TICK_AT.bidVolumes + (level - 1) * 4 }],
    [`AskVolume${level}`, { place: Place.count, offset: TICK_AT.askVolumes + (level - 1) * 4 }],
  ]),
  ...TICK_DOUBLES.map((name): [string, { place: number; offset: number }] => [
    name,
    { place: Place.double, offset: TICK_F64[name] * 8 },
  ]),
])
const CANONICAL = new Map([...PLACES.keys()].map((name) => [name.toLowerCase(), name]))

/**
 * @param header the file's first line
 * @throws Failure 'replay-columns-missing'
 */
export function planColumns(header: string, path: string): ColumnPlan {
  const names = header
    .replace(/^\uFEFF/, '')
    .trim()
    .split(',')
    .map((name) => {
      const bare = name.trim().replace(/^"(.*)"$/, '$1')
      return CANONICAL.get(bare.toLowerCase()) ?? bare
    })
  const missing = REQUIRED.filter((name) => !names.includes(name))
  if (missing.length > 0) {
    throw new Failure(
      'replay-columns-missing',
      `${path}: the header lacks ${missing.join(', ')}; it begins ${JSON.stringify(header.slice(0, 80))}`,
      'Give the file a header line with the CTP field names of its columns.',
    )
  }
  const places = Uint8Array.from(names, (name) => PLACES.get(name)?.place ?? Place.skip)
  const offsets = Uint16Array.from(names, (name) => PLACES.get(name)?.offset ?? 0)
  return { names, places, offsets, instrumentColumn: names.indexOf('InstrumentID') }
}
