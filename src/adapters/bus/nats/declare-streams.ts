/**
 * The streams as this program declares them: made when missing, compared when there, never changed. A stream that others have tuned is
 * theirs to tune; only one that can't take our subjects is refused.
 */
import {
  AckPolicy,
  type ConsumerConfig,
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from '@nats-io/jetstream'
import { busFailure } from '#domain/bus-failure.ts'
import type { StreamDrift } from '../tick-bus.ts'
import { type BusOptions, stateStream, stateSubject } from './bus-options.ts'

type Declared = Pick<
  StreamConfig,
  | 'name'
  | 'subjects'
  | 'retention'
  | 'storage'
  | 'discard'
  | 'num_replicas'
  | 'max_age'
  | 'max_bytes'
  | 'max_msgs'
  | 'max_msgs_per_subject'
  | 'duplicate_window'
>

/**
 * Message ids here are links of a chain and never come twice, so the server needs to remember none; at 20,000 ticks/s its usual two
 * minutes of them would take some 400 MB.
 */
const DUPLICATE_WINDOW_NANOS = 1e9
/** Enough for every change of a bad day; the last one is what late joiners ask for. */
const STATES_KEPT = 256

export function declaredStreams(options: BusOptions): readonly [ticks: Declared, states: Declared] {
  const { replicas, storage, maxAgeMs, maxBytes } = options.limits
  const both = {
    retention: RetentionPolicy.Limits,
    storage: storage === 'file' ? StorageType.File : StorageType.Memory,
    discard: DiscardPolicy.Old,
    num_replicas: replicas,
    max_msgs: -1,
  }
  return [
    {
      ...both,
      name: options.stream,
      subjects: [`${options.subjectPrefix}.tick.>`],
      max_age: maxAgeMs * 1e6,
      max_bytes: maxBytes ?? -1,
      max_msgs_per_subject: -1,
      duplicate_window: DUPLICATE_WINDOW_NANOS,
    },
    {
      ...both,
      name: stateStream(options.stream),
      subjects: [stateSubject(options.subjectPrefix)],
      max_age: 0,
      max_bytes: -1,
      max_msgs_per_subject: STATES_KEPT,
      duplicate_window: DUPLICATE_WINDOW_NANOS,
    },
  ]
}

export interface Declaration {
  made: string[]
  drift: StreamDrift[]
}

/** @throws Failure `stream-misconfigured`, or the library's error */
export async function declareStreams(jsm: JetStreamManager, options: BusOptions): Promise<Declaration> {
  const declaration: Declaration = { made: [], drift: [] }
  for (const declared of declaredStreams(options)) {
    const found = await findStream(jsm, declared.name)
    if (found === null) {
      await addStream(jsm, declared, declaration)
      continue
    }
    declaration.drift.push(...driftOf(declared, found))
    const missing = declared.subjects.filter((subject) => !covers(found.subjects, subject))
    if (missing.length > 0) {
      throw busFailure(
        'stream-misconfigured',
        `The stream ${declared.name} takes ${found.subjects.join(', ') || 'no subjects'} but not ${missing.join(', ')}.`,
      )
    }
  }
  for (const name of options.durables) await declareDurable(jsm, options.stream, name, declaration)
  return declaration
}

async function findStream(jsm: JetStreamManager, name: string): Promise<StreamConfig | null> {
  try {
    return (await jsm.streams.info(name)).config
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return null
    throw error
  }
}

async function addStream(jsm: JetStreamManager, declared: Declared, declaration: Declaration): Promise<void> {
  // Direct gets spare the stream's leader; 2.9 knows them.
  const made = await jsm.streams.add({ ...declared, allow_direct: true })
  declaration.made.push(declared.name)
  // An older or newer server may silently leave a setting out.
  declaration.drift.push(...driftOf(declared, made.config))
}

export function driftOf(declared: Declared, found: Partial<StreamConfig>): StreamDrift[] {
  return Object.entries(declared).flatMap(([setting, value]) => {
    const is: unknown = Reflect.get(found, setting)
    // The server leaves out what is unlimited, or says -1 or 0 for it.
    const isUnlimited = (limit: unknown) => limit === undefined || limit === -1 || limit === 0
    if (isUnlimited(value) && isUnlimited(is)) return []
    const [wanted, there] = [JSON.stringify(value), JSON.stringify(is) ?? 'absent']
    return wanted === there ? [] : [{ stream: declared.name, setting, declared: wanted, found: there }]
  })
}

/** Whether one of the stream's subjects takes every message of ours. */
function covers(subjects: readonly string[], ours: string): boolean {
  return subjects.some((subject) => {
    const theirs = subject.split('.')
    const tokens = ours.split('.')
    for (const [i, token] of theirs.entries()) {
      if (token === '>') return tokens.length > i
      if (tokens[i] === undefined || tokens[i] === '>' || (token !== '*' && token !== tokens[i])) return false
    }
    return theirs.length === tokens.length
  })
}

async function declareDurable(
  jsm: JetStreamManager,
  stream: string,
  name: string,
  declaration: Declaration,
): Promise<void> {
  try {
    const { config } = await jsm.consumers.info(stream, name)
    declaration.drift.push(...consumerDrift(stream, name, config))
  } catch (error) {
    if (!(error instanceof JetStreamApiError && error.code === JetStreamApiCodes.ConsumerNotFound)) throw error
    await jsm.consumers.add(stream, {
      durable_name: name,
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.All,
    })
    declaration.made.push(`${stream}/${name}`)
  }
}

/** Without acknowledgements there is no backlog to speak of, and behind a filter it is not that of the whole stream. */
function consumerDrift(stream: string, name: string, config: Partial<ConsumerConfig>): StreamDrift[] {
  const drift: StreamDrift[] = []
  const add = (setting: string, declared: string, found: unknown) =>
    drift.push({ stream, setting: `consumer ${name} ${setting}`, declared, found: JSON.stringify(found) })
  if (config.ack_policy !== AckPolicy.Explicit) add('ack_policy', '"explicit"', config.ack_policy)
  const filters = config.filter_subjects ?? (config.filter_subject ? [config.filter_subject] : [])
  if (filters.length > 0) add('filter_subjects', 'none', filters)
  return drift
}
