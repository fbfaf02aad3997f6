import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { BLOCK_BYTES } from '#adapters/journal/block-buffer.ts'
import { type FileOperations, systemFiles } from '#adapters/journal/file-operations.ts'
import {
  BLOCK_HEADER_BYTES,
  JOURNAL_AT,
  SEGMENT_HEADER_BYTES,
  TICK_BASE_BYTES,
  TICK_DEPTH_BYTES,
} from '#adapters/journal/journal-format.ts'
import type { JournalProblem } from '#adapters/journal/journal-problem.ts'
import { readJournal } from '#adapters/journal/journal-reader.ts'
import { decodeTick } from '#adapters/journal/journal-tick.ts'
import { TICK_DOUBLES } from '#domain/tick.ts'
import {
  appendNth,
  appendRange,
  faultyDisk,
  journalRig,
  NOON_MS,
  nthTick,
  type Rig,
  readAll,
  tickRecord,
} from './journal-rig.ts'

let rig: Rig
beforeEach(() => {
  rig = journalRig()
})
afterEach(() => rig.remove())

const segments = () => readdirSync(rig.directory).filter((name) => name.endsWith('.journal'))
const noProblem = (problem: JournalProblem) => expect.unreachable(JSON.stringify(problem))
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

describe('what is appended is read', () => {
  test('with every field, in order, under the numbers that append returned', async () => {
    const { writer } = await rig.open()
    expect(range(1, 500).map((n) => appendNth(writer, n))).toEqual(range(1, 500))
    await writer.close()
    const { ticks, problems } = await readAll(rig.directory)
    expect(problems).toEqual([])
    expect(ticks).toEqual(range(1, 500).map((n) => nthTick(n, n)))
  })

  test('any doubles and volumes survive bit for bit, and what is not given is absent', async () => {
    const double = fc.oneof(fc.double(), fc.constant(Number.NaN), fc.constant(-0))
    const fields = fc.record({
      doubles: fc.record(Object.fromEntries(TICK_DOUBLES.map((name) => [name, double])), { requiredKeys: [] }),
      volume: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
      bidVolumes: fc.array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), { maxLength: 5 }),
      askVolumes: fc.array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), { maxLength: 5 }),
    })
    const meta = {
      instrument: 0,
      eventMs: NOON_MS,
      tradingDay: 20260105,
      epoch: 2 ** 32 - 1,
      line: 1,
      offSession: true,
    } as const
    await fc.assert(
      fc.asyncProperty(fc.array(fields, { minLength: 1, maxLength: 20 }), async (records) => {
        const own = journalRig()
        try {
          const { writer } = await own.open()
          writer.instrument({ symbol: 'SP a2605&a2609', exchange: 'DCE' })
          for (const record of records) writer.append(tickRecord(record), 0, meta)
          await writer.close()
          const { ticks } = await readAll(own.directory)
          expect(ticks.length).toBe(records.length)
          for (const [i, record] of records.entries()) {
            const given = (value: number | undefined) => (Number.isFinite(value) ? value : undefined)
            const tick = ticks[i]
            expect(tick?.vt_symbol).toBe('SP a2605&a2609.DCE')
            expect(tick?.epoch).toBe(2 ** 32 - 1)
            expect(tick?.volume).toBe(record.volume)
            expect(tick?.last_price).toBe(given(record.doubles['LastPrice']))
            expect(tick?.turnover).toBe(given(record.doubles['Turnover']))
            expect(tick?.open_interest).toBe(given(record.doubles['OpenInterest']))
            expect(tick?.open_price).toBe(given(record.doubles['OpenPrice']))
            expect(tick?.high_price).toBe(given(record.doubles['HighestPrice']))
            expect(tick?.low_price).toBe(given(record.doubles['LowestPrice']))
            expect(tick?.pre_close).toBe(given(record.doubles['PreClosePrice']))
            expect(tick?.pre_settlement).toBe(given(record.doubles['PreSettlementPrice']))
            expect(tick?.limit_up).toBe(given(record.doubles['UpperLimitPrice']))
            expect(tick?.limit_down).toBe(given(record.doubles['LowerLimitPrice']))
            for (const level of [1, 2, 3, 4, 5] as const) {
              const bid = given(record.doubles[`BidPrice${level}`])
              const ask = given(record.doubles[`AskPrice${level}`])
              const bidVolume = record.bidVolumes[level - 1] ?? 0
              const askVolume = record.askVolumes[level - 1] ?? 0
              expect(tick?.[`bid_price_${level}`]).toBe(bid)
              expect(tick?.[`ask_price_${level}`]).toBe(ask)
              expect(tick?.[`bid_volume_${level}`] ?? 0).toBe(bidVolume)
              expect(tick?.[`ask_volume_${level}`] ?? 0).toBe(askVolume)
              if (bid === undefined && bidVolume === 0) expect(tick).not.toHaveProperty(`bid_volume_${level}`)
            }
            expect(JSON.stringify(tick)).not.toContain('null')
          }
        } finally {
          own.remove()
        }
      }),
      { numRuns: 30 },
    )
  })

  test('a record is 184 bytes, and 296 only with more of the book than its top', async () => {
    const { writer } = await rig.open()
    const meta = {
      instrument: writer.instrument({ symbol: 'IF2601', exchange: 'CFFEX' }),
      eventMs: NOON_MS,
      tradingDay: 20260105,
      epoch: 1,
      line: 0,
      offSession: false,
    } as const
    writer.append(tickRecord({ doubles: { BidPrice1: 1, AveragePrice: 2 }, bidVolumes: [5] }), 0, meta)
    writer.append(tickRecord({ doubles: { AskPrice5: 1 } }), 0, meta)
    writer.append(tickRecord({ askVolumes: [0, 0, 0, 0, 9] }), 0, meta)
    writer.append(tickRecord({ doubles: { BandingLowerPrice: 1 } }), 0, meta)
    await writer.close()
    const lengths: number[] = []
    for await (const block of readJournal({ directory: rig.directory, from: 0, onProblem: noProblem })) {
      for (const at of block.offsets.subarray(0, block.count))
        lengths.push(block.views.u32[(at + JOURNAL_AT.length) >> 2] ?? 0)
    }
    expect(lengths).toEqual([TICK_BASE_BYTES, TICK_DEPTH_BYTES, TICK_DEPTH_BYTES, TICK_DEPTH_BYTES])
  })

  test('the bytes of a segment are the ones that docs/journal-format.md describes', async () => {
    const { writer } = await rig.open()
    appendNth(writer, 9)
    await writer.close()
    const segment = readFileSync(join(rig.directory, segments()[0] ?? ''))
      .toString('hex')
      .match(/.{1,32}/g)
    expect(segment).toMatchInlineSnapshot(`
      [
        "46534a4f55524e310100000080000000",
        "000020fdc4b87942000000000000f03f",
        "0000000000000000746573742d686f73",
        "74000000000000000000000000000000",
        "00000000000000000000000000000000",
        "00000000000000000000000000000000",
        "00000000000000000000000000000000",
        "000000000000000000000000c3c3d77a",
        "4653424b400100000100000001000000",
        "000000000000f03f000020fdc4b87942",
        "a6791281241a20211800000001000000",
        "00000000040003005348464572623200",
        "2801000002000500000000000000f03f",
        "009020fdc4b87942009020fdc4b87942",
        "00000000030000000925350109000000",
        "09000000000000000000000000001240",
        "000000000000f87f000000000000f87f",
        "000000000000f87f000000000000f87f",
        "000000000000f87f000000000000f87f",
        "000000000000f87f000000000000f87f",
        "000000000000f87f000000000000f87f",
        "000000000000f87f000000000000f87f",
        "0000000000000c40000000000000f87f",
        "000000000000f87f0000000000000000",
        "00000000000000000000000000000000",
        "00000000000000000000000000000440",
        "000000000000f87f000000000000f87f",
        "000000000000f87f000000000000f87f",
        "000000000000f87f000000000000f87f",
        "000000000000f87f000000000000f87f",
        "000000000000f87f",
      ]
    `)
  })
})

describe('segments', () => {
  test('end at their size and at rotate, each explains its instruments again, and reading crosses them', async () => {
    const { writer } = await rig.open({ policy: { segmentBytesMax: 20_000 } })
    for (let n = 1; n <= 1000; n++) {
      appendNth(writer, n)
      if (n % 50 === 0) await writer.sync()
      if (n === 700) writer.rotate()
    }
    await writer.close()
    const names = segments()
    expect(names.length).toBeGreaterThan(5)
    expect(names).toContain('00000000000000000701.journal')
    const { ticks, problems } = await readAll(rig.directory)
    expect(problems).toEqual([])
    expect(ticks).toEqual(range(1, 1000).map((n) => nthTick(n, n)))
    // From the middle of the last segment: only that one is read, and it names its instruments itself.
    const late = await readAll(rig.directory, 990)
    expect(late.ticks).toEqual(range(990, 1000).map((n) => nthTick(n, n)))
  })

  test('rotate without ticks makes no segment', async () => {
    const { writer } = await rig.open()
    writer.rotate()
    appendNth(writer, 1)
    await writer.sync()
    writer.rotate()
    writer.rotate()
    await writer.close()
    expect(segments()).toEqual(['00000000000000000001.journal'])
  })

  test('every start position yields exactly the ticks from there on', async () => {
    const { writer } = await rig.open({ policy: { segmentBytesMax: 10_000 } })
    for (let n = 1; n <= 300; n++) {
      appendNth(writer, n)
      if (n % 7 === 0) await writer.sync()
    }
    await writer.close()
    for (let from = 0; from <= 301; from++) {
      const { ticks, problems } = await readAll(rig.directory, from)
      expect(problems).toEqual([])
      expect(ticks.map((tick) => tick.seq)).toEqual(range(Math.max(1, from), 300))
      if (ticks[0]) expect(ticks[0]).toEqual(nthTick(ticks[0].seq, ticks[0].seq))
    }
  })

  test('a restart goes on with the next number in a new segment', async () => {
    const first = await rig.open()
    appendRange(first.writer, 1, 10)
    await first.writer.close()
    const second = await rig.open()
    expect(second.recovery).toMatchObject({ clean: true, lastSequence: 10, nextSequence: 11, message: null })
    expect(appendNth(second.writer, 11)).toBe(11)
    await second.writer.close()
    const { ticks, problems } = await readAll(rig.directory)
    expect(problems).toEqual([])
    expect(ticks).toEqual(range(1, 11).map((n) => nthTick(n, n)))
  })
})

describe('following', () => {
  for (const inProcess of [true, false]) {
    test(`yields each tick once as it is written, over segments, until told to stop (${inProcess ? 'woken' : 'polling'})`, async () => {
      const { writer } = await rig.open({ policy: { segmentBytesMax: 5000 } })
      const stop = new AbortController()
      const seen: number[] = []
      const reading = (async () => {
        const notifier = inProcess ? { notifier: writer } : { pollMs: 1 }
        for await (const block of readJournal({
          directory: rig.directory,
          from: 0,
          follow: stop.signal,
          ...notifier,
          onProblem: noProblem,
        })) {
          for (let i = 0; i < block.count; i++) {
            const tick = decodeTick(block, i)
            expect(tick).toEqual(nthTick(tick.seq, tick.seq))
            seen.push(tick.seq)
          }
          if (seen.at(-1) === 500) stop.abort()
        }
      })()
      for (let n = 1; n <= 500; n++) {
        appendNth(writer, n)
        if (n % 9 === 0) await writer.sync()
      }
      writer.flush()
      await reading
      await writer.close()
      expect(seen).toEqual(range(1, 500))
    })
  }

  test('blocks written between two looks of the reader are not taken for damage', async () => {
    const { writer } = await rig.open()
    for (let n = 1; n <= 30; n++) {
      appendNth(writer, n)
      if (n % 10 === 0) await writer.sync()
    }
    await writer.close()
    const path = join(rig.directory, '00000000000000000001.journal')
    const whole = readFileSync(path)
    const firstBlock = SEGMENT_HEADER_BYTES + BLOCK_HEADER_BYTES + whole.readUInt32LE(SEGMENT_HEADER_BYTES + 4)
    writeFileSync(path, whole.subarray(0, firstBlock))
    // The reader finds the end, and all the rest is there by the time it asks how long the file is.
    const files: FileOperations = {
      ...systemFiles,
      async open(name, mode) {
        const file = await systemFiles.open(name, mode)
        const stat = () => {
          writeFileSync(path, whole)
          return file.stat()
        }
        return { ...file, stat }
      },
    }
    const seen: number[] = []
    for await (const block of readJournal({ directory: rig.directory, from: 0, files, onProblem: noProblem })) {
      for (let i = 0; i < block.count; i++) seen.push(decodeTick(block, i).seq)
    }
    expect(seen).toEqual(range(1, 30))
  })

  test('ends at once when stopped while waiting', async () => {
    const { writer } = await rig.open()
    appendNth(writer, 1)
    await writer.sync()
    const stop = new AbortController()
    let blocks = 0
    for await (const _ of readJournal({
      directory: rig.directory,
      from: 0,
      follow: stop.signal,
      notifier: writer,
      onProblem: noProblem,
    })) {
      blocks++
      setImmediate(() => stop.abort())
    }
    expect(blocks).toBe(1)
    await writer.close()
  })
})

describe('what the owner can see', () => {
  test('counts and sequences move from taken to written to synced', async () => {
    const written: [number, number[]][] = []
    const { writer } = await rig.open({
      onWritten: (sequence, _, received, count) => written.push([sequence, [...received.subarray(0, count)]]),
    })
    const meta = {
      instrument: writer.instrument({ symbol: 'a', exchange: 'DCE' }),
      eventMs: NOON_MS,
      tradingDay: 20260105,
      epoch: 1,
      line: 0,
      offSession: false,
    } as const
    for (const receivedMonotonicMs of [11.5, 12.5, 13.5]) writer.append(tickRecord({ receivedMonotonicMs }), 0, meta)
    expect(writer).toMatchObject({
      records: 3,
      lastSequence: 3,
      writtenSequence: 0,
      syncedSequence: 0,
      lost: 0,
      state: 'writing',
    })
    expect(writer.heldBytes).toBeGreaterThan(3 * TICK_BASE_BYTES)
    expect(await writer.sync()).toBe(true)
    expect(writer).toMatchObject({ writtenSequence: 3, syncedSequence: 3, heldBytes: 0, segmentCount: 1 })
    expect(written).toEqual([[3, [11.5, 12.5, 13.5]]])
    expect(writer.bytes).toBe(writer.bytesWritten + SEGMENT_HEADER_BYTES)
    await writer.close()
  })

  test('a tick is written without a flush, and while a sync is under way', async () => {
    const disk = faultyDisk()
    let endSync = () => {}
    const syncIsHeld = new Promise<void>((resolve) => {
      endSync = resolve
    })
    const { writer } = await rig.open({ files: disk.files, policy: { syncIntervalMs: 1 } })
    let syncBegan = () => {}
    const syncing = new Promise<void>((resolve) => {
      syncBegan = resolve
    })
    disk.delay = async (operation) => {
      if (operation !== 'datasync') return
      syncBegan()
      await syncIsHeld
    }
    appendNth(writer, 1)
    await writer.nextWrite()
    await syncing
    appendNth(writer, 2)
    await writer.nextWrite()
    expect(writer).toMatchObject({ writtenSequence: 2, syncedSequence: 0 })
    endSync()
    await writer.close()
    expect(writer.syncedSequence).toBe(2)
  })

  test('what is written while a sync is under way is not called durable by it', async () => {
    const disk = faultyDisk()
    const { writer } = await rig.open({ files: disk.files, policy: { syncIntervalMs: 60_000 } })
    appendNth(writer, 1)
    writer.flush()
    await writer.nextWrite()
    disk.delay = async (operation) => {
      if (operation !== 'datasync' || writer.lastSequence > 1) return
      appendNth(writer, 2)
      writer.flush()
      await writer.nextWrite()
    }
    expect(await writer.sync()).toBe(true)
    expect(writer).toMatchObject({ writtenSequence: 2, syncedSequence: 1 })
    await writer.close()
    expect(writer.syncedSequence).toBe(2)
  })

  test('a segment left while the one before it is being synced is synced in its turn', async () => {
    const disk = faultyDisk()
    const { writer } = await rig.open({ files: disk.files, policy: { syncIntervalMs: 60_000 } })
    let rotateDuringSync = async () => {}
    disk.delay = async (operation) => {
      if (operation === 'datasync') await rotateDuringSync()
    }
    appendNth(writer, 1)
    writer.flush()
    await writer.nextWrite()
    writer.rotate()
    appendNth(writer, 2)
    writer.flush()
    await writer.nextWrite()
    rotateDuringSync = async () => {
      rotateDuringSync = async () => {}
      writer.rotate()
      appendNth(writer, 3)
      writer.flush()
      await writer.nextWrite()
    }
    expect(await writer.sync()).toBe(true)
    await writer.close()
    expect(rig.troubles).toEqual([])
    expect(writer.syncedSequence).toBe(3)
    expect(segments().length).toBe(3)
  })

  test('a disk that is too slow makes it refuse ticks, never hold more than the bound or lose a number', async () => {
    const { writer } = await rig.open({ policy: { heldBytesMax: 3 * BLOCK_BYTES } })
    const taken: number[] = []
    for (let n = 1; n <= 10_000; n++) {
      const sequence = appendNth(writer, n)
      if (sequence > 0) taken.push(sequence)
    }
    expect(writer.heldBytes).toBeLessThanOrEqual(3 * BLOCK_BYTES)
    expect(writer.lost).toBe(10_000 - taken.length)
    expect(writer.lost).toBeGreaterThan(0)
    expect(rig.troubles.map(({ kind }) => kind)).toEqual(['journal-overrun'])
    await writer.sync()
    taken.push(appendNth(writer, 1))
    await writer.close()
    expect((await readAll(rig.directory)).ticks.map((tick) => tick.seq)).toEqual(taken)
    expect(taken).toEqual(range(1, taken.length))
  })
})
