import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { BusRig, busOptions, natsBus, storedTicks, until } from '../support/bus-rig.ts'
import { lacksNats, NatsServer } from '../support/nats-server.ts'
import { readAll } from './journal-rig.ts'

describe.skipIf(lacksNats)('publishing to a real nats-server', () => {
  let server: NatsServer
  let rig: BusRig
  beforeEach(async () => {
    server = await NatsServer.start()
    rig = new BusRig()
  })
  afterEach(async () => {
    await rig.remove()
    await server.remove()
  })

  test('every live tick of the journal is stored once, in order, and no other', async () => {
    await rig.openJournal()
    const publisher = await rig.publish(natsBus(busOptions([server.url])))
    for (let i = 0; i < 20; i++) {
      rig.append(500, { offSessionEach: 10 })
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await until('the last tick', () => publisher.publishedSequence === 10_000)
    const connection = await server.connect()
    const stored = await storedTicks(connection)
    await connection.close()
    const { ticks } = await readAll(rig.journalDirectory)
    const live = ticks.filter((tick) => tick.off_session !== true)
    expect(stored.map((tick) => tick.sequence)).toEqual(live.map((tick) => tick.seq))
    expect(stored[0]?.subject).toBe('market.tick.SHFE.rb1')
    expect(publisher.published).toBe(9000)
    expect(publisher.backlog).toBe(0)
    expect(publisher.ackP99Ms).not.toBeNull()
  })
})
