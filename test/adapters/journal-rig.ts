/** What the journal's tests share: ticks whose every field follows from one number, a directory of their own, a disk that fails on demand. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type FileOperations, type OpenFile, systemFiles } from '#adapters/journal/file-operations.ts'
import type { JournalProblem } from '#adapters/journal/journal-problem.ts'
import { readJournal } from '#adapters/journal/journal-reader.ts'
import { decodeTick, type JournalTick } from '#adapters/journal/journal-tick.ts'
import type { JournalEvent, JournalFailure } from '#adapters/journal/journal-trouble.ts'
import type { JournalWriter } from '#adapters/journal/journal-writer.ts'
import { type OpenJournalOptions, openJournal } from '#adapters/journal/open-journal.ts'
import { type Clock, systemClock } from '#clock.ts'
import { TICK_AT, TICK_BYTES, TICK_F64, type TickDouble, type TickViews, tickViews } from '#domain/tick.ts'

export const NOON_MS = Date.UTC(2026, 0, 5, 4, 0, 0)
const INSTRUMENTS = 7

export interface Rig {
  directory: string
  troubles: JournalFailure[]
  events: JournalEvent[]
  /** Opens the rig's directory, with small bounds unless told otherwise. */
  open(options?: Partial<OpenJournalOptions>): ReturnType<typeof openJournal>
  remove(): void
}

/** Wall time stands still, so that segments are the same bytes in every run; durations are real. */
export const frozenWall: Clock = { monotonicMs: () => systemClock.monotonicMs(), wallMs: () => NOON_MS }

export function journalRig(): Rig {
  const directory = mkdtempSync(join(tmpdir(), 'journal-'))
  const troubles: JournalFailure[] = []
  const events: JournalEvent[] = []
  return {
    directory,
    troubles,
    events,
    open: ({ policy, ...options } = {}) =>
      openJournal({
        directory,
        host: 'test-host',
        clock: frozenWall,
        onTrouble: (failure) => troubles.push(failure),
        onEvent: (event) => events.push(event),
        policy: {
          minFreeBytes: 0,
          keepDays: Number.POSITIVE_INFINITY,
          retryAfterMs: 5,
          reservedAtOnce: 10_000,
          ...policy,
        },
        ...options,
      }),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}

export interface TickFields {
  doubles?: Partial<Record<TickDouble, number>>
  volume?: number
  bidVolumes?: readonly number[]
  askVolumes?: readonly number[]
  receivedWallMs?: number
  receivedMonotonicMs?: number
}

/** One bridge record; every double that is not named is NaN. */
export function tickRecord(fields: TickFields): TickViews {
  const views = tickViews(new ArrayBuffer(TICK_BYTES))
  for (const index of Object.values(TICK_F64)) views.f64[index] = Number.NaN
  for (const [name, value] of Object.entries(fields.doubles ?? {})) views.f64[TICK_F64[name as TickDouble]] = value
  views.f64[TICK_AT.receivedWallMs / 8] = fields.receivedWallMs ?? NOON_MS
  views.f64[TICK_AT.receivedMonotonicMs / 8] = fields.receivedMonotonicMs ?? 0
  views.i32[TICK_AT.volume / 4] = fields.volume ?? 0
  views.i32.set(fields.bidVolumes ?? [], TICK_AT.bidVolumes / 4)
  views.i32.set(fields.askVolumes ?? [], TICK_AT.askVolumes / 4)
  return views
}

/** Appends the tick that belongs to number `n`; returns its sequence, 0 when refused. */
export function appendNth(writer: JournalWriter, n: number): number {
  const symbol = `rb${n % INSTRUMENTS}`
  const hasDepth = n % 3 === 0
  const record = tickRecord({
    doubles: { LastPrice: n / 2, BidPrice1: n / 2 - 1, ...(hasDepth ? { BidPrice2: n / 2 - 2 } : {}) },
    volume: n,
    bidVolumes: [n % 100],
    receivedWallMs: NOON_MS + n,
  })
  return writer.append(record, 0, {
    instrument: writer.instrument({ symbol, exchange: 'SHFE' }),
    eventMs: NOON_MS + n,
    tradingDay: 20260105,
    epoch: 3,
    line: n % 2 === 0 ? 0 : 1,
    offSession: n % 5 === 0,
  })
}

/** What `appendNth(writer, n)` must read as under sequence `seq`. */
export function nthTick(n: number, seq: number): JournalTick {
  const symbol = `rb${n % INSTRUMENTS}`
  const time = `${new Date(NOON_MS + n + 8 * 3_600_000).toISOString().slice(0, -1)}+08:00`
  return {
    symbol,
    exchange: 'SHFE',
    vt_symbol: `${symbol}.SHFE`,
    datetime: time,
    localtime: time,
    trading_day: '20260105',
    last_price: n / 2,
    volume: n,
    bid_price_1: n / 2 - 1,
    ...(n % 3 === 0 ? { bid_price_2: n / 2 - 2 } : {}),
    bid_volume_1: n % 100,
    ...(n % 3 === 0 ? { bid_volume_2: 0 } : {}),
    line: n % 2 === 0 ? 'primary' : 'backup',
    epoch: 3,
    seq,
    host: 'test-host',
    ...(n % 5 === 0 ? { off_session: true } : {}),
  }
}

export function appendRange(writer: JournalWriter, from: number, to: number): void {
  for (let n = from; n <= to; n++) appendNth(writer, n)
}

export interface Reading {
  ticks: JournalTick[]
  problems: JournalProblem[]
}

export async function readAll(directory: string, from = 0): Promise<Reading> {
  const reading: Reading = { ticks: [], problems: [] }
  for await (const block of readJournal({ directory, from, onProblem: (problem) => reading.problems.push(problem) })) {
    for (let i = 0; i < block.count; i++) reading.ticks.push(decodeTick(block, i))
  }
  return reading
}

type FileOperation = 'write' | 'datasync' | 'truncate' | 'open' | 'remove' | 'rename' | 'freeBytes'

export interface Disk {
  files: FileOperations
  /** Asked before every operation: an error to fail with. Before a write that fails, `torn` of its bytes are written. */
  fault: (operation: FileOperation, path: string) => NodeJS.ErrnoException | null
  torn: number
  /** Awaited before every operation: a slow disk. */
  delay: (operation: FileOperation) => Promise<void>
}

/** The real file system, with faults. */
export function faultyDisk(): Disk {
  const disk: Disk = { files: systemFiles, fault: () => null, torn: 0, delay: async () => {} }
  const check = async (operation: FileOperation, path: string) => {
    await disk.delay(operation)
    const error = disk.fault(operation, path)
    if (error !== null) throw error
  }
  const wrap = (file: OpenFile, path: string): OpenFile => ({
    ...file,
    async write(bytes, position) {
      await disk.delay('write')
      const error = disk.fault('write', path)
      if (error === null) return file.write(bytes, position)
      await file.write(bytes.subarray(0, Math.min(disk.torn, bytes.length)), position)
      throw error
    },
    async datasync() {
      await check('datasync', path)
      await file.datasync()
    },
    async truncate(bytes) {
      await check('truncate', path)
      await file.truncate(bytes)
    },
  })
  disk.files = {
    ...systemFiles,
    async open(path, mode) {
      await check('open', path)
      return wrap(await systemFiles.open(path, mode), path)
    },
    async remove(path) {
      await check('remove', path)
      await systemFiles.remove(path)
    },
    async rename(from, to) {
      await check('rename', to)
      await systemFiles.rename(from, to)
    },
    async freeBytes(path) {
      await check('freeBytes', path)
      return systemFiles.freeBytes(path)
    },
  }
  return disk
}

export function diskError(code: 'ENOSPC' | 'EIO' | 'EACCES'): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: injected`), { code })
}
