// What all four commands promise alike: a reader that goes away, an unknown profile, help that tells how each subcommand can end.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCommand } from '../support/run-command.ts'

let directory = ''
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'every-'))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const bin = fileURLToPath(new URL('../../bin/', import.meta.url))

test.concurrent.for<[command: string, code: number]>([
  ['start-live-env --help', 0],
  ['start-live-env status --json --state-dir nowhere', 69],
  ['check-feed-health --state-dir nowhere', 3],
  ['full-feed-subscription probe --state-dir nowhere', 69],
  ['full-feed-subscription --help', 0],
  ['validate-env --offline', 0],
])('%s takes a reader that goes away quietly and keeps its code', async ([command, code]) => {
  // The reader is gone before anything can be written.
  const line = `{ sleep 0.3; ${bin}${command}; echo "code $?" >&2; } | true`
  const { stderr } = await promisify(execFile)('sh', ['-c', line], {
    cwd: directory,
    env: { PATH: process.env['PATH'] ?? '', METRICS_PORT: '0' },
  })
  expect(stderr.trim()).toBe(`code ${code}`)
})

describe.concurrent('an unknown profile is called that', () => {
  test.for<[command: Parameters<typeof runCommand>[0], args: string[], code: number]>([
    ['check-feed-health', [], 3],
    ['full-feed-subscription', ['probe'], 78],
    ['full-feed-subscription', ['tail'], 78],
    ['full-feed-subscription', ['subscribe'], 78],
    ['start-live-env', ['status'], 78],
  ])('by %s %j', async ([command, args, code]) => {
    const end = await runCommand(command, [...args, '--profile', 'foo'], { cwd: directory })
    expect(end.code).toBe(code)
    expect(end.stdout + end.stderr).toMatch(/sim, paper, staging, live/)
    expect(end.stdout + end.stderr).not.toMatch(/env file/)
  })
})

test.concurrent('the help of every subcommand tells its exit codes and two examples', async () => {
  const names = ['run', 'probe', 'subscribe', 'catalogue', 'tail', 'export', 'verify', 'publish']
  const { stdout } = await runCommand('full-feed-subscription', ['--help'], { cwd: directory })
  for (const name of names) {
    expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'))
    const help = await runCommand('full-feed-subscription', [name, '--help'], { cwd: directory })
    expect(help.stdout).toMatch(/^Exit codes:\n( {2}\d+ .*\n){2,}/m)
    expect(help.stdout.match(/^ {2}\$ .*full-feed-subscription/gm)?.length, name).toBe(2)
  }
})

test.concurrent('a list in the help stays in its column on a narrow terminal', async () => {
  const line = `stty cols 60; ${bin}start-live-env --help`
  const env = { PATH: process.env['PATH'] ?? '' }
  const { stdout } = await promisify(execFile)('script', ['-qec', line, '/dev/null'], { cwd: directory, env })
  const modes = stdout.split('Modes:')[1]?.split('Arguments:')[0]?.split('\r\n').filter(Boolean) ?? []
  expect(modes.length).toBeGreaterThan(14)
  for (const row of modes) expect(row).toMatch(/^ {2}\S+ +\S|^ {13}\S/)
})

test.concurrent('a report directory that nobody can make is told and not waited for', async () => {
  const args = ['--out', 'json', '--out-dir', '/proc/nope', '--json']
  const end = await runCommand('check-feed-health', args, { cwd: directory })
  expect(end.code).toBe(3)
  expect(JSON.parse(end.stdout).errors.join()).toMatch(/report cannot be written to \/proc\/nope \(ENOENT\)/)
})
