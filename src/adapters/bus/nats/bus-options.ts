/** What the NATS side of the bus has to be told, and the names that follow from it. */
import type { SecretRef } from '#domain/secret-ref.ts'

export interface BusOptions {
  /** `nats://` or `tls://` URLs. */
  servers: readonly string[]
  user: string | null
  /** With a user its password, without one a token. */
  password: SecretRef | null
  /** A user's JWT with its seed as `nsc` writes it, or an NKey seed alone. */
  credsFile: string | null
  tls: { caFile: string | null; certFile: string | null; keyFile: string | null }
  stream: string
  subjectPrefix: string
  limits: StreamLimits
  /** Durable pull consumers that are made when missing, so that they miss nothing before their program first runs. */
  durables: readonly string[]
}

export interface StreamLimits {
  replicas: number
  storage: 'file' | 'memory'
  /** Oldest ticks go first; 0: no limit. */
  maxAgeMs: number
  /** Of the stream with the ticks. Null: no limit but the server's. */
  maxBytes: number | null
}

export const DEFAULT_SUBJECT_PREFIX = 'market'

export function stateSubject(prefix: string): string {
  return `${prefix}.feed.state`
}

export function stateStream(stream: string): string {
  return `${stream}_STATE`
}

/** Requests are answered under their plain names by the environment with the usual prefix; others put their own in front. */
export function requestSubject(prefix: string, name: string): string {
  return prefix === DEFAULT_SUBJECT_PREFIX ? name : `${prefix}.${name}`
}
