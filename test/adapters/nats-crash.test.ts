import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { bundleBusProgram } from '../support/bus-program.ts'
import { BusRig, busOptions, natsBus, storedTicks, until } from '../support/bus-rig.ts'
import { lacksNats, NatsServer } from '../support/nats-server.ts'
import { readAll } from './journal-rig.ts'

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
/** Of each fault; an election takes seconds. */
const ROUNDS = Number(process.env['FEED_FAULT_ROUNDS'] ?? 3)
const ELECTIONS = Number(process.env['FEED_FAULT_ROUNDS'] ?? 1)

const liveTicks = async (rig: BusRig) => {
  const { ticks } = await readAll(rig.journalDirectory)
  return ticks.filter((tick) => tick.off_session !== true).map((tick) => tick.seq)
}
const inStream = async (connection: NatsConnection) => (await storedTicks(connection)).map((tick) => tick.sequence)

describe.skipIf(lacksNats)('a daemon killed while it publishes', () => {
  let server: NatsServer
  let programs: string
  let program: string
  beforeAll(async () => {
    programs = mkdtempSync(join(tmpdir(), 'bus-programs-'))
    program = await bundleBusProgram(new URL('./nats-crash-daemon.ts', import.meta.url), programs)
  })
  afterAll(() => rmSync(programs, { recursive: true, force: true }))
  beforeEach(async () => {
    server = await NatsServer.start()
  })
  afterEach(() => server.remove())

  test('leaves a stream that the next one completes: every journalled live tick once, in order', async () => {
    const rig = new BusRig()
    const connection = await server.connect()
    for (let round = 0; round < ROUNDS; round++) {
      const daemon = spawn(process.execPath, [program, rig.stateDir, server.url], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const gone = new Promise((resolve) => daemon.on('exit', resolve))
      await new Promise((resolve) => createInterface({ input: daemon.stdout }).once('line', resolve))
      await pause(50 + 37 * round)
      daemon.kill('SIGKILL')
      await gone
    }
    await rig.openJournal()
    const publisher = await rig.publish(natsBus(busOptions([server.url])))
    rig.append(100)
    await until('the last tick', () => publisher.publishedSequence === rig.writer?.lastSequence)
    expect(publisher.backlog).toBe(0)
    expect(await inStream(connection)).toEqual(await liveTicks(rig))
    expect(rig.logs.filter((line) => line.level === 'error')).toEqual([])
    await connection.close()
    await rig.remove()
  }, 60_000)
})

describe.skipIf(lacksNats)('a cluster of three', () => {
  let servers: NatsServer[] = []
  let rig: BusRig
  beforeEach(async () => {
    servers = await NatsServer.cluster()
    rig = new BusRig()
    await rig.openJournal()
  })
  afterEach(async () => {
    await rig.remove()
    for (const server of servers) await server.remove()
  })

  test(
    'whose leader is killed under load ends with every tick once at its own place, or says which messages it lost',
    async () => {
      const options = busOptions(
        servers.map((server) => server.url),
        { limits: { replicas: 3, storage: 'file', maxAgeMs: 0, maxBytes: null } },
      )
      const publisher = await rig.publish(natsBus(options))
      await until('a leader', () => publisher.connected, 30_000)
      // A busy machine's cluster may be slower than the load: what it has to catch up with stays bounded.
      const load = setInterval(() => publisher.backlog < 20_000 && rig.append(50, { offSessionEach: 13 }), 5)
      const pausesMs: number[] = []
      for (let round = 0; round < ELECTIONS; round++) {
        const begunAt = publisher.publishedSequence
        await until('some progress', () => publisher.publishedSequence > begunAt + 1_000, 60_000)
        await pause(200)
        const alive = servers[(round + 1) % 3] as NatsServer
        const look = await alive.connect()
        const { cluster } = await (await jetstreamManager(look, { timeout: 10_000 })).streams.info('MARKET_TICKS')
        await look.close()
        const leader = servers.find((server) => server.name === cluster?.leader) as NatsServer
        await leader.end('SIGKILL')
        const killedMs = performance.now()
        const publishedAt = publisher.publishedSequence
        await until('acknowledgements', () => publisher.publishedSequence > publishedAt + 2_000, 60_000)
        pausesMs.push(Math.round(performance.now() - killedMs))
        await leader.start()
      }
      clearInterval(load)
      await until('the last tick', () => publisher.publishedSequence === rig.writer?.lastSequence, 60_000)
      console.info(`leader killed ${ELECTIONS} times; publishing again after ${pausesMs.join(', ')} ms`)
      const connection = await (servers[0] as NatsServer).connect()
      const { state, cluster } = await (await jetstreamManager(connection)).streams.info('MARKET_TICKS')
      const stored = await storedTicks(connection)
      const live = await liveTicks(rig)
      // The server itself may lose a beginning when its leaders die faster than replicas catch up; that has to be told.
      const lostUpTo = rig.logs.reduce((most, { details }) => Math.max(most, Number(details['to'] ?? 0)), 0)
      if (lostUpTo > 0) console.warn(`nats-server lost messages 1 to ${lostUpTo}; told`)
      const inPlace = stored.filter((tick) => tick.sequence === live[tick.streamSequence - 1])
      const places = { first: stored[0]?.streamSequence, last: stored.at(-1)?.streamSequence }
      const told = rig.logs.filter((line) => line.level === 'error').map((line) => line.message)
      expect(
        { counted: state.messages, read: stored.length, inPlace: inPlace.length, ...places },
        JSON.stringify({ told, replicas: cluster?.replicas }),
      ).toEqual({
        counted: live.length - lostUpTo,
        read: live.length - lostUpTo,
        inPlace: live.length - lostUpTo,
        first: lostUpTo + 1,
        last: live.length,
      })
      await connection.close()
    },
    60_000 + ELECTIONS * 90_000,
  )
})
