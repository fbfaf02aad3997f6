// Recorded CTP ticks: what is read from them, when each row counts as received, and what is refused.
import { basename } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { MergedRecordings } from '#adapters/feeds/replay/merge-recordings.ts'
import {
  inspectRecording,
  RecordedInstruments,
  type RecordingOptions,
  readRecording,
  surveyRecording,
} from '#adapters/feeds/replay/recording.ts'
import { parseDecimal } from '#adapters/feeds/replay/row-parser.ts'
import { Failure } from '#domain/failure.ts'
import { TICK_BYTES } from '#domain/tick.ts'
import { csvOf, hasRecordedData, type Row, recordedTickFiles, TemporaryFiles } from '../support/recordings.ts'
import { at, shippedCalendar } from '../support/shipped-calendar.ts'
import { TickRecord } from '../support/sim-line.ts'

const files = new TemporaryFiles()
afterAll(() => files.dispose())
let fileNumber = 0
const write = (content: string | Buffer, extension = 'csv') => files.write(`${++fileNumber}.${extension}`, content)

interface ReadRow {
  recordingMs: number
  id: string
  tick: TickRecord
}

async function readAll(path: string, options: RecordingOptions = {}): Promise<ReadRow[]> {
  const instruments = new RecordedInstruments()
  const rows: ReadRow[] = []
  for await (const block of readRecording(path, instruments, options)) {
    for (let i = 0; i < block.count; i++) {
      rows.push({
        recordingMs: block.recordingMs[i] ?? Number.NaN,
        id: instruments.ids[block.instruments[i] ?? -1] ?? '',
        tick: new TickRecord(block.views, i * TICK_BYTES),
      })
    }
  }
  return rows
}

const shanghai = (ms: number | undefined) =>
  new Date((ms ?? Number.NaN) + 8 * 3_600_000).toISOString().slice(0, 23).replace('T', ' ')

async function failureOf(reading: Promise<unknown>): Promise<Failure> {
  const outcome = await reading.then(
    () => undefined,
    (error: unknown) => error,
  )
  expect(outcome).toBeInstanceOf(Failure)
  return outcome instanceof Failure ? outcome : new Failure('none', '', '')
}

describe('the fields of a row', () => {
  test('come from any columns in any order, quoted or not, with foreign ones between', async () => {
    const rows: Row[] = [
      {
        VolumeDelta: 99,
        AskPrice1: 3128,
        BidVolume5: 7,
        ActionDay: '20260304',
        UpdateMillisec: 500,
        Volume: 740820,
        Turnover: 23145678900.5,
        AskVolume1: 12,
        AveragePrice: 31243.3,
        BandingUpperPrice: 3300,
      },
    ]
    for (const options of [{}, { quoted: true }, { quoted: true, newline: '\r\n' }, { newline: '\r\n' }]) {
      for (const extension of ['csv', 'csv.gz']) {
        const [row, ...more] = await readAll(write(csvOf(rows, options), extension))
        expect(more).toEqual([])
        expect(row?.id).toBe('rb2605')
        expect(row?.tick).toMatchObject({
          tradingDay: '20260304',
          actionDay: '20260304',
          time: '09:30:00',
          millisecond: 500,
          volume: 740820,
        })
        expect(row?.tick.double('LastPrice')).toBe(3127)
        expect(row?.tick.double('AskPrice1')).toBe(3128)
        expect(row?.tick.double('Turnover')).toBe(23145678900.5)
        expect(row?.tick.double('BandingUpperPrice')).toBe(3300)
        expect(row?.tick.bidVolume(5)).toBe(7)
        expect(row?.tick.bidVolume(1)).toBe(0)
        expect(row?.tick.double('BidPrice1')).toBeNaN()
      }
    }
  })

  test.each([
    ['N/A', Number.NaN],
    ['', Number.NaN],
    ['1.7976931348623157e+308', Number.NaN],
    ['1.797693134862316e308', Number.NaN],
    ['100000000000000000000000000000000000000', 1e38],
    ['0.00', 0],
    ['-12.5', -12.5],
    ['5937.400000000001', 5937.400000000001],
    ['3e3', 3000],
    ['nonsense', Number.NaN],
  ])('a price of %j is %d', async (text, price) => {
    const [row] = await readAll(write(csvOf([{ LastPrice: text }])))
    expect(row?.tick.double('LastPrice')).toBe(price)
  })

  test('numbers are what Number makes of them', () => {
    const plain = fc
      .tuple(fc.boolean(), fc.bigInt({ min: 0n, max: 10n ** 18n }), fc.integer({ min: 0, max: 22 }))
      .map(([negative, digits, decimals]) => {
        const padded = digits.toString().padStart(decimals + 1, '0')
        const point = padded.length - decimals
        return `${negative ? '-' : ''}${padded.slice(0, point)}${decimals > 0 ? `.${padded.slice(point)}` : ''}`
      })
    fc.assert(
      fc.property(
        fc.oneof(
          plain,
          fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
          fc.constantFrom('.', '-', '--1', '1.2.3', ' 7', '.5', '5.'),
        ),
        (text) => {
          const bytes = Buffer.from(`,${text},`)
          const expected = text.trim() === '' ? Number.NaN : Number(text)
          expect(parseDecimal(bytes, 1, bytes.length - 1)).toBe(expected)
        },
      ),
      { numRuns: 2000 },
    )
  })

  test('a volume that is no number makes the row one that no arbiter takes', async () => {
    const rows = await readAll(write(csvOf([{ Volume: 'N/A' }, { Volume: '99999999999' }, { Volume: '12.00' }])))
    expect(rows.map(({ tick }) => tick.volume)).toEqual([-1, 2_147_483_647, 12])
  })

  test('the exchange is the recorded one, or that of the product, or unknown', async () => {
    const path = write(
      csvOf([
        { ExchangeID: '' },
        { InstrumentID: 'cu2605', ExchangeID: 'SHFE' },
        { InstrumentID: 'xx2605', ExchangeID: '' },
      ]),
    )
    const { instruments } = await inspectRecording(path, {
      exchangeOfProduct: (product) => (product === 'rb' ? 'SHFE' : undefined),
    })
    expect(instruments.ids).toEqual(['rb2605', 'cu2605', 'xx2605'])
    expect(instruments.exchanges).toEqual(['SHFE', 'SHFE', ''])
  })

  test('a byte order mark, a missing last newline and empty lines do no harm', async () => {
    const text = csvOf([{ Volume: 1 }, { Volume: 2 }])
    expect((await readAll(write(`\uFEFF${text.trimEnd()}`))).length).toBe(2)
    expect((await readAll(write(`${text}\n\r\n`))).length).toBe(2)
  })
})

describe('the recording time of a row', () => {
  const calendar = shippedCalendar()
  // 2026-04-06 is Qingming: Tuesday the 7th follows on Friday the 3rd, with no night between. 2026-03-09 is a usual Monday.
  test.each([
    ['a day row', { TradingDay: '20260309', UpdateTime: '09:30:00' }, '2026-03-09 09:30:00.000'],
    [
      'its milliseconds',
      { TradingDay: '20260309', UpdateTime: '09:30:00', UpdateMillisec: 500 },
      '2026-03-09 09:30:00.500',
    ],
    ["Monday's night session", { TradingDay: '20260309', UpdateTime: '21:00:00' }, '2026-03-06 21:00:00.000'],
    ['its hours after midnight', { TradingDay: '20260309', UpdateTime: '02:29:59' }, '2026-03-07 02:29:59.000'],
    ['the night of a weekday', { TradingDay: '20260310', UpdateTime: '01:00:00' }, '2026-03-10 01:00:00.000'],
    [
      'a SHFE night row with its true date',
      { TradingDay: '20260309', ActionDay: '20260306', UpdateTime: '21:00:00' },
      '2026-03-06 21:00:00.000',
    ],
    [
      'a DCE night row, whose ActionDay is the trading day',
      { TradingDay: '20260309', ActionDay: '20260309', InstrumentID: 'm2605', UpdateTime: '21:00:00' },
      '2026-03-06 21:00:00.000',
    ],
    [
      'a CZCE night row, whose TradingDay is the date',
      { TradingDay: '20260306', ActionDay: '20260306', InstrumentID: 'TA605', UpdateTime: '21:00:00' },
      '2026-03-06 21:00:00.000',
    ],
    [
      'the pre-open snapshot after a holiday',
      { TradingDay: '20260407', UpdateTime: '19:29:00' },
      '2026-04-03 19:29:00.000',
    ],
    [
      'the settlement row after the close',
      { TradingDay: '20260309', UpdateTime: '15:35:19' },
      '2026-03-09 15:35:19.000',
    ],
    [
      'a row without a trading day',
      { TradingDay: '', ActionDay: '20260309', UpdateTime: '10:00:00' },
      '2026-03-09 10:00:00.000',
    ],
  ])('of %s', async (_what, row, expected) => {
    const rows = await readAll(write(csvOf([row])), { calendar })
    expect(rows.map(({ recordingMs }) => shanghai(recordingMs))).toEqual([expected])
  })

  test('without a calendar takes every weekday for a trading day', async () => {
    const rows = await readAll(
      write(
        csvOf([
          { TradingDay: '20260407', UpdateTime: '21:00:00' },
          { TradingDay: '20260409', UpdateTime: '00:30:00' },
        ]),
      ),
    )
    expect(rows.map(({ recordingMs }) => shanghai(recordingMs))).toEqual([
      '2026-04-06 21:00:00.000',
      '2026-04-09 00:30:00.000',
    ])
  })

  test('never goes back: late rows and unreadable times count as received with the row before them', async () => {
    const times = ['09:30:01', '09:30:00', '9:30:0x', '', '25:00:00', '09:30:02']
    const rows = await readAll(write(csvOf(times.map((UpdateTime) => ({ UpdateTime })))))
    expect(rows.map(({ recordingMs }) => shanghai(recordingMs).slice(11))).toEqual([
      ...Array(5).fill('09:30:01.000'),
      '09:30:02.000',
    ])
    expect(rows.map(({ tick }) => tick.time)).toEqual(times)
  })
})

describe('a recording that cannot be used', () => {
  const rows = Array.from({ length: 3000 }, (_, i) => ({ Volume: i, LastPrice: 3000 + (i % 7) }))
  const whole = gzipSync(csvOf(rows))
  test.each<[string, string, RegExp, () => string]>([
    ['does not exist', 'replay-file-unreadable', /ENOENT/, () => `${files.directory}/none.csv`],
    ['is a directory', 'replay-file-unreadable', /EISDIR/, () => files.directory],
    ['is empty', 'replay-empty', /is empty/, () => write('')],
    ['has only a header', 'replay-empty', /no rows/, () => write(csvOf([]))],
    [
      'lacks columns',
      'replay-columns-missing',
      /lacks UpdateTime, Volume;/,
      () => write('TradingDay,InstrumentID,LastPrice\n1,2,3\n'),
    ],
    ['has no header', 'replay-columns-missing', /it begins "20260304,rb2605/, () => write('20260304,rb2605,3127\n')],
    [
      'is cut in the gzip',
      'replay-file-truncated',
      /ends in the middle/,
      () => write(whole.subarray(0, whole.length >> 1), 'csv.gz'),
    ],
    [
      "is cut before the gzip's checksum",
      'replay-file-truncated',
      /ends in the middle/,
      () => write(whole.subarray(0, -4), 'csv.gz'),
    ],
    [
      'is cut in a row',
      'replay-file-truncated',
      /last row \(line 3\) ends after 3 of 6 fields/,
      () => write(`${csvOf(rows.slice(0, 1))}20260304,rb2605,09`),
    ],
    [
      'is damaged in the gzip',
      'replay-file-unreadable',
      /./,
      () => write(Buffer.from(whole.map((byte, i) => (i === whole.length >> 1 ? byte ^ 0xff : byte))), 'csv.gz'),
    ],
    [
      'has a short row',
      'replay-row-malformed',
      /line 3 has 2 fields, the header 6/,
      () => write(`${csvOf(rows.slice(0, 1))}20260304,rb2605\n${csvOf(rows.slice(0, 1)).split('\n')[1]}\n`),
    ],
    [
      'is no text at all',
      'replay-row-malformed',
      /a line of more than 16384 bytes/,
      () => write(Buffer.alloc(100_000, 'x')),
    ],
  ])('because it %s, is refused with a remedy', async (_what, kind, message, path) => {
    const failure = await failureOf(inspectRecording(path()))
    expect(failure.kind).toBe(kind)
    expect(failure.message).toMatch(message)
    expect(failure.remedy).not.toBe('')
  })

  test('is refused by the survey too, before the first row is due', async () => {
    const failure = await failureOf(surveyRecording(write(whole.subarray(0, -4), 'csv.gz'), new RecordedInstruments()))
    expect(failure.kind).toBe('replay-file-truncated')
  })
})

describe('several recordings', () => {
  const seconds = (second: number) => new Date(Date.UTC(2026, 0, 1, 9, 30, second)).toISOString().slice(11, 19)

  async function merged(paths: readonly string[]): Promise<string[]> {
    const instruments = new RecordedInstruments()
    const surveyed: { path: string; firstRowMs: number }[] = []
    for (const path of paths) surveyed.push({ path, firstRowMs: await surveyRecording(path, instruments) })
    const rows = new MergedRecordings(surveyed, instruments, {})
    const seen: string[] = []
    while (await rows.fill()) {
      while (rows.block !== undefined) {
        const tick = new TickRecord(rows.block.views, rows.row * TICK_BYTES)
        seen.push(
          `${shanghai(rows.recordingMs).slice(11, 19)} ${instruments.ids[rows.block.instruments[rows.row] ?? -1]} ${tick.volume}`,
        )
        rows.advance()
      }
    }
    return seen
  }

  test('are one stream in recording time, rows of one moment in the order of the files', async () => {
    const recording = fc
      .array(fc.integer({ min: 0, max: 30 }), { maxLength: 700 })
      .map((values) => values.sort((a, b) => a - b))
    await fc.assert(
      fc.asyncProperty(fc.array(recording, { minLength: 1, maxLength: 4 }), async (recordings) => {
        const paths = recordings.map((moments, file) =>
          write(
            csvOf(
              moments.map((moment, row) => ({ UpdateTime: seconds(moment), InstrumentID: `f${file}`, Volume: row })),
            ),
          ),
        )
        const expected = recordings
          .flatMap((moments, file) => moments.map((moment, row) => ({ moment, file, row })))
          .sort((a, b) => a.moment - b.moment || a.file - b.file || a.row - b.row)
          .map(({ moment, file, row }) => `${seconds(moment)} f${file} ${row}`)
        expect(await merged(paths)).toEqual(expected)
      }),
      { numRuns: 25 },
    )
  })
})

const isDataThere = hasRecordedData()
describe.skipIf(!isDataThere)('the recordings of others', () => {
  /** Rows as counted by another program when the files were collected. */
  const ROWS: Record<string, number> = {
    'AP010.20200803': 12515,
    'AP010.20200804': 11871,
    'AP010.20200806': 12179,
    'AP010.20200807': 13054,
    'AP010.20200810': 12770,
    'AP010.20200811': 12997,
    'AP010.20200812': 12923,
    'AP010.20200814': 12749,
    'AP101.20200803': 8079,
    'AP101.20200804': 7627,
    'AP101.20200806': 7345,
    'AP101.20200807': 9274,
    'AP101.20200810': 9984,
    'AP101.20200811': 8718,
    'AP101.20200812': 8879,
    'AP101.20200814': 9432,
    'IF_HOT.20210104': 27955,
    'IF_HOT.20210105': 28254,
    'IF_HOT.20210106': 28138,
    'IF_HOT.20210107': 28400,
    'IF_HOT.20210111': 28469,
    'IF_HOT.20210112': 28525,
    'IF_HOT.20210113': 28382,
    'IF_HOT.20210114': 27516,
    'IF_HOT.20210118': 28341,
    'ru1901.20181009': 39541,
    'ru1901.20181010': 38421,
  }
  const paths = isDataThere ? recordedTickFiles() : []

  test('are all known here', () => {
    expect(paths.map((path) => basename(path, '.csv.gz')).sort()).toEqual(Object.keys(ROWS).sort())
  })

  test.each(paths.map((path) => [basename(path, '.csv.gz'), path]))('%s is read completely', async (name, path) => {
    const { rows, instruments, firstRowMs, lastRowMs } = await inspectRecording(path, { calendar: shippedCalendar() })
    expect(rows).toBe(ROWS[name])
    expect(instruments.ids).toHaveLength(1)
    const date = name.slice(-8).replace(/(....)(..)(..)/, '$1-$2-$3')
    expect(shanghai(lastRowMs).slice(0, 10)).toBe(date)
    // CZCE's first row is the snapshot of the evening before; the others begin on the day itself.
    const isEveningBefore = name.startsWith('AP')
    expect(shanghai(firstRowMs).slice(11, 13)).toBe(isEveningBefore ? '19' : '09')
    expect(firstRowMs < at(`${date} 00:00`)).toBe(isEveningBefore)
  })

  test('the night session of ru1901 comes after its day session, on the same date and for the next trading day', async () => {
    const path = paths.find((known) => known.includes('ru1901.20181009')) ?? ''
    const rows = await readAll(path, { calendar: shippedCalendar() })
    const night = rows.filter(({ tick }) => tick.time >= '21:00:00')
    expect(night.length).toBe(13298)
    expect(night.every(({ tick }) => tick.tradingDay === '20181010')).toBe(true)
    expect(shanghai(night[0]?.recordingMs)).toBe('2018-10-09 21:00:00.500')
  })
})
