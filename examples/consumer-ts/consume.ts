/**
 * Reads every tick of the stream once and in order, over failovers of the feed, restarts of this program and outages of NATS.
 *
 *   NATS_URL=nats://127.0.0.1:4222 POSITION_FILE=position.json npx tsx consume.ts
 *
 * Three numbers keep it whole. The *stream sequence* has no gaps: a missing one means that messages were removed before we read them, and
 * one that comes twice is skipped. *seq with host* names a tick for ever, also when its stream is made anew. The *epoch* grows when
 * another line or another host takes over; a tick of an older epoch than one already seen comes from a writer that was deposed.
 *
 * The position is saved after the ticks were handled, so a crash in between handles some twice. Where that matters, save it together
 * with the results in one transaction.
 */
import { readFile, rename, writeFile } from 'node:fs/promises'
import {
  AckPolicy,
  DeliverPolicy,
  type JetStreamManager,
  type JsMsg,
  jetstream,
  jetstreamManager,
} from '@nats-io/jetstream'
import { connect, type Msg, type NatsConnection } from '@nats-io/transport-node'

interface Tick {
  vt_symbol: string
  datetime: string
  last_price?: number
  volume: number
  line: 'primary' | 'backup'
  epoch: number
  seq: number
  host: string
}

interface FeedState {
  epoch: number
  serving_line: string
  state: 'ACTIVE' | 'SUSPECT' | 'SWITCHED' | 'GAP' | 'CLOSED' | 'KILLED'
  from?: string
  to?: string
  instruments?: string[]
}

interface Position {
  /** Which stream: one made anew has another date. */
  created: string
  streamSequence: number
  host: string
  seq: number
  epoch: number
}

const {
  NATS_URL = 'nats://127.0.0.1:4222',
  NATS_STREAM = 'MARKET_TICKS',
  NATS_SUBJECT_PREFIX = 'market',
  POSITION_FILE = 'position.json',
  CONSUMER = 'example-ts',
} = process.env
const requestPrefix = NATS_SUBJECT_PREFIX === 'market' ? '' : `${NATS_SUBJECT_PREFIX}.`

let position: Position = await loadPosition()
let isStopping = false
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    isStopping = true
  })
}

const connection = await connect({ servers: NATS_URL, maxReconnectAttempts: -1, reconnectTimeWait: 200 })
void followFeedState(connection)
while (!isStopping) {
  try {
    await consume(connection)
  } catch (error) {
    note(`reading was interrupted, going on: ${error instanceof Error ? error.message : error}`)
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
}
await savePosition()
await connection.close()

/** What the ticks are for. Here they are printed. */
function handle(tick: Tick): void {
  process.stdout.write(`${JSON.stringify(tick)}\n`)
}

/** From the position on, until the stream or the consumer goes away or a hole has to be looked at. */
async function consume(nats: NatsConnection): Promise<void> {
  const jsm = await jetstreamManager(nats)
  await checkStream(jsm)
  if (position.streamSequence === 0 || position.seq === 0) await takeSnapshot(nats)
  // Made anew at every start, at our own position: an old one would first deliver new ticks and the unacknowledged ones later. Durable,
  // so that the daemon's consumer_backlog_messages shows how far behind we are.
  await jsm.consumers.delete(NATS_STREAM, CONSUMER).catch(() => undefined)
  await jsm.consumers.add(NATS_STREAM, {
    durable_name: CONSUMER,
    ack_policy: AckPolicy.All,
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: position.streamSequence + 1,
    max_ack_pending: 20_000,
  })
  const consumer = await jetstream(nats).consumers.get(NATS_STREAM, CONSUMER)
  while (!isStopping) {
    let last: JsMsg | null = null
    for await (const message of await consumer.fetch({ max_messages: 1000, expires: 1000 })) {
      if (!(await take(jsm, message))) return
      last = message
    }
    if (last === null) continue
    await savePosition()
    // Acknowledges everything before it, too.
    last.ack()
  }
}

/** False when the message is not the next one and reading has to begin again at the position. */
async function take(jsm: JetStreamManager, message: JsMsg): Promise<boolean> {
  if (message.seq <= position.streamSequence) return true
  if (message.seq > position.streamSequence + 1) {
    const { state } = await jsm.streams.info(NATS_STREAM)
    if (state.first_seq <= position.streamSequence + 1) return false
    note(`LOST: messages ${position.streamSequence + 1} to ${state.first_seq - 1} were removed before they were read`)
    if (message.seq !== state.first_seq) {
      position = { ...position, streamSequence: state.first_seq - 1 }
      return false
    }
  }
  const tick = message.json<Tick>()
  const isKnown = tick.host === position.host && tick.seq <= position.seq && tick.epoch <= position.epoch
  const isDeposed = tick.epoch < position.epoch
  if (tick.epoch > position.epoch) note(`epoch ${tick.epoch}: ${tick.line} of ${tick.host} from tick ${tick.seq} on`)
  position = { ...position, streamSequence: message.seq }
  if (isKnown || isDeposed) return true
  handle(tick)
  position = { ...position, host: tick.host, seq: tick.seq, epoch: tick.epoch }
  return true
}

/** A stream that is not the one we know begins at its first message; ticks already handled are known by host and seq. */
async function checkStream(jsm: JetStreamManager): Promise<void> {
  const { created, state } = await jsm.streams.info(NATS_STREAM)
  if (position.created === created) return
  if (position.created !== '') note('the stream was made anew; ticks between the old one and this one may be missing')
  position = { ...position, created, streamSequence: Math.max(0, state.first_seq - 1) }
}

/** A new consumer does not have to wait for the next tick of every contract to know where each stands. */
async function takeSnapshot(nats: NatsConnection): Promise<void> {
  let known = 0
  for (let after: string | null = ''; after !== null; ) {
    const reply: Msg | null = await nats
      .request(`${requestPrefix}md.snapshot`, JSON.stringify({ after }), { timeout: 5000 })
      .catch(() => null)
    if (reply === null) return note('no daemon answered for a snapshot')
    const page: { ticks?: Tick[]; next?: string | null } = reply.json()
    known += page.ticks?.length ?? 0
    after = page.next ?? null
  }
  note(`snapshot of ${known} contracts`)
}

/** The last state at once, then every change. GAP tells what is missing, and since when. */
async function followFeedState(nats: NatsConnection): Promise<void> {
  const show = (state: FeedState) => {
    const what = state.instruments === undefined ? 'everything' : `${state.instruments.length} contracts`
    note(`feed ${state.state}, epoch ${state.epoch}, ${state.serving_line} serves`)
    if (state.state === 'GAP') note(`GAP: nothing of ${what} from ${state.from ?? '?'} to ${state.to ?? 'now'}`)
  }
  const subject = `${NATS_SUBJECT_PREFIX}.feed.state`
  const subscription = nats.subscribe(subject)
  const jsm = await jetstreamManager(nats).catch(() => null)
  const last = await jsm?.streams.getMessage(`${NATS_STREAM}_STATE`, { last_by_subj: subject }).catch(() => null)
  if (last) show(last.json<FeedState>())
  for await (const message of subscription) show(message.json<FeedState>())
}

async function loadPosition(): Promise<Position> {
  try {
    return JSON.parse(await readFile(POSITION_FILE, 'utf8'))
  } catch {
    return { created: '', streamSequence: 0, host: '', seq: 0, epoch: 0 }
  }
}

async function savePosition(): Promise<void> {
  await writeFile(`${POSITION_FILE}.new`, JSON.stringify(position))
  await rename(`${POSITION_FILE}.new`, POSITION_FILE)
}

function note(text: string): void {
  process.stderr.write(`${text}\n`)
}
