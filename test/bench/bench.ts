/**
 * What the product costs, measured on this machine: `npm run bench` prints a table, `-- --write` keeps it in docs/benchmarks.md. The end
 * to end figures come from the real daemon with two real simulator processes; nothing is stubbed.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { benchArbitration } from './bench-arbitration.ts'
import { type DaemonFigures, measureDaemon } from './bench-daemon.ts'
import { benchFailover } from './bench-failover.ts'
import { benchFrames } from './bench-frames.ts'
import { benchJournal } from './bench-journal.ts'

interface Row {
  what: string
  figure: string
}

const RUNS = 15

async function main(): Promise<void> {
  const writes = process.argv.includes('--write')
  const quick = process.argv.includes('--quick')
  const seconds = quick ? 4 : 15
  const rows: Row[] = []
  const add = (what: string, figure: string) => {
    rows.push({ what, figure })
    console.log(`${what.padEnd(64)} ${figure}`)
  }

  // By itself, since it has options of its own.
  if (process.argv.includes('--bus')) {
    const program = fileURLToPath(new URL('bus-bench.js', import.meta.url))
    process.exitCode =
      spawnSync(process.execPath, [program, ...process.argv.slice(2)], { stdio: 'inherit' }).status ?? 1
    return
  }

  // By itself: `npm run bench -- --failover 20`.
  const failoverTrials = process.argv.includes('--failover') ? Number(process.argv.at(-1)) || 3 : 0
  if (failoverTrials > 0) {
    if (tellBroken(await benchFailover(failoverTrials, add))) process.exitCode = 1
    return
  }

  const frames = benchFrames()
  add('frames cut from a byte stream', `${millions(frames.perSecond)} M/s`)
  const arbitration = benchArbitration()
  add('arbitration, 25,000 instruments, two lines', `${arbitration.nsPerTick.toFixed(0)} ns/tick`)
  const journal = await benchJournal(seconds)
  add('journal append into memory', `${millions(journal.appendsPerSecond)} M/s`)
  add('journal to disk, synced every 50 ms, sustained', `${thousands(journal.recordsPerSecond)} k records/s`)
  add('journal at 20,000/s: durable (synced) p50 / p99', `${ms(journal.durableP50Ms)} / ${ms(journal.durableP99Ms)}`)

  // What the runs above left in the page cache would be written back under the next one's feet.
  execFileSync('sync')
  await sleep(5_000)
  for (const rate of quick ? [20_000] : [20_000, 50_000, 100_000, 150_000]) {
    const figures = await measureDaemon({ instruments: 25_000, ticksPerSecond: rate, seconds })
    add(
      `daemon, two lines, ${thousands(rate)} k ticks/s asked: accepted`,
      `${thousands(figures.acceptedPerSecond)} k/s`,
    )
    add('  vendor callback to journal p50 / p99 / p99.9', latencies(figures))
    add('  daemon RSS, CPU', `${(figures.rssBytes / 2 ** 20).toFixed(0)} MiB, ${figures.cores.toFixed(2)} cores`)
    add('  lost, dropped by bridges', `${figures.lost}, ${figures.dropped}`)
  }

  const stateDir = await mkdtemp(join(tmpdir(), 'fsb-'))
  const daemon = await startDaemon(stateDir)
  try {
    const starts = commandStarts(stateDir)
    for (const { name, ratio, medianMs } of starts)
      add(`start of ${name}`, `${ratio.toFixed(2)}x bare node (${ms(medianMs)})`)
  } finally {
    daemon.kill('SIGTERM')
    await new Promise((resolve) => daemon.once('exit', resolve))
    await rm(stateDir, { recursive: true, force: true })
  }
  // Kept once before the long part too, in case that is cut short.
  if (writes) await writeFile('docs/benchmarks.md', page(rows))
  const kept = !tellBroken(await benchFailover(quick ? 1 : 20, add))
  if (writes) await writeFile('docs/benchmarks.md', page(rows))
  if (!kept) process.exitCode = 1
}

/** True when a promise was not kept. */
function tellBroken(broken: readonly string[]): boolean {
  for (const sentence of broken) console.error(`NOT KEPT: ${sentence}`)
  return broken.length > 0
}

function latencies({ p50Ms, p99Ms, p999Ms }: DaemonFigures): string {
  return `<= ${ms(p50Ms)} / ${ms(p99Ms)} / ${ms(p999Ms)}`
}

async function startDaemon(stateDir: string) {
  const daemon = spawn(
    'bin/full-feed-subscription',
    ['run', '--state-dir', stateDir, '--metrics-port', '0', '--quiet'],
    {
      stdio: ['ignore', 'ignore', 'ignore'],
    },
  )
  for (let i = 0; i < 200; i++) {
    try {
      execFileSync('bin/full-feed-subscription', ['probe', '--ready', '--state-dir', stateDir], { stdio: 'ignore' })
      return daemon
    } catch {
      await sleep(100)
    }
  }
  throw new Error('the daemon did not get ready')
}

/** Wall times of whole commands, taken in turn so that a slow moment of the machine falls on all of them; medians as ratios. */
function commandStarts(stateDir: string): { name: string; ratio: number; medianMs: number }[] {
  const commands: [string, string, string[]][] = [
    ['node -e 0', process.execPath, ['-e', '0']],
    ['check-feed-health', 'bin/check-feed-health', ['--state-dir', stateDir, '--skip-metrics']],
    ['full-feed-subscription probe', 'bin/full-feed-subscription', ['probe', '--state-dir', stateDir]],
    ['start-live-env status', 'bin/start-live-env', ['status', '--state-dir', stateDir]],
    ['validate-env --help', 'bin/validate-env', ['--help']],
  ]
  const times = commands.map(() => [] as number[])
  for (let run = 0; run < RUNS; run++) {
    commands.forEach(([, program, args], i) => {
      const started = performance.now()
      execFileSync(program, args, { stdio: 'ignore' })
      times[i]?.push(performance.now() - started)
    })
  }
  const medians = times.map((list) => list.sort((a, b) => a - b)[RUNS >> 1] ?? 0)
  const bare = medians[0] ?? 1
  return commands
    .slice(1)
    .map(([name], i) => ({ name, ratio: (medians[i + 1] ?? 0) / bare, medianMs: medians[i + 1] ?? 0 }))
}

function page(rows: readonly Row[]): string {
  const [cpu] = cpus()
  const date = new Date().toISOString().slice(0, 10)
  const machine = `${cpus().length} cores (${cpu?.model.trim() ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`
  const table = rows.map(({ what, figure }) => `| ${what.trim()} | ${figure} |`).join('\n')
  return `# Benchmarks

Made by \`npm run bench -- --write\` on ${date}: ${machine}. End to end figures are of the real daemon with two simulator processes on
the same machine; latencies are upper edges of the histogram's buckets, from the vendor callback (stamped in the bridge) to the journal's
write, before the sync.

| what | figure |
|---|---|
${table}
`
}

function ms(value: number): string {
  return `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ms`
}
function millions(value: number): string {
  return (value / 1e6).toFixed(2)
}
function thousands(value: number): string {
  return (value / 1e3).toFixed(value < 10_000 ? 1 : 0)
}

await main()
