// A change of configuration is seen before, applied as it was reviewed, and undone after: by an operator, or by itself.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { controlClient } from '#adapters/control/control-client.ts'
import { runCommand } from '../support/run-command.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync('/tmp/fs-')
})
afterEach(async () => {
  await command('stop')
  rmSync(directory, { recursive: true, force: true })
}, 60_000)

const MARKET = { SIM_INSTRUMENTS: '60', SIM_TICKS_PER_SECOND: '500', SUBSCRIBE_RATE_LIMIT_MAX_REQUESTS: '0' }
const GOOD = { COVERAGE_THRESHOLD: '0.75' }

async function command(mode: string, args: readonly string[] = [], env: Record<string, string> = {}) {
  const words = [mode, ...args, '--state-dir', `${directory}/s`, '--json']
  const ended = await runCommand('start-live-env', words, { cwd: directory, env: { ...MARKET, ...env } })
  return { code: ended.code, ...JSON.parse(ended.stdout) }
}

function running() {
  return controlClient({ socketPath: `${directory}/s/control.sock`, timeoutMs: 20_000 }).status()
}

/** Faults of both lines, in a file of the name. */
function scenario(fault: Record<string, unknown>): Record<string, string> {
  const path = `${directory}/${fault['fault']}.json`
  const faults = ['primary', 'backup'].map((line) => ({ at_ms: 0, line, ...fault }))
  writeFileSync(path, JSON.stringify(faults))
  return { SIM_SCENARIO: path }
}

describe('plan', { timeout: 120_000 }, () => {
  test('0 without a change, 2 with changes by path and by fingerprint, in a private file', async () => {
    expect(await command('plan')).toMatchObject({ code: 2, plan: { action: 'start', running: null } })
    await command('start', [], { ...GOOD, CTP_PRIMARY_PASSWORD: 'plan-canary-1' })
    const same = await command('plan', [], { ...GOOD, CTP_PRIMARY_PASSWORD: 'plan-canary-1' })
    expect(same).toMatchObject({ code: 0, outcome: 'no-change', plan: { action: 'none', changes: [] } })
    const other = await command('plan', ['--out', `${directory}/p.json`], { CTP_PRIMARY_PASSWORD: 'plan-canary-2' })
    expect(other).toMatchObject({ code: 2, outcome: 'changes', plan: { action: 'restart' } })
    const paths = other.plan.changes.map(({ path }: { path: string }) => path)
    expect(paths).toEqual(['coverage.threshold', 'liveness.coverageThreshold', 'CTP_PRIMARY_PASSWORD'])
    expect(statSync(`${directory}/p.json`).mode & 0o777).toBe(0o600)
    expect(readFileSync(`${directory}/p.json`, 'utf8')).not.toContain('plan-canary')
    expect(readdirSync(`${directory}/s/plans`)).toHaveLength(2)
  })

  test('is applied as it was reviewed, once, and is the only way where the environment says so', async () => {
    await command('start', [], GOOD)
    const wanted = { COVERAGE_THRESHOLD: '0.8', REQUIRE_PLAN: 'true' }
    expect(await command('restart', [], wanted)).toMatchObject({ code: 78, problems: [{ name: 'plan-required' }] })
    const plan = await command('plan', ['--out', `${directory}/p.json`], wanted)
    const otherwise = { ...wanted, COVERAGE_THRESHOLD: '0.9' }
    const refused = await command('start', ['--plan', `${directory}/p.json`], otherwise)
    expect(refused).toMatchObject({ code: 78, outcome: 'plan-refused', problems: [{ name: 'plan-outdated' }] })
    const applied = await command('start', ['--plan', `${directory}/p.json`], wanted)
    expect(applied).toMatchObject({ code: 0, outcome: 'ready' })
    expect((await running()).config_fingerprint).toBe(plan.plan.wanted.config_fingerprint)
    const audit = readdirSync(`${directory}/s/audit`).filter((name) => name.endsWith('.jsonl'))
    const entries = audit.flatMap((name) => readFileSync(`${directory}/s/audit/${name}`, 'utf8').trim().split('\n'))
    expect(entries.map((line) => JSON.parse(line)).filter((entry) => entry.plan === plan.plan.id)).toHaveLength(2)
    const again = await command('start', ['--plan', `${directory}/p.json`], wanted)
    expect(again).toMatchObject({
      code: 78,
      problems: [{ name: 'plan-outdated', message: expect.stringMatching(/^what runs/) }],
    })
  })
})

describe('rollback', { timeout: 120_000 }, () => {
  test('brings back what worked before, also where the present configuration is not even valid', async () => {
    expect(await command('rollback')).toMatchObject({ code: 78, problems: [{ name: 'no-last-known-good' }] })
    await command('start', [], GOOD)
    const { config_fingerprint: good } = await running()
    await command('restart', [], { COVERAGE_THRESHOLD: '0.8' })
    const invalid = { COVERAGE_THRESHOLD: 'much' }
    const shown = await command('rollback', ['--dry-run'], invalid)
    expect(shown).toMatchObject({ code: 0, outcome: 'planned', plan: { action: 'restart' } })
    expect((await running()).config_fingerprint).not.toBe(good)
    expect(await command('rollback', [], invalid)).toMatchObject({ code: 0, outcome: 'rolled-back' })
    expect((await running()).config_fingerprint).toBe(good)
    // What was left is no way back any more.
    expect(await command('rollback', [], invalid)).toMatchObject({ code: 78 })
  })
})

describe('a bad configuration', { timeout: 120_000 }, () => {
  test('restarted by its env file comes back on what ran before by itself, and tells what was missed', async () => {
    const envFile = `${directory}/feed.env`
    writeFileSync(envFile, 'COVERAGE_THRESHOLD=0.75\n', { mode: 0o600 })
    await command('start', ['--env-file', envFile])
    const before = await running()
    writeFileSync(envFile, `SIM_SCENARIO=${scenario({ fault: 'refuse-connect' })['SIM_SCENARIO']}\n`, { mode: 0o600 })
    const report = await command('restart', ['--env-file', envFile, '--timeout', '4'])
    expect(report).toMatchObject({ code: 69, outcome: 'rolled-back', problems: [{ name: 'not-ready' }] })
    const after = await running()
    expect(after).toMatchObject({ config_fingerprint: before.config_fingerprint, ready: true })
    const [gap] = report.rollback.gaps
    expect(gap).toMatchObject({ epoch_before: before.epoch, epoch_after: after.epoch })
    expect(gap.duration_ms).toBeGreaterThan(4_000)
    expect(gap.ticks_missed).toBeGreaterThan(0)
  })

  test('started with nothing before it gives way to the last known good', async () => {
    await command('start', [], GOOD)
    const { config_fingerprint: good } = await running()
    await command('stop')
    const report = await command('start', ['--timeout', '4'], scenario({ fault: 'refuse-connect' }))
    expect(report).toMatchObject({ code: 69, outcome: 'rolled-back' })
    expect((await running()).config_fingerprint).toBe(good)
  })

  test('that breaches the guards after it was healthy is undone, and nobody goes back to it', async () => {
    await command('start', [], GOOD)
    const { config_fingerprint: good } = await running()
    const bad = {
      ...scenario({ fault: 'garbage', at_ms: 6_000 }),
      ...{ GUARD_INVALID_MIN_TICKS: '100', ROLLBACK_WATCH_SECONDS: '60', FAILOVER_AUTOMATIC: 'false' },
    }
    const report = await command('restart', [], bad)
    expect(report).toMatchObject({ code: 69, outcome: 'rolled-back', problems: [{ name: 'guard-errors' }] })
    expect((await running()).config_fingerprint).toBe(good)
    const snapshots = readdirSync(`${directory}/s/snapshots`).filter((name) => name.endsWith('.json'))
    const read = snapshots.map((name) => JSON.parse(readFileSync(`${directory}/s/snapshots/${name}`, 'utf8')))
    for (const { config_fingerprint: kept, withdrawn } of read) expect(withdrawn === null).toBe(kept === good)
  })
})

test('--no-publish runs everything but the bus, says so, and is no configuration to go back to', async () => {
  const bus = { NATS_URL: 'nats://127.0.0.1:9' }
  const report = await command('start', ['--no-publish', '--cold'], bus)
  expect(report).toMatchObject({ code: 0, outcome: 'ready' })
  const status = await running()
  expect(status.bus.kind).toBe('none')
  expect(status.warnings.join()).toMatch(/--no-publish/)
  expect(await command('rollback', [], bus)).toMatchObject({ code: 78, problems: [{ name: 'no-last-known-good' }] })
})

test('the daemon has its secrets, and its environment and arguments do not', async () => {
  const env = { CTP_PRIMARY_PASSWORD: 'environ-canary-1', CTP_BACKUP_PASSWORD: 'env:OTHER', OTHER: 'environ-canary-2' }
  const { pid } = await command('start', [], env)
  for (const file of ['environ', 'cmdline']) {
    expect(readFileSync(`/proc/${pid}/${file}`, 'utf8')).not.toContain('environ-canary')
  }
  expect(await command('plan', [], env)).toMatchObject({ code: 0, outcome: 'no-change' })
}, 60_000)
