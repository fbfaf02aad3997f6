import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  CONTRACT_FILE_BYTES_MAX,
  CONTRACT_ROWS_MAX,
  parseActiveFile,
  parseCatalogue,
  readCatalogue,
} from '#config/contract-files.ts'

let directory = ''
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'contract-files-'))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const UNDATED = { openDay: null, expiryDay: null }
const RB = { symbol: 'rb2605', exchange: 'SHFE', ...UNDATED }
const SPREAD = { symbol: 'SP a2605&a2609', exchange: 'DCE', ...UNDATED }

describe('a catalogue', () => {
  test.each([
    ['JSON of vt symbols', '{"symbols": ["rb2605.SHFE", "SP a2605&a2609.DCE"]}'],
    ['JSON of objects', '{"symbols": [{"symbol": "rb2605", "exchange": "SHFE", "name": "x"}, "SP a2605&a2609.DCE"]}'],
    ['CSV', 'symbol,exchange\nrb2605,SHFE\nSP a2605&a2609,DCE\n'],
    [
      'CSV with other columns, quotes and Windows line ends',
      '\uFEFFName,Exchange,Symbol\r\n"rebar, 10t",SHFE,rb2605\r\n,DCE,"SP a2605&a2609"\r\n\r\n',
    ],
  ])('from %s', (_, text) => {
    expect(parseCatalogue(text, 'the file')).toEqual({ contracts: [RB, SPREAD], duplicates: [] })
  })

  test.each([
    ['as a refresh writes them', { open_date: '2025-05-16', expiry: '2026-05-15' }, 20250516, 20260515],
    ['without dashes', { open_date: '20250516', expiry: '20260515' }, 20250516, 20260515],
    ['that are no days, as days that nobody knows', { open_date: '16 May 2025', expiry: '2026-13-01' }, null, null],
    ['that are no texts, likewise', { open_date: 20250516, expiry: null }, null, null],
  ])('with first and last trading days %s', (_, days, openDay, expiryDay) => {
    const text = JSON.stringify({ symbols: [{ symbol: 'rb2605', exchange: 'SHFE', ...days }] })
    expect(parseCatalogue(text, 'the file').contracts).toEqual([{ ...RB, openDay, expiryDay }])
  })

  test('lists a contract once and reports it when it is there twice', () => {
    const text = '{"symbols": ["rb2605.SHFE", {"symbol": "rb2605", "exchange": "SHFE"}]}'
    expect(parseCatalogue(text, 'the file')).toEqual({ contracts: [RB], duplicates: ['rb2605.SHFE'] })
  })

  test.each([
    ['nothing', '', 'contract-file-empty'],
    ['blank lines', ' \n\n', 'contract-file-empty'],
    ['an empty list', '{"symbols": []}', 'contract-file-empty'],
    ['a CSV header alone', 'symbol,exchange\n', 'contract-file-empty'],
    ['half of a JSON document', '{"symbols": ["rb2605.SHFE"', 'contract-file-malformed'],
    ['a bare JSON array', '["rb2605.SHFE"]', 'contract-file-malformed'],
    ['another key', '{"instruments": []}', 'contract-file-malformed'],
    ['a symbol without an exchange', '{"symbols": ["rb2605"]}', 'contract-file-malformed'],
    ['an unknown exchange', '{"symbols": ["rb2605.NYSE"]}', 'contract-file-malformed'],
    ['a number among them', '{"symbols": ["rb2605.SHFE", 5]}', 'contract-file-malformed'],
    ['a symbol of control characters', '{"symbols": ["rb\\u0000.SHFE"]}', 'contract-file-malformed'],
    ['CSV without a header', 'rb2605,SHFE\n', 'contract-file-malformed'],
    ['a CSV row cut short', 'symbol,exchange\nrb2605\n', 'contract-file-malformed'],
    ['an HTML error page', '<html>504</html>', 'contract-file-malformed'],
  ])('of %s is refused with a remedy', (_, text, kind) => {
    expect(() => parseCatalogue(text, 'the file')).toThrow(expect.objectContaining({ kind }))
  })

  test('names the places of the first faults and counts the rest', () => {
    const text = JSON.stringify({ symbols: ['rb2605.SHFE', ...Array.from({ length: 8 }, () => 'x')] })
    expect(() => parseCatalogue(text, 'the file')).toThrow(
      'symbols[1], symbols[2], symbols[3], symbols[4], symbols[5] and 3 more',
    )
  })

  test('of too many rows is refused', () => {
    const text = `symbol,exchange\n${'rb2605,SHFE\n'.repeat(CONTRACT_ROWS_MAX + 1)}`
    expect(() => parseCatalogue(text, 'the file')).toThrow(expect.objectContaining({ kind: 'contract-file-too-large' }))
  })
})

describe('reading a catalogue', () => {
  test('tells its age', async () => {
    const path = join(directory, 'catalogue.csv')
    writeFileSync(path, 'symbol,exchange\nrb2605,SHFE\n')
    const { contracts, modifiedMs } = await readCatalogue(path)
    expect(contracts).toEqual([RB])
    expect(modifiedMs).toBeGreaterThan(0)
  })

  test('refuses a huge file without reading it', async () => {
    const path = join(directory, 'huge.csv')
    const file = openSync(path, 'w')
    ftruncateSync(file, CONTRACT_FILE_BYTES_MAX + 1)
    closeSync(file)
    await expect(readCatalogue(path)).rejects.toMatchObject({ kind: 'contract-file-too-large' })
  })

  test('refuses binary, directories and what is not there', async () => {
    const path = join(directory, 'binary')
    writeFileSync(path, Buffer.from([0x7b, 0xff, 0xfe, 0x00]))
    await expect(readCatalogue(path)).rejects.toMatchObject({ kind: 'contract-file-malformed' })
    await expect(readCatalogue(directory)).rejects.toMatchObject({ kind: 'contract-file-unreadable' })
    await expect(readCatalogue(join(directory, 'missing'))).rejects.toMatchObject({ kind: 'contract-file-missing' })
  })
})

describe('an active file', () => {
  test('a bare string carries no evidence of ticks, an object may', () => {
    const text = JSON.stringify({
      generated_at: '2026-03-02T21:00:05+08:00',
      subscriptions: [
        'rb2605.SHFE',
        { symbol: 'SP a2605&a2609', exchange: 'DCE', last_tick_at: '2026-03-02T21:00:00.500+08:00' },
        { symbol: 'm2605', exchange: 'DCE' },
      ],
    })
    expect(parseActiveFile(text, 'the file')).toEqual({
      generatedAtMs: Date.UTC(2026, 2, 2, 13, 0, 5),
      subscriptions: [
        { symbol: 'rb2605', exchange: 'SHFE', lastTickMs: null },
        { symbol: 'SP a2605&a2609', exchange: 'DCE', lastTickMs: Date.UTC(2026, 2, 2, 13, 0, 0, 500) },
        { symbol: 'm2605', exchange: 'DCE', lastTickMs: null },
      ],
      duplicates: [],
    })
  })

  test("a time without an offset is the market's", () => {
    const text = '{"generated_at": "2026-03-02 21:00:05", "subscriptions": ["rb2605.SHFE"]}'
    expect(parseActiveFile(text, 'the file').generatedAtMs).toBe(Date.UTC(2026, 2, 2, 13, 0, 5))
  })

  test.each([
    ['nothing', '', 'contract-file-empty'],
    ['no subscriptions', '{"subscriptions": []}', 'contract-file-empty'],
    [
      'a time that is none',
      '{"subscriptions": [{"symbol": "a", "exchange": "DCE", "last_tick_at": "soon"}]}',
      'contract-file-malformed',
    ],
    [
      'a generation time that is none',
      '{"subscriptions": ["a2605.DCE"], "generated_at": 5}',
      'contract-file-malformed',
    ],
    ['text', 'no answer', 'contract-file-malformed'],
  ])('of %s is refused', (_, text, kind) => {
    expect(() => parseActiveFile(text, 'the file')).toThrow(expect.objectContaining({ kind }))
  })
})
