// What an operator can do when the disk of the state directory is full: stop, cut and move the feed first, and hear what could not be kept.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { isKilled, readLatches } from '#adapters/state/latches.ts'
import { familyOf, identify, isAlive } from '#adapters/supervisors/process-identity.ts'
import { sleep } from '#clock.ts'
import type { FeedStatus } from '#domain/status.ts'
import { runCommand } from '../support/run-command.ts'

interface Report {
  outcome: string
  steps: { name: string; outcome: string; detail: string }[]
  problems: { name: string; message: string; remedy: string }[]
  warnings: string[]
  daemon?: FeedStatus
  stop?: { lost: number | null }
}

const directory = mkdtempSync(join(tmpdir(), 'disk-'))
const stateDir = join(directory, 's')
const BYTES = 48 << 20
const MARKET = { SIM_INSTRUMENTS: '40', SIM_TICKS_PER_SECOND: '500', JOURNAL_MIN_FREE_BYTES: '1000000' }

/** A file system of its own, seen by everybody here: null, or why there is none. */
function mountSmallDisk(): string | null {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${BYTES}`, 'tmpfs', directory], { stdio: 'pipe' })
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

const unmounted = mountSmallDisk()
afterEach(freeDisk)
if (unmounted !== null) console.warn(`SKIPPED: a small file system can't be mounted here (${unmounted})`)
afterAll(async () => {
  if (unmounted === null) {
    await run('stop')
    execFileSync('umount', ['-l', directory])
  }
  rmSync(directory, { recursive: true, force: true })
})

async function run(mode: string, ...args: string[]): Promise<{ code: number | null; report: Report; text: string }> {
  const end = await runCommand('start-live-env', [mode, '--state-dir', stateDir, '--json', ...args], {
    cwd: tmpdir(),
    env: MARKET,
  })
  return { code: end.code, report: JSON.parse(end.stdout) as Report, text: end.stdout + end.stderr }
}

const filler = () => join(directory, 'filler')

function fillDisk(): void {
  let content = Buffer.alloc(BYTES)
  // Ever smaller pieces, as dd would: a block of the journal must find no gap.
  for (const [n, bytes] of [1 << 20, 1 << 16, 1 << 12].entries()) {
    content = content.subarray(0, bytes)
    for (let i = 0; i < 2 * (BYTES / (1 << 20)); i++) {
      try {
        writeFileSync(`${filler()}-${n}-${i}`, content)
      } catch {
        break
      }
    }
  }
}

function freeDisk(): void {
  execFileSync('sh', ['-c', `rm -f ${filler()}-*`])
}

async function untilJournalFails(): Promise<void> {
  for (;;) {
    const { report } = await run('status')
    if (report.daemon?.journal.state === 'failing') return
    // The daemon's log and what else is written may have had the last gap.
    fillDisk()
    await sleep(100)
  }
}

describe.skipIf(unmounted !== null)('on a full disk', { timeout: 120_000 }, () => {
  test('nothing runs: stop says so with 0, start is refused with 78', async () => {
    mkdirSync(stateDir, { mode: 0o700 })
    fillDisk()
    const stopped = await run('stop')
    expect(stopped, stopped.text).toMatchObject({ code: 0, report: { outcome: 'not-running' } })
    expect(stopped.report.warnings.join()).toMatch(/is full/)
    const started = await run('start')
    expect(started, started.text).toMatchObject({ code: 78, report: { problems: [{ name: 'disk-full' }] } })
    freeDisk()
  })

  test('a running feed is told of, moved, paused and stopped; what it lost is told by stop and by the next start', async () => {
    expect((await run('start')).report.outcome).toBe('ready')
    fillDisk()
    await untilJournalFails()

    const seen = await run('status')
    expect(seen.report.problems[0]?.message).toMatch(/disk of .* is full \(\d+ MB free\)/)
    expect(seen.report.problems[0]?.remedy).toMatch(/Free space/)
    const again = await run('start')
    expect(again, again.text).toMatchObject({ code: 69, report: { outcome: 'degraded' } })
    expect(again.report.warnings.join()).toMatch(/is full/)
    expect(again.report.problems[0]?.name).toBe('journal-failing')

    for (const mode of ['pause', 'resume', 'failover', 'failback']) {
      const moved = await run(mode)
      expect(moved, moved.text).toMatchObject({ code: 0, report: { outcome: 'done' } })
      expect(moved.report.warnings.join()).toMatch(/is full/)
    }
    const restarted = await run('restart')
    expect(restarted, restarted.text).toMatchObject({ code: 78, report: { problems: [{ name: 'disk-full' }] } })
    const daemon = identify((await run('status')).report.daemon?.pid ?? 0)
    if (daemon === null) throw new Error('the daemon is gone')

    const family = [daemon, ...familyOf(daemon)]
    const stopped = await run('stop')
    expect(stopped, stopped.text).toMatchObject({ code: 1, report: { outcome: 'ticks-lost' } })
    expect(stopped.report.problems[0]?.message).toMatch(/^\d+ ticks .* are lost/)
    expect(stopped.report.stop?.lost).toBeGreaterThan(0)
    expect(family.filter(isAlive)).toEqual([])
    const lost = stopped.report.stop?.lost

    freeDisk()
    const back = await run('start')
    expect(back, back.text).toMatchObject({ code: 0, report: { outcome: 'ready' } })
    const { report } = await run('status')
    expect(report.daemon?.journal.recovery).toBe(
      `The last run ended without ${lost} ticks that it held in memory: the disk did not take them.`,
    )
  })

  test('the kill switch cuts the feed, and its latch holds by its name alone', async () => {
    fillDisk()
    const killed = await run('kill', '--reason', 'runaway')
    expect(killed, killed.text).toMatchObject({ code: 0, report: { outcome: 'killed' } })
    const steps = killed.report.steps.map(({ name, outcome }) => `${name} ${outcome}`)
    expect(steps.slice(1)).toEqual(['cut ok'])
    const kept = readFileSync(join(stateDir, 'latches', 'kill.json'), 'utf8')
    // What the daemon gives up on a full disk may make room for the reason after all.
    if (kept === '') expect(killed.report.warnings.join()).toMatch(/its reason was not kept/)
    else expect(kept).toContain('runaway')
    expect(isKilled(await readLatches(stateDir))).toBe(true)
    const { report } = await run('status')
    expect(report.daemon).toMatchObject({ ready_detail: 'the kill switch is set', feed_state: 'KILLED' })
    expect(report.problems[0]?.message).toBe('the kill switch is set')
    expect((await run('start')).code).toBe(77)
  })

  test('a latch that not even its name finds room for: the lines are cut all the same, and the end is no success', async () => {
    // A directory in the place of the latches takes no file.
    expect((await run('status', '--clear-latch', 'kill', '--reason', 'test')).code).toBe(0)
    await run('stop')
    expect((await run('start')).code).toBe(0)
    execFileSync('sh', ['-c', `rm -rf ${join(stateDir, 'latches')} && : > ${join(stateDir, 'latches')}`])
    const killed = await run('kill', '--reason', 'runaway')
    expect(killed, killed.text).toMatchObject({ code: 1, report: { outcome: 'not-killed' } })
    expect(killed.report.problems[0]).toMatchObject({ name: 'latch-write' })
    expect(killed.report.steps.map(({ name, outcome }) => `${name} ${outcome}`)).toEqual(['latch failed', 'cut ok'])
    const pids = Object.values((await run('status')).report.daemon?.lines ?? {}).map((line) => line?.bridge_pid)
    expect(pids).toEqual([null, null])
    rmSync(join(stateDir, 'latches'))
  })
})
