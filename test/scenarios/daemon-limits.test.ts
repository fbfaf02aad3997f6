// What must hold over the life of one process: the login budget, the pace of subscriptions, the epoch, the count of an orderly end.
import { readFileSync } from 'node:fs'
import { afterAll, expect, test } from 'vitest'
import { DaemonHome } from '../support/real-daemon.ts'

const homes: DaemonHome[] = []
afterAll(async () => {
  for (const home of homes) await home.dispose()
})

function newHome(): DaemonHome {
  const home = new DaemonHome()
  homes.push(home)
  return home
}

const SMALL = { SIM_INSTRUMENTS: '60', SIM_TICKS_PER_SECOND: '600', SUBSCRIBE_RATE_LIMIT_MAX_REQUESTS: '0' }

test('a login that a killed daemon sent counts against the budget of the next one', async () => {
  const home = newHome()
  const env = { ...SMALL, RATE_LIMIT_LOGIN_PER_MINUTE: '1' }
  const first = home.start({ env })
  await home.until(
    'both lines are logged in',
    ({ lines }) => lines.primary.logged_in && lines.backup?.logged_in === true,
  )
  await first.kill()
  home.start({ env })
  const { lines } = await home.until('both lines wait', (status) =>
    [status.lines.primary, status.lines.backup].every((line) => line?.state === 'waiting'),
  )
  expect(lines.primary).toMatchObject({ login_attempts: 0, detail: expect.stringContaining('login budget') })
  expect(lines.backup).toMatchObject({ login_attempts: 0 })
}, 90_000)

test('the front is not asked faster than the pacing allows', async () => {
  const home = newHome()
  const startedMs = performance.now()
  home.start({
    env: { ...SMALL, SUBSCRIBE_RATE_LIMIT_MAX_REQUESTS: '10', SUBSCRIBE_RATE_LIMIT_WINDOW_SECONDS: '0.5' },
  })
  await home.untilReady()
  // Sixty contracts are six windows, and the first one is open at once. A slow machine only takes longer.
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(2_500)
}, 90_000)

test('the epoch of a switch is on disk before anybody hears of it', async () => {
  const home = newHome()
  const daemon = home.start({ env: SMALL })
  const before = await home.until(
    'both lines deliver',
    ({ ready, lines }) => ready && lines.backup?.state === 'streaming',
  )
  const answer = await home.control.servingLine({ command: 'failover', reason: 'a test of the epoch file' })
  expect(answer.kind).toBe('done')
  await daemon.kill()
  expect(Number(readFileSync(home.file('epoch'), 'utf8'))).toBeGreaterThanOrEqual(before.epoch + 1)
}, 90_000)

test('an orderly end gives back the numbers that it had reserved', async () => {
  const home = newHome()
  const daemon = home.start({ env: SMALL })
  await home.until('some ticks', ({ ticks }) => ticks.accepted > 500)
  await daemon.stop()
  const last = (await home.ticks({ offSession: true })).at(-1)?.seq ?? 0
  home.start({ env: SMALL })
  await home.until('more ticks', ({ ticks }) => ticks.accepted > 100)
  const next = (await home.ticks({ offSession: true })).find(({ seq }) => seq > last)
  expect(next?.seq).toBe(last + 1)
}, 90_000)
