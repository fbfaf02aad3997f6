/**
 * Program of nats-host.test.ts, run in network and mount namespaces of its own: publishes to a server of its own, cuts the network
 * (argv[2] `cut`) or fills the server's disk (`disk`, on the small file system argv[3]), and prints what became of the ticks.
 */
import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BusRig, busOptions, natsBus, storedTicks, until } from '../support/bus-rig.ts'
import { NatsServer } from '../support/nats-server.ts'
import { readAll } from './journal-rig.ts'

const [, , fault, disk = ''] = process.argv
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const kinds = new Set<string>()
const rounds: number[] = []

const server = await NatsServer.start(fault === 'disk' ? { store: join(disk, 'store') } : {})
const rig = new BusRig()
await rig.openJournal()
const publisher = await rig.publish(natsBus(busOptions([server.url])))
await until('a link', () => publisher.connected)
const watch = setInterval(() => publisher.state.kind === 'waiting' && kinds.add(publisher.state.failure.kind), 5)
// The small disk has to hold all of it in the end.
const load = setInterval(() => rig.append(fault === 'disk' ? 10 : 100, { offSessionEach: 11 }), 5)
await pause(300)
if (fault === 'cut') await cutNetwork(3)
else await fillDisk()
clearInterval(load)
await until('the last tick', () => publisher.publishedSequence === rig.writer?.lastSequence, 60_000)
clearInterval(watch)

const connection = await server.connect()
const stored = (await storedTicks(connection)).map((tick) => tick.sequence)
await connection.close()
const { ticks } = await readAll(rig.journalDirectory)
const live = ticks.filter((tick) => tick.off_session !== true).map((tick) => tick.seq)
const isWhole = JSON.stringify(stored) === JSON.stringify(live)
const rssMb = Math.round(process.memoryUsage.rss() / 1e6)
console.log(JSON.stringify({ isWhole, live: live.length, stored: stored.length, kinds: [...kinds], rounds, rssMb }))
await rig.remove()
await server.remove()
process.exit(0)

/** The only way to the server is the namespace's loopback: packets vanish without a word, as behind a dead switch. */
async function cutNetwork(times: number): Promise<void> {
  for (let round = 0; round < times; round++) {
    execFileSync('ip', ['link', 'set', 'lo', 'down'])
    await until('noticing', () => !publisher.connected)
    await pause(1000)
    const publishedAt = publisher.publishedSequence
    execFileSync('ip', ['link', 'set', 'lo', 'up'])
    const upMs = performance.now()
    await until('acknowledgements', () => publisher.publishedSequence > publishedAt, 30_000)
    rounds.push(Math.round(performance.now() - upMs))
    await pause(200)
  }
}

/** nats-server 2.9 hangs once its disk was full, also when told to end: room alone is not enough, it has to be killed and restarted. */
async function fillDisk(): Promise<void> {
  const ballast = join(disk, 'ballast')
  for (let megabytes = 64; megabytes > 0; megabytes -= 4) {
    try {
      writeFileSync(ballast, Buffer.alloc(megabytes << 20))
      break
    } catch {
      // As much as fits beside what the server holds already.
    }
  }
  await until('the refusal', () => kinds.size > 0, 30_000)
  await pause(3000)
  rmSync(ballast)
  await server.end('SIGKILL')
  await server.start()
}
