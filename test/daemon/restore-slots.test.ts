// Where every instrument stood, put back from checkpoint and journal before any login, so that no first snapshot is news.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openJournal } from '#adapters/journal/open-journal.ts'
import { systemClock } from '#clock.ts'
import { InstrumentSlots } from '#daemon/instrument-slots.ts'
import { journalLog } from '#daemon/journal-log.ts'
import { restoreSlots, saveSlots } from '#daemon/restore-slots.ts'
import { TickPath } from '#daemon/tick-path.ts'
import { Arbiter, OUTCOME_NAMES } from '#domain/arbitration.ts'
import { moment, realCalendar, type TickWords, tickRecord } from '../support/tick-builder.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync('/tmp/fs-restore-')
  mkdirSync(`${directory}/journal`)
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

/** One life of the tick path over the same directory. */
async function life(use: (rig: Life) => Promise<void> | void, { cold = false } = {}): Promise<Restored> {
  const { writer, recovery } = await openJournal({
    directory: `${directory}/journal`,
    host: 'test',
    clock: systemClock,
    policy: { segmentBytesMax: 1 << 20, syncIntervalMs: 10, keepDays: 7, keepBytes: 1 << 30, minFreeBytes: 0 },
    onTrouble: (failure) => {
      throw failure
    },
    onEvent: () => undefined,
    onWritten: () => undefined,
  })
  const slots = new InstrumentSlots(realCalendar())
  const arbiter = new Arbiter(slots.live)
  const restored = await restoreSlots({
    checkpointPath: `${directory}/checkpoint`,
    journalDirectory: `${directory}/journal`,
    lastSequence: recovery.lastSequence,
    arbiter,
    table: slots.table,
    slotOf: (symbol, exchange) => slots.slotOf(symbol, exchange),
    cold,
  })
  const path = new TickPath({ arbiter, table: slots.table, log: journalLog(writer, slots.table) })
  try {
    await use({
      take: (symbol, words) => {
        const slot = slots.slotOf(symbol, '') ?? -1
        return OUTCOME_NAMES[path.take(0, slot, tickRecord(words), 0) as 0] ?? 'unknown'
      },
      expectSnapshot: (symbol) => arbiter.expectSnapshot(0, slots.slotOf(symbol, '') ?? -1),
      checkpoint: () =>
        saveSlots({
          checkpointPath: `${directory}/checkpoint`,
          arbiter,
          table: slots.table,
          sequence: writer.lastSequence,
          epoch: 5,
          nowMs: moment('10:00:00'),
        }),
    })
  } finally {
    await writer.close({ cut: false })
  }
  return restored
}

interface Life {
  take(symbol: string, words: TickWords): string
  expectSnapshot(symbol: string): void
  checkpoint(): Promise<void>
}
type Restored = Awaited<ReturnType<typeof restoreSlots>>

const at = (time: string, volume: number, bidVolume = 1): TickWords => ({ eventMs: moment(time), volume, bidVolume })
const SAID: [string, TickWords][] = [
  ['rb2605', at('10:00:00.5', 10)],
  ['rb2605', at('10:00:01', 12)],
  ['AP605', at('10:00:01', 5, 1)],
  ['AP605', at('10:00:01', 5, 2)],
  ['SPD RM605&RM609', { ...at('10:00:01', 0), prices: { LastPrice: Number.NaN } }],
]
/** The last tick of each, and each twin of the last moment. */
const KNOWN = SAID.slice(1)

describe('a restart', () => {
  test.each([
    ['from the journal alone, without a checkpoint', async () => undefined],
    ['from a checkpoint that holds everything', async (rig: Life) => rig.checkpoint()],
  ])('knows what was kept, %s', async (_from, before) => {
    await life(async (rig) => {
      for (const [symbol, words] of SAID) expect(rig.take(symbol, words)).toBe('accepted')
      await before(rig)
    })
    const restored = await life((rig) => {
      // Of twins a checkpoint tells the last one.
      const known = KNOWN.filter(([, words]) => words.bidVolume !== 1 || words.volume !== 5)
      for (const [symbol, words] of known) expect(rig.take(symbol, words), symbol).toBe('duplicate')
      expect(rig.take('rb2605', at('10:00:00.5', 10))).toBe('stale')
      expect(rig.take('rb2605', at('10:00:02', 13))).toBe('accepted')
    })
    expect(restored).toMatchObject({ instruments: 3, warnings: [] })
  })

  test('reads behind a checkpoint what came after it, twins included', async () => {
    await life(async (rig) => {
      rig.take('rb2605', at('10:00:00.5', 10))
      rig.take('rb2610', at('10:00:00.5', 3))
      await rig.checkpoint()
      for (const [symbol, words] of KNOWN) rig.take(symbol, words)
    })
    const restored = await life((rig) => {
      for (const [symbol, words] of KNOWN) expect(rig.take(symbol, words), symbol).toBe('duplicate')
      expect(rig.take('rb2610', at('10:00:00.5', 3)), 'only the checkpoint tells').toBe('duplicate')
    })
    expect(restored.epoch).toBe(5)
    expect(restored.lastReceivedMs).toBe(moment('10:00:01') + 40)
  })

  test('keeps the last live tick and the settlement row beside each other', async () => {
    const settlement: TickWords = at('15:35:00', 10, 7)
    await life(async (rig) => {
      rig.take('rb2605', at('15:00:00', 10))
      expect(rig.take('rb2605', settlement)).toBe('off_session')
      await rig.checkpoint()
    })
    await life((rig) => {
      rig.expectSnapshot('rb2605')
      expect(rig.take('rb2605', { ...settlement, receivedMs: moment('16:00:00') })).toBe('duplicate')
      expect(rig.take('rb2605', { ...at('15:00:00', 10), receivedMs: moment('16:00:01') })).toBe('duplicate')
    })
  })

  test('after a damaged checkpoint warns, sets it aside, and reads the journal instead', async () => {
    await life((rig) => {
      for (const [symbol, words] of SAID) rig.take(symbol, words)
    })
    writeFileSync(`${directory}/checkpoint`, 'half a checkpo')
    const restored = await life((rig) => {
      for (const [symbol, words] of KNOWN) expect(rig.take(symbol, words), symbol).toBe('duplicate')
    })
    expect(restored.warnings).toEqual([expect.stringContaining('set aside')])
    expect(restored.epoch).toBe(0)
  })

  test('cold looks at nothing', async () => {
    await life(async (rig) => {
      rig.take('rb2605', at('10:00:01', 12))
      await rig.checkpoint()
    })
    const restored = await life((rig) => expect(rig.take('rb2605', at('10:00:01', 12))).toBe('accepted'), {
      cold: true,
    })
    expect(restored).toEqual({ instruments: 0, lastReceivedMs: null, warnings: [], epoch: 0 })
  })

  test('with neither checkpoint nor journal begins with nothing', async () => {
    expect(await life(() => undefined)).toMatchObject({ instruments: 0, lastReceivedMs: null, warnings: [] })
  })
})
