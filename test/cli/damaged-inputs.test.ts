// Whatever is wrong with an env file or with what a secret store answers, `start-live-env` refuses before anything runs: exit code 78 (or
// 77), a remedy for each problem, no stack trace, no secret, and nothing half started.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { main } from '#apps/start-live-env.ts'
import { HttpDouble, json } from '../support/http-double.ts'

const CANARIES = ['canary-primary', 'canary-backup', 'canary-token', 'canary-store']

let directory = ''
let store: HttpDouble
let answer: (response: ServerResponse, path: string) => void = () => undefined
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'damaged-inputs-'))
  store = await HttpDouble.start(({ path }, response) => answer(response, path))
})
afterAll(async () => {
  await store.stop()
  rmSync(directory, { recursive: true, force: true })
})
afterEach(() => vi.restoreAllMocks())

let runs = 0

/** One `start-live-env start` with this env file, in a state directory of its own. */
async function start(envFile: string, ...more: readonly string[]) {
  const place = join(directory, String(++runs))
  mkdirSync(place)
  const file = join(place, 'env')
  writeFileSync(file, envFile, { mode: 0o600 })
  const stateDir = join(place, 's')
  const env = { PATH: process.env['PATH'] ?? '' }
  const options = ['--profile', 'paper', '--env-file', file, '--state-dir', stateDir, '--json', ...more]
  let [stdout, stderr] = ['', '']
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += String(text)
    return true
  })
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    stderr += String(text)
    return true
  })
  const code = await main(['start', ...options], env)
  // What must not happen is not left running either.
  if (code !== 77 && code !== 78 && more.length === 0) await main(['stop', ...options], env)
  vi.restoreAllMocks()
  return { code, stdout, told: stdout + stderr, stateDir }
}

function expectRefused({ code, stdout, told, stateDir }: Awaited<ReturnType<typeof start>>, damage: string): void {
  expect([77, 78], `${damage}: ${told.slice(0, 2_000)}`).toContain(code)
  const report: unknown = JSON.parse(stdout)
  const problems = Reflect.get(Object(report), 'problems')
  if (!Array.isArray(problems)) throw new Error(`${damage}: no problems in ${told}`)
  expect(problems.length, damage).toBeGreaterThan(0)
  for (const { name, message, remedy } of problems) {
    for (const text of [name, message, remedy]) expect(text, damage).toMatch(/\S/)
  }
  expect(told, damage).not.toMatch(/\n\s+at .*:\d+:\d+|TypeError|ReferenceError|unexpected fault/)
  for (const canary of CANARIES) expect(told, damage).not.toContain(canary)
  for (const trace of ['daemon.json', 'control.sock', 'journal', 'epoch']) {
    expect(existsSync(join(stateDir, trace)), `${damage}: ${trace}`).toBe(false)
  }
  const logs = join(stateDir, 'logs')
  expect(existsSync(logs) ? readdirSync(logs).filter((name) => name.includes('daemon')) : []).toEqual([])
}

const sound = () => [
  'CTP_PRIMARY_BROKER_ID=9999',
  'CTP_PRIMARY_USER_ID=123456789',
  'CTP_PRIMARY_PASSWORD="vault:secret/ctp#primary"',
  'CTP_PRIMARY_MD_ADDRESS=tcp://127.0.0.1:1',
  'CTP_BACKUP_BROKER_ID=8888',
  'CTP_BACKUP_USER_ID="vault:secret/ctp#user"',
  'CTP_BACKUP_PASSWORD=canary-backup',
  'CTP_BACKUP_MD_ADDRESS=tcp://127.0.0.1:2',
  `VAULT_ADDR=${store.url}`,
  'VAULT_TOKEN=canary-token',
  'VAULT_KV_VERSION=1',
  'METRICS_PORT=0',
  'FEED_ADAPTER=sim',
  'SECRET_TIMEOUT_SECONDS=0.2',
]
const LINES = 12

const well = { data: { primary: 'canary-primary', user: '987654321' } }

const damagedFiles = fc.oneof(
  fc.nat({ max: LINES - 3 }).map((at) => ({
    damage: `no = in line ${at}`,
    edit: (lines: string[]) => lines.toSpliced(at, 1, (lines[at] ?? '').replace('=', ' ')),
  })),
  fc
    .nat({ max: LINES - 1 })
    .map((at) => ({ damage: `line ${at} twice`, edit: (lines: string[]) => lines.toSpliced(at, 0, lines[at] ?? '') })),
  fc.nat({ max: LINES - 1 }).map((at) => ({
    damage: `open quote in line ${at}`,
    edit: (lines: string[]) => lines.toSpliced(at, 1, `${(lines[at] ?? '').replaceAll('"', '').replace('=', '="')}`),
  })),
  fc.nat({ max: LINES - 1 }).map((at) => ({
    damage: `conflict marks at line ${at}`,
    edit: (lines: string[]) => lines.toSpliced(at, 0, '<<<<<<< HEAD'),
  })),
  fc.constantFrom('VAULT_ADDR', 'VAULT_TOKEN').map((name) => ({
    damage: `no ${name}`,
    edit: (lines: string[]) => lines.filter((line) => !line.startsWith(name)),
  })),
  fc.constantFrom('-1', '1e9', '99,5', 'x').map((value) => ({
    damage: `METRICS_PORT=${value}`,
    edit: (lines: string[]) => lines.map((line) => (line.startsWith('METRICS_PORT') ? `METRICS_PORT=${value}` : line)),
  })),
  fc
    .constantFrom(
      'vault:',
      'vault:secret/ctp',
      'file:/nonexistent/secret',
      'env:NOT_SET_ANYWHERE',
      'aws-sm:prod/ctp',
      'changeme',
    )
    .map((ref) => ({
      damage: `password ${ref}`,
      edit: (lines: string[]) =>
        lines.map((line) => (line.startsWith('CTP_PRIMARY_PASSWORD') ? `CTP_PRIMARY_PASSWORD="${ref}"` : line)),
    })),
)

/** Answers of the store that hold no usable secret under the names asked for, or no whole answer. */
const damagedAnswers: fc.Arbitrary<{ damage: string; give: (response: ServerResponse) => void }> = fc.oneof(
  fc.constantFrom(400, 403, 404, 429, 472, 500, 503, 418, 302).map((status) => ({
    damage: `status ${status}`,
    give: (response: ServerResponse) => json(response, status, { errors: ['no'] }),
  })),
  fc.nat({ max: JSON.stringify(well).length - 2 }).map((length) => ({
    damage: `cut after ${length}`,
    give: (response: ServerResponse) => response.end(JSON.stringify(well).slice(0, length)),
  })),
  fc.nat({ max: 40 }).map((length) => ({
    damage: `broken off after ${length}`,
    give: (response: ServerResponse) => {
      response.writeHead(200, { 'content-length': '5000' }).write(JSON.stringify(well).slice(0, length))
      setImmediate(() => response.destroy())
    },
  })),
  fc.jsonValue({ maxDepth: 2 }).map((value) => ({
    damage: `data ${JSON.stringify(value)}`,
    give: (response: ServerResponse) => json(response, 200, { data: value }),
  })),
  fc.constantFrom('', 'two\nlines', 'x'.repeat(5_000), null, {}, []).map((value) => ({
    damage: `secret ${String(JSON.stringify(value)).slice(0, 20)}`,
    give: (response: ServerResponse) => json(response, 200, { data: { primary: value, user: '987654321' } }),
  })),
  fc.constantFrom('a b', 'ctp account 1').map((user) => ({
    damage: `user ${user}`,
    give: (response: ServerResponse) => json(response, 200, { data: { primary: 'canary-primary', user } }),
  })),
  fc
    .uint8Array({ maxLength: 300 })
    .map((bytes) => ({ damage: 'noise', give: (response: ServerResponse) => response.end(bytes) })),
)

const wellAnswered = (response: ServerResponse, path: string) =>
  json(response, 200, path.includes('lookup-self') ? { data: { ttl: 0 } } : well)

test('what is sound is not refused', async () => {
  answer = wellAnswered
  const { code, told } = await start(`${sound().join('\n')}\n`, '--dry-run')
  expect(code, told).toBe(0)
})

describe('start-live-env refuses', { timeout: 300_000 }, () => {
  test('100 damaged env files', async () => {
    answer = wellAnswered
    await fc.assert(
      fc.asyncProperty(damagedFiles, async ({ damage, edit }) => {
        expectRefused(await start(`${edit(sound()).join('\n')}\n`), damage)
      }),
      { numRuns: 100, seed: 20_261_121 },
    )
  })

  test('100 damaged answers of a secret store', async () => {
    await fc.assert(
      fc.asyncProperty(damagedAnswers, async ({ damage, give }) => {
        answer = (response, path) => (path.includes('lookup-self') ? wellAnswered(response, path) : give(response))
        expectRefused(await start(`${sound().join('\n')}\n`), damage)
      }),
      { numRuns: 100, seed: 20_261_121 },
    )
  })
})
