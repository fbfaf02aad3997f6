import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Recovery } from '#adapters/journal/recover-journal.ts'
import { verifyJournal } from '#adapters/journal/verify-journal.ts'
import { sleep } from '#clock.ts'
import { bundleJournalProgram } from './journal-program.ts'
import { nthTick, readAll } from './journal-rig.ts'

const ROUNDS = 20

let home: string
let program: string
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'journal-crash-'))
  program = await bundleJournalProgram(new URL('./journal-crash-writer.ts', import.meta.url), home)
})
afterAll(() => rmSync(home, { recursive: true, force: true }))

interface Round {
  recovery: Recovery
  /** Last sequence that the process said was in the file, and the highest that it gave. */
  written: number
  given: number
}

/** One life of a writer: killed `afterMs` after it began to write. */
async function lifeOfWriter(directory: string, afterMs: number): Promise<Round> {
  const child = spawn(process.execPath, [program, directory], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const round: Partial<Round> = {}
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const [word, value] = [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]
      if (word === 'recovered') round.recovery = JSON.parse(value)
      if (word === 'gave') round.given = JSON.parse(value)
      if (word === 'trouble') throw new Error(value)
      if (word === 'written' && round.written === undefined) void sleep(afterMs).then(() => child.kill('SIGKILL'))
      if (word === 'written') round.written = JSON.parse(value)
    }
  } finally {
    child.kill('SIGKILL')
    await exited
  }
  const { recovery, written, given } = round
  if (recovery === undefined || written === undefined || given === undefined)
    throw new Error('the writer did not begin')
  return { recovery, written, given }
}

test(`${ROUNDS} times killed at any moment: all that was told written is there, and no number is given twice`, async () => {
  const directory = join(home, 'journal')
  const rounds: Round[] = []
  for (let i = 0; i < ROUNDS; i++) rounds.push(await lifeOfWriter(directory, Math.random() * 60))

  for (const [i, { recovery }] of rounds.entries()) {
    const before = rounds[i - 1]
    if (before === undefined) continue
    expect(recovery.clean).toBe(false)
    expect(recovery.message).not.toBeNull()
    expect(recovery.problems).toEqual([])
    expect(recovery.lastSequence).toBeGreaterThanOrEqual(before.written)
    expect(recovery.lastSequence).toBeLessThanOrEqual(before.given)
    expect(recovery.nextSequence).toBeGreaterThan(before.given)
  }

  const { ticks, problems } = await readAll(directory)
  expect(problems).toEqual([])
  const read = new Set(ticks.map((tick) => tick.seq))
  expect(read.size).toBe(ticks.length)
  for (const { recovery, written } of rounds) {
    for (let sequence = recovery.nextSequence; sequence <= written; sequence++) {
      if (!read.has(sequence)) expect.unreachable(`tick ${sequence} was told written and is gone`)
    }
  }
  for (const tick of ticks) expect(tick).toEqual(nthTick(tick.seq, tick.seq))
  expect(await verifyJournal(directory)).toMatchObject({ intact: true, records: ticks.length })
}, 120_000)
