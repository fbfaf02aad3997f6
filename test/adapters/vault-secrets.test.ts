// Secrets from Vault, over its documented HTTP API: what is read, how we log in there, and every way in which it says no.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { VaultSecrets } from '#adapters/secrets/vault/vault-secrets.ts'
import type { VaultAuth, VaultOptions } from '#adapters/secrets/vault/vault-session.ts'
import { Failure } from '#domain/failure.ts'
import { HiddenText } from '#domain/secret-ref.ts'
import { HttpDouble, json } from '../support/http-double.ts'
import { VaultDouble } from '../support/vault-double.ts'

const TOKEN = 'hvs.root-canary'
const directory = mkdtempSync(join(tmpdir(), 'vault-'))
const doubles: (VaultDouble | HttpDouble)[] = []
let vault: VaultDouble
let nowMs = 0

beforeEach(async () => {
  nowMs = 1_000_000
  vault = await begun(VaultDouble.start())
  vault.state.tokens.set(TOKEN, { ttl: 0, renewable: false })
  vault.state.kv2['secret/data/ctp/primary'] = {
    data: { password: 'hunter2-canary', pin: 123456, deep: { er: 1 } },
    createdTime: '2026-11-01T00:00:00.123456789Z',
  }
  vault.state.kv1['old/ctp'] = { password: 'hunter1-canary' }
})
afterEach(async () => {
  for (const double of doubles.splice(0)) await (double instanceof VaultDouble ? double.http : double).stop()
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

async function begun<D extends VaultDouble | HttpDouble>(starting: Promise<D>): Promise<D> {
  const double = await starting
  doubles.push(double)
  return double
}

const BY_TOKEN: VaultAuth = { method: 'token', token: { source: 'literal', value: new HiddenText(TOKEN) } }
const BY_ROLE: VaultAuth = {
  method: 'approle',
  mount: 'approle',
  roleId: 'role-1',
  secretId: { source: 'literal', value: new HiddenText('secret-id-1') },
}

function secrets(options: Partial<VaultOptions & { budgetMs: number }> = {}, readToken?: () => string) {
  return new VaultSecrets(
    {
      address: vault.http.url,
      namespace: null,
      caFile: null,
      auth: BY_TOKEN,
      kvVersion: 'auto',
      budgetMs: 5_000,
      ...options,
    },
    {
      readLocal: async (ref) => {
        if (readToken !== undefined) return new HiddenText(readToken())
        return ref.source === 'literal' ? ref.value : new HiddenText('none')
      },
      clock: { monotonicMs: () => nowMs },
    },
  )
}

const PRIMARY = { path: 'secret/ctp/primary', field: 'password' }
const text = async (reading: ReturnType<VaultSecrets['read']>) => (await reading).text.reveal()

async function failureOf(reading: Promise<unknown>): Promise<Failure> {
  const error = await reading.then(
    () => new Error('it was read'),
    (reason: unknown) => reason,
  )
  if (!(error instanceof Failure)) throw error
  expect(error.remedy).not.toBe('')
  // Neither what was kept there nor what opens it, wherever an error is printed.
  const told = JSON.stringify([error.message, error.remedy, error.cause instanceof Error ? error.cause.message : ''])
  expect(told).not.toContain('canary')
  return error
}

describe('a secret', () => {
  test('of an engine with versions is found by the path of the command and by that of the API', async () => {
    const found = await secrets().read(PRIMARY)
    expect(found.text.reveal()).toBe('hunter2-canary')
    expect(found.changedAtMs).toBe(Date.parse('2026-11-01T00:00:00.123Z'))
    expect(await text(secrets().read({ path: '/secret/data/ctp/primary/', field: 'pin' }))).toBe('123456')
    expect(vault.http.paths()).toContain('GET /v1/secret/data/ctp/primary')
  })

  test('of an engine without versions has no date', async () => {
    const found = await secrets().read({ path: 'old/ctp', field: 'password' })
    expect([found.text.reveal(), found.changedAtMs]).toEqual(['hunter1-canary', null])
  })

  test('is read with the version that the configuration names, and Vault is not asked for it', async () => {
    expect(await text(secrets({ kvVersion: '2' }).read(PRIMARY))).toBe('hunter2-canary')
    expect(await text(secrets({ kvVersion: '1' }).read({ path: 'old/ctp', field: 'password' }))).toBe('hunter1-canary')
    expect(vault.http.paths().filter((path) => path.includes('mounts'))).toEqual([])
  })

  test('is read anew each time', async () => {
    const kept = secrets()
    await kept.read(PRIMARY)
    vault.state.kv2['secret/data/ctp/primary'] = { data: { password: 'next' }, createdTime: '2026-11-02T00:00:00Z' }
    expect(await text(kept.read(PRIMARY))).toBe('next')
  })

  test.each([
    [
      'a path with nothing',
      { path: 'secret/none', field: 'password' },
      'secret-missing',
      'nothing at vault:secret/none',
    ],
    ['a field that is not there', { ...PRIMARY, field: 'pass' }, 'secret-missing', 'only password, pin, deep'],
    ['a field that is no text', { ...PRIMARY, field: 'deep' }, 'secret-malformed', 'no text'],
    ['a path that climbs', { path: 'secret/../sys/raw', field: 'x' }, 'secret-missing', 'no path'],
  ])('%s is told as such', async (_, ref, kind, message) => {
    expect(await failureOf(secrets().read(ref))).toMatchObject({ kind, message: expect.stringContaining(message) })
  })

  test.each([
    ['deleted', false],
    ['destroyed', true],
  ])('whose latest version is %s is told as such', async (how, destroyed) => {
    vault.state.kv2['secret/data/ctp/primary'] = { data: null, createdTime: '2026-11-02T00:00:00Z', destroyed }
    const failure = await failureOf(secrets().read(PRIMARY))
    expect(failure).toMatchObject({ kind: 'secret-missing', message: expect.stringContaining(how) })
  })

  test('with a lease is kept, its lease renewed at half of its time, and made anew when that is refused', async () => {
    const kept = secrets()
    const ref = { path: 'database/creds/feed', field: 'password' }
    expect(await text(kept.read(ref))).toBe('leased-1')
    nowMs += 299_000
    expect(await text(kept.read(ref))).toBe('leased-1')
    nowMs += 2_000
    expect(await text(kept.read(ref))).toBe('leased-1')
    expect(vault.http.paths().filter((path) => path.includes('leases/renew'))).toHaveLength(1)
    nowMs += 301_000
    vault.state.instead = ({ path }, response) => {
      if (!path.includes('leases/renew')) return false
      json(response, 400, { errors: ['lease expired'] })
      return true
    }
    expect(await text(kept.read(ref))).toBe('leased-2')
  })
})

describe('our login', () => {
  test('by AppRole is made once for many readings, and sends the namespace', async () => {
    const kept = secrets({ auth: BY_ROLE, namespace: 'team/feeds' })
    await Promise.all([kept.read(PRIMARY), kept.read(PRIMARY), kept.read({ ...PRIMARY, field: 'pin' })])
    expect(vault.http.paths().filter((path) => path.endsWith('/login'))).toEqual(['POST /v1/auth/approle/login'])
    for (const { headers } of vault.http.asked) {
      expect(headers).toMatchObject({ 'x-vault-namespace': 'team/feeds', 'x-vault-request': 'true' })
    }
  })

  test('by Kubernetes uses the token of the service account', async () => {
    const tokenFile = join(directory, 'jwt')
    writeFileSync(tokenFile, 'jwt-1\n')
    const auth: VaultAuth = { method: 'kubernetes', mount: 'kubernetes-cn', role: 'feed', tokenFile }
    vault.state.instead = ({ path, body }) => {
      expect(path.endsWith('/login') ? body : '{}').not.toContain('secret_id')
      return false
    }
    expect(await text(secrets({ auth }).read(PRIMARY))).toBe('hunter2-canary')
    expect(vault.http.paths()[0]).toBe('POST /v1/auth/kubernetes-cn/login')
    const missing = await failureOf(secrets({ auth: { ...auth, tokenFile: join(directory, 'no') } }).read(PRIMARY))
    expect(missing.kind).toBe('secret-missing')
  })

  test('that is refused is told and not tried again', async () => {
    vault.state.secretId = 'another'
    expect(await failureOf(secrets({ auth: BY_ROLE }).read(PRIMARY))).toMatchObject({
      kind: 'secret-store-refused',
      message: expect.stringContaining('invalid role or secret ID'),
    })
    expect(vault.http.asked).toHaveLength(1)
  })

  test('is renewed at half of its life', async () => {
    const kept = secrets({ auth: BY_ROLE })
    await kept.read(PRIMARY)
    nowMs += 1_801_000
    await kept.read(PRIMARY)
    const after = vault.http.paths().filter((path) => path.startsWith('POST'))
    expect(after).toEqual(['POST /v1/auth/approle/login', 'POST /v1/auth/token/renew-self'])
  })

  test('whose token was revoked is made again, once', async () => {
    const kept = secrets({ auth: BY_ROLE })
    await kept.read(PRIMARY)
    vault.state.tokens.clear()
    expect(await text(kept.read(PRIMARY))).toBe('hunter2-canary')
    expect(vault.http.paths().filter((path) => path.endsWith('/login'))).toHaveLength(2)
  })

  test('that gives a token without the permission is not repeated for ever', async () => {
    const kept = secrets({ auth: BY_ROLE })
    vault.state.instead = ({ path }, response) => {
      if (path.endsWith('/login')) return false
      json(response, 403, { errors: ['1 error occurred:\n\t* permission denied\n\n'] })
      return true
    }
    expect(await failureOf(kept.read(PRIMARY))).toMatchObject({
      kind: 'secret-store-refused',
      message: expect.stringContaining('permission denied'),
      remedy: expect.stringContaining('policy'),
    })
    expect(vault.http.paths().filter((path) => path.endsWith('/login'))).toHaveLength(2)
  })

  test('by a token in a file takes the one that is there now', async () => {
    let inFile = TOKEN
    const kept = secrets({}, () => inFile)
    await kept.read(PRIMARY)
    vault.state.tokens.delete(TOKEN)
    expect(await failureOf(kept.read(PRIMARY))).toMatchObject({
      kind: 'secret-store-refused',
      message: expect.stringContaining('expired, revoked or wrong'),
    })
    inFile = 'hvs.next'
    vault.state.tokens.set(inFile, { ttl: 60, renewable: true })
    expect(await text(kept.read(PRIMARY))).toBe('hunter2-canary')
    nowMs += 31_000
    await kept.read(PRIMARY)
    expect(vault.http.paths()).toContain('POST /v1/auth/token/renew-self')
  })
})

describe('a node', () => {
  test('in standby sends us on to the active one, token and all', async () => {
    const standby = await begun(
      HttpDouble.start(({ path }, response) => {
        response.writeHead(307, { location: `${vault.http.url}${path}` }).end()
      }),
    )
    expect(await text(secrets({ address: standby.url }).read(PRIMARY))).toBe('hunter2-canary')
    expect(vault.http.asked.at(-1)?.headers['x-vault-token']).toBe(TOKEN)
  })

  test('that sends us round in circles, or elsewhere, is not followed', async () => {
    const circle: HttpDouble = await begun(
      HttpDouble.start(({ path }, response) => {
        const location = path.includes('lookup') ? `${circle.url}${path}` : 'ftp://192.0.2.1/'
        response.writeHead(307, { location }).end()
      }),
    )
    const failure = await failureOf(secrets({ address: circle.url, budgetMs: 300 }).read(PRIMARY))
    expect(failure).toMatchObject({ kind: 'secret-store-unavailable', remedy: expect.stringContaining('api_addr') })
  })

  test.each([
    ['sealed', 503, { errors: ['Vault is sealed'] }, 'secret-store-unavailable', 'unseal'],
    ['in maintenance', 503, { errors: [] }, 'secret-store-unavailable', 'maintenance'],
    ['over its quota', 429, { errors: ['request path quota exceeded'] }, 'secret-store-unavailable', 'quota'],
    ['in error', 500, { errors: ['internal error'] }, 'secret-store-unavailable', 'log'],
    ['no Vault at all', 418, 'teapot', 'secret-store-garbled', 'VAULT_ADDR'],
  ])('that is %s is told with what to do', async (_, status, body, kind, remedy) => {
    vault.state.instead = (_asked, response) => {
      json(response, status, body)
      return true
    }
    const failure = await failureOf(secrets({ budgetMs: 400 }).read(PRIMARY))
    expect(failure.kind).toBe(kind)
    expect(failure.remedy + failure.message).toContain(remedy)
  })

  test('that comes back within the budget is waited for', async () => {
    let refusals = 3
    vault.state.instead = (_asked, response) => {
      if (refusals-- <= 0) return false
      json(response, 503, { errors: ['Vault is sealed'] })
      return true
    }
    expect(await text(secrets({ budgetMs: 20_000 }).read(PRIMARY))).toBe('hunter2-canary')
  })

  test.each([
    ['never answers', () => undefined, 'secret-store-unreachable'],
    [
      'drips its answer',
      (response: ServerResponse) => {
        response.writeHead(200).write('{"data"')
      },
      'secret-store-unreachable',
    ],
    [
      'cuts its answer off',
      (response: ServerResponse) => {
        response.writeHead(200, { 'content-length': '500' }).write('{"data": {"data": {"password": "hunter2-canary')
        setImmediate(() => response.destroy())
      },
      'secret-store-unreachable',
    ],
    [
      'ends its answer early',
      (response: ServerResponse) => response.end('{"data": {"data": {"password": "hunter2-canary'),
      'secret-store-garbled',
    ],
    [
      'answers with a flood',
      (response: ServerResponse) => response.end('x'.repeat(3_000_000)),
      'secret-store-unreachable',
    ],
    ['answers with a page', (response: ServerResponse) => response.end('<html>'), 'secret-store-garbled'],
  ])('that %s costs no more than the budget', async (_, answer, kind) => {
    vault.state.instead = (_asked, response) => {
      answer(response)
      return true
    }
    expect(await failureOf(secrets({ budgetMs: 600 }).read(PRIMARY))).toMatchObject({ kind })
  })

  test('that is not there is told with its address', async () => {
    const gone = await HttpDouble.start(() => undefined)
    const { url } = gone
    await gone.stop()
    const failure = await failureOf(secrets({ address: url, budgetMs: 300 }).read(PRIMARY))
    expect(failure).toMatchObject({
      kind: 'secret-store-unreachable',
      message: expect.stringContaining('ECONNREFUSED'),
    })
  })

  test('with a certificate of an unknown authority is refused, with a known one believed', async () => {
    const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
    const subject = ['-subj', '/CN=vault', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '30000']
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-keyout',
        key,
        '-out',
        cert,
        ...subject,
      ],
      { stdio: 'ignore' },
    )
    const safe = await begun(VaultDouble.start({ key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }))
    safe.state.tokens.set(TOKEN, { ttl: 0, renewable: false })
    safe.state.kv2['secret/data/ctp/primary'] = { data: { password: 'tls' }, createdTime: '2026-11-01T00:00:00Z' }
    const address = safe.http.url
    expect(await failureOf(secrets({ address }).read(PRIMARY))).toMatchObject({
      kind: 'secret-store-untrusted',
      remedy: expect.stringContaining('VAULT_CACERT'),
    })
    expect(await text(secrets({ address, caFile: cert }).read(PRIMARY))).toBe('tls')
  })
})

test('an abort ends the asking with its own reason', async () => {
  vault.state.instead = () => true
  const stop = new AbortController()
  const reading = secrets({ budgetMs: 60_000 }).read(PRIMARY, stop.signal)
  setTimeout(() => stop.abort(new Error('stopped')), 50)
  await expect(reading).rejects.toThrow('stopped')
})
