// Any value may be a reference: it is followed when the configuration is read, and what can't be followed is that setting's problem.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { loadConfig } from '#config/load-config.ts'
import { Failure } from '#domain/failure.ts'
import { describeSecretRef, type SecretRef } from '#domain/secret-ref.ts'

const directory = mkdtempSync(join(tmpdir(), 'value-references-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const STORE: Readonly<Record<string, string>> = {
  'vault:secret/ctp#user': '123456789',
  'vault:secret/ctp#port': '9102',
  'vault:secret/ctp#spaced': 'canary with spaces',
}

async function follow(ref: SecretRef): Promise<string> {
  const text = STORE[describeSecretRef(ref)]
  if (text === undefined) throw new Failure('secret-missing', 'nothing there', 'Write it.')
  return text
}

function load(more: Readonly<Record<string, string>>, env: Record<string, string> = {}) {
  const values = {
    CTP_PRIMARY_BROKER_ID: '9999',
    CTP_PRIMARY_USER_ID: '"vault:secret/ctp#user"',
    CTP_PRIMARY_PASSWORD: 'env:MD_PASSWORD',
    CTP_PRIMARY_MD_ADDRESS: 'tcp://192.0.2.1:41213',
    VAULT_ADDR: 'https://vault.example.net',
    VAULT_TOKEN: 'text',
    ...more,
  }
  const lines = Object.entries(values).map(([name, value]) => `${name}=${value}`)
  writeFileSync(join(directory, '.env.paper'), `${lines.join('\n')}\n`, { mode: 0o600 })
  return loadConfig({ profile: 'paper', env, cwd: directory, packageDir: '/opt', followReference: follow })
}

describe('a reference in a plain setting', () => {
  test('is its value, and what is referred to in the environment is told for the daemon', async () => {
    const parsed = await load({ METRICS_PORT: '"vault:secret/ctp#port"' })
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
    expect(parsed.config.feed.primary.userId).toBe('123456789')
    expect(parsed.config.monitoring.metricsPort).toBe(9102)
    expect(parsed.config.referredVariables).toEqual(['MD_PASSWORD'])
  })

  test('that leads nowhere, or to a value of no use, is told with all other problems, without what it holds', async () => {
    const parsed = await load({
      CTP_PRIMARY_BROKER_ID: '"vault:secret/none#x"',
      CTP_PRIMARY_USER_ID: '"vault:secret/ctp#spaced"',
      METRICS_PORT: 'x',
    })
    if (parsed.ok) throw new Error('it was taken')
    expect(parsed.problems.map(({ name }) => name).sort()).toEqual([
      'CTP_PRIMARY_BROKER_ID',
      'CTP_PRIMARY_USER_ID',
      'METRICS_PORT',
    ])
    expect(JSON.stringify(parsed.problems)).toContain('expected what vault:secret/none#x holds: nothing there')
    expect(JSON.stringify(parsed.problems)).not.toContain('canary')
  })

  test('is not followed where it would be needed before the store is known', async () => {
    const parsed = await load({ VAULT_NAMESPACE: 'env:NAMESPACE' })
    expect(parsed.ok).toBe(false)
    const within = await load({ VAULT_TOKEN: '"vault:secret/ctp#user"' })
    expect(JSON.stringify(within)).toContain('what opens the store')
  })
})

test.each([
  [{ VAULT_ADDR: '' }, 'VAULT_ADDR', "expected Vault's address, since CTP_PRIMARY_USER_ID refers to"],
  [{ VAULT_TOKEN: '' }, 'VAULT_TOKEN', 'VAULT_AUTH=token'],
  [{ VAULT_AUTH: 'approle', VAULT_ROLE_ID: 'feed' }, 'VAULT_SECRET_ID', 'VAULT_AUTH=approle'],
  [{ NATS_URL: 'nats://n', NATS_USER: 'u', NATS_PASSWORD: 'aws-sm:prod/nats' }, 'AWS_REGION', 'expected a region'],
])('a store that is not complete: %j', async (more, name, message) => {
  const parsed = await load(more)
  if (parsed.ok) throw new Error('it was taken')
  const problem = parsed.problems.find((each) => each.name === name)
  expect(problem?.message).toContain(message)
  expect(problem?.remedy).not.toBe('')
})
