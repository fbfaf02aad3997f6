// What a state directory must not lose, taken out and put back; and the bundle for a postmortem.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { runCommand } from '../support/run-command.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync('/tmp/fs-')
})
afterEach(async () => {
  await command('stop')
  rmSync(directory, { recursive: true, force: true })
}, 60_000)

const PASSWORD = 'Canary-7d41b2'
const env = {
  SIM_INSTRUMENTS: '40',
  SIM_TICKS_PER_SECOND: '400',
  SUBSCRIBE_RATE_LIMIT_MAX_REQUESTS: '0',
  CTP_PRIMARY_BROKER_ID: '9999',
  CTP_PRIMARY_USER_ID: 'user4711789',
  CTP_PRIMARY_PASSWORD: PASSWORD,
}

async function command(...args: string[]) {
  const state = args.includes('--state-dir') ? [] : ['--state-dir', `${directory}/s`]
  const ended = await runCommand('start-live-env', [...args, ...state, '--json'], { cwd: directory, env })
  return { ...ended, result: JSON.parse(ended.stdout || '{}') }
}

const unpacked = (file: string): string => {
  const into = mkdtempSync(`${directory}/u`)
  execFileSync('tar', ['-xzf', file, '-C', into])
  return into
}

describe('backup and restore', () => {
  test('a new machine goes on behind the old one: numbers, epoch, latches, drills', async () => {
    expect((await command('start')).code).toBe(0)
    expect((await command('failover', '--reason', 'for a larger epoch')).code).toBe(0)
    await command('stop')
    mkdirSync(`${directory}/s/latches`, { recursive: true })
    writeFileSync(`${directory}/s/latches/kill.json`, JSON.stringify({ since: 'then', reason: 'a test', drill: null }))
    const epoch = Number(readFileSync(`${directory}/s/epoch`, 'utf8'))
    const next = Number(/next (\d+)/.exec(readFileSync(`${directory}/s/journal/sequence`, 'utf8'))?.[1])
    const saved = await command('backup', `${directory}/b.tar.gz`)
    expect(saved).toMatchObject({ code: 0, result: { outcome: 'backed-up', backup: { epoch, next_sequence: next } } })
    expect(statSync(`${directory}/b.tar.gz`).mode & 0o777).toBe(0o600)

    const elsewhere = ['--state-dir', `${directory}/new`]
    const planned = await command('restore', `${directory}/b.tar.gz`, '--dry-run', ...elsewhere)
    expect(planned).toMatchObject({ code: 0, result: { outcome: 'planned' } })
    const restored = await command('restore', `${directory}/b.tar.gz`, ...elsewhere)
    expect(restored).toMatchObject({ code: 0, result: { outcome: 'restored', restore: { latches: 1 } } })
    expect(restored.result.restore.epoch).toBeGreaterThan(epoch)
    expect(restored.result.restore.next_sequence).toBeGreaterThan(next)

    expect((await command('start', ...elsewhere)).code, 'the kill switch came along').toBe(77)
    await command('status', '--clear-latch', 'kill', '--reason', 'tested', ...elsewhere)
    const started = await command('start', ...elsewhere)
    expect(started.code).toBe(0)
    await command('stop', ...elsewhere)
    const first = readdirSync(`${directory}/new/journal`).find((name) => name !== 'sequence') ?? ''
    expect(Number(/\d+/.exec(first)?.[0])).toBeGreaterThanOrEqual(restored.result.restore.next_sequence)
  }, 120_000)

  test('is refused beside a running daemon, which it would pull the ground from under', async () => {
    expect((await command('start')).code).toBe(0)
    expect((await command('backup', `${directory}/b.tar.gz`)).code).toBe(0)
    const refused = await command('restore', `${directory}/b.tar.gz`)
    expect(refused).toMatchObject({ code: 75, result: { problems: [{ remedy: expect.stringContaining('stop') }] } })
  }, 60_000)

  test('what is newer on disk stays, a latch above all', async () => {
    expect((await command('start')).code).toBe(0)
    await command('stop')
    await command('backup', `${directory}/b.tar.gz`)
    mkdirSync(`${directory}/s/latches`, { recursive: true })
    writeFileSync(`${directory}/s/latches/kill.json`, JSON.stringify({ since: 'now', reason: 'later', drill: null }))
    writeFileSync(`${directory}/s/epoch`, '900000\n')
    expect(await command('restore', `${directory}/b.tar.gz`)).toMatchObject({
      code: 0,
      result: { restore: { epoch: 900_000, latches: 1 } },
    })
  }, 60_000)

  test.each<[string, (archive: string) => void]>([
    ['is cut short', (archive) => writeFileSync(archive, readFileSync(archive).subarray(0, 300))],
    ['is no archive', (archive) => writeFileSync(archive, 'hello')],
    ['is not there', (archive) => rmSync(archive)],
    [
      'was changed',
      (archive) => {
        const into = unpacked(archive)
        writeFileSync(`${into}/login-budget.json`, '{"x":[1]}')
        execFileSync('sh', ['-c', 'tar -czf "$1" -C "$2" $(ls "$2" | sort -r)', 'sh', archive, into])
      },
    ],
    [
      'names a place outside',
      (archive) => execFileSync('tar', ['-czf', archive, '-P', '--transform', 's,^,../../,', '/etc/hostname']),
    ],
    [
      'holds a link',
      (archive) =>
        execFileSync('sh', ['-c', 'ln -s /etc/passwd "$1/l" && tar -czf "$2" -C "$1" l', 'sh', directory, archive]),
    ],
  ])(
    'a backup that %s is refused and nothing is touched',
    async (_title, damage) => {
      expect((await command('start')).code).toBe(0)
      await command('stop')
      const archive = `${directory}/b.tar.gz`
      await command('backup', archive)
      damage(archive)
      const fresh = `${directory}/fresh`
      const refused = await command('restore', archive, '--state-dir', fresh)
      expect(refused).toMatchObject({ code: 78, result: { problems: [{ remedy: expect.stringMatching(/backup/) }] } })
      expect(readdirSync(fresh).filter((name) => name === 'epoch' || name === 'journal')).toEqual([])
    },
    60_000,
  )

  test('into a directory that is not there: 78; without a file: 64', async () => {
    expect((await command('backup', `${directory}/nowhere/b.tar.gz`)).code).toBe(78)
    expect((await command('backup')).code).toBe(64)
    expect((await command('restore')).code).toBe(64)
  })
})

describe('bundle', () => {
  test('holds what a postmortem needs, and no secret or account', async () => {
    expect((await command('start')).code).toBe(0)
    writeFileSync(`${directory}/s/logs/daemon-console.log`, `the library says password=${PASSWORD}\n`, { flag: 'a' })
    const { code, result } = await command('bundle', `${directory}/i.tar.gz`, '--reason', 'postmortem')
    expect(code).toBe(0)
    const into = unpacked(`${directory}/i.tar.gz`)
    const files = readdirSync(into, { recursive: true }).map(String)
    for (const file of [
      'about.json',
      'config.json',
      'status.json',
      'health.json',
      'journal/last-ticks.ndjson',
      'journal/verdict.json',
    ])
      expect(files).toContain(file)
    expect(files.some((file) => file.startsWith('audit/audit-'))).toBe(true)
    expect(files.some((file) => file.startsWith('logs/full-feed'))).toBe(true)
    expect(readFileSync(`${into}/journal/last-ticks.ndjson`, 'utf8')).toContain('last_price')
    expect(result.warnings.join()).toContain('METRICS_PORT')
    const everything = files.filter((file) => statSync(`${into}/${file}`).isFile())
    for (const file of everything) {
      const text = readFileSync(`${into}/${file}`, 'utf8')
      for (const secret of [PASSWORD, 'user4711789'])
        expect(text.includes(secret), `${file} tells ${secret}`).toBe(false)
    }
  }, 60_000)

  test('without a daemon it says what it lacks and is made all the same', async () => {
    const { code, result } = await command('bundle', `${directory}/i.tar.gz`)
    expect(code).toBe(0)
    expect(result.warnings.join('\n')).toContain('Without status')
  }, 60_000)
})
