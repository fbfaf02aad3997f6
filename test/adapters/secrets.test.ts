import { chmodSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { resolveSecret } from '#adapters/secrets/resolve-secret.ts'
import { describeSecretRef, HiddenText, maskAccount, type SecretRef } from '#domain/secret-ref.ts'

let directory = ''
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'secrets-'))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

function file(name: string, content: string | Buffer): SecretRef {
  const path = join(directory, name)
  writeFileSync(path, content, { mode: 0o600 })
  return { source: 'file', path }
}

async function reveal(ref: SecretRef, env: Record<string, string> = {}): Promise<string> {
  return (await resolveSecret(ref, { env })).text.reveal()
}

describe('a secret in a file', () => {
  test('is its one line, without the line end', async () => {
    expect(await reveal(file('plain', 'hunter2'))).toBe('hunter2')
    expect(await reveal(file('line', 'hunter2\n'))).toBe('hunter2')
    expect(await reveal(file('windows', 'hunter2 \r\n'))).toBe('hunter2 ')
  })

  test('is read anew each time', async () => {
    const ref = file('rotated', 'hunter1')
    expect(await reveal(ref)).toBe('hunter1')
    file('rotated', 'hunter2')
    expect(await reveal(ref)).toBe('hunter2')
  })

  test('tells when it was changed', async () => {
    const ref = file('aged', 'hunter2')
    utimesSync(join(directory, 'aged'), 1_000_000, 1_000_000)
    expect((await resolveSecret(ref, { env: {} })).changedAtMs).toBe(1_000_000_000)
  })

  test('that everyone can read gets a warning', async () => {
    const ref = file('exposed', 'hunter2')
    expect((await resolveSecret(ref, { env: {} })).warning).toBeNull()
    chmodSync(join(directory, 'exposed'), 0o644)
    expect((await resolveSecret(ref, { env: {} })).warning).toContain('chmod 600')
  })

  test.each([
    ['empty', '', 'secret-empty'],
    ['newline', '\n', 'secret-empty'],
    ['two-lines', 'hunter2\nhunter3\n', 'secret-malformed'],
    ['binary', Buffer.from([1, 2, 0, 3]), 'secret-malformed'],
    ['huge', 'hunter2'.repeat(10_000), 'secret-malformed'],
  ])('%s is refused without showing it', async (name, content, kind) => {
    const refused = resolveSecret(file(name, content), { env: {} })
    await expect(refused).rejects.toMatchObject({ kind })
    await expect(refused).rejects.not.toMatchObject({ message: expect.stringContaining('hunter') })
  })

  test('a missing file and a directory are told apart', async () => {
    const missing: SecretRef = { source: 'file', path: join(directory, 'missing') }
    await expect(resolveSecret(missing, { env: {} })).rejects.toMatchObject({ kind: 'secret-missing' })
    const wrong: SecretRef = { source: 'file', path: directory }
    await expect(resolveSecret(wrong, { env: {} })).rejects.toMatchObject({ kind: 'secret-unreadable' })
  })
})

describe('a secret in the environment', () => {
  const ref: SecretRef = { source: 'env', name: 'FEED_TEST_SECRET' }

  test('is taken as it is', async () => {
    expect(await reveal(ref, { FEED_TEST_SECRET: ' hunter2 ' })).toBe(' hunter2 ')
  })

  test.each([
    [{}, 'secret-missing'],
    [{ FEED_TEST_SECRET: '' }, 'secret-empty'],
    [{ FEED_TEST_SECRET: 'env:FEED_TEST_SECRET' }, 'secret-malformed'],
  ])('%j is refused', async (env, kind) => {
    await expect(resolveSecret(ref, { env })).rejects.toMatchObject({ kind })
  })
})

test.each([
  [{ source: 'vault', path: 'secret/ctp', field: 'password' }],
  [{ source: 'aws-sm', id: 'prod/ctp', field: null }],
] as const)('a store that is not configured: %j', async (ref) => {
  await expect(resolveSecret(ref, { env: {} })).rejects.toMatchObject({
    kind: 'secret-store-unconfigured',
    remedy: expect.stringContaining('file:PATH'),
  })
})

test('a literal is what it is, and references can be shown', async () => {
  const literal: SecretRef = { source: 'literal', value: new HiddenText('hunter2') }
  expect(await reveal(literal)).toBe('hunter2')
  expect(describeSecretRef(literal)).toBe('[set]')
  expect(describeSecretRef({ source: 'vault', path: 'a/b', field: 'c' })).toBe('vault:a/b#c')
  expect(describeSecretRef({ source: 'aws-sm', id: 'a', field: null })).toBe('aws-sm:a')
})

test('an abort is passed on', async () => {
  const reason = new Error('stopped')
  const literal: SecretRef = { source: 'literal', value: new HiddenText('hunter2') }
  await expect(resolveSecret(literal, { env: {} }, AbortSignal.abort(reason))).rejects.toBe(reason)
})

test.each([
  ['123456789', '***789'],
  ['1234', '***234'],
  ['123', '***'],
  ['', '***'],
])('account %j is shown as %s', (account, shown) => {
  expect(maskAccount(account)).toBe(shown)
})
