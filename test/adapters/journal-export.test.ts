import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CSV_COLUMNS, type ExportOptions, exportJournal } from '#adapters/journal/export-journal.ts'
import { systemFiles } from '#adapters/journal/file-operations.ts'
import { segmentName } from '#adapters/journal/journal-format.ts'
import type { JournalProblem } from '#adapters/journal/journal-problem.ts'
import { verifyJournal } from '#adapters/journal/verify-journal.ts'
import { appendNth, appendRange, diskError, journalRig, NOON_MS, nthTick, type Rig, tickRecord } from './journal-rig.ts'

let rig: Rig
beforeEach(() => {
  rig = journalRig()
})
afterEach(() => rig.remove())

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)
const segments = () => readdirSync(rig.directory).filter((name) => name.endsWith('.journal'))

/** Leaves ticks 1 to `count` in segments of ten. */
async function segmentsOfTen(count: number): Promise<void> {
  const { writer } = await rig.open()
  for (let n = 1; n <= count; n++) {
    appendNth(writer, n)
    if (n % 10 === 0) writer.rotate()
  }
  await writer.close()
}

async function exported(
  options: Partial<ExportOptions> = {},
): Promise<{ lines: string[]; problems: JournalProblem[] }> {
  const problems: JournalProblem[] = []
  let text = ''
  const onProblem = (problem: JournalProblem) => problems.push(problem)
  for await (const part of exportJournal({
    directory: rig.directory,
    format: 'ndjson',
    offSession: true,
    onProblem,
    ...options,
  }))
    text += part
  expect(text === '' || text.endsWith('\n')).toBe(true)
  return { lines: text.split('\n').slice(0, -1), problems }
}

describe('export', () => {
  test('NDJSON holds every tick in journal order', async () => {
    await segmentsOfTen(95)
    const { lines } = await exported()
    expect(lines.map((line) => JSON.parse(line))).toEqual(range(1, 95).map((n) => nthTick(n, n)))
  })

  test('the fields come in the order of the contract', async () => {
    await segmentsOfTen(15)
    const { lines } = await exported({ from: 15, to: 15 })
    expect(lines).toEqual([
      '{"symbol":"rb1","exchange":"SHFE","vt_symbol":"rb1.SHFE","datetime":"2026-01-05T12:00:00.015+08:00","localtime":"2026-01-05T12:00:00.015+08:00","trading_day":"20260105","last_price":7.5,"volume":15,"bid_price_1":6.5,"bid_price_2":5.5,"bid_volume_1":15,"bid_volume_2":0,"line":"backup","epoch":3,"seq":15,"host":"test-host","off_session":true}',
    ])
  })

  test('leaves out what is off session unless asked', async () => {
    await segmentsOfTen(95)
    const { lines } = await exported({ offSession: false })
    expect(lines.map((line) => JSON.parse(line).seq)).toEqual(range(1, 95).filter((n) => n % 5 !== 0))
  })

  test('a range has both its ends', async () => {
    await segmentsOfTen(95)
    const { lines } = await exported({ from: 37, to: 61 })
    expect(lines.map((line) => JSON.parse(line).seq)).toEqual(range(37, 61))
  })

  test('CSV has every column once, absent fields empty, and quotes what needs it', async () => {
    const { writer } = await rig.open({ host: 'a,"b"' })
    const instrument = writer.instrument({ symbol: 'SP a2605&a2609', exchange: 'DCE' })
    writer.append(tickRecord({ doubles: { LastPrice: -3.25, AskPrice1: 1 }, volume: 7, askVolumes: [2] }), 0, {
      instrument,
      eventMs: NOON_MS,
      tradingDay: 20260105,
      epoch: 1,
      line: 0,
      offSession: false,
    })
    await writer.close()
    const { lines } = await exported({ format: 'csv' })
    expect(lines).toEqual([
      CSV_COLUMNS.join(','),
      'SP a2605&a2609,DCE,SP a2605&a2609.DCE,2026-01-05T12:00:00.000+08:00,2026-01-05T12:00:00.000+08:00,20260105,-3.25,7,,,,,,,,,,,,,,,1,,,,,,,,,,2,,,,,primary,1,1,"a,""b""",',
    ])
    expect(new Set(CSV_COLUMNS).size).toBe(CSV_COLUMNS.length)
    expect(Object.keys(nthTick(15, 15)).every((field) => (CSV_COLUMNS as string[]).includes(field))).toBe(true)
  })

  test('a segment that cannot be read is reported and passed over', async () => {
    await segmentsOfTen(30)
    const files: typeof systemFiles = {
      ...systemFiles,
      async open(path, mode) {
        if (path.endsWith(segmentName(11))) throw diskError('EIO')
        return systemFiles.open(path, mode)
      },
    }
    const { lines, problems } = await exported({ files })
    expect(lines.map((line) => JSON.parse(line).seq)).toEqual([...range(1, 10), ...range(21, 30)])
    expect(problems.map(({ kind, segment }) => [kind, segment])).toEqual([
      ['unreadable', segmentName(11)],
      ['records-missing', segmentName(21)],
    ])
  })

  test('a broken stamp is an empty text, not the end of the export', async () => {
    const { writer } = await rig.open()
    const instrument = writer.instrument({ symbol: 'rb2605', exchange: 'SHFE' })
    const meta = { instrument, tradingDay: 20260105, epoch: 1, line: 0, offSession: false } as const
    writer.append(tickRecord({}), 0, { ...meta, eventMs: Number.NaN })
    writer.append(tickRecord({ receivedWallMs: Number.POSITIVE_INFINITY }), 0, { ...meta, eventMs: NOON_MS })
    await writer.close()
    const ticks = (await exported()).lines.map((line) => JSON.parse(line))
    expect(ticks.map(({ datetime, localtime }) => [datetime, localtime])).toEqual([
      ['2026-01-05T12:00:00.000+08:00', '2026-01-05T12:00:00.000+08:00'],
      ['2026-01-05T12:00:00.000+08:00', ''],
    ])
  })
})

describe('verify', () => {
  test('an intact journal, and an empty one', async () => {
    expect(await verifyJournal(rig.directory)).toEqual({
      intact: true,
      segments: 0,
      records: 0,
      firstSequence: 0,
      lastSequence: 0,
      problems: [],
      problemCount: 0,
    })
    await segmentsOfTen(95)
    expect(await verifyJournal(rig.directory)).toMatchObject({
      intact: true,
      segments: 10,
      records: 95,
      firstSequence: 1,
      lastSequence: 95,
    })
  })

  test('beside a running writer, whose unfinished tail is no fault', async () => {
    const { writer } = await rig.open()
    appendRange(writer, 1, 50)
    await writer.sync()
    const path = join(rig.directory, segmentName(1))
    writeFileSync(path, Buffer.concat([readFileSync(path), readFileSync(path).subarray(128, 1000)]))
    expect(await verifyJournal(rig.directory)).toMatchObject({ intact: true, records: 50 })
    await writer.close()
  })

  test('the oldest segments may go, one in the middle may not', async () => {
    await segmentsOfTen(95)
    rmSync(join(rig.directory, segmentName(1)))
    expect(await verifyJournal(rig.directory)).toMatchObject({ intact: true, firstSequence: 11 })
    rmSync(join(rig.directory, segmentName(41)))
    const verdict = await verifyJournal(rig.directory)
    expect(verdict).toMatchObject({ intact: false, records: 75, problemCount: 1 })
    expect(verdict.problems).toEqual([
      {
        segment: segmentName(51),
        offset: 0,
        kind: 'records-missing',
        message: 'Ticks 41 to 50 were written before this segment and are not in the journal any more.',
        remedy: expect.stringContaining('backup'),
      },
    ])
  })

  test('every damaged segment is named', async () => {
    await segmentsOfTen(30)
    for (const name of segments()) {
      const path = join(rig.directory, name)
      const bytes = readFileSync(path)
      bytes.fill(0xff, 300, 310)
      writeFileSync(path, bytes)
    }
    const verdict = await verifyJournal(rig.directory)
    expect(verdict.problems.map(({ kind, segment }) => [kind, segment])).toEqual([
      ['torn-tail', segmentName(1)],
      ['records-missing', segmentName(11)],
      ['torn-tail', segmentName(11)],
      ['records-missing', segmentName(21)],
      ['records-missing', segmentName(21)],
    ])
  })

  test('a segment of a later version is left to that version', async () => {
    await segmentsOfTen(10)
    const { writer } = await rig.open()
    await writer.close()
    const path = join(rig.directory, segmentName(1))
    const bytes = readFileSync(path)
    bytes.writeUInt32LE(2, 8)
    const { crc32 } = await import('node:zlib')
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 124)), 124)
    writeFileSync(path, bytes)
    expect((await verifyJournal(rig.directory)).problems[0]).toMatchObject({ kind: 'newer-version' })
    const { writer: next, recovery } = await rig.open()
    expect(recovery.nextSequence).toBe(11)
    expect(readFileSync(path).equals(bytes)).toBe(true)
    await next.close()
  })
})
