/** What the journal takes: into memory, onto the disk, and how long until a tick survives a power loss. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { JournalWriter } from '#adapters/journal/journal-writer.ts'
import { openJournal } from '#adapters/journal/open-journal.ts'
import { systemClock } from '#clock.ts'
import { TICK_AT, TICK_BYTES, tickViews } from '#domain/tick.ts'

const RATE = 20_000

export interface JournalFigures {
  appendsPerSecond: number
  recordsPerSecond: number
  durableP50Ms: number
  durableP99Ms: number
}

export async function benchJournal(seconds: number): Promise<JournalFigures> {
  const directory = await mkdtemp(join(tmpdir(), 'fsj-'))
  try {
    const memory = await withJournal(directory, appendsIntoMemory)
    const disk = await withJournal(directory, (writer) => recordsToDisk(writer, seconds))
    const durable = await withJournal(directory, (writer) => durability(writer, seconds))
    return { appendsPerSecond: memory, recordsPerSecond: disk, ...durable }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function withJournal<Figure>(
  directory: string,
  measure: (writer: JournalWriter) => Promise<Figure>,
): Promise<Figure> {
  const { writer } = await openJournal({
    directory,
    host: 'bench',
    clock: systemClock,
    onTrouble: (failure) => console.error(failure.message),
    onEvent: () => undefined,
  })
  try {
    return await measure(writer)
  } finally {
    await writer.close()
  }
}

const views = tickViews(new ArrayBuffer(TICK_BYTES))

function appender(writer: JournalWriter): () => number {
  const instruments = Array.from({ length: 500 }, (_, i) => writer.instrument({ symbol: `rb${i}`, exchange: 'SHFE' }))
  const meta = {
    instrument: 0,
    eventMs: Date.now(),
    tradingDay: 20_261_123,
    epoch: 1,
    line: 0 as const,
    offSession: false,
  }
  let n = 0
  return () => {
    meta.instrument = instruments[n++ % 500] ?? 0
    views.f64[TICK_AT.receivedMonotonicMs >> 3] = systemClock.monotonicMs()
    return writer.append(views, 0, meta)
  }
}

async function appendsIntoMemory(writer: JournalWriter): Promise<number> {
  const append = appender(writer)
  for (let i = 0; i < 20_000; i++) append()
  await writer.sync()
  const count = 60_000
  const started = performance.now()
  for (let i = 0; i < count; i++) append()
  return (count * 1_000) / (performance.now() - started)
}

async function recordsToDisk(writer: JournalWriter, seconds: number): Promise<number> {
  const append = appender(writer)
  const started = performance.now()
  let taken = 0
  while (performance.now() - started < seconds * 1_000) {
    for (let i = 0; i < 2_000; i++) if (append() > 0) taken++
    writer.flush()
    // The disk's turn; refused ticks would only measure the memory bound.
    while (writer.heldBytes > 8 << 20) await sleep(1)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await writer.sync()
  return (taken * 1_000) / (performance.now() - started)
}

async function durability(writer: JournalWriter, seconds: number) {
  const append = appender(writer)
  const waiting: { sequence: number; atMs: number }[] = []
  const tookMs: number[] = []
  const started = performance.now()
  let sent = 0
  while (performance.now() - started < seconds * 1_000) {
    const due = Math.floor(((performance.now() - started) * RATE) / 1_000)
    for (; sent < due; sent++) {
      const sequence = append()
      if (sent % 20 === 0) waiting.push({ sequence, atMs: performance.now() })
    }
    writer.flush()
    await sleep(1)
    const nowMs = performance.now()
    while (waiting[0] !== undefined && waiting[0].sequence <= writer.syncedSequence) {
      tookMs.push(nowMs - (waiting.shift()?.atMs ?? nowMs))
    }
  }
  tookMs.sort((a, b) => a - b)
  const at = (quantile: number) => tookMs[Math.floor(quantile * (tookMs.length - 1))] ?? Number.NaN
  return { durableP50Ms: at(0.5), durableP99Ms: at(0.99) }
}
