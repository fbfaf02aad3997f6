import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { type HeldLock, type LockAttempt, lockHolder, lockOwnerPid, takeLock } from '#adapters/state/run-lock.ts'
import { bundle } from '../support/bundle.ts'

const US = { pid: process.pid, command: 'start', since: '2026-03-03T08:55:00.000+08:00' }

let stateDir = ''
let holderScript = ''
const held: HeldLock[] = []

beforeAll(async () => {
  holderScript = await bundle(new URL('../support/fake-daemon-process.ts', import.meta.url))
})
afterAll(() => rmSync(dirname(holderScript), { recursive: true, force: true }))
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'lock-'))
})
afterEach(async () => {
  for (const lock of held.splice(0)) await lock.release()
  rmSync(stateDir, { recursive: true, force: true })
})

async function take(directory = stateDir, purpose: 'run' | 'daemon' = 'run'): Promise<LockAttempt> {
  const attempt = await takeLock(directory, purpose, US)
  if (attempt.kind === 'held') held.push(attempt.lock)
  return attempt
}

test('the second taker is told who holds the lock', async () => {
  expect((await take()).kind).toBe('held')
  expect(await take()).toEqual({ kind: 'taken', by: US })
  expect(await lockHolder(stateDir, 'run')).toEqual(US)
})

test('a released lock is free at once', async () => {
  await take()
  await held.pop()?.release()
  expect(await lockHolder(stateDir, 'run')).toBeNull()
  expect((await take()).kind).toBe('held')
})

test('a caller that does not hang up does not hold up the release', async () => {
  await take()
  const name = readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .map((row) => row.split(/\s+/).at(-1) ?? '')
    .filter((path) => path.startsWith('@feed-supervisor-run:'))
  const callers = name.map((path) => connect({ path: path.replace('@', '\0'), allowHalfOpen: true }).pause())
  for (const caller of callers) await once(caller, 'connect')
  // The lock has taken them in once it answered another one.
  expect(await lockHolder(stateDir, 'run')).toEqual(US)
  await held.pop()?.release()
  for (const caller of callers) caller.destroy()
})

test('two purposes and two directories do not meet, two spellings of one directory do', async () => {
  const other = mkdtempSync(join(tmpdir(), 'lock-'))
  const alias = join(other, 'alias')
  symlinkSync(stateDir, alias)
  try {
    await take()
    expect((await take(stateDir, 'daemon')).kind).toBe('held')
    expect((await take(other)).kind).toBe('held')
    expect((await take(alias)).kind).toBe('taken')
  } finally {
    rmSync(other, { recursive: true, force: true })
  }
})

test('of many takers at once exactly one gets it', async () => {
  const attempts = await Promise.all(Array.from({ length: 20 }, () => take()))
  expect(attempts.filter(({ kind }) => kind === 'held')).toHaveLength(1)
})

test('a holder that is killed leaves nothing behind', async () => {
  const holder = spawn(process.execPath, [holderScript, stateDir], { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise((resolve) => holder.stdout.once('data', resolve))
  expect(await lockHolder(stateDir, 'daemon')).toMatchObject({ pid: holder.pid })
  const ended = new Promise((resolve) => holder.once('exit', resolve))
  holder.kill('SIGKILL')
  await ended
  expect(await lockHolder(stateDir, 'daemon')).toBeNull()
  expect((await take(stateDir, 'daemon')).kind).toBe('held')
})

test('a holder that is stopped still holds, and its process is known', async () => {
  const holder = spawn(process.execPath, [holderScript, stateDir], { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise((resolve) => holder.stdout.once('data', resolve))
  holder.kill('SIGSTOP')
  expect(await lockHolder(stateDir, 'daemon')).toBe('silent')
  expect(await lockOwnerPid(stateDir, 'daemon')).toBe(holder.pid)
  expect(await take(stateDir, 'daemon')).toEqual({ kind: 'taken', by: null })
  const ended = new Promise((resolve) => holder.once('exit', resolve))
  holder.kill('SIGKILL')
  await ended
})

test('a state directory that is not there is a failure with a remedy', async () => {
  await expect(takeLock(join(stateDir, 'missing'), 'run', US)).rejects.toMatchObject({ kind: 'state-dir' })
})
