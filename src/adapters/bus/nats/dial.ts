/**
 * One connection to NATS, made afresh every time: secrets and certificates are read just before use, so a rotated one is taken at the
 * next try. The library's own reconnection is off: what it would resend or drop behind our back could break the order of ticks.
 */
import { readFile } from 'node:fs/promises'
import {
  type ConnectionOptions,
  connect,
  credsAuthenticator,
  type NatsConnection,
  nkeyAuthenticator,
} from '@nats-io/transport-node'
import { busFailure } from '#domain/bus-failure.ts'
import { Failure } from '#domain/failure.ts'
import type { HiddenText, SecretRef } from '#domain/secret-ref.ts'
import type { BusOptions } from './bus-options.ts'
import { natsFailure } from './nats-failures.ts'

export type ResolveSecret = (ref: SecretRef, signal: AbortSignal) => Promise<HiddenText>

const CONNECT_TIMEOUT_MS = 5_000
/** Two unanswered pings end a connection that was cut without a word. */
const PING_INTERVAL_MS = 5_000

export interface Dialling {
  options: BusOptions
  /** Shown by the server in its list of connections. */
  name: string
  resolveSecret: ResolveSecret
}

/** @throws Failure<BusFailureKind>, or the signal's reason */
export async function dial({ options, name, resolveSecret }: Dialling, signal: AbortSignal): Promise<NatsConnection> {
  const dialled: ConnectionOptions = {
    servers: [...options.servers],
    name,
    reconnect: false,
    timeout: CONNECT_TIMEOUT_MS,
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: 2,
    noAsyncTraces: true,
    // A list that a cluster hands out may hold addresses that are not to be reached from here.
    ignoreClusterUpdates: true,
    ...(await credentials(options, resolveSecret, signal)),
    ...(await tlsOptions(options)),
  }
  const connecting = connect(dialled)
  return await new Promise<NatsConnection>((resolve, reject) => {
    const giveUp = () => {
      reject(signal.reason)
      connecting.then((late) => late.close()).catch(() => undefined)
    }
    if (signal.aborted) return giveUp()
    signal.addEventListener('abort', giveUp, { once: true })
    connecting
      .then(resolve, (error: unknown) => reject(natsFailure(error, 'connecting')))
      .finally(() => signal.removeEventListener('abort', giveUp))
  })
}

async function credentials(
  options: BusOptions,
  resolveSecret: ResolveSecret,
  signal: AbortSignal,
): Promise<Partial<ConnectionOptions>> {
  try {
    if (options.credsFile !== null) {
      const creds = await readFile(options.credsFile)
      const isCreds = creds.includes('BEGIN NATS USER JWT')
      return { authenticator: isCreds ? credsAuthenticator(creds) : nkeyAuthenticator(seedOf(creds.toString('utf8'))) }
    }
    if (options.password === null) return options.user === null ? {} : { user: options.user }
    const secret = await resolveSecret(options.password, signal)
    return options.user === null ? { token: secret.reveal() } : { user: options.user, pass: secret.reveal() }
  } catch (error) {
    signal.throwIfAborted()
    const message = error instanceof Failure ? error.message : `the credentials can't be read: ${String(error)}`
    throw busFailure('bus-secret-unavailable', message, error)
  }
}

/** The seed in a file that may have comments or the armour of `nk`. */
function seedOf(text: string): Uint8Array {
  const seed = text.split(/\s+/).find((word) => /^S[A-Z0-9]{50,}$/.test(word))
  if (seed === undefined) throw new Error('the file holds neither a user JWT nor an NKey seed')
  return Buffer.from(seed, 'latin1')
}

async function tlsOptions({ servers, tls }: BusOptions): Promise<Pick<ConnectionOptions, 'tls'>> {
  const isWanted = servers.some((server) => server.startsWith('tls:')) || tls.caFile !== null || tls.certFile !== null
  if (!isWanted) return {}
  const read = async (file: string | null) => (file === null ? undefined : await readFile(file, 'utf8'))
  try {
    const [ca, cert, key] = await Promise.all([read(tls.caFile), read(tls.certFile), read(tls.keyFile)])
    return { tls: { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) } }
  } catch (error) {
    throw busFailure('bus-tls-rejected', `a TLS file can't be read: ${String(error)}`, error)
  }
}
