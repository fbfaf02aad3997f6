/** The last tick of every subject, read from the stream in one go: what a restarted daemon answers snapshots from. */
import { AckPolicy, DeliverPolicy, type JetStreamManager, jetstream } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'

interface Source {
  connection: NatsConnection
  jsm: JetStreamManager
  stream: string
}

const BATCH = 500
const BATCH_EXPIRES_MS = 5_000
/** Should our deletion not arrive, the server removes the consumer by itself. */
const UNUSED_MS = 30_000

/** @throws the library's error, or the signal's reason */
export async function lastPerSubject(
  { connection, jsm, stream }: Source,
  signal: AbortSignal,
  take: (json: Uint8Array) => void,
): Promise<void> {
  const made = await jsm.consumers.add(stream, {
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.LastPerSubject,
    filter_subject: '>',
    inactive_threshold: UNUSED_MS * 1e6,
    mem_storage: true,
  })
  try {
    const consumer = await jetstream(connection).consumers.get(stream, made.name)
    for (let left = made.num_pending; left > 0; ) {
      signal.throwIfAborted()
      let got = 0
      const messages = await consumer.fetch({ max_messages: Math.min(BATCH, left), expires: BATCH_EXPIRES_MS })
      for await (const message of messages) {
        take(message.data)
        got++
      }
      if (got === 0) return
      left -= got
    }
  } finally {
    await jsm.consumers.delete(stream, made.name).catch(() => undefined)
  }
}
