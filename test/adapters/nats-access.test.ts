import { execFileSync, spawnSync } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nkeys } from '@nats-io/transport-node'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { BusOptions } from '#adapters/bus/nats/bus-options.ts'
import { HiddenText } from '#domain/secret-ref.ts'
import { BusRig, busOptions, natsBus, until } from '../support/bus-rig.ts'
import { lacksNats, NatsServer } from '../support/nats-server.ts'

const lacksOpenssl = spawnSync('openssl', ['version']).status !== 0
if (lacksOpenssl) console.warn('openssl is not installed: the TLS tests are skipped')

const literal = (text: string) => ({ source: 'literal', value: new HiddenText(text) }) as const

describe.skipIf(lacksNats)('a server that lets only some in', () => {
  let directory: string
  let server: NatsServer | null = null
  let rig: BusRig
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'nats-access-'))
    rig = new BusRig()
  })
  afterEach(async () => {
    await rig.remove()
    await server?.remove()
    rmSync(directory, { recursive: true, force: true })
  })

  const file = (name: string, text: string) => {
    writeFileSync(join(directory, name), text, { mode: 0o600 })
    return join(directory, name)
  }
  /** What becomes of a tick under these options: 'published', or the failure's kind. */
  const outcome = async (options: Partial<BusOptions>, url = server?.url ?? '') => {
    await rig.remove()
    rig = new BusRig()
    const writer = await rig.openJournal()
    const publisher = await rig.publish(natsBus(busOptions([url], options)))
    rig.append(1)
    writer.flush()
    await until('an outcome', () => publisher.published === 1 || publisher.state.kind === 'waiting')
    return publisher.state.kind === 'waiting' ? publisher.state.failure.kind : 'published'
  }

  test('takes a user with the right password', async () => {
    server = await NatsServer.start({ config: 'authorization { user: feed, password: right }' })
    expect(await outcome({ user: 'feed', password: literal('right') })).toBe('published')
    expect(await outcome({ user: 'feed', password: literal('wrong') })).toBe('bus-credentials-rejected')
    expect(await outcome({})).toBe('bus-credentials-rejected')
  })

  test('takes a token: a password without a user', async () => {
    server = await NatsServer.start({ config: 'authorization { token: "s3cret" }' })
    expect(await outcome({ password: literal('s3cret') })).toBe('published')
    expect(await outcome({ password: literal('other') })).toBe('bus-credentials-rejected')
  })

  test('takes an NKey', async () => {
    const user = nkeys.createUser()
    const seed = Buffer.from(user.getSeed()).toString()
    const stranger = Buffer.from(nkeys.createUser().getSeed()).toString()
    server = await NatsServer.start({ config: `authorization { users: [ { nkey: ${user.getPublicKey()} } ] }` })
    expect(await outcome({ credsFile: file('feed.nk', `${seed}\n`) })).toBe('published')
    expect(await outcome({ credsFile: file('stranger.nk', stranger) })).toBe('bus-credentials-rejected')
    expect(await outcome({ credsFile: file('empty.nk', 'nothing here') })).toBe('bus-secret-unavailable')
  })

  test('takes a creds file, as operators of decentralised accounts hand out', async () => {
    const operator = nkeys.createOperator()
    const account = nkeys.createAccount()
    const user = nkeys.createUser()
    const limits = {
      mem_storage: -1,
      disk_storage: -1,
      streams: -1,
      consumer: -1,
      conn: -1,
      leaf: -1,
      subs: -1,
      data: -1,
      payload: -1,
    }
    const accountJwt = jwt(operator, account.getPublicKey(), { type: 'account', version: 2, limits })
    const userJwt = jwt(account, user.getPublicKey(), { type: 'user', version: 2, subs: -1, data: -1, payload: -1 })
    const seed = Buffer.from(user.getSeed()).toString()
    const creds = `-----BEGIN NATS USER JWT-----\n${userJwt}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`
    const operatorJwt = jwt(operator, operator.getPublicKey(), { type: 'operator', version: 2 })
    const system = nkeys.createAccount()
    const systemJwt = jwt(operator, system.getPublicKey(), {
      type: 'account',
      version: 2,
      limits: { ...limits, mem_storage: 0, disk_storage: 0, streams: 0, consumer: 0 },
    })
    server = await NatsServer.start({
      config: `operator: ${operatorJwt}
        system_account: ${system.getPublicKey()}
        resolver: MEMORY
        resolver_preload: { ${account.getPublicKey()}: ${accountJwt}, ${system.getPublicKey()}: ${systemJwt} }`,
    })
    expect(await outcome({ credsFile: file('feed.creds', creds) })).toBe('published')
  })

  test('tells a user without the permissions which ones are missing', async () => {
    server = await NatsServer.start({
      config: `authorization { users: [ { user: feed, password: right, permissions: {
        publish: ["$JS.API.>"], subscribe: ["_INBOX.>"] } } ] }`,
    })
    expect(await outcome({ user: 'feed', password: literal('right') })).toBe('bus-permission-denied')
    expect(rig.logs.map((line) => line.message).join()).toContain('market.tick.SHFE.rb1')
  })

  test.skipIf(lacksOpenssl)('speaks TLS with a certificate of ours, and is refused with a stranger', async () => {
    const make = (name: string) => {
      const paths = { key: join(directory, `${name}.key`), cert: join(directory, `${name}.pem`) }
      execFileSync(
        'openssl',
        [
          'req',
          '-x509',
          '-newkey',
          'rsa:2048',
          '-nodes',
          '-days',
          '3650',
          '-subj',
          `/CN=${name}`,
          '-addext',
          'subjectAltName=DNS:localhost,IP:127.0.0.1',
          '-keyout',
          paths.key,
          '-out',
          paths.cert,
        ],
        { stdio: 'ignore' },
      )
      return paths
    }
    const ours = make('server')
    const stranger = make('stranger')
    server = await NatsServer.start({
      config: `tls { cert_file: "${ours.cert}", key_file: "${ours.key}", ca_file: "${ours.cert}", verify: true }`,
    })
    const url = server.url.replace('nats:', 'tls:')
    const tls = { caFile: ours.cert, certFile: ours.cert, keyFile: ours.key }
    expect(await outcome({ tls }, url)).toBe('published')
    expect(await outcome({ tls: { ...tls, caFile: stranger.cert } }, url)).toBe('bus-tls-rejected')
    expect(await outcome({ tls: { ...tls, keyFile: join(directory, 'none') } }, url)).toBe('bus-tls-rejected')
  })
})

type KeyPair = ReturnType<typeof nkeys.createUser>

/** A claim as `nsc` signs it. */
function jwt(issuer: KeyPair, subject: string, nats: object): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claim = { iss: issuer.getPublicKey(), sub: subject, name: 'test', iat: 1_767_225_600, nats, jti: '' }
  claim.jti = createHash('sha256').update(JSON.stringify(claim)).update(randomUUID()).digest('hex').toUpperCase()
  const signed = `${encode({ typ: 'JWT', alg: 'ed25519-nkey' })}.${encode(claim)}`
  return `${signed}.${Buffer.from(issuer.sign(Buffer.from(signed))).toString('base64url')}`
}
