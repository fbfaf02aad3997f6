/**
 * What can go wrong between us and the bus, and when to try again. Nothing here stops a tick: the journal takes everything meanwhile, so
 * every kind is tried again, only at different paces.
 */
import { assert } from './assert.ts'
import { Failure } from './failure.ts'

export type BusFailureKind =
  | 'bus-unreachable'
  | 'bus-credentials-rejected'
  | 'bus-secret-unavailable'
  | 'bus-tls-rejected'
  | 'bus-permission-denied'
  | 'bus-without-jetstream'
  | 'bus-server-too-old'
  | 'bus-connection-lost'
  | 'bus-not-answering'
  | 'bus-storage-full'
  | 'bus-refused-tick'
  | 'bus-out-of-step'
  | 'stream-missing'
  | 'stream-misconfigured'
  | 'foreign-writer'
  | 'journal-unreadable'

export type BusFailure = Failure<BusFailureKind>

interface Pace {
  firstMs: number
  maxMs: number
}

/** A kind missing here does not compile. */
const PACE_BY_KIND = {
  // A refused connection costs nothing, and acknowledgements must resume within a second of the server's return.
  'bus-unreachable': { firstMs: 50, maxMs: 500 },
  'bus-connection-lost': { firstMs: 20, maxMs: 500 },
  'bus-not-answering': { firstMs: 100, maxMs: 2_000 },
  // Another leader of the stream is usually elected within seconds.
  'stream-missing': { firstMs: 50, maxMs: 2_000 },
  'bus-out-of-step': { firstMs: 10, maxMs: 500 },
  // A rotated secret reaches both sides within minutes; servers log every refusal.
  'bus-credentials-rejected': { firstMs: 1_000, maxMs: 30_000 },
  'bus-secret-unavailable': { firstMs: 1_000, maxMs: 30_000 },
  'bus-tls-rejected': { firstMs: 1_000, maxMs: 30_000 },
  'bus-permission-denied': { firstMs: 1_000, maxMs: 30_000 },
  'bus-without-jetstream': { firstMs: 500, maxMs: 10_000 },
  'bus-server-too-old': { firstMs: 10_000, maxMs: 60_000 },
  'bus-storage-full': { firstMs: 500, maxMs: 10_000 },
  'bus-refused-tick': { firstMs: 500, maxMs: 10_000 },
  'stream-misconfigured': { firstMs: 2_000, maxMs: 30_000 },
  'foreign-writer': { firstMs: 1_000, maxMs: 1_000 },
  'journal-unreadable': { firstMs: 500, maxMs: 10_000 },
} as const satisfies Record<BusFailureKind, Pace>

/** How long to wait after failure number `attempt` in a row of one kind (the first is 1); `jitter` in [0, 1) lengthens by up to a quarter. */
export function busRetryMs(kind: BusFailureKind, attempt: number, jitter: number): number {
  assert(Number.isInteger(attempt) && attempt >= 1, `attempt counts from 1, got ${attempt}`)
  const { firstMs, maxMs } = PACE_BY_KIND[kind]
  return Math.min(maxMs, firstMs * 2 ** Math.min(attempt - 1, 16)) * (1 + jitter / 4)
}

/** @param cause what the client library threw; its text goes into `message`, decisions read the kind */
export function busFailure(kind: BusFailureKind, message: string, cause?: unknown): BusFailure {
  return new Failure(kind, message, REMEDY[kind], cause)
}

const REMEDY: Record<BusFailureKind, string> = {
  'bus-unreachable': 'Start the NATS server or correct NATS_URL; ticks wait in the journal meanwhile.',
  'bus-connection-lost': 'Look at the NATS server if this lasts; ticks wait in the journal meanwhile.',
  'bus-not-answering':
    'Look at the NATS server: JetStream may have no leader or a stalled disk; ticks wait in the journal meanwhile.',
  'stream-missing':
    'Find out who deleted the stream; a new one is made, and history is published again only on your order.',
  'bus-out-of-step': 'Nothing to do: the publisher reads where the stream stands and goes on from there.',
  'bus-credentials-rejected':
    'Correct NATS_USER and NATS_PASSWORD, NATS_TOKEN or NATS_CREDS_FILE; a changed secret file is read at the next try.',
  'bus-secret-unavailable':
    'Make the file or variable that NATS_PASSWORD, NATS_TOKEN or NATS_CREDS_FILE names readable.',
  'bus-tls-rejected': 'Compare NATS_TLS_CA, NATS_TLS_CERT and NATS_TLS_KEY with the certificate of the server.',
  'bus-permission-denied': 'Grant the user the subjects and the JetStream API calls that docs/jetstream.md lists.',
  'bus-without-jetstream': 'Start the NATS server with JetStream (-js) and enable it for the account.',
  'bus-server-too-old': 'Install nats-server 2.9 or later.',
  'bus-storage-full':
    "Free or add disk on the NATS server, or lower the stream's limits; ticks wait in the journal meanwhile.",
  'bus-refused-tick':
    "Look at the stream's limits (message size, count with discard new) and at the log of the NATS server.",
  'stream-misconfigured': 'Give the stream the subjects that docs/jetstream.md names, or choose another NATS_STREAM.',
  'foreign-writer':
    'Find the other writer: one stream belongs to one daemon. Stop it, or give one of the two another NATS_STREAM.',
  'journal-unreadable':
    'Check the disk and the permissions of the journal; `full-feed-subscription verify` names the damage.',
}
