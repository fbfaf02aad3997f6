import { afterEach, beforeEach, expect, test } from 'vitest'
import { tickBefore } from '#daemon/count-back.ts'
import { readAll } from '../adapters/journal-rig.ts'
import { BusRig, until } from '../support/bus-rig.ts'
import { MemoryBus } from '../support/memory-bus.ts'

let bus: MemoryBus
let rig: BusRig
beforeEach(async () => {
  bus = new MemoryBus()
  rig = new BusRig()
  await rig.openJournal()
})
afterEach(() => rig.remove())

const live = async () => {
  const { ticks } = await readAll(rig.journalDirectory)
  return ticks.filter((tick) => tick.off_session !== true).map((tick) => tick.seq)
}
const stored = () => bus.messages.map(({ tick }) => tick?.sequence)
const published = async (lossPatienceMs: number) => {
  const publisher = await rig.publish(bus, { lossPatienceMs })
  rig.append(2_000, { offSessionEach: 7 })
  await until('the last tick', () => publisher.publishedSequence === 2_000)
  return publisher
}
const told = (part: string) => rig.logs.filter(({ message }) => message.includes(part))

test('an end that is told short for a while is no loss: nothing is sent into it', async () => {
  const publisher = await published(60_000)
  bus.untold = 300
  bus.failLink()
  await until('the link to be gone', () => !publisher.connected)
  rig.append(10)
  const before = bus.messages.length
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect([bus.messages.length, bus.underway]).toEqual([before, 0])
  bus.untold = 0
  await until('the last tick', () => publisher.publishedSequence === 2_010)
  expect(stored()).toEqual(await live())
  expect(told('had lost')).toEqual([])
})

test('an end that stays short is filled in from the journal, each tick at its old place', async () => {
  const publisher = await published(20)
  bus.failLink()
  bus.messages.length -= 300
  rig.append(10)
  await until('the last tick', () => publisher.publishedSequence === 2_010)
  expect(stored()).toEqual(await live())
  expect(told('had lost its last messages')).toHaveLength(1)
})

test('a stream that has lost all its messages gets all of them again', async () => {
  const publisher = await published(20)
  bus.failLink()
  bus.messages = []
  rig.append(10)
  await until('the last tick', () => publisher.publishedSequence === 2_010)
  expect(stored()).toEqual(await live())
})

test('until a link has its first acknowledgement, one tick is on its way, not a window of them', async () => {
  bus.isHeld = true
  const publisher = await rig.publish(bus)
  rig.append(500)
  await until('a tick on its way', () => bus.underway > 0)
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(bus.underway).toBe(1)
  bus.isHeld = false
  bus.deliver()
  await until('the last tick', () => publisher.publishedSequence === 500)
  expect(stored()).toEqual(await live())
})

test('a beginning that is gone before its time is told once, with its bounds and the order that publishes it again', async () => {
  const first = await published(20)
  rig.append(100)
  await until('the last tick', () => first.publishedSequence === 2_100)
  // The stream was marked when the first link met it, without a message.
  bus.firstSequence = 901
  for (let links = 0; links < 2; links++) {
    const { failures } = first
    bus.failLink()
    await until('another link', () => first.failures > failures && first.connected)
  }
  const ticks = await live()
  expect(told('before their time').map(({ details }) => details)).toEqual([
    { kind: 'stream-lost-messages', from: 1, to: 900, firstTick: ticks[0] },
  ])
})

test('counting back skips what is no live tick, and says when the journal does not reach as far', async () => {
  await published(20)
  const ticks = await live()
  for (const count of [1, 6, 7, 500, ticks.length]) {
    const before = await tickBefore(rig.journalDirectory, 2_000, count)
    expect(ticks.filter((sequence) => before !== null && sequence > before)).toHaveLength(count)
  }
  expect(await tickBefore(rig.journalDirectory, 2_000, ticks.length + 1)).toBeNull()
})
