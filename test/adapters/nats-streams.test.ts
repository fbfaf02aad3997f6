import { AckPolicy, DiscardPolicy, jetstream, jetstreamManager, RetentionPolicy, StorageType } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readCursor } from '#adapters/bus/cursor-file.ts'
import type { FeedStateMessage } from '#domain/feed-state.ts'
import { BusRig, busOptions, natsBus, storedTicks, until } from '../support/bus-rig.ts'
import { lacksNats, NatsServer } from '../support/nats-server.ts'

const state = (epoch: number, more: Partial<FeedStateMessage> = {}): FeedStateMessage => ({
  epoch,
  serving_line: 'primary',
  state: 'ACTIVE',
  since: '2026-01-05T09:00:00.000+08:00',
  host: 'test-host',
  ...more,
})

describe.skipIf(lacksNats)('the streams on a real nats-server', () => {
  let server: NatsServer
  let rig: BusRig
  let connection: NatsConnection
  beforeEach(async () => {
    server = await NatsServer.start()
    connection = await server.connect()
    rig = new BusRig()
    await rig.openJournal()
  })
  afterEach(async () => {
    await connection.close()
    await rig.remove()
    await server.remove()
  })

  const lastState = async () => {
    const jsm = await jetstreamManager(connection)
    const message = await jsm.streams.getMessage('MARKET_TICKS_STATE', { last_by_subj: 'market.feed.state' })
    return message === null ? null : message.json<FeedStateMessage>()
  }

  test('are made once, as declared, and found again', async () => {
    const bus = natsBus(busOptions([server.url], { durables: ['archiver'] }))
    const first = await rig.publish(bus)
    await until('a link', () => first.connected)
    await first.close(0)
    const second = await rig.publish(bus)
    await until('a link', () => second.connected)
    expect(second.drift).toEqual([])
    const made = rig.logs.filter((line) => line.message.includes('made'))
    expect(made.map((line) => line.message)).toEqual([
      'bus: made MARKET_TICKS, MARKET_TICKS_STATE, MARKET_TICKS/archiver',
    ])
    const jsm = await jetstreamManager(connection)
    const { config } = await jsm.streams.info('MARKET_TICKS')
    expect(config).toMatchObject({ subjects: ['market.tick.>'], storage: StorageType.File, discard: DiscardPolicy.Old })
  })

  test('that somebody has tuned stay as they are, and the difference is told', async () => {
    const jsm = await jetstreamManager(connection)
    await jsm.streams.add({
      name: 'MARKET_TICKS',
      subjects: ['market.>'],
      storage: StorageType.Memory,
      retention: RetentionPolicy.Limits,
      max_msgs: 1000,
    })
    const publisher = await rig.publish(natsBus(busOptions([server.url], { stream: 'MARKET_TICKS' })))
    // The state stream's subject is taken as well, so nothing can be published before one of the two gives way.
    await until('a refusal', () => publisher.state.kind === 'waiting')
    const { config } = await jsm.streams.info('MARKET_TICKS')
    await jsm.streams.update('MARKET_TICKS', { ...config, subjects: ['market.tick.>'] })
    await until('a link', () => publisher.connected)
    const settings = publisher.drift.map((drift) => `${drift.stream} ${drift.setting}: ${drift.found}`)
    expect(settings).toContain('MARKET_TICKS storage: "memory"')
    expect(settings).toContain('MARKET_TICKS max_msgs: 1000')
    expect((await jsm.streams.info('MARKET_TICKS')).config.max_msgs).toBe(1000)
  })

  test('two environments share one server by stream name and prefix', async () => {
    const paper = new BusRig()
    await paper.openJournal()
    const options = busOptions([server.url], { stream: 'PAPER', subjectPrefix: 'paper' })
    const papers = await paper.publish(natsBus(options), { subjectPrefix: 'paper' })
    const live = await rig.publish(natsBus(busOptions([server.url])))
    paper.append(300)
    rig.append(500)
    await until('both', () => papers.publishedSequence === 300 && live.publishedSequence === 500)
    expect((await storedTicks(connection, 'PAPER')).length).toBe(300)
    expect((await storedTicks(connection)).length).toBe(500)
    await paper.remove()
  })

  test('give a late joiner the last feed state', async () => {
    const publisher = await rig.publish(natsBus(busOptions([server.url])))
    publisher.publishState(state(1))
    publisher.publishState(state(2, { state: 'SWITCHED', serving_line: 'backup', from: 'primary', to: 'backup' }))
    await until('the states', async () => (await lastState().catch(() => null))?.epoch === 2)
    expect(await lastState()).toEqual(
      state(2, { state: 'SWITCHED', serving_line: 'backup', from: 'primary', to: 'backup' }),
    )
  })

  test('get the states of an outage afterwards, in order, the last one whatever happens', async () => {
    const publisher = await rig.publish(natsBus(busOptions([server.url])))
    publisher.publishState(state(1))
    await until('the first', async () => (await lastState().catch(() => null))?.epoch === 1)
    await server.end('SIGKILL')
    for (let epoch = 2; epoch <= 200; epoch++) publisher.publishState(state(epoch))
    await server.start()
    await until('the last', async () => (await lastState().catch(() => null))?.epoch === 200)
    const jsm = await jetstreamManager(connection)
    const epochs: number[] = []
    const { state: kept } = await jsm.streams.info('MARKET_TICKS_STATE')
    for (let seq = kept.first_seq; seq <= kept.last_seq; seq++) {
      epochs.push((await jsm.streams.getMessage('MARKET_TICKS_STATE', { seq }))?.json<FeedStateMessage>().epoch ?? 0)
    }
    expect(epochs).toEqual([...epochs].sort((a, b) => a - b))
    expect(epochs.length).toBeGreaterThan(60)
  })

  test('tell the highest epoch they know, so that a lost state directory starts none twice', async () => {
    const first = await rig.publish(natsBus(busOptions([server.url])))
    rig.append(10, { epoch: 41 })
    first.publishState(state(43))
    await until('both', async () => first.publishedSequence === 10 && (await lastState().catch(() => null)) !== null)
    await first.close(1000)
    const other = new BusRig()
    await other.openJournal()
    const publisher = await other.publish(natsBus(busOptions([server.url])))
    expect(await publisher.busEpoch(5000)).toBe(43)
    other.append(10, { epoch: 44 })
    await until('the new journal', () => publisher.publishedSequence === 10)
    expect((await storedTicks(connection)).map((tick) => tick.sequence)).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
    ])
    expect(other.logs.map((line) => line.message).join()).toContain('state directory is a new one')
    await other.remove()
  })

  test('tell how far each durable consumer is behind', async () => {
    const publisher = await rig.publish(natsBus(busOptions([server.url], { durables: ['archiver', 'risk'] })))
    rig.append(1000)
    await until('the last tick', () => publisher.publishedSequence === 1000)
    const jsm = await jetstreamManager(connection)
    await jsm.consumers.add('MARKET_TICKS', { ack_policy: AckPolicy.None })
    const archiver = await jetstream(connection).consumers.get('MARKET_TICKS', 'archiver')
    for await (const message of await archiver.fetch({ max_messages: 400, expires: 1000 })) message.ack()
    await connection.flush()
    await until('the acknowledgements', async () => {
      const backlogs = await publisher.consumerBacklogs()
      return backlogs?.find(({ consumer }) => consumer === 'archiver')?.messages === 600
    })
    expect([...((await publisher.consumerBacklogs()) ?? [])].sort((a, b) => a.messages - b.messages)).toEqual([
      { consumer: 'archiver', messages: 600 },
      { consumer: 'risk', messages: 1000 },
    ])
  })

  test('hold all that was journalled when the publisher was told to stop, and the cursor says so', async () => {
    const publisher = await rig.publish(natsBus(busOptions([server.url])))
    rig.append(20_000)
    publisher.publishState(state(7, { state: 'CLOSED' }))
    await publisher.close(10_000)
    expect((await storedTicks(connection)).length).toBe(20_000)
    expect((await lastState())?.state).toBe('CLOSED')
    expect(await readCursor(`${rig.stateDir}/bus-cursor.json`)).toMatchObject({
      sequence: 20_000,
      stream: { lastSequence: 20_000 },
    })
  })

  test('that are out of reach hold up a stop for a second and not for its deadline', async () => {
    const publisher = await rig.publish(natsBus(busOptions([server.url])))
    await until('a link', () => publisher.connected)
    await server.end('SIGKILL')
    rig.append(100)
    const startedMs = performance.now()
    await publisher.close(25_000)
    expect(performance.now() - startedMs).toBeLessThan(10_000)
    expect(publisher.state.kind).toBe('closed')
  })

  test('first met late get no history, but everything from the run that met them first', async () => {
    rig.append(500)
    await rig.writer?.close()
    await rig.openJournal()
    await server.end('SIGKILL')
    const unmet = await rig.publish(natsBus(busOptions([server.url])))
    rig.append(500)
    await until('a refusal', () => unmet.state.kind === 'waiting')
    await unmet.close(0)
    await rig.writer?.close()

    await server.start()
    await rig.openJournal()
    const publisher = await rig.publish(natsBus(busOptions([server.url])))
    rig.append(500)
    await until('the last tick', () => publisher.publishedSequence === 1500)
    const sequences = (await storedTicks(connection)).map((tick) => tick.sequence)
    expect([sequences[0], sequences.at(-1), sequences.length]).toEqual([501, 1500, 1000])
  })
})
