// The daemon itself stands still for a while, as in a stalled virtual machine: no fault of the bridges, and what they kept is read.
import { afterAll, expect, test } from 'vitest'
import { expectOneStream } from '../support/journalled.ts'
import { DaemonHome } from '../support/real-daemon.ts'

const homes: DaemonHome[] = []
afterAll(async () => {
  for (const home of homes) await home.dispose()
})

const PAUSE_MS = 12_000

async function paused(env: Record<string, string>) {
  const home = new DaemonHome()
  homes.push(home)
  const daemon = home.start({ env: { SIM_INSTRUMENTS: '40', SUBSCRIBE_RATE_LIMIT_MAX_REQUESTS: '0', ...env } })
  const before = await home.until('both lines stream and deliver', ({ ready, lines }) =>
    [lines.primary, lines.backup].every((line) => ready && line?.state === 'streaming' && line.pulse === 'green'),
  )
  const fromMs = Date.now()
  daemon.signal('SIGSTOP')
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  daemon.signal('SIGCONT')
  const { uptime_ms: uptimeMs } = await home.status()
  // Long enough for whatever accuses a line by its silence.
  const after = await home.until('ten seconds more have passed', (status) => status.uptime_ms > uptimeMs + 10_000)
  return { home, daemon, before, after, fromMs }
}

test('after a pause of twelve seconds the same bridges hold the same logins, and the ticks of the pause are there', async () => {
  const { home, daemon, before, after, fromMs } = await paused({ SIM_TICKS_PER_SECOND: '400' })
  for (const line of ['primary', 'backup'] as const) {
    const { bridge_pid: pid, login_attempts: logins } = before.lines[line] ?? {}
    expect(after.lines[line]).toMatchObject({ bridge_pid: pid, login_attempts: logins, disconnects: 0, dropped: 0 })
  }
  expect(after).toMatchObject({ epoch: before.epoch, serving_line: 'primary', feed_state: 'ACTIVE' })
  expect(daemon.logged('this process was held up')).toHaveLength(1)
  expect(daemon.logged('is red').filter(({ level }) => level === 'warn')).toEqual([])
  expect(await daemon.stop()).toEqual({ code: 0, signal: null })
  const ticks = await home.ticks()
  expectOneStream(ticks)
  const inPause = ticks.filter(({ datetime }) => Math.abs(Date.parse(datetime) - fromMs - PAUSE_MS / 2) < PAUSE_MS / 2)
  expect(inPause.length).toBeGreaterThan(0.8 * 400 * (PAUSE_MS / 1_000))
}, 120_000)

test('what the bridges could not keep is counted and warned of', async () => {
  // Beyond what a bridge holds for twelve seconds.
  const { home, after } = await paused({ SIM_INSTRUMENTS: '400', SIM_TICKS_PER_SECOND: '6000' })
  const dropped = after.lines.primary.dropped
  expect(dropped).toBeGreaterThan(1_000)
  const health = await home.control.health({ mode: 'dry-run' })
  expect(health.verdict).toBe('WARNING')
  expect(health.warnings.join()).toMatch(/primary: its bridge had to drop ticks .*: \d+ so far/)
  expect(after.lines.primary.bridge_pid).toBe((await home.status()).lines.primary.bridge_pid)
}, 120_000)
