import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { BLOCK_BYTES } from '#adapters/journal/block-buffer.ts'
import { segmentName } from '#adapters/journal/journal-format.ts'
import type { JournalWriter } from '#adapters/journal/journal-writer.ts'
import { verifyJournal } from '#adapters/journal/verify-journal.ts'
import { sleep } from '#clock.ts'
import { bundleJournalProgram } from './journal-program.ts'
import {
  appendNth,
  appendRange,
  type Disk,
  diskError,
  faultyDisk,
  journalRig,
  NOON_MS,
  nthTick,
  type Rig,
  readAll,
} from './journal-rig.ts'

let rig: Rig
let disk: Disk
beforeEach(() => {
  rig = journalRig()
  disk = faultyDisk()
})
afterEach(() => rig.remove())

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)
const segments = () => readdirSync(rig.directory).filter((name) => name.endsWith('.journal'))
const removed = () => rig.events.filter((event) => event.kind === 'segment-removed')
const isSegment = (path: string) => path.endsWith('.journal')

/** Writes ticks in segments of ten. */
async function segmentsOfTen(writer: JournalWriter, count: number): Promise<void> {
  for (let n = 1; n <= count * 10; n++) {
    appendNth(writer, n)
    if (n % 10 === 0) {
      await writer.sync()
      writer.rotate()
    }
  }
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(1)
}

/** Everything of 1 to `last` is read, whole and in order. */
async function expectAllTicks(last: number): Promise<void> {
  const { ticks, problems } = await readAll(rig.directory)
  expect(problems).toEqual([])
  expect(ticks).toEqual(range(1, last).map((n) => nthTick(n, n)))
  expect((await verifyJournal(rig.directory)).intact).toBe(true)
}

describe('a write that fails', () => {
  for (const code of ['ENOSPC', 'EIO'] as const) {
    test(`with ${code} loses nothing while ticks still fit into memory, and recovers by itself`, async () => {
      const { writer } = await rig.open({ files: disk.files })
      appendRange(writer, 1, 100)
      await writer.sync()
      disk.torn = 300
      disk.fault = (operation) => (operation === 'write' ? diskError(code) : null)
      appendRange(writer, 101, 200)
      writer.flush()
      await until(() => writer.state === 'failing')
      expect(await writer.sync()).toBe(false)
      appendRange(writer, 201, 300)
      await sleep(20)
      expect(writer).toMatchObject({ state: 'failing', writtenSequence: 100, lastSequence: 300, lost: 0 })
      expect(rig.troubles.map(({ kind }) => kind)).toEqual([code === 'ENOSPC' ? 'journal-disk-full' : 'journal-write'])
      expect(rig.troubles[0]?.remedy).toMatch(/now/)

      disk.fault = () => null
      await until(() => writer.writtenSequence > 100)
      expect(await writer.sync()).toBe(true)
      expect(writer).toMatchObject({ state: 'writing', writtenSequence: 300, lost: 0 })
      expect(rig.events.at(-1)).toMatchObject({ kind: 'recovered', lost: 0 })
      await writer.close()
      await expectAllTicks(300)
      // After an input or output error the file itself is not trusted any more.
      expect(segments().length).toBe(code === 'EIO' ? 2 : 1)
    })
  }

  test('for so long that memory is full refuses new ticks and keeps the numbers whole', async () => {
    const { writer } = await rig.open({ files: disk.files, policy: { heldBytesMax: 2 * BLOCK_BYTES } })
    disk.fault = (operation) => (operation === 'write' ? diskError('EIO') : null)
    let taken = 0
    for (let n = 1; n <= 4000; n++) if (appendNth(writer, n) > 0) taken++
    expect(writer.lost).toBe(4000 - taken)
    expect(taken).toBeLessThan(4000)
    writer.flush()
    await until(() => writer.state === 'failing')
    const lostBefore = writer.lost
    appendNth(writer, 1)
    disk.fault = () => null
    await until(() => writer.state === 'writing')
    expect(await writer.sync()).toBe(true)
    expect(rig.events.at(-1)).toMatchObject({ kind: 'recovered', lost: writer.lost - lostBefore })
    await writer.close()
    await expectAllTicks(taken)
  })

  test('a new segment in the middle of another explains the instruments again', async () => {
    const { writer } = await rig.open({ files: disk.files })
    appendRange(writer, 1, 50)
    await writer.sync()
    let failures = 1
    disk.fault = (operation) => (operation === 'write' && failures-- > 0 ? diskError('EIO') : null)
    appendRange(writer, 51, 60)
    await writer.nextWrite()
    await until(() => writer.writtenSequence === 60)
    await writer.close()
    expect(segments()).toEqual([segmentName(1), segmentName(51)])
    rmSync(join(rig.directory, segmentName(1)))
    const { ticks } = await readAll(rig.directory)
    expect(ticks).toEqual(range(51, 60).map((n) => nthTick(n, n)))
  })

  test('closing on a failing disk ends, counts what it gave up, and never gives its numbers again', async () => {
    const { writer } = await rig.open({ files: disk.files, policy: { retryAfterMs: 60_000 } })
    appendRange(writer, 1, 10)
    await writer.sync()
    disk.fault = (operation, path) => (operation === 'write' && isSegment(path) ? diskError('EIO') : null)
    appendRange(writer, 11, 30)
    writer.flush()
    await until(() => writer.state === 'failing')
    await writer.close()
    expect(writer.lost).toBe(20)
    disk.fault = () => null
    const { writer: next, recovery } = await rig.open()
    expect(recovery).toMatchObject({ lastSequence: 10, nextSequence: 31 })
    await next.close()
  })

  test('a sync that fails is told once, nothing is called durable, and writing goes on in a new segment', async () => {
    const { writer } = await rig.open({ files: disk.files, policy: { syncIntervalMs: 1 } })
    disk.fault = (operation) => (operation === 'datasync' ? diskError('EIO') : null)
    appendRange(writer, 1, 10)
    await until(() => rig.troubles.length > 0)
    await sleep(20)
    expect(rig.troubles.map(({ kind }) => kind)).toEqual(['journal-sync'])
    expect(rig.troubles[0]?.message).toContain('ticks 1 to 10')
    expect(writer).toMatchObject({ writtenSequence: 10, syncedSequence: 0 })
    disk.fault = () => null
    appendRange(writer, 11, 20)
    expect(await writer.sync()).toBe(true)
    expect(writer.syncedSequence).toBe(20)
    await writer.close()
    await expectAllTicks(20)
    expect(segments()).toEqual([segmentName(1), segmentName(11)])
  })

  test('numbers that cannot be reserved are not given', async () => {
    const { writer } = await rig.open({ files: disk.files, policy: { reservedAtOnce: 100 } })
    disk.fault = (operation) => (operation === 'rename' ? diskError('ENOSPC') : null)
    const taken = range(1, 300).map((n) => appendNth(writer, n))
    expect(taken.filter((sequence) => sequence > 0)).toEqual(range(1, 100))
    expect(writer.lost).toBe(200)
    await until(() => rig.troubles.length > 0)
    expect(rig.troubles.map(({ kind }) => kind)).toEqual(['journal-reservation'])
    disk.fault = () => null
    let sequence = 0
    while (sequence === 0) {
      await sleep(1)
      sequence = appendNth(writer, 101)
    }
    expect(sequence).toBe(101)
    await writer.close()
    await expectAllTicks(101)
  })

  test('a directory that cannot be used is refused with a remedy', async () => {
    writeFileSync(join(rig.directory, 'file'), '')
    await expect(rig.open({ directory: join(rig.directory, 'file') })).rejects.toMatchObject({
      kind: 'journal-unusable',
      remedy: expect.any(String),
    })
    disk.fault = (operation) => (operation === 'open' ? diskError('EACCES') : null)
    await expect(rig.open({ files: disk.files })).rejects.toMatchObject({ kind: 'journal-unusable' })
  })
})

describe('a full disk', () => {
  /** As if the disk held `count` segments and no more. */
  const holds = (count: number) => (operation: string, path: string) =>
    operation === 'write' && isSegment(path) && segments().length > count ? diskError('ENOSPC') : null

  test('takes the oldest segments, published ones first, and tells what of them was not published', async () => {
    const { writer } = await rig.open({ files: disk.files })
    writer.publishedSequence = 15
    disk.fault = holds(3)
    await segmentsOfTen(writer, 6)
    expect(removed()).toMatchObject([
      { reason: 'disk-full', firstSequence: 1, lastSequence: 10, unpublished: 0 },
      { reason: 'disk-full', firstSequence: 11, lastSequence: 20, unpublished: 5 },
      { reason: 'disk-full', firstSequence: 21, lastSequence: 30, unpublished: 10 },
    ])
    expect(writer).toMatchObject({ state: 'writing', lost: 0 })
    await writer.close()
    expect((await readAll(rig.directory)).ticks.map((tick) => tick.seq)).toEqual(range(31, 60))
  })

  test('never takes the segment that is being written', async () => {
    const { writer } = await rig.open({ files: disk.files })
    await segmentsOfTen(writer, 2)
    disk.fault = (operation) => (operation === 'write' ? diskError('ENOSPC') : null)
    appendNth(writer, 21)
    await until(() => writer.state === 'failing')
    expect(removed().length).toBe(2)
    disk.fault = () => null
    await until(() => writer.state === 'writing')
    await writer.close()
    expect((await readAll(rig.directory)).ticks.map((tick) => tick.seq)).toEqual([21])
  })

  test('does not keep a journal from starting', async () => {
    const { writer } = await rig.open()
    await segmentsOfTen(writer, 4)
    await writer.close()
    disk.fault = (operation) => (operation === 'write' && segments().length > 2 ? diskError('ENOSPC') : null)
    const { writer: next } = await rig.open({ files: disk.files, publishedSequence: 5 })
    expect(removed()).toMatchObject([
      { firstSequence: 1, unpublished: 5 },
      { firstSequence: 11, unpublished: 10 },
    ])
    await next.close()
  })

  test('really: on a file system of 2 MB ticks go on, and what is left is intact', async ({ skip }) => {
    const mounted = await promisify(execFile)('unshare', [
      '-m',
      'sh',
      '-c',
      `mount -t tmpfs -o size=2m tmpfs ${rig.directory}`,
    ]).then(
      () => true,
      (error: Error) => error.message,
    )
    if (mounted !== true) {
      console.warn(`SKIPPED: a small file system can't be mounted here (${mounted})`)
      skip()
    }
    const program = await bundleJournalProgram(new URL('./journal-small-disk.ts', import.meta.url), rig.directory)
    const mountPoint = join(rig.directory, 'disk')
    mkdirSync(mountPoint)
    const script = `mount -t tmpfs -o size=2m tmpfs ${mountPoint} && exec ${process.execPath} ${program} ${mountPoint}`
    const { stdout } = await promisify(execFile)('unshare', ['-m', 'sh', '-c', script])
    const outcome = JSON.parse(stdout)
    expect(outcome).toMatchObject({
      state: 'writing',
      lost: 0,
      written: 60_000,
      troubles: [],
      intact: true,
      lastSequence: 60_000,
    })
    expect(outcome.removed).toBeGreaterThan(20)
    expect(outcome.records).toBeGreaterThan(1000)
  })
})

describe('retention', () => {
  const age = (name: string, days: number) => {
    const seconds = NOON_MS / 1000 - days * 86_400
    utimesSync(join(rig.directory, name), seconds, seconds)
  }
  async function sevenSegments(): Promise<void> {
    const { writer } = await rig.open()
    await segmentsOfTen(writer, 7)
    await writer.close()
    for (const name of segments()) age(name, 0)
    rig.events.length = 0
  }
  type Policy = NonNullable<Parameters<Rig['open']>[0]>['policy']
  /** Opens with a policy and closes again when what is expected has happened, and some more looks were taken. */
  async function sweep(
    policy: Policy,
    isDone: () => boolean,
    publishedSequence = Number.POSITIVE_INFINITY,
  ): Promise<void> {
    const { writer } = await rig.open({
      policy: { sweepIntervalMs: 1, ...policy },
      publishedSequence,
      files: disk.files,
    })
    await until(isDone)
    await sleep(20)
    await writer.close()
  }
  const removals = (count: number) => () => removed().length >= count

  test('removes what is older than the days that are kept', async () => {
    await sevenSegments()
    for (const [i, name] of segments().entries()) age(name, 8.5 - i)
    await sweep({ keepDays: 7 }, removals(2))
    expect(removed().map((event) => [event.reason, event.firstSequence])).toEqual([
      ['days', 1],
      ['days', 11],
    ])
  })

  test('removes the oldest beyond the bytes that are kept', async () => {
    await sevenSegments()
    const each = statSync(join(rig.directory, segmentName(1))).size
    await sweep({ keepBytes: 3.5 * each }, removals(4))
    expect(removed().map((event) => [event.reason, event.firstSequence])).toEqual([
      ['bytes', 1],
      ['bytes', 11],
      ['bytes', 21],
      ['bytes', 31],
    ])
  })

  test('keeps some of the disk free', async () => {
    await sevenSegments()
    const freeBytes = async () => 1000 - 100 * segments().length
    disk.files = { ...disk.files, freeBytes }
    await sweep({ minFreeBytes: 500 }, removals(2))
    expect(removed().map((event) => [event.reason, event.firstSequence])).toEqual([
      ['low-disk', 1],
      ['low-disk', 11],
    ])
  })

  test('leaves what is not published, and tells once that it is at risk', async () => {
    await sevenSegments()
    const { writer } = await rig.open({
      policy: { sweepIntervalMs: 1, keepBytes: 1 },
      publishedSequence: 25,
      files: disk.files,
    })
    await until(() => writer.isUnpublishedAtRisk)
    expect(removed().map((event) => event.firstSequence)).toEqual([1, 11])
    await sleep(20)
    writer.publishedSequence = Number.POSITIVE_INFINITY
    await until(() => !writer.isUnpublishedAtRisk)
    await writer.close()
    expect(rig.events.filter((event) => event.kind === 'unpublished-at-risk')).toEqual([
      { kind: 'unpublished-at-risk', reason: 'bytes', publishedSequence: 25 },
    ])
  })

  test('a segment that cannot be removed is told once and stays counted', async () => {
    await sevenSegments()
    disk.fault = (operation) => (operation === 'remove' ? diskError('EACCES') : null)
    await sweep({ keepBytes: 1 }, () => rig.troubles.length > 0)
    expect(rig.troubles.map(({ kind }) => kind)).toEqual(['journal-retention'])
    expect(segments().length).toBe(7)
  })
})
