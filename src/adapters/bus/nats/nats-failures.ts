/** What the NATS library and server say, as kinds that decisions can read. The one place where their codes and classes are known. */
import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream'
import { errors } from '@nats-io/transport-node'
import { type BusFailure, type BusFailureKind, busFailure } from '#domain/bus-failure.ts'
import { Failure } from '#domain/failure.ts'

/** Codes of the server's errors.json. */
const KIND_BY_CODE: Readonly<Record<number, BusFailureKind>> = {
  [JetStreamApiCodes.StreamWrongLastSequence]: 'bus-out-of-step',
  [JetStreamApiCodes.StreamWrongLastSequenceUnknown]: 'bus-out-of-step',
  // Wrong last message id.
  10070: 'bus-out-of-step',
  [JetStreamApiCodes.StreamNotFound]: 'stream-missing',
  [JetStreamApiCodes.JetStreamNotEnabledForAccount]: 'bus-without-jetstream',
  // JetStream is not enabled on this server: what 2.9 answers after its disk was full, too.
  10076: 'bus-without-jetstream',
  // Resource limits of account and server, memory and disk; then the store's own refusal.
  10002: 'bus-storage-full',
  10023: 'bus-storage-full',
  10028: 'bus-storage-full',
  10047: 'bus-storage-full',
  10077: 'bus-storage-full',
  // No cluster leader, stream offline, cluster not available.
  10004: 'bus-not-answering',
  10008: 'bus-not-answering',
  10009: 'bus-not-answering',
  10118: 'bus-not-answering',
  // Subjects overlap with another stream's; replicas not to be had; name in use with other settings.
  10005: 'stream-misconfigured',
  10052: 'stream-misconfigured',
  10058: 'stream-misconfigured',
  10065: 'stream-misconfigured',
  10074: 'stream-misconfigured',
}

export function failureOfCode(code: number, description: string): BusFailure {
  return busFailure(KIND_BY_CODE[code] ?? 'bus-refused-tick', `NATS: ${description} (${code})`)
}

/** Any error of the library as a Failure. `doing` completes "While ...". */
export function natsFailure(error: unknown, doing: string): BusFailure {
  if (error instanceof Failure) return error
  const text = error instanceof Error ? error.message : String(error)
  return busFailure(kindOf(error), `NATS, while ${doing}: ${text}`, error)
}

function kindOf(error: unknown): BusFailureKind {
  if (error instanceof JetStreamApiError) return KIND_BY_CODE[error.code] ?? 'bus-not-answering'
  if (error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError)
    return 'bus-credentials-rejected'
  if (error instanceof errors.PermissionViolationError) return 'bus-permission-denied'
  if (error instanceof errors.TimeoutError) return 'bus-not-answering'
  if (error instanceof errors.NoRespondersError) return 'bus-without-jetstream'
  if (error instanceof errors.RequestError && error.isNoResponders()) return 'bus-without-jetstream'
  if (error instanceof errors.ClosedConnectionError) return 'bus-connection-lost'
  if (isTlsError(error)) return 'bus-tls-rejected'
  if (error instanceof Error && error.name === 'JetStreamNotEnabled') return 'bus-without-jetstream'
  return error instanceof errors.RequestError ? 'bus-connection-lost' : 'bus-unreachable'
}

const TLS_CODE = /^(ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_MISMATCH|EPROTO)/

function isTlsError(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string' && TLS_CODE.test(at.code)) return true
    if (at instanceof errors.InvalidArgumentError && at.message.includes('tls')) return true
  }
  return false
}
