/** Seeded faults between the publisher and the stream; after all of them the stream must hold every live tick once and in order. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readAll } from '../adapters/journal-rig.ts'
import { BusRig, until } from '../support/bus-rig.ts'
import { MemoryBus } from '../support/memory-bus.ts'

const FAULTS = [
  'append',
  'append',
  'append-off-session',
  'hold',
  'deliver-some',
  'drop',
  'fail-link',
  'fail-link-late-arrivals',
  'down',
  'up',
  'lose-tail',
  'foreign-message',
  'restart',
  'state',
  'wait',
] as const
const fault = fc.record({ kind: fc.constantFrom(...FAULTS), size: fc.integer({ min: 1, max: 700 }) })

test('whatever the network does, the stream ends up with every live tick once and in journal order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fault, { minLength: 5, maxLength: 40 }), async (faults) => {
      const bus = new MemoryBus()
      const rig = new BusRig()
      const settings = { windowTicks: 256, ackTimeoutMs: 60, foreignQuietMs: 30, lossPatienceMs: 30 }
      try {
        await rig.openJournal()
        let publisher = await rig.publish(bus, settings)
        let epoch = 0
        for (const { kind, size } of faults) {
          switch (kind) {
            case 'append':
              rig.append(size)
              break
            case 'append-off-session':
              rig.append(size, { offSessionEach: 3 })
              break
            case 'hold':
              bus.isHeld = true
              break
            case 'deliver-some':
              bus.deliver(size)
              break
            case 'drop':
              bus.drop()
              break
            case 'fail-link':
              bus.drop()
              bus.failLink()
              break
            case 'fail-link-late-arrivals':
              bus.failLink()
              break
            case 'down':
              bus.isDown = true
              bus.failLink()
              break
            case 'up':
              bus.isDown = false
              bus.isHeld = false
              bus.deliver()
              break
            case 'lose-tail':
              // A machine that lost power lost its connections first.
              bus.failLink()
              bus.drop()
              bus.messages.length = Math.max(0, bus.messages.length - size)
              break
            case 'foreign-message':
              bus.messages.push({ id: '', tick: null })
              break
            case 'restart':
              await publisher.close(0, AbortSignal.abort())
              publisher = await rig.publish(bus, settings)
              break
            case 'state':
              publisher.publishState({
                epoch: ++epoch,
                serving_line: 'primary',
                state: 'ACTIVE',
                since: '2026-01-05T09:00:00.000+08:00',
                host: 'test-host',
              })
              break
            case 'wait':
              await new Promise((resolve) => setTimeout(resolve, size % 20))
          }
          await new Promise((resolve) => setImmediate(resolve))
        }
        bus.isDown = false
        bus.isHeld = false
        bus.deliver()
        rig.append(1)
        await until('the last tick', () => publisher.publishedSequence === rig.writer?.lastSequence)
        const { ticks } = await readAll(rig.journalDirectory)
        const live = ticks.filter((tick) => tick.off_session !== true).map((tick) => tick.seq)
        const stored = bus.messages.flatMap(({ tick }) => (tick === null ? [] : [tick.sequence]))
        expect(stored).toEqual(live)
        await publisher.close(1000)
        const epochs = bus.states.map((json) => JSON.parse(json).epoch)
        if (!faults.some(({ kind }) => kind === 'restart')) expect(new Set(epochs).size).toBe(epoch)
      } finally {
        await rig.remove()
      }
    }),
    { numRuns: Number(process.env['FEED_SIMULATION_RUNS'] ?? 30) },
  )
}, 300_000)
