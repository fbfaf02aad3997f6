// The audit log tells what was done and shows when it was tampered with; crashes, full disks and many writers leave it whole.
import { execFile } from 'node:child_process'
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { auditActor } from '#adapters/state/audit-actor.ts'
import { type AuditFacts, appendAudit, readAudit, verifyAudit } from '#adapters/state/audit-log.ts'
import { takeLock } from '#adapters/state/run-lock.ts'
import { sleep } from '#clock.ts'
import { bundle } from '../support/bundle.ts'

let stateDir = ''
let nowMs = Date.parse('2026-03-03T10:00:00+08:00')
/** Only dates are taken from it: waiting for the lock goes by the true clock. */
const clock = { monotonicMs: () => performance.now(), wallMs: () => nowMs }
const DAY_MS = 86_400_000

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'audit-'))
  nowMs = Date.parse('2026-03-03T10:00:00+08:00')
})
afterEach(() => rmSync(stateDir, { recursive: true, force: true }))

const directory = () => join(stateDir, 'audit')
const log = () => ({ stateDir, clock, retentionDays: 90 })

function facts(overrides: Partial<AuditFacts> = {}): AuditFacts {
  return {
    event: 'command',
    actor: auditActor({ SUDO_USER: 'wang', SSH_CONNECTION: '10.0.0.7 50000 10.0.0.1 22' }),
    command: 'failover',
    reason: 'front 2 is slow',
    outcome: 'done',
    exit_code: 0,
    duration_ms: 12,
    ...overrides,
  }
}

async function write(count: number, overrides: Partial<AuditFacts> = {}): Promise<void> {
  for (let i = 0; i < count; i++) expect(await appendAudit(log(), facts(overrides))).toMatchObject({ kind: 'written' })
}

function fileOn(day: string): string {
  return join(directory(), `audit-${day}.jsonl`)
}

function edit(path: string, change: (lines: string[]) => string[]): void {
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
  writeFileSync(
    path,
    change(lines)
      .map((line) => `${line}\n`)
      .join(''),
  )
}

test('an entry tells who did what, from where, why, and what came of it', async () => {
  await write(1)
  const [entry] = await readAudit(stateDir, 10)
  expect(entry).toMatchObject({
    n: 1,
    at: '2026-03-03T10:00:00.000+08:00',
    event: 'command',
    command: 'failover',
    reason: 'front 2 is slow',
    outcome: 'done',
    exit_code: 0,
    who: { uid: process.getuid?.(), sudo_user: 'wang' },
    from: { ssh_client: '10.0.0.7', pid: process.pid },
  })
})

describe('an intact log', () => {
  test('an empty one is intact', async () => {
    expect(await verifyAudit(stateDir)).toMatchObject({ intact: true, entries: 0, first: null })
  })

  test('a chain over several days holds', async () => {
    for (let day = 0; day < 5; day++) {
      await write(3)
      nowMs += DAY_MS
    }
    expect(await verifyAudit(stateDir)).toMatchObject({ intact: true, entries: 15, files: 5, faults: [], notes: [] })
  })

  test('a clock set back to yesterday changes nothing about the order', async () => {
    await write(2)
    nowMs -= DAY_MS
    await write(2)
    expect(await verifyAudit(stateDir)).toMatchObject({ intact: true, entries: 4, files: 1 })
  })

  test('pruning takes what is older than the retention, and the rest verifies, again and again', async () => {
    for (let day = 0; day < 400; day += 20) {
      await write(2)
      nowMs += 20 * DAY_MS
    }
    const found = await verifyAudit(stateDir)
    expect(found).toMatchObject({ intact: true, faults: [] })
    expect(found.files).toBeLessThanOrEqual(6)
    expect(found.first?.n).toBeGreaterThan(1)
    expect((await readAudit(stateDir, 1_000)).filter(({ event }) => event === 'pruned').length).toBeGreaterThan(0)
  })
})

describe('a crash', () => {
  test('leaves a torn line, which is told and no fault, also once others are written behind it', async () => {
    await write(3)
    const path = fileOn('20260303')
    const whole = readFileSync(path, 'utf8')
    appendFileSync(path, whole.split('\n')[0]?.slice(0, 80) ?? '')
    expect(await verifyAudit(stateDir)).toMatchObject({ intact: true, entries: 3, notes: [{ line: 4 }] })
    await write(2)
    const found = await verifyAudit(stateDir)
    expect(found).toMatchObject({ intact: true, entries: 5, faults: [] })
    expect(found.notes).toHaveLength(1)
  })

  test('between an entry and the note of it is no fault', async () => {
    await write(3)
    const head = readFileSync(join(directory(), 'head'))
    await write(1)
    writeFileSync(join(directory(), 'head'), head)
    expect(await verifyAudit(stateDir)).toMatchObject({ intact: true, entries: 4 })
  })
})

describe('tampering shows', () => {
  const cases: [what: string, tamper: () => void, message: RegExp][] = [
    [
      'a changed outcome',
      () =>
        edit(fileOn('20260304'), (lines) => lines.map((line, i) => (i === 1 ? line.replace('done', 'none') : line))),
      /entry 5 was changed/,
    ],
    ['a removed entry', () => edit(fileOn('20260304'), (lines) => lines.toSpliced(1, 1)), /entries 5 to 5 are missing/],
    ['two entries swapped', () => edit(fileOn('20260304'), ([a = '', b = '', c = '']) => [b, a, c]), /missing|follow/],
    ['an entry made unreadable', () => edit(fileOn('20260304'), (lines) => lines.with(1, '{}')), /entries 5 to 5/],
    ['a whole day removed', () => rmSync(fileOn('20260304')), /entries 4 to 6 are missing/],
    ['the beginning removed', () => rmSync(fileOn('20260303')), /entries 1 to 3 are missing, and none says/],
    ['the end removed', () => edit(fileOn('20260305'), (lines) => lines.slice(0, -1)), /entries 9 to 9 are missing at/],
    ['the end made to look torn', () => truncateSync(fileOn('20260305'), 30), /are missing at the end/],
    ['the note of the end removed', () => rmSync(join(directory(), 'head')), /note of the last entry/],
    ['an entry repeated', () => edit(fileOn('20260303'), ([a = '', ...rest]) => [a, a, ...rest]), /does not follow/],
  ]
  test.each(cases)('%s', async (_what, tamper, message) => {
    for (let day = 0; day < 3; day++) {
      await write(3)
      nowMs += DAY_MS
    }
    tamper()
    const { intact, faults } = await verifyAudit(stateDir)
    expect(intact).toBe(false)
    expect(faults.map((fault) => fault.message).join('\n')).toMatch(message)
  })

  test('any one byte of the entries', async () => {
    await write(4)
    const path = fileOn('20260303')
    const whole = readFileSync(path)
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 2), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const damaged = Buffer.from(whole)
        damaged[at] = (damaged[at] ?? 0) ^ flip
        writeFileSync(path, damaged)
        expect((await verifyAudit(stateDir)).intact).toBe(false)
      }),
      { numRuns: 200 },
    )
  })
})

describe('many writers', () => {
  test('in one process keep one chain', async () => {
    await Promise.all(Array.from({ length: 20 }, () => appendAudit(log(), facts())))
    expect(await verifyAudit(stateDir)).toMatchObject({ intact: true, entries: 20 })
  })

  test('in several processes keep one chain', async () => {
    const program = await bundle(new URL('../support/audit-writer.ts', import.meta.url))
    await Promise.all([1, 2, 3].map(() => promisify(execFile)(process.execPath, [program, stateDir, '8'])))
    const found = await verifyAudit(stateDir)
    expect(found).toMatchObject({ intact: true, entries: 24, faults: [] })
    expect(new Set((await readAudit(stateDir, 100)).map(({ reason }) => reason)).size).toBe(3)
    rmSync(dirname(program), { recursive: true })
  })

  test('one that never lets go costs the others a warning and nothing more', async () => {
    const holder = { pid: 4711, command: 'audit', since: '' }
    const attempt = await takeLock(stateDir, 'audit', holder)
    try {
      expect(await appendAudit(log(), facts())).toMatchObject({
        kind: 'failed',
        warning: expect.stringContaining('process 4711'),
      })
    } finally {
      if (attempt.kind === 'held') await attempt.lock.release()
    }
  })

  test('a queue of others on a slow disk is waited for', async () => {
    let writing: Promise<unknown> | null = null
    for (let turn = 0; turn < 4; turn++) {
      const attempt = await takeLock(stateDir, 'audit', { pid: 4711, command: 'audit', since: `turn ${turn}` })
      if (attempt.kind !== 'held') break
      writing ??= appendAudit(log(), facts())
      await sleep(900)
      await attempt.lock.release()
    }
    expect(await writing).toMatchObject({ kind: 'written', n: 1 })
  }, 15_000)
})

test('a log that cannot be written is a warning', async () => {
  // Root may write anywhere, so a file stands where the directory should be.
  writeFileSync(directory(), '')
  expect(await appendAudit(log(), facts())).toMatchObject({
    kind: 'failed',
    warning: expect.stringContaining('could not be written'),
  })
})

test('an entry that is too long loses its details, not its place', async () => {
  await write(1, { details: { text: 'x'.repeat(100_000) } })
  expect(await verifyAudit(stateDir)).toMatchObject({ intact: true, entries: 1 })
  expect((await readAudit(stateDir, 1))[0]?.details).toEqual({ left_out: 'too long' })
})

test('other files in the directory are none of its business', async () => {
  mkdirSync(directory(), { recursive: true })
  writeFileSync(join(directory(), 'notes.txt'), 'mine')
  await write(1)
  expect(await verifyAudit(stateDir)).toMatchObject({ intact: true, entries: 1 })
  expect(readdirSync(directory()).sort()).toEqual(['audit-20260303.jsonl', 'head', 'notes.txt'])
})
