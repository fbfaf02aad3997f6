// A secret changes while the market runs: noticed, proven by a trial login on the line that stands by, or refused and kept out, and in
// neither case does a tick get lost. Real processes.
import { readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { expectOneStream } from '../support/journalled.ts'
import { DaemonHome } from '../support/real-daemon.ts'

const homes: DaemonHome[] = []
afterAll(async () => {
  for (const home of homes) await home.dispose()
})

const MARKET = { SIM_INSTRUMENTS: '2000', SUBSCRIBE_RATE_LIMIT_MAX_REQUESTS: '0', SECRET_CHECK_SECONDS: '3600' }

function begin(rate: number, { front = true, scenario = [] as object[], more = {} as Record<string, string> } = {}) {
  const home = new DaemonHome()
  homes.push(home)
  const file = `${home.directory}/primary-password`
  writeFileSync(file, 'canary-one', { mode: 0o600 })
  const env = {
    ...MARKET,
    SIM_TICKS_PER_SECOND: String(rate),
    CTP_PRIMARY_PASSWORD: `file:${file}`,
    ...(front && { CTP_PRIMARY_TD_ADDRESS: 'tcp://127.0.0.1:1' }),
    ...more,
  }
  const daemon = home.start({ env, scenario })
  const secret = async () => (await home.status()).lines.primary.secret
  return { home, daemon, file, secret }
}

async function bothStream(home: DaemonHome) {
  return home.until('both lines stream and the secret is in use', ({ lines, ready }) => {
    const streams = [lines.primary, lines.backup].every((line) => line?.state === 'streaming' && line.pulse === 'green')
    return streams && ready && lines.primary.secret?.state === 'in-use'
  })
}

describe('a changed password', { timeout: 240_000 }, () => {
  test('is proven by a trial login while the other line serves, at 20,000 ticks a second and without a loss', async () => {
    const { home, daemon, file } = begin(20_000)
    const before = await bothStream(home)
    expect(before.lines.primary.secret).toMatchObject({ proof: 'login', source: `file:${file}` })
    writeFileSync(file, 'canary-two')
    const proven = await home.until(
      'the new secret is proven',
      ({ lines }) => lines.primary.secret?.proof === 'trading-login',
    )
    expect(proven.serving_line).toBe('backup')
    expect(proven.failover.home).toBe('primary')
    // The old login stays up.
    expect(proven.lines.primary).toMatchObject({ bridge_pid: before.lines.primary.bridge_pid, disconnects: 0 })
    const later = await home.until(
      'the switch is measured',
      ({ failover, ticks }) => failover.last?.lost !== null && ticks.accepted > proven.ticks.accepted + 20_000,
    )
    expect(later.failover.last).toMatchObject({ from: 'primary', to: 'backup', lost: 0 })
    expect(later.journal.lost).toBe(0)
    expect(later.lines.primary.dropped + (later.lines.backup?.dropped ?? 0)).toBe(0)
    expect((await daemon.stop()).code).toBe(0)
    // Every tick that a line delivered as news is in the journal, in one stream.
    expect(daemon.orphans()).toEqual([])
    expect(await home.command('verify')).toMatchObject({ code: 0 })
    expect(outcomes(home)).toEqual(['noticed', 'stepped-aside', 'proven'])
    expect(daemon.stderr).not.toContain('canary')
    expect(readAudit(home)).not.toContain('canary')
  })

  test('that the front refuses latches the account and changes nothing else: the old login streams on, nothing is lost', async () => {
    const refusal = { at_ms: 25_000, line: 'primary', fault: 'login-error', id: 3, for_ms: 600_000 }
    const { home, daemon, file } = begin(20_000, { scenario: [refusal] })
    const before = await bothStream(home)
    await home.until('the front refuses logins by now', ({ uptime_ms }) => uptime_ms > 27_000)
    writeFileSync(file, 'canary-wrong')
    const refused = await home.until('the secret is refused', ({ lines }) => lines.primary.secret?.state === 'refused')
    expect(refused.lines.primary).toMatchObject({
      state: 'streaming',
      bridge_pid: before.lines.primary.bridge_pid,
      disconnects: 0,
      secret: { proof: 'login', detail: expect.stringContaining('error 3') },
    })
    expect(home.has('latches')).toBe(true)
    expect(refused.warnings.join(' ')).toContain('refused')
    expect(daemon.logged('secret refused').map(({ level }) => level)).toEqual(['error'])
    const later = await home.until(
      'ticks go on on both lines',
      ({ ticks, lines }) =>
        ticks.accepted > refused.ticks.accepted + 60_000 &&
        lines.primary.delivered > refused.lines.primary.delivered + 60_000,
    )
    expect(later.failover.last).toMatchObject({ lost: 0 })
    expect(later.journal.lost).toBe(0)
    // Tried once, and not again while the latch holds.
    expect(outcomes(home)).toEqual(['noticed', 'stepped-aside', 'refused'])
    expect((await daemon.stop()).code).toBe(0)
    expect(await home.command('verify')).toMatchObject({ code: 0 })
    expect(daemon.stderr + readAudit(home)).not.toContain('canary')
  })

  test('without a trading front is used from the next login on and told as unproven; a file put back is no change', async () => {
    const { home, daemon, file, secret } = begin(400, { front: false })
    await bothStream(home)
    writeFileSync(file, 'canary-two')
    const { serving_line, warnings } = await home.until(
      'the secret is unproven',
      ({ lines }) => lines.primary.secret?.proof === 'unproven',
    )
    expect(serving_line).toBe('primary')
    expect(warnings.join(' ')).toContain('unproven')
    const { checked_at } = (await secret()) ?? {}
    utimesSync(file, 1_000_000, 1_000_000)
    const old = await home.until('looked at again', ({ lines }) => lines.primary.secret?.checked_at !== checked_at)
    expect(old.lines.primary.secret).toMatchObject({
      state: 'in-use',
      proof: 'unproven',
      changed_at: '1970-01-12T21:46:40.000+08:00',
    })
    expect(old.warnings.join(' ')).toContain('SECRET_MAX_AGE_DAYS')
    expect(outcomes(home)).toEqual(['noticed', 'unproven'])
    await daemon.stop()
    expectOneStream(await home.ticks({ offSession: true }))
  })
})

function readAudit(home: DaemonHome): string {
  const directory = home.file('audit')
  return readdirSync(directory)
    .filter((name) => name.endsWith('.jsonl'))
    .map((name) => readFileSync(`${directory}/${name}`, 'utf8'))
    .join('')
}

function outcomes(home: DaemonHome): string[] {
  return readAudit(home)
    .split('\n')
    .filter((line) => line.includes('"event":"secret"'))
    .map((line) => String(JSON.parse(line).outcome))
}
