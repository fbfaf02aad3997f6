import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  accountKey,
  clearLatches,
  describeLatch,
  isKilled,
  latchOf,
  readLatches,
  setCredentialLatch,
  setKillLatch,
} from '#adapters/state/latches.ts'

const SINCE = '2026-03-03T08:55:00.000+08:00'
const ACCOUNT = accountKey('9999/123456789')
const OTHER = accountKey('9999/987654321')

let stateDir = ''
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'latches-'))
})
afterEach(() => rmSync(stateDir, { recursive: true, force: true }))

function latchPrimary() {
  return setCredentialLatch(stateDir, {
    since: SINCE,
    reason: 'error 3: wrong password',
    account: ACCOUNT,
    masked: '***789',
    line: 'primary',
    errorId: 3,
  })
}

test('without a directory no latch is set', async () => {
  expect(await readLatches(stateDir)).toEqual([])
})

test('the kill latch holds until it is cleared, and the first reason stays', async () => {
  await setKillLatch(stateDir, { since: SINCE, reason: 'runaway feed' })
  await setKillLatch(stateDir, { since: SINCE, reason: 'again' })
  const latches = await readLatches(stateDir)
  expect(isKilled(latches)).toBe(true)
  expect(latches.map(describeLatch)).toEqual([`kill switch set ${SINCE}: runaway feed`])
  expect(await clearLatches(stateDir, 'kill', null)).toHaveLength(1)
  expect(await readLatches(stateDir)).toEqual([])
})

test('a credential latch forbids its own account and no other', async () => {
  await latchPrimary()
  const latches = await readLatches(stateDir)
  expect(latchOf(latches, ACCOUNT)).toMatchObject({ kind: 'credential', line: 'primary', errorId: 3 })
  expect(latchOf(latches, OTHER)).toBeNull()
  expect(isKilled(latches)).toBe(false)
})

test('no file names the account in full', async () => {
  await latchPrimary()
  const directory = join(stateDir, 'latches')
  for (const file of readdirSync(directory)) {
    expect(file).not.toContain('123456789')
    expect(readFileSync(join(directory, file), 'utf8')).not.toContain('123456789')
  }
})

test('clearing a line clears what was latched under it, also when another account is configured there now', async () => {
  await latchPrimary()
  expect(await clearLatches(stateDir, 'backup', OTHER)).toEqual([])
  expect(await clearLatches(stateDir, 'primary', OTHER)).toHaveLength(1)
})

test('clearing a line clears its account, also when that was latched under the other line', async () => {
  await latchPrimary()
  expect(await clearLatches(stateDir, 'backup', ACCOUNT)).toHaveLength(1)
})

test.each([
  ['kill.json', true, false],
  [`account-${ACCOUNT}.json`, false, true],
  ['account-unknown.json', false, true],
])('a damaged %s still holds', async (file, kills, forbids) => {
  mkdirSync(join(stateDir, 'latches'))
  writeFileSync(join(stateDir, 'latches', file), '{"kind":')
  const latches = await readLatches(stateDir)
  expect(isKilled(latches)).toBe(kills)
  expect(latchOf(latches, ACCOUNT) !== null).toBe(forbids)
  expect(await clearLatches(stateDir, kills ? 'kill' : 'primary', ACCOUNT)).toHaveLength(1)
})
