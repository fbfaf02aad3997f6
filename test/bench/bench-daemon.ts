/** The real daemon over two real simulator processes, watched from outside: rates, latencies, memory, processor time. */
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { controlClient } from '#adapters/control/control-client.ts'

export interface DaemonLoad {
  instruments: number
  ticksPerSecond: number
  seconds: number
}

export interface DaemonFigures {
  acceptedPerSecond: number
  p50Ms: number
  p99Ms: number
  p999Ms: number
  rssBytes: number
  cores: number
  lost: number
  dropped: number
}

const READY_MS = 60_000

export async function measureDaemon(load: DaemonLoad): Promise<DaemonFigures> {
  const stateDir = await mkdtemp(join(tmpdir(), 'fsd-'))
  const daemon = spawn(
    'bin/full-feed-subscription',
    ['run', '--state-dir', stateDir, '--metrics-port', '0', '--rate-limit-max', '0', '--quiet'],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: {
        ...process.env,
        SIM_INSTRUMENTS: String(load.instruments),
        SIM_TICKS_PER_SECOND: String(load.ticksPerSecond),
        JOURNAL_MAX_BYTES: '8GiB',
      },
    },
  )
  try {
    const client = controlClient({ socketPath: join(stateDir, 'control.sock') })
    await untilReady(client)
    // The subscription burst and the compiler's warm-up are not the steady state.
    await sleep(3_000)
    const before = {
      status: await client.status(),
      cpu: await cpuSeconds(daemon.pid ?? 0),
      metrics: await latencyCounts(stateDir),
    }
    const startedMs = performance.now()
    await sleep(load.seconds * 1_000)
    const after = {
      status: await client.status(),
      cpu: await cpuSeconds(daemon.pid ?? 0),
      metrics: await latencyCounts(stateDir),
    }
    const seconds = (performance.now() - startedMs) / 1_000
    const counts = after.metrics.map((bucket, i) => ({
      ...bucket,
      count: bucket.count - (before.metrics[i]?.count ?? 0),
    }))
    return {
      acceptedPerSecond: (after.status.ticks.accepted - before.status.ticks.accepted) / seconds,
      p50Ms: quantile(counts, 0.5),
      p99Ms: quantile(counts, 0.99),
      p999Ms: quantile(counts, 0.999),
      rssBytes: after.status.rss_bytes,
      cores: (after.cpu - before.cpu) / seconds,
      lost: after.status.journal.lost,
      dropped: after.status.lines.primary.dropped + (after.status.lines.backup?.dropped ?? 0),
    }
  } finally {
    daemon.kill('SIGTERM')
    await new Promise((resolve) => daemon.once('exit', resolve))
    await rm(stateDir, { recursive: true, force: true })
  }
}

async function untilReady(client: ReturnType<typeof controlClient>): Promise<void> {
  const deadlineMs = performance.now() + READY_MS
  while (performance.now() < deadlineMs) {
    const status = await client.status().catch(() => null)
    if (status?.ready === true && status.lines.backup?.state === 'streaming') return
    await sleep(100)
  }
  throw new Error('the daemon did not get ready')
}

/** User and system time of a process, in seconds; the kernel counts hundredths. */
async function cpuSeconds(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / 100
}

interface Bucket {
  edgeMs: number
  /** Observations at or below the edge. */
  count: number
}

async function latencyCounts(stateDir: string): Promise<Bucket[]> {
  const log = await readFile(join(stateDir, 'logs', await newestLog(stateDir)), 'utf8')
  const port = /metrics on port (\d+)/.exec(log)?.[1]
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  return [...text.matchAll(/^md_tick_latency_seconds_bucket\{le="([^"]+)"\} (\d+)/gm)].map(([, edge, count]) => ({
    edgeMs: edge === '+Inf' ? Number.POSITIVE_INFINITY : Number(edge) * 1_000,
    count: Number(count),
  }))
}

async function newestLog(stateDir: string): Promise<string> {
  const { readdir } = await import('node:fs/promises')
  return (
    (await readdir(join(stateDir, 'logs')))
      .filter((name) => name.startsWith('full-feed'))
      .sort()
      .at(-1) ?? ''
  )
}

/** Upper edge of the bucket that holds the quantile. */
function quantile(buckets: readonly Bucket[], share: number): number {
  const total = buckets.at(-1)?.count ?? 0
  return buckets.find(({ count }) => count >= share * total)?.edgeMs ?? Number.NaN
}
