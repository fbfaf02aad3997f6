/**
 * An env file that was damaged on its way - by an editor, a template engine, a full disk, a bad copy - must end in problems with
 * remedies: never in an exception, never in a configuration that is half of what was meant, never with a secret in a message.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseEnvText } from '#config/env-file.ts'
import { loadConfig } from '#config/load-config.ts'
import { parseConfig } from '#config/parse-config.ts'

const SECRETS = ['hunter2-primary', 'hunter2-backup', 'hunter2-bus']
const SOUND: readonly (readonly [string, string])[] = [
  ['CTP_PRIMARY_BROKER_ID', '9999'],
  ['CTP_PRIMARY_USER_ID', '123456789'],
  ['CTP_PRIMARY_PASSWORD', 'hunter2-primary'],
  ['CTP_PRIMARY_MD_ADDRESS', 'tcp://192.0.2.1:41213,tcp://192.0.2.2:41213'],
  ['CTP_BACKUP_BROKER_ID', '8888'],
  ['CTP_BACKUP_USER_ID', '987654321'],
  ['CTP_BACKUP_PASSWORD', 'hunter2-backup'],
  ['CTP_BACKUP_MD_ADDRESS', 'ssl://192.0.2.3:41213'],
  ['NATS_URL', 'nats://127.0.0.1:4222'],
  ['NATS_USER', 'feed'],
  ['NATS_PASSWORD', 'hunter2-bus'],
  ['METRICS_PORT', '9102'],
  ['COVERAGE_THRESHOLD', '0.99'],
  ['STANDBY_MODE', 'warm'],
]
const SOUND_LINES = SOUND.map(([name, value]) => `${name}=${value}`)
/** Losing one of these leaves a line or the bus half configured. */
const NEEDED = SOUND.map(([name]) => name).filter((name) => /^CTP_|^NATS_(USER|PASSWORD)/.test(name))

const anyLine = fc.nat({ max: SOUND.length - 1 })
const neededLine = fc.nat({ max: NEEDED.length - 1 }).map((i) => SOUND.findIndex(([name]) => name === NEEDED[i]))
const text = (lines: readonly string[]) => Buffer.from(`${lines.join('\n')}\n`)
const replaced = (at: number, ...lines: string[]) => text(SOUND_LINES.toSpliced(at, 1, ...lines))
const lineAt = (at: number) => SOUND_LINES[at] ?? ''
const nameAt = (at: number) => SOUND[at]?.[0] ?? ''

const cut = (length: number) => text(SOUND_LINES).subarray(0, length)

/** Lengths at which the lines from `first` on have begun and line `last` has not got its value yet: what is left is no whole line. */
function cutsWithin(first: number, last: number): fc.Arbitrary<number> {
  const lengthOf = (count: number) => text(SOUND_LINES.slice(0, count)).length
  const begun = first === 0 ? 0 : lengthOf(first) + lineAt(first).indexOf('=') + 2
  return fc.integer({ min: begun, max: lengthOf(last) + lineAt(last).indexOf('=') + 1 })
}

const damagedFiles = fc.oneof(
  neededLine.map((at) => ({ damage: `lost ${nameAt(at)}`, bytes: replaced(at) })),
  neededLine.map((at) => ({ damage: `emptied ${nameAt(at)}`, bytes: replaced(at, `${nameAt(at)}=`) })),
  anyLine.map((at) => ({ damage: `doubled ${nameAt(at)}`, bytes: replaced(at, lineAt(at), lineAt(at)) })),
  anyLine.map((at) => ({ damage: `conflict marks at ${nameAt(at)}`, bytes: replaced(at, '<<<<<<< HEAD', lineAt(at)) })),
  anyLine.map((at) => ({ damage: `open quote at ${nameAt(at)}`, bytes: replaced(at, lineAt(at).replace('=', '="')) })),
  anyLine.map((at) => ({ damage: `no = at ${nameAt(at)}`, bytes: replaced(at, lineAt(at).replace('=', ' ')) })),
  anyLine.map((at) => ({ damage: `# within ${nameAt(at)}`, bytes: replaced(at, `${lineAt(at)}#x`) })),
  neededLine
    .map((at) => ({ damage: `placeholder in ${nameAt(at)}`, bytes: replaced(at, `${nameAt(at)}=changeme`) }))
    .filter(({ damage }) => !damage.endsWith('NATS_USER')),
  fc.tuple(anyLine, fc.constantFrom('-1', '1e9', '∞', '0x1F', '99,5', '..')).map(([at, value]) => ({
    damage: `numbers gone wrong`,
    bytes: text([...SOUND_LINES.slice(0, 11), `METRICS_PORT=${value}`, ...SOUND_LINES.slice(12), `# ${at}`]),
  })),
  fc.tuple(fc.nat({ max: 250 }), fc.constantFrom(0x00, 0x01, 0x1b, 0xff, 0x80)).map(([at, byte]) => ({
    damage: `byte ${byte} at ${at}`,
    bytes: Buffer.concat([text(SOUND_LINES).subarray(0, at), Buffer.from([byte]), text(SOUND_LINES).subarray(at)]),
  })),
  cutsWithin(0, 3).map((length) => ({ damage: `cut within the primary, after ${length}`, bytes: cut(length) })),
  cutsWithin(4, 7).map((length) => ({ damage: `cut within the backup, after ${length}`, bytes: cut(length) })),
  fc.uint8Array({ minLength: 1, maxLength: 400 }).map((bytes) => ({ damage: 'noise', bytes: Buffer.from(bytes) })),
  fc.constant({ damage: 'too large', bytes: Buffer.alloc(70_000, 'A=1\n') }),
)

let directory = ''
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'damaged-env-'))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

function load() {
  return loadConfig({ profile: 'live', env: {}, cwd: directory, packageDir: '/opt' })
}

test('the undamaged file is fine', async () => {
  writeFileSync(join(directory, '.env.live'), text(SOUND_LINES), { mode: 0o600 })
  expect(await load()).toMatchObject({ ok: true })
})

test('200 damaged files: exit code 78, a remedy for each problem, no secret in any', async () => {
  await fc.assert(
    fc.asyncProperty(damagedFiles, async ({ damage, bytes }) => {
      writeFileSync(join(directory, '.env.live'), bytes, { mode: 0o600 })
      const parsed = await load()
      expect(parsed, damage).toMatchObject({ ok: false, exitCode: 78 })
      if (parsed.ok) return
      expect(parsed.problems.length).toBeGreaterThan(0)
      for (const problem of [...parsed.problems, ...parsed.warnings]) {
        expect(problem.remedy).not.toBe('')
        expect(problem.message).not.toBe('')
      }
      const told = JSON.stringify([parsed.problems, parsed.warnings])
      for (const secret of SECRETS) expect(told).not.toContain(secret)
    }),
    { numRuns: 200, seed: 20_260_302 },
  )
})

test('whatever single character is changed, parsing does not throw and no secret is told', () => {
  const sound = text(SOUND_LINES).toString()
  fc.assert(
    fc.property(fc.nat({ max: sound.length - 1 }), fc.string({ maxLength: 2 }), (at, inserted) => {
      const bytes = Buffer.from(sound.slice(0, at) + inserted + sound.slice(at + 1))
      const envFile = { path: '.env.live', mode: 0o600, ...parseEnvText('.env.live', bytes) }
      const parsed = parseConfig({ profile: 'live', env: {}, envFile, cwd: '/srv', packageDir: '/opt' })
      const told = JSON.stringify(parsed.ok ? parsed.warnings : [parsed.problems, parsed.warnings])
      for (const secret of SECRETS) expect(told).not.toContain(secret)
    }),
    { numRuns: 1_000 },
  )
})
