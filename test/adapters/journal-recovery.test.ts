import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { BLOCK_HEADER_BYTES, SEGMENT_HEADER_BYTES, segmentName } from '#adapters/journal/journal-format.ts'
import { verifyJournal } from '#adapters/journal/verify-journal.ts'
import { sleep } from '#clock.ts'
import { appendNth, appendRange, journalRig, nthTick, type Rig, readAll } from './journal-rig.ts'

let rig: Rig
beforeEach(() => {
  rig = journalRig()
})
afterEach(() => rig.remove())

const at = (name: string) => join(rig.directory, name)
const only = at.bind(null)
const segments = () => readdirSync(rig.directory).filter((name) => name.endsWith('.journal'))
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

/** Leaves a journal of ticks 1 to `ticks` in blocks of ten, as a process that was killed leaves it. */
async function killedAfter(ticks: number): Promise<void> {
  const { writer } = await rig.open()
  for (let n = 1; n <= ticks; n++) {
    appendNth(writer, n)
    if (n % 10 === 0) await writer.sync()
  }
  await writer.sync()
  const unclean = readFileSync(only('sequence'))
  await writer.close()
  writeFileSync(only('sequence'), unclean)
}

/** Byte offset of each block of a segment. */
function blockOffsets(segment: string): number[] {
  const bytes = readFileSync(at(segment))
  const offsets: number[] = []
  for (let offset = SEGMENT_HEADER_BYTES; offset < bytes.length; ) {
    offsets.push(offset)
    offset += BLOCK_HEADER_BYTES + bytes.readUInt32LE(offset + 4)
  }
  return offsets
}

function flipBit(file: string, bit: number): void {
  const bytes = readFileSync(at(file))
  const byte = bit >> 3
  bytes[byte] = (bytes[byte] ?? 0) ^ (1 << (bit & 7))
  writeFileSync(at(file), bytes)
}

const FIRST = segmentName(1)

describe('after an unclean stop', () => {
  test('numbering goes on at the end of the reserved block, and says so', async () => {
    await killedAfter(25)
    const { writer, recovery } = await rig.open()
    expect(recovery).toMatchObject({
      clean: false,
      lastSequence: 25,
      nextSequence: 10_001,
      truncatedBytes: 0,
      problems: [],
    })
    expect(recovery.message).toContain('did not close the journal; numbering goes on at 10001')
    expect(appendNth(writer, 26)).toBe(10_001)
    await writer.close()
    expect((await readAll(rig.directory)).ticks.map((tick) => tick.seq)).toEqual([...range(1, 25), 10_001])
    expect(await verifyJournal(rig.directory)).toMatchObject({ intact: true, records: 26, lastSequence: 10_001 })
  })

  const tails: [string, (bytes: Buffer) => Buffer, number][] = [
    ['half a block', (bytes) => bytes.subarray(0, bytes.length - 100), 20],
    ['half a block header', (bytes) => Buffer.concat([bytes, Buffer.from('FSBK')]), 25],
    ['zeros that the disk never filled', (bytes) => Buffer.concat([bytes, Buffer.alloc(70_000)]), 25],
    ['other bytes', (bytes) => Buffer.concat([bytes, Buffer.alloc(1000, 0x5a)]), 25],
    [
      'a block whose payload the disk never filled',
      (bytes) => Buffer.concat([bytes.subarray(0, bytes.length - 900), Buffer.alloc(900)]),
      20,
    ],
  ]
  for (const [name, damage, last] of tails) {
    test(`${name} at the end is cut off at the last good block, and counted`, async () => {
      await killedAfter(25)
      const damaged = damage(readFileSync(at(FIRST)))
      writeFileSync(at(FIRST), damaged)
      expect((await verifyJournal(rig.directory)).intact).toBe(true)

      const { writer, recovery } = await rig.open()
      const cut = damaged.length - statSync(at(FIRST)).size
      expect(recovery).toMatchObject({ clean: false, lastSequence: last, truncatedBytes: cut, problems: [] })
      expect(cut).toBeGreaterThan(0)
      expect(recovery.truncatedRecords).toBe(last === 20 ? 5 : null)
      expect(recovery.message).toContain(`the last good tick is ${last}`)
      appendNth(writer, 26)
      await writer.close()
      const { ticks, problems } = await readAll(rig.directory)
      expect(problems).toEqual([])
      expect(ticks.map((tick) => tick.seq)).toEqual([...range(1, last), 10_001])
    })
  }

  for (const [name, bytes] of [
    ['empty', 0],
    ['of a header only', SEGMENT_HEADER_BYTES],
  ] as const) {
    test(`a newest segment that is ${name} is removed without a word, an older one is missed`, async () => {
      await killedAfter(25)
      const header = readFileSync(at(FIRST)).subarray(0, bytes)
      writeFileSync(at(segmentName(500)), header)
      const { writer, recovery } = await rig.open()
      expect(recovery).toMatchObject({ lastSequence: 25, problems: [] })
      expect(segments()).toEqual([FIRST])
      appendNth(writer, 26)
      await writer.close()
      writeFileSync(at(FIRST), header)
      expect((await verifyJournal(rig.directory)).problems[0]).toMatchObject({
        segment: FIRST,
        kind: 'records-missing',
      })
      const { writer: next, recovery: second } = await rig.open()
      expect(second).toMatchObject({
        clean: false,
        lastSequence: 10_001,
        problems: [{ segment: FIRST, kind: 'records-missing' }],
      })
      await next.close()
    })
  }

  test('a tail torn behind a rotation is cut off too', async () => {
    await killedAfter(25)
    const { writer } = await rig.open()
    appendNth(writer, 26)
    await writer.sync()
    const unclean = readFileSync(only('sequence'))
    await writer.close()
    writeFileSync(only('sequence'), unclean)
    truncateSync(at(FIRST), statSync(at(FIRST)).size - 8)
    const { writer: next, recovery } = await rig.open()
    expect(recovery).toMatchObject({ clean: false, lastSequence: 10_001, truncatedRecords: 5 })
    await next.close()
    const { ticks, problems } = await readAll(rig.directory)
    expect(ticks.map((tick) => tick.seq)).toEqual([...range(1, 20), 10_001])
    // What was cut off is still missed: the next segment knows what came before it.
    expect(problems.map(({ kind, message }) => [kind, message])).toEqual([
      ['records-missing', 'Ticks 21 to 25 were written before this segment and are not in the journal any more.'],
    ])
  })

  test('damage in the middle is told and left alone, and what stands behind it is kept', async () => {
    await killedAfter(50)
    const [, second = 0] = blockOffsets(FIRST)
    flipBit(FIRST, (second + 200) * 8)
    const size = statSync(at(FIRST)).size
    const { writer, recovery } = await rig.open()
    expect(recovery).toMatchObject({ clean: false, lastSequence: 50, truncatedBytes: 0 })
    expect(recovery.problems).toMatchObject([{ segment: FIRST, offset: second, kind: 'damaged-block' }])
    expect(recovery.message).toContain('are damaged; they held 10 ticks')
    expect(statSync(at(FIRST)).size).toBe(size)
    await writer.close()
    const { ticks, problems } = await readAll(rig.directory)
    expect(ticks.map((tick) => tick.seq)).toEqual([...range(1, 10), ...range(21, 50)])
    expect(problems).toMatchObject([{ kind: 'damaged-block', offset: second }])
  })
})

test('no single bit of a header can change unseen', async () => {
  await killedAfter(30)
  const whole = readFileSync(at(FIRST))
  const [, second = 0] = blockOffsets(FIRST)
  const bits = [...range(0, SEGMENT_HEADER_BYTES * 8 - 1), ...range(second * 8, (second + BLOCK_HEADER_BYTES) * 8 - 1)]
  for (const bit of bits) {
    writeFileSync(at(FIRST), whole)
    flipBit(FIRST, bit)
    const { problems } = await readAll(rig.directory)
    expect(problems.length, `bit ${bit}`).toBeGreaterThan(0)
  }
})

test('after an orderly close a broken end is damage: told, and left as it is', async () => {
  const { writer } = await rig.open()
  appendRange(writer, 1, 10)
  await writer.sync()
  appendRange(writer, 11, 20)
  await writer.close()
  const [, second = 0] = blockOffsets(FIRST)
  flipBit(FIRST, (second + 200) * 8)
  const size = statSync(at(FIRST)).size
  const { writer: next, recovery } = await rig.open()
  expect(recovery).toMatchObject({ clean: false, lastSequence: 10, nextSequence: 21, truncatedBytes: 0 })
  expect(recovery.problems.map(({ kind }) => kind)).toEqual(['torn-tail', 'records-missing'])
  await next.close()
  expect(statSync(at(FIRST)).size).toBe(size)
})

describe('sequence numbers are never given twice', () => {
  test('while running, the next block is reserved before the last is used up', async () => {
    const { writer } = await rig.open({ policy: { reservedAtOnce: 100 } })
    for (let n = 1; n <= 1000; n++) {
      let sequence = appendNth(writer, n)
      // Faster than the disk can reserve: refused, not given without a reservation.
      for (; sequence === 0; sequence = appendNth(writer, n)) await sleep(1)
      expect(sequence).toBe(n)
      if (n % 20 === 0) {
        const reserved = Number(/next (\d+)/.exec(readFileSync(only('sequence'), 'latin1'))?.[1])
        expect(reserved).toBeGreaterThan(n)
      }
    }
    await writer.close()
    expect(readFileSync(only('sequence'), 'latin1')).toContain('next 1001\nlast 1000\nclean yes\n')
  })

  const files: [string, () => void][] = [
    ['missing', () => rmSync(only('sequence'))],
    ['empty', () => writeFileSync(only('sequence'), '')],
    [
      'changed by a digit',
      () => writeFileSync(only('sequence'), readFileSync(only('sequence'), 'latin1').replace('next 26', 'next 20')),
    ],
    ['of another program', () => writeFileSync(only('sequence'), 'hello\n')],
  ]
  for (const [name, damage] of files) {
    test(`a file of sequence numbers that is ${name}: goes on far behind what the segments can hold, and says so`, async () => {
      const { writer } = await rig.open()
      appendRange(writer, 1, 25)
      await writer.close()
      damage()
      const { writer: next, recovery } = await rig.open()
      expect(recovery.clean).toBe(false)
      expect(recovery.lastSequence).toBe(25)
      expect(recovery.nextSequence).toBeGreaterThanOrEqual(10_026)
      expect(recovery.message).toContain('numbering goes on')
      await next.close()
    })
  }

  test('a file of sequence numbers older than the journal is not believed', async () => {
    const first = await rig.open()
    appendRange(first.writer, 1, 25)
    await first.writer.close()
    copyFileSync(only('sequence'), only('old'))
    const second = await rig.open()
    appendRange(second.writer, 26, 60)
    await second.writer.close()
    copyFileSync(only('old'), only('sequence'))
    const { writer, recovery } = await rig.open()
    expect(recovery.nextSequence).toBeGreaterThan(60)
    expect(recovery.message).toContain('older than the journal')
    await writer.close()
  })

  test('a journal that was closed in order and lost its end says what is missing', async () => {
    const { writer } = await rig.open()
    for (let n = 1; n <= 30; n++) {
      appendNth(writer, n)
      if (n % 10 === 0) await writer.sync()
    }
    await writer.close()
    truncateSync(at(FIRST), blockOffsets(FIRST)[2])
    expect(await verifyJournal(rig.directory)).toMatchObject({ intact: false, problems: [{ kind: 'records-missing' }] })
    const { writer: next, recovery } = await rig.open()
    expect(recovery).toMatchObject({ clean: false, lastSequence: 20, nextSequence: 31 })
    expect(recovery.message).toContain('ends with tick 20, but it was closed with tick 30')
    await next.close()
  })
})

test('whatever is cut off or flipped, opening reports it, yields only what was written, and leaves an intact journal or says where not', async () => {
  // One journal of three segments, damaged anew in each run.
  const { writer } = await rig.open({ policy: { segmentBytesMax: 4000 } })
  for (let n = 1; n <= 60; n++) {
    appendNth(writer, n)
    if (n % 6 === 0) await writer.sync()
  }
  await writer.close()
  const names = [...segments(), 'sequence']
  const whole = new Map(names.map((name) => [name, readFileSync(at(name))]))
  expect(names.length).toBe(5)
  const damage = fc.record({
    file: fc.nat({ max: names.length - 1 }),
    place: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    cut: fc.boolean(),
  })

  await fc.assert(
    fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 3 }), fc.boolean(), async (damages, wasClosed) => {
      rmSync(rig.directory, { recursive: true })
      mkdirSync(rig.directory)
      for (const [name, bytes] of whole) writeFileSync(at(name), bytes)
      if (!wasClosed) rmSync(only('sequence'))
      for (const { file, place, cut } of damages) {
        const name = names[file] ?? ''
        if (name === 'sequence' && !wasClosed) continue
        const size = statSync(at(name)).size
        if (cut) truncateSync(at(name), Math.floor(place * size))
        else if (size > 0) flipBit(name, Math.floor(place * size * 8))
      }
      const isDamaged = names.some(
        (name) =>
          !(name === 'sequence' && !wasClosed) && !readFileSync(at(name)).equals(whole.get(name) ?? Buffer.alloc(0)),
      )

      const before = await readAll(rig.directory)
      const { writer, recovery } = await rig.open()
      // Opening looks at the newest two segments and the file of numbers only; reading sees the rest.
      const isTold = !recovery.clean || before.problems.length > 0
      expect(isTold || !isDamaged).toBe(true)
      expect(recovery.nextSequence).toBeGreaterThan(60)
      const sequence = appendNth(writer, 61)
      expect(sequence).toBe(recovery.nextSequence)
      await writer.close()

      const after = await readAll(rig.directory)
      expect(after.ticks.at(-1)).toEqual(nthTick(61, sequence))
      for (const [i, tick] of after.ticks.slice(0, -1).entries()) {
        const isNamed = !tick.symbol.startsWith('#')
        expect(tick).toEqual({
          ...nthTick(tick.seq, tick.seq),
          ...(isNamed ? {} : { symbol: tick.symbol, exchange: '', vt_symbol: tick.vt_symbol }),
          host: tick.host,
        })
        expect(tick.seq).toBeGreaterThan(after.ticks[i - 1]?.seq ?? 0)
      }
      const verdict = await verifyJournal(rig.directory)
      expect(verdict.problems).toEqual(after.problems)
      expect(verdict.records).toBe(after.ticks.length)
      // Every tick that is missing is accounted for by what was told, then or now.
      if (after.ticks.length < 61) expect(!recovery.clean || verdict.problemCount > 0).toBe(true)
    }),
    { numRuns: 150 },
  )
}, 60_000)
