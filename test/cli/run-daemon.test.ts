// `full-feed-subscription run` as an operator meets it: what it refuses before anything is opened, how a replay ends, what a terminal shows.
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { INSTRUMENTS_MAX } from '#domain/instrument-table.ts'
import { startFakeDaemon } from '../support/fake-daemon.ts'
import { type CommandEnd, runCommand } from '../support/run-command.ts'

let directory = ''
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'run-'))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const HEADER = 'InstrumentID,ExchangeID,TradingDay,ActionDay,UpdateTime,UpdateMillisec,LastPrice,Volume'
const COLUMNS = HEADER.split(',').length

function rows(count: number): string[] {
  return Array.from({ length: count }, (_, i) => {
    const [minute, second] = [Math.floor(i / 60), i % 60].map((n) => String(n).padStart(2, '0'))
    return `rb2701,SHFE,20261123,20261123,09:${minute}:${second},0,${3_000 + (i % 7)},${i + 1}`
  })
}

const csv = (lines: readonly string[]) => `${[HEADER, ...lines].join('\n')}\n`
const replayOf = (file: string) => ({ FEED_ADAPTER: 'replay', REPLAY_FILES: file, REPLAY_SPEED: '0' })

function place(name: string, content: string | Buffer): string {
  const path = join(directory, name)
  writeFileSync(path, content)
  return path
}

function replay(file: string, stateDir = 's'): Promise<CommandEnd> {
  const args = ['run', '--until-end', '--quiet', '--json', '--state-dir', join(directory, stateDir)]
  return runCommand('full-feed-subscription', args, { cwd: directory, env: replayOf(file) })
}

function problemOf({ stdout }: CommandEnd): { name: string; message: string; remedy: string } {
  return JSON.parse(stdout).problems[0]
}

describe('a replay', { timeout: 60_000 }, () => {
  test.for<[what: string, content: () => string | Buffer, message: RegExp]>([
    [
      'in the middle of its last row',
      () => csv(rows(3_000)).slice(0, -25),
      new RegExp(`line 3001\\) ends after \\d of ${COLUMNS} fields`),
    ],
    [
      'in the middle of its gzip stream',
      () => gzipSync(csv(rows(3_000))).subarray(0, 4_000),
      /the compressed file ends in the middle/,
    ],
    ['down to nothing', () => '', /is empty/],
  ])('of a file cut short %s is refused before anything is opened', async ([what, content, message]) => {
    const end = await replay(place(`${what.length}.csv`, content()), what.length.toString())
    expect(end.code, end.stdout + end.stderr).toBe(78)
    expect(problemOf(end).message).toMatch(message)
    expect(problemOf(end).remedy).not.toBe('')
    expect(existsSync(join(directory, what.length.toString(), 'journal'))).toBe(false)
  })

  test('of a file that is damaged in the middle ends there, once, with the place and the remedy', async () => {
    const damaged = rows(2_000).with(1_500, 'rb2701,SHFE,20261123,09:10')
    const end = await replay(place('middle.csv', csv(damaged)), 'middle')
    expect(end.code, end.stdout + end.stderr).toBe(78)
    const { outcome, ticks } = JSON.parse(end.stdout)
    expect(outcome).toBe('input-unusable')
    expect(ticks.accepted).toBeLessThan(2_000)
    expect(problemOf(end).message).toMatch(/line 1502 has 4 fields, the header 8/)
    expect(end.stderr).not.toMatch(/bridge-crashed/)
  })

  test('on a terminal: words instead of JSON, a table at the end, and a hint when nothing was new', async () => {
    const file = place('good.csv', csv(rows(120)))
    const executable = fileURLToPath(new URL('../../bin/full-feed-subscription', import.meta.url))
    const command = `${executable} run --until-end --state-dir ${join(directory, 'tty')}`
    const env = { PATH: process.env['PATH'] ?? '', METRICS_PORT: '0', NO_COLOR: '1', ...replayOf(file) }
    const look = async (line: string) =>
      (await promisify(execFile)('script', ['-qec', line, '/dev/null'], { env })).stdout
    const first = await look(command)
    expect(first).not.toMatch(/^\{/m)
    expect(first).toMatch(/^\d\d:\d\d:\d\d info {2}the replay is over: 120 ticks accepted/m)
    expect(first).toMatch(/^accepted +120\s*$/m)
    expect(first).toMatch(/^duplicate +120\s*$/m)
    expect(first).toMatch(/^lost +0\s*$/m)
    expect(first).toMatch(/run: the replay is over, all of it is on disk/)
    expect(first).not.toMatch(/--cold/)
    const second = await look(command)
    expect(second).toMatch(/^accepted +0\s*$/m)
    expect(second).toMatch(/has seen these ticks.*--cold, or into another --state-dir/s)
    expect(await look(`${command} --dry-run`)).toMatch(/would run profile sim \(replay\) with primary and backup/)
  })
})

describe('what stands in the way of the control socket', () => {
  const spoilt = (name: string) => {
    const stateDir = join(directory, name)
    mkdirSync(join(stateDir, 'control.sock'), { recursive: true })
    execFile('chmod', ['700', stateDir])
    return stateDir
  }

  test('a directory: 78 with the remedy, and it stays', async () => {
    const stateDir = spoilt('socket')
    const args = ['run', '--quiet', '--json', '--state-dir', stateDir]
    const end = await runCommand('full-feed-subscription', args, { cwd: directory })
    expect(end.code, end.stderr).toBe(78)
    expect(problemOf(end)).toMatchObject({ name: 'control-socket', remedy: expect.stringMatching(/Move it away/) })
    expect(end.stderr).not.toMatch(/^ {4}at /m)
    expect(existsSync(join(stateDir, 'control.sock'))).toBe(true)
  })

  test('through start-live-env: 78 too', async () => {
    const args = ['start', '--json', '--state-dir', spoilt('socket-2')]
    const end = await runCommand('start-live-env', args, { cwd: directory })
    expect(end.code, end.stdout).toBe(78)
    expect(problemOf(end).message).toMatch(/in the way of the control socket/)
  })

  test('a daemon whose lock is not seen from here, as in another network namespace: 75', async () => {
    const stateDir = join(directory, 'elsewhere')
    mkdirSync(stateDir, { mode: 0o700 })
    const elsewhere = await startFakeDaemon(stateDir)
    try {
      const args = ['run', '--quiet', '--json', '--state-dir', stateDir]
      const end = await runCommand('full-feed-subscription', args, { cwd: directory })
      expect(end.code, end.stderr).toBe(75)
      expect(problemOf(end).name).toBe('daemon-running')
      expect(
        (await runCommand('full-feed-subscription', ['probe', '--state-dir', stateDir], { cwd: directory })).code,
      ).toBe(0)
    } finally {
      await elsewhere.close()
    }
  })
})

describe('a contract list', () => {
  const tooMany = () =>
    place(
      'long.csv',
      `symbol,exchange\n${Array.from({ length: INSTRUMENTS_MAX + 1 }, (_, i) => `c${i},DCE`).join('\n')}\nrb2701,SHFE\n`,
    )
  const check = async (filter: Record<string, string>) =>
    runCommand('validate-env', ['--json', '--state-dir', join(directory, 'list')], {
      cwd: directory,
      env: { CATALOGUE_FILE: tooMany(), ...filter },
    })

  test('that asks for more than the daemon holds is refused with both numbers, never cut', async () => {
    const args = ['run', '--quiet', '--json', '--contracts', tooMany(), '--state-dir', join(directory, 'list')]
    const end = await runCommand('full-feed-subscription', args, { cwd: directory })
    expect(end.code, end.stderr).toBe(78)
    expect(problemOf(end).message).toMatch(/asks for 40002 contracts, the daemon holds 40000/)
    const checked = await check({})
    expect(checked.code).toBe(78)
    expect(problemOf(checked).message).toMatch(/40002 contracts/)
  })

  test('counts only what its filters leave', async () => {
    const { code, stdout } = await check({ CONTRACTS_INCLUDE: 'rb*' })
    expect(code, stdout).toBe(0)
    expect(stdout).toMatch(/"detail": "1 contracts/)
    expect((await check({ CONTRACTS_LIMIT: '100' })).code).toBe(0)
  })
})

test('a dry run of any mode leaves a directory that is not there as it is', async () => {
  for (const mode of ['start', 'stop', 'restart']) {
    const stateDir = join(directory, `dry-${mode}`)
    const end = await runCommand('start-live-env', [mode, '--dry-run', '--json', '--state-dir', stateDir], {
      cwd: directory,
    })
    expect(end.code, end.stdout).toBe(0)
    expect(readdirSync(directory)).not.toContain(`dry-${mode}`)
  }
})
