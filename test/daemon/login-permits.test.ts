// Who may log in now: the budget per account, on disk before a login is sent, and the latches that outlive a restart.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { clearLatches } from '#adapters/state/latches.ts'
import { LoginPermits } from '#daemon/login-permits.ts'

let stateDir: string
let nowMs = 0
const troubles: string[] = []
/** What somebody has set the wall clock forward by. */
let setForwardMs = 0
const clock = { monotonicMs: () => nowMs, wallMs: () => 1_763_000_000_000 + nowMs + setForwardMs }

beforeEach(() => {
  stateDir = mkdtempSync('/tmp/fs-permits-')
  nowMs = 0
  setForwardMs = 0
  troubles.length = 0
})
afterEach(() => rmSync(stateDir, { recursive: true, force: true }))

async function open(perMinute = 3, accounts = ['b/1', 'b/2']): Promise<LoginPermits> {
  const permits = new LoginPermits({ stateDir, clock, perMinute, onTrouble: (message) => troubles.push(message) })
  await permits.open(accounts)
  return permits
}

describe('the login budget', () => {
  test('grants so many a minute to each account, and tells how long to wait for the next', async () => {
    const permits = await open()
    for (let i = 0; i < 3; i++) {
      expect(await permits.request('b/1')).toBe(0)
      nowMs += 1_000
    }
    const waitMs = await permits.request('b/1')
    expect(waitMs).toBeGreaterThan(55_000)
    expect(waitMs).toBeLessThanOrEqual(57_000)
    expect(await permits.request('b/2')).toBe(0)
    nowMs += waitMs
    expect(await permits.request('b/1')).toBe(0)
    expect(await permits.request('b/1')).toBeGreaterThan(0)
  })

  test.each([61_000, 3_600_000, -3_600_000])('is not freed by a wall clock that is set by %i ms', async (byMs) => {
    const permits = await open()
    for (let i = 0; i < 3; i++) await permits.request('b/1')
    setForwardMs = byMs
    const waitMs = await permits.request('b/1')
    expect(waitMs).toBeGreaterThan(59_000)
    nowMs += waitMs
    expect(await permits.request('b/1')).toBe(0)
  })

  test('is on disk before a grant is told, and so holds for the next process', async () => {
    const permits = await open()
    for (let i = 0; i < 3; i++) {
      await permits.request('b/1')
      const kept = JSON.parse(readFileSync(`${stateDir}/login-budget.json`, 'utf8')) as Record<string, number[]>
      expect(Object.values(kept).flat()).toHaveLength(i + 1)
    }
    const restarted = await open()
    expect(await restarted.request('b/1')).toBeGreaterThan(0)
    expect(await restarted.request('b/2')).toBe(0)
  })

  test('is one for every process of the state directory, however they interleave', async () => {
    const [daemon, command] = [await open(6), await open(6)]
    const waits = await Promise.all(Array.from({ length: 10 }, (_, i) => (i % 2 ? daemon : command).request('b/1')))
    expect(waits.filter((waitMs) => waitMs === 0)).toHaveLength(6)
    expect(troubles).toEqual([])
  })

  test('never names an account on disk', async () => {
    const permits = await open()
    await permits.request('b/1')
    await permits.latch('b/2', 'backup', '***2', 'refused')
    const files = readdirSync(stateDir, { recursive: true }).map(String)
    expect(files.join(' ')).not.toMatch(/b.1|b.2/)
    expect(readFileSync(`${stateDir}/login-budget.json`, 'utf8')).not.toContain('b/1')
  })

  test('that cannot be read counts as used up for a minute, for every account of this daemon', async () => {
    writeFileSync(`${stateDir}/login-budget.json`, '{"half')
    const permits = await open()
    expect(await permits.request('b/1')).toBeGreaterThan(50_000)
    expect(await permits.request('b/2')).toBeGreaterThan(50_000)
    nowMs += 60_001
    expect(await permits.request('b/1')).toBe(0)
  })

  test('that cannot be written is told and does not keep a line from logging in', async () => {
    const permits = await open()
    rmSync(stateDir, { recursive: true })
    expect(await permits.request('b/1')).toBe(0)
    expect(troubles).toEqual([expect.stringContaining('login budget')])
    expect(await permits.request('b/1')).toBe(0)
    expect(await permits.request('b/1')).toBe(0)
    expect(await permits.request('b/1')).toBeGreaterThan(0)
  })
})

describe('refusals that may be tried a few times', () => {
  test('are counted by account and over restarts, until a session holds', async () => {
    const permits = await open()
    expect([permits.countRefusal('b/1'), permits.countRefusal('b/1'), permits.countRefusal('b/2')]).toEqual([1, 2, 1])
    await permits.settled()
    expect(readFileSync(`${stateDir}/login-refusals.json`, 'utf8')).not.toContain('b/1')
    const restarted = await open()
    expect(restarted.countRefusal('b/1')).toBe(3)
    restarted.sessionHeld('b/1')
    await restarted.settled()
    const third = await open()
    expect(third.countRefusal('b/1')).toBe(1)
    await third.settled()
  })

  test('begin anew once they became a latch that an operator cleared', async () => {
    const permits = await open()
    permits.countRefusal('b/1')
    await permits.latch('b/1', 'primary', '***1', 'error 9999')
    await clearLatches(stateDir, 'primary', null)
    await permits.refresh()
    expect(permits.countRefusal('b/1')).toBe(1)
    await permits.settled()
  })

  test('that can not be read begin anew, and that is told', async () => {
    writeFileSync(`${stateDir}/login-refusals.json`, '{"a": -1}')
    const permits = await open()
    expect(permits.countRefusal('b/1')).toBe(1)
    await permits.settled()
    expect(troubles).toEqual([expect.stringContaining('damaged')])
  })
})

describe('a latch', () => {
  test('holds at once, for this account, and for the next process', async () => {
    const permits = await open()
    expect(permits.isLatched('b/1')).toBe(false)
    await permits.latch('b/1', 'primary', '***1', 'error 3')
    expect(permits.isLatched('b/1')).toBe(true)
    expect(permits.isLatched('b/2')).toBe(false)
    expect((await open()).isLatched('b/1')).toBe(true)
  })

  test('that an operator clears holds no more after the next look', async () => {
    const permits = await open()
    await permits.latch('b/1', 'primary', '***1', 'error 3')
    await clearLatches(stateDir, 'primary', null)
    expect(permits.isLatched('b/1')).toBe(true)
    await permits.refresh()
    expect(permits.isLatched('b/1')).toBe(false)
  })
})
