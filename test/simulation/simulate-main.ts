/** `npm run simulate -- --seeds N [--from S] [--jobs J] [--log]`: random schedules of faults against the decision core, on virtual time. */
import { fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { type SeedsEnd, simulateSeeds } from './simulate-seeds.ts'

const USAGE = `Usage: npm run simulate -- [options]

  --seeds N      how many schedules (default 1000)
  --from S       first seed (default 1)
  --jobs J       processes side by side (default: one per core)
  --failures N   stop after so many failures (default 5)
  --log          with one seed: tell what the supervisor logs

Exit code: 0 nothing went wrong, 1 something did, 64 usage.`

const SLICE = 50

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '1000' },
      from: { type: 'string', default: '1' },
      jobs: { type: 'string', default: String(availableParallelism()) },
      failures: { type: 'string', default: '5' },
      log: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const [seeds, from, jobs, failuresMax] = [values.seeds, values.from, values.jobs, values.failures].map(Number)
  const areWhole = [seeds, from, jobs, failuresMax].every((value) => Number.isInteger(value) && (value ?? 0) >= 1)
  if (values.help || !areWhole || !seeds || !from || !jobs || !failuresMax) {
    console.log(USAGE)
    return values.help ? 0 : 64
  }
  const startedMs = performance.now()
  const ends =
    jobs === 1 || seeds <= SLICE
      ? [
          await simulateSeeds({
            from,
            count: seeds,
            failuresMax,
            shrinks: true,
            ...(process.stderr.isTTY ? { progress: (seed: number) => process.stderr.write(`\r${seed} `) } : {}),
            ...(values.log ? { log: (line: string) => console.log(line) } : {}),
          }),
        ]
      : await inProcesses({ from, seeds, jobs, failuresMax })
  return report(ends, performance.now() - startedMs)
}

/** Slices of seeds go to whichever process is free. */
async function inProcesses(work: {
  from: number
  seeds: number
  jobs: number
  failuresMax: number
}): Promise<SeedsEnd[]> {
  const ends: SeedsEnd[] = []
  let next = work.from
  const last = work.from + work.seeds
  const isOver = () => next >= last || ends.flatMap(({ failures }) => failures).length >= work.failuresMax
  const runOne = () =>
    new Promise<void>((resolve, reject) => {
      const child = fork(process.argv[1] ?? '', [], { env: { ...process.env, SIMULATE_WORKER: '1' } })
      const give = () => {
        if (isOver()) {
          child.disconnect()
          return
        }
        const count = Math.min(SLICE, last - next)
        child.send({ from: next, count, failuresMax: work.failuresMax })
        next += count
      }
      child.on('message', (end: SeedsEnd) => {
        ends.push(end)
        if (process.stderr.isTTY) process.stderr.write(`\r${ends.reduce((sum, each) => sum + each.seeds, 0)} seeds `)
        give()
      })
      child.on('error', reject)
      child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`a worker ended with ${code}`))))
      give()
    })
  await Promise.all(Array.from({ length: work.jobs }, runOne))
  return ends
}

function work(): void {
  process.on('message', (slice: { from: number; count: number; failuresMax: number }) => {
    void simulateSeeds({ ...slice, shrinks: true }).then((end) => process.send?.(end))
  })
}

function report(ends: readonly SeedsEnd[], tookMs: number): number {
  const sum = (pick: (end: SeedsEnd) => number) => ends.reduce((total, end) => total + pick(end), 0)
  const failures = ends.flatMap((end) => end.failures)
  for (const { story } of failures) console.log(`${story}\n`)
  const events = sum((end) => end.events)
  console.log(
    [
      `${sum((end) => end.seeds)} schedules, ${failures.length} violations`,
      `${(sum((end) => end.simulatedMs) / 3_600_000).toFixed(1)} h simulated in ${(tookMs / 1_000).toFixed(1)} s`,
      `${events} events (${Math.round((events * 1_000) / tookMs)}/s)`,
      `${sum((end) => end.counts.delivered)} ticks delivered, ${sum((end) => end.counts.accepted)} accepted`,
      `${sum((end) => end.counts.rounds)} rounds, ${sum((end) => end.counts.switches)} switches, ${sum((end) => end.counts.logins)} logins`,
    ].join('\n'),
  )
  if (sum((end) => end.counts.accepted) === 0) {
    console.log('Nothing was accepted at all: the simulation proves nothing.')
    return 1
  }
  return failures.length === 0 ? 0 : 1
}

if (process.env['SIMULATE_WORKER'] === '1') work()
else process.exitCode = await main()
