import { cpSync, renameSync, rmSync } from 'node:fs'
import { jetstreamManager, type StreamConfig } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Publisher } from '#daemon/publish-ticks.ts'
import type { BusFailureKind } from '#domain/bus-failure.ts'
import { HiddenText } from '#domain/secret-ref.ts'
import { BusRig, busOptions, natsBus, storedTicks, until } from '../support/bus-rig.ts'
import { lacksNats, NatsServer } from '../support/nats-server.ts'
import { readAll } from './journal-rig.ts'

const waitsFor = ({ state }: Publisher, kind: BusFailureKind) => state.kind === 'waiting' && state.failure.kind === kind
/** Of each fault under load. */
const ROUNDS = Number(process.env['FEED_FAULT_ROUNDS'] ?? 3)
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

describe.skipIf(lacksNats)('whatever happens to a real nats-server', () => {
  let server: NatsServer
  let rig: BusRig
  let connection: NatsConnection | null = null

  beforeEach(async () => {
    server = await NatsServer.start()
    rig = new BusRig()
    await rig.openJournal()
  })
  afterEach(async () => {
    await connection?.close()
    connection = null
    await rig.remove()
    await server.remove()
  })

  const look = async () => {
    connection ??= await server.connect()
    return connection
  }
  const stored = async () => (await storedTicks(await look())).map((tick) => tick.sequence)
  const journalled = async (from = 1) => {
    const { ticks } = await readAll(rig.journalDirectory)
    return ticks.filter((tick) => tick.off_session !== true && tick.seq >= from).map((tick) => tick.seq)
  }
  /** Appends in small portions until told to stop; some 20,000 a second. */
  const load = () => {
    const timer = setInterval(() => rig.append(100, { offSessionEach: 13 }), 5)
    return () => clearInterval(timer)
  }
  const caughtUp = (publisher: Publisher) =>
    until('the last tick', () => publisher.publishedSequence === rig.writer?.lastSequence, 30_000)
  const alarms = () => rig.logs.filter((line) => line.level === 'error').map((line) => line.message)

  test('killed and restarted under load, it holds every tick once and in order', async () => {
    const publisher = await rig.publish(natsBus(busOptions([server.url])))
    await until('a link', () => publisher.connected)
    const stop = load()
    const resumedMs: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      await pause(300)
      await server.end('SIGKILL')
      await pause((round % 4) * 200)
      await server.start()
      const listensMs = performance.now()
      const resumedAt = publisher.publishedSequence
      await until('acknowledgements after the restart', () => publisher.publishedSequence > resumedAt, 5_000)
      resumedMs.push(Math.round(performance.now() - listensMs))
    }
    stop()
    await caughtUp(publisher)
    console.info(`acknowledged again ${resumedMs.join(', ')} ms after the server listened`)
    expect(await stored()).toEqual(await journalled())
    expect(alarms()).toEqual([])
  }, 120_000)

  test('silent with ticks on the way, it stores late ones once though they were sent again', async () => {
    const publisher = await rig.publish(natsBus(busOptions([server.url])), { ackTimeoutMs: 200, windowTicks: 256 })
    await until('a first link', () => publisher.connected)
    const stop = load()
    for (let round = 0; round < ROUNDS; round++) {
      await pause(150)
      // What is sent now waits in the server's socket, and is read after the publisher has dialled anew.
      server.pause()
      await until('giving the link up', () => publisher.state.kind === 'waiting')
      server.resume()
      await until('a new link', () => publisher.connected)
    }
    stop()
    await caughtUp(publisher)
    expect(publisher.failures).toBeGreaterThanOrEqual(ROUNDS)
    expect(await stored()).toEqual(await journalled())
  }, 120_000)

  test('down for a while, it is caught up with in journal order, and memory does not grow with the outage', async () => {
    const publisher = await rig.publish(natsBus(busOptions([server.url])))
    rig.append(1000)
    await caughtUp(publisher)
    await server.end('SIGKILL')
    await until('noticing', () => !publisher.connected)
    const before = process.memoryUsage()
    for (let i = 0; i < 100; i++) {
      rig.append(1000)
      await pause(1)
    }
    expect(publisher.backlog).toBeGreaterThanOrEqual(100_000)
    expect(publisher.state).toMatchObject({ kind: 'waiting', failure: { kind: 'bus-unreachable' } })
    const grown = process.memoryUsage().arrayBuffers - before.arrayBuffers
    expect(grown).toBeLessThan(32e6)
    await server.start()
    await caughtUp(publisher)
    expect(publisher.backlog).toBe(0)
    expect(await stored()).toEqual(await journalled())
  }, 60_000)

  test('its stream deleted under load, an alarm says so and publication goes on in a new one', async () => {
    const publisher = await rig.publish(natsBus(busOptions([server.url])))
    const stop = load()
    await until('some ticks', () => publisher.publishedSequence > 2000)
    const jsm = await jetstreamManager(await look())
    await jsm.streams.delete('MARKET_TICKS')
    const deletedAt = publisher.publishedSequence
    await until('going on', () => publisher.publishedSequence > deletedAt + 2000)
    stop()
    await caughtUp(publisher)
    const held = await stored()
    expect(held).toEqual(await journalled(held[0]))
    expect(alarms().join()).toContain('deleted or restored')
  })

  test('its stream emptied, an alarm says so at the next start and history comes again only on order', async () => {
    const first = await rig.publish(natsBus(busOptions([server.url])))
    rig.append(1000)
    await caughtUp(first)
    await first.close(1000)
    const jsm = await jetstreamManager(await look())
    await jsm.streams.purge('MARKET_TICKS')

    const publisher = await rig.publish(natsBus(busOptions([server.url])))
    rig.append(500)
    await caughtUp(publisher)
    expect((await stored())[0]).toBe(1001)
    expect(alarms().join()).toContain('removed from the end')

    await expect(publisher.republish(901, false)).rejects.toMatchObject({ kind: 'already-published' })
    await expect(publisher.republish(1501, true)).rejects.toMatchObject({ kind: 'no-such-tick' })
    expect(await publisher.republish(901, true)).toEqual({ from: 901, to: 1500 })
    await until('the republication', async () => (await stored()).length === 500 + 600)
    await caughtUp(publisher)
    expect((await stored()).slice(500)).toEqual(await journalled(901))
  })

  test('its last messages lost with its machine, they are published again under the same stream sequences', async () => {
    const publisher = await rig.publish(natsBus(busOptions([server.url])))
    rig.append(1000, { offSessionEach: 7 })
    await caughtUp(publisher)
    await server.end()
    cpSync(server.store, `${server.store}-old`, { recursive: true })
    await server.start()
    await until('the link', () => publisher.connected)
    rig.append(1000, { offSessionEach: 7 })
    await caughtUp(publisher)
    const complete = await storedTicks(await look())
    await server.end('SIGKILL')
    rmSync(server.store, { recursive: true })
    renameSync(`${server.store}-old`, server.store)
    await server.start()
    await connection?.close()
    connection = null
    await until('the repair', async () => (await stored()).length === complete.length)
    expect(await storedTicks(await look())).toEqual(complete)
    expect(rig.logs.map((line) => line.message).join()).toContain('lost its last messages')
  })

  test('written to by somebody else, the publisher tells, stands back, and goes on behind it', async () => {
    const publisher = await rig.publish(natsBus(busOptions([server.url])), { foreignQuietMs: 400 })
    rig.append(1000)
    await caughtUp(publisher)
    const other = await look()
    const meddle = setInterval(() => !other.isClosed() && other.publish('market.tick.SHFE.rb1', '{"hello":1}'), 50)
    await other.flush()
    await pause(100)
    rig.append(1000)
    await until('noticing', () => publisher.state.kind === 'foreign-writer')
    await pause(600)
    expect(publisher.publishedSequence).toBe(1000)
    clearInterval(meddle)
    await caughtUp(publisher)
    const ours = (await stored()).filter((sequence) => !Number.isNaN(sequence))
    expect(ours).toEqual(await journalled())
    expect(alarms().join()).toContain('writes to the stream MARKET_TICKS too')
  })

  test('its storage full, ticks wait and then go in, still in order', async () => {
    await server.remove()
    server = await NatsServer.start({ storeBytesMax: 2_000_000 })
    const publisher = await rig.publish(natsBus(busOptions([server.url])))
    rig.append(6000)
    await until('the refusal', () => waitsFor(publisher, 'bus-storage-full'))
    const jsm = await jetstreamManager(await look())
    const { config } = await jsm.streams.info('MARKET_TICKS')
    await jsm.streams.update('MARKET_TICKS', { ...config, max_msgs: 1000 } as StreamConfig)
    await caughtUp(publisher)
    const held = await stored()
    expect(held).toEqual(await journalled(held[0]))
    expect(held.at(-1)).toBe(6000)
  })

  test('a rotated password is a typed failure until the new one is there, and costs no tick', async () => {
    const users = (password: string) =>
      `authorization { users: [ {user: feed, password: "${password}"}, {user: look, password: look} ] }`
    await server.end()
    await server.start(users('first'))
    const secret = { current: 'first' }
    const options = busOptions([server.url], { user: 'feed', password: { source: 'env', name: 'NATS_PASSWORD' } })
    const { natsTickBus } = await import('#adapters/bus/nats/nats-tick-bus.ts')
    const bus = natsTickBus({ options, name: 'test', resolveSecret: async () => new HiddenText(secret.current) })
    const publisher = await rig.publish(bus)
    rig.append(500)
    await caughtUp(publisher)
    await server.end()
    await server.start(users('second'))
    rig.append(500)
    await until(
      'the refusal',
      () => publisher.state.kind === 'waiting' && publisher.state.failure.kind === 'bus-credentials-rejected',
    )
    expect(JSON.stringify(rig.logs)).not.toContain('first')
    secret.current = 'second'
    await caughtUp(publisher)
    await server.end()
    await server.start('')
    expect(await stored()).toEqual(await journalled())
  })

  test('a password that can not be read, a server without JetStream and a stream of other subjects each have a name', async () => {
    const refused = async (publisher: Publisher) => {
      await until('a failure', () => publisher.state.kind === 'waiting')
      const { state } = publisher
      await publisher.close(0, AbortSignal.abort())
      return state.kind === 'waiting' ? state.failure.kind : state.kind
    }
    const unreadable = busOptions([server.url], { credsFile: '/nonexistent/feed.creds' })
    expect(await refused(await rig.publish(natsBus(unreadable)))).toBe('bus-secret-unavailable')
    expect(await refused(await rig.publish(natsBus(busOptions(['nats://127.0.0.1:1']))))).toBe('bus-unreachable')
    const jsm = await jetstreamManager(await look())
    await jsm.streams.add({ name: 'OTHER', subjects: ['other.>'] })
    const taken = busOptions([server.url], { stream: 'OTHER' })
    expect(await refused(await rig.publish(natsBus(taken)))).toBe('stream-misconfigured')
    await jsm.streams.add({ name: 'GREEDY', subjects: ['market.>'] })
    expect(await refused(await rig.publish(natsBus(busOptions([server.url]))))).toBe('stream-misconfigured')
  })
})
