/**
 * How fast a process reads the journal and publishes, beside a publish-only ceiling against the same server in the same run: on a shared
 * machine only the ratio means anything. `npm run bench -- --bus [--seconds 60] [--repeats 5] [--outage 60] [--rates 20000,50000,100000]`;
 * the short form, without arguments, takes some ten seconds. Two processes, as in production with one of them doing nothing else: this
 * one writes the journal at the rate asked for, the other follows it.
 */
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect, createInbox } from '@nats-io/transport-node'
import { natsTickBus } from '#adapters/bus/nats/nats-tick-bus.ts'
import { sleep, systemClock } from '#clock.ts'
import { LatestTicks } from '#daemon/latest-ticks.ts'
import { Publisher } from '#daemon/publish-ticks.ts'
import { IntervalHistogram } from '#domain/interval-histogram.ts'
import { HiddenText } from '#domain/secret-ref.ts'
import { BusRig, busOptions, HOST } from '../support/bus-rig.ts'
import { NatsServer } from '../support/nats-server.ts'

interface Report {
  published: number
  ackP50Ms: number | null
  ackP99Ms: number | null
  latencyP99Ms: number | null
  rssMb: number
  cpuSeconds: number
  /** From the first acknowledgement to the last. */
  seconds: number
}

/** The process that is measured: follows a journal until it is told to report. */
async function publishUntilAsked(url: string, journalDirectory: string, stateDir: string): Promise<void> {
  const latency = new IntervalHistogram()
  const publisher = await Publisher.open({
    bus: natsTickBus({ options: busOptions([url]), name: 'bench', resolveSecret: async () => new HiddenText('') }),
    host: HOST,
    subjectPrefix: 'market',
    journalDirectory,
    numbering: { last: 0, next: 1 },
    written: () => 0,
    cursorPath: join(stateDir, `bench-cursor-${process.pid}.json`),
    clock: systemClock,
    log: (level, message) => level === 'info' || console.error(message),
    onLatency: (ms) => latency.observe(ms),
    onPublished: (sequence) => {
      if (sequence > 0 && Number.isNaN(firstMs)) firstMs = performance.now()
    },
    latest: new LatestTicks(),
    jitter: () => 0,
  })
  let rssMb = 0
  let firstMs = Number.NaN
  const watch = setInterval(() => {
    rssMb = Math.max(rssMb, process.memoryUsage.rss() / 1e6)
  }, 100)
  process.on('message', async (target: number) => {
    while (publisher.publishedSequence < target) await sleep(2)
    clearInterval(watch)
    const usage = process.cpuUsage()
    const report: Report = {
      published: publisher.published,
      ackP50Ms: publisher.ackTotal.quantileMs(0.5),
      ackP99Ms: publisher.ackTotal.quantileMs(0.99),
      latencyP99Ms: latency.quantileMs(0.99),
      rssMb: Math.round(rssMb),
      cpuSeconds: (usage.user + usage.system) / 1e6,
      seconds: (performance.now() - firstMs) / 1000,
    }
    await publisher.close(1000)
    process.send?.(report)
    process.disconnect()
  })
  process.send?.('ready')
}

/** Like `nats bench`: the same messages from memory, nothing else done, the same window. */
async function ceiling(url: string, seconds: number): Promise<number> {
  const connection = await connect({ servers: url })
  const jsm = await jetstreamManager(connection)
  await jsm.streams.add({ name: 'CEILING', subjects: ['ceiling.>'] })
  const inbox = createInbox()
  let acked = 0
  let wake = () => {}
  connection.subscribe(inbox, {
    callback: () => {
      acked += 1
      wake()
    },
  })
  const payload = Buffer.alloc(540, 'x')
  const started = performance.now()
  let sent = 0
  while (performance.now() - started < seconds * 1000) {
    while (sent - acked * 64 < 1024) {
      sent++
      connection.publish('ceiling.a.b', payload, sent % 64 === 0 ? { reply: inbox } : {})
    }
    await new Promise<void>((resolve) => {
      wake = resolve
    })
  }
  const rate = (acked * 64) / ((performance.now() - started) / 1000)
  await jsm.streams.delete('CEILING')
  await connection.close()
  return Math.round(rate)
}

/** Appends at `rate` a second, in portions as a bridge coalesces them. */
async function feedUntil(rig: BusRig, rate: number, isOver: (sent: number) => boolean): Promise<void> {
  const started = performance.now()
  let sent = 0
  while (!isOver(sent)) {
    const due = Math.floor(((performance.now() - started) / 1000) * rate)
    if (due > sent) {
      rig.append(due - sent, { instruments: 500 })
      sent = due
      rig.writer?.flush()
    }
    await sleep(1)
  }
}

/** Messages in the stream, whose chain lets none in twice. */
async function storedIn(server: NatsServer): Promise<number> {
  const connection = await server.connect()
  const { state } = await (await jetstreamManager(connection)).streams.info('MARKET_TICKS')
  await connection.close()
  return state.messages
}

async function measure(rate: number, seconds: number): Promise<Report & { stored: number; load: number }> {
  const server = await NatsServer.start({ store: mkdtempSync(join(tmpdir(), 'bench-')) })
  const rig = new BusRig()
  try {
    const writer = await rig.openJournal()
    const child = fork(fileURLToPath(import.meta.url), ['--publish', server.url, rig.journalDirectory, rig.stateDir])
    await new Promise((resolve) => child.once('message', resolve))
    await sleep(300)
    await feedUntil(rig, rate, (sent) => sent >= rate * seconds)
    const report = new Promise<Report>((resolve) => child.once('message', (message) => resolve(message as Report)))
    child.send(writer.lastSequence)
    const load = Number((loadavg()[0] ?? 0).toFixed(1))
    const measured = { ...(await report), stored: await storedIn(server), load }
    if (measured.stored !== writer.lastSequence) {
      console.error(`NOT KEPT: ${writer.lastSequence} ticks in the journal, ${measured.stored} in the stream`)
      process.exitCode = 1
    }
    return measured
  } finally {
    await rig.remove()
    await server.remove()
    rmSync(server.store, { recursive: true, force: true })
  }
}

/** The server dies while ticks keep coming; how fast it is caught up with while they still do. */
async function outage(
  rate: number,
  outageMs: number,
): Promise<{ rate: number; ratio: number; seconds: number; rssMb: number }> {
  const server = await NatsServer.start({ store: mkdtempSync(join(tmpdir(), 'bench-')) })
  const rig = new BusRig()
  try {
    const writer = await rig.openJournal()
    const child = fork(fileURLToPath(import.meta.url), ['--publish', server.url, rig.journalDirectory, rig.stateDir])
    await new Promise((resolve) => child.once('message', resolve))
    let isOver = false
    const feeding = feedUntil(rig, rate, () => isOver)
    await sleep(1000)
    await server.end('SIGKILL')
    await sleep(outageMs)
    await server.start()
    const startedMs = performance.now()
    const before = await storedIn(server)
    let messages = before
    while (writer.lastSequence - messages > rate / 10) {
      await sleep(50)
      messages = await storedIn(server)
    }
    const seconds = (performance.now() - startedMs) / 1000
    isOver = true
    await feeding
    const report = new Promise<Report>((resolve) => child.once('message', (message) => resolve(message as Report)))
    child.send(writer.lastSequence)
    const { rssMb } = await report
    const published = (messages - before) / seconds
    return { rate: Math.round(published), ratio: Number((published / rate).toFixed(1)), seconds, rssMb }
  } finally {
    await rig.remove()
    await server.remove()
    rmSync(server.store, { recursive: true, force: true })
  }
}

/** A journal that is there already is published as fast as it goes. */
async function catchUp(ticks: number): Promise<{ rate: number; ceilingRate: number; cpuMicros: number }> {
  const server = await NatsServer.start({ store: mkdtempSync(join(tmpdir(), 'bench-')) })
  const rig = new BusRig()
  try {
    const writer = await rig.openJournal()
    for (let left = ticks; left > 0; left -= 10_000) {
      rig.append(Math.min(left, 10_000), { instruments: 500 })
      writer.flush()
      while (writer.writtenSequence < writer.lastSequence) await sleep(1)
    }
    const ceilingRate = await ceiling(server.url, 2)
    const child = fork(fileURLToPath(import.meta.url), ['--publish', server.url, rig.journalDirectory, rig.stateDir])
    await new Promise((resolve) => child.once('message', resolve))
    const report = new Promise<Report>((resolve) => child.once('message', (message) => resolve(message as Report)))
    child.send(writer.lastSequence)
    const { seconds, cpuSeconds } = await report
    return { rate: Math.round(ticks / seconds), ceilingRate, cpuMicros: (cpuSeconds / ticks) * 1e6 }
  } finally {
    await rig.remove()
    await server.remove()
    rmSync(server.store, { recursive: true, force: true })
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

async function busBench(options: {
  seconds: number
  repeats: number
  outageSeconds: number
  rates: readonly number[]
}): Promise<void> {
  for (const rate of options.rates) {
    const runs: Awaited<ReturnType<typeof measure>>[] = []
    for (let i = 0; i < options.repeats; i++) runs.push(await measure(rate, options.seconds))
    const of = (value: (run: (typeof runs)[number]) => number | null) =>
      median(runs.map((run) => value(run) ?? Number.NaN))
    console.log(
      JSON.stringify({
        bench: 'journal to JetStream',
        rate,
        seconds: options.seconds,
        load_average: of((run) => run.load),
        stored: of((run) => run.stored),
        reached: Math.round(of((run) => run.published / run.seconds)),
        ack_p50_ms: of((run) => run.ackP50Ms),
        ack_p99_ms: of((run) => run.ackP99Ms),
        latency_p99_ms: of((run) => run.latencyP99Ms),
        rss_mb: of((run) => run.rssMb),
        cores: Number(of((run) => run.cpuSeconds / run.seconds).toFixed(2)),
      }),
    )
  }
  const outages: Awaited<ReturnType<typeof outage>>[] = []
  for (let i = 0; i < options.repeats; i++) outages.push(await outage(20_000, options.outageSeconds * 1000))
  console.log(
    JSON.stringify({
      bench: 'catching up after an outage under load',
      live_rate: 20_000,
      outage_seconds: options.outageSeconds,
      rate: median(outages.map((run) => run.rate)),
      ratio: median(outages.map((run) => run.ratio)),
      seconds: Number(median(outages.map((run) => run.seconds)).toFixed(1)),
      rss_mb: median(outages.map((run) => run.rssMb)),
    }),
  )
  const runs: Awaited<ReturnType<typeof catchUp>>[] = []
  for (let i = 0; i < options.repeats; i++) runs.push(await catchUp(options.seconds * 50_000))
  console.log(
    JSON.stringify({
      bench: 'catching up beside a publish-only ceiling',
      rate: median(runs.map((run) => run.rate)),
      ceiling: median(runs.map((run) => run.ceilingRate)),
      ratio: Number(median(runs.map((run) => run.rate / run.ceilingRate)).toFixed(2)),
      cpu_us_per_tick: Number(median(runs.map((run) => run.cpuMicros)).toFixed(2)),
    }),
  )
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    publish: { type: 'boolean' },
    seconds: { type: 'string', default: '2' },
    repeats: { type: 'string', default: '1' },
    outage: { type: 'string', default: '2' },
    rates: { type: 'string', default: '20000' },
    bus: { type: 'boolean' },
  },
})
if (values.publish) {
  const [url = '', journalDirectory = '', stateDir = ''] = positionals
  await publishUntilAsked(url, journalDirectory, stateDir)
} else {
  await busBench({
    seconds: Number(values.seconds),
    repeats: Number(values.repeats),
    outageSeconds: Number(values.outage),
    rates: values.rates.split(',').map(Number),
  })
}
