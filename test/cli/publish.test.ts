/** History into a real stream by hand: without a daemon the command does it and keeps any from starting, with one it asks it. */
import { hostname } from 'node:os'
import type { NatsConnection } from '@nats-io/transport-node'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { takeLock } from '#adapters/state/run-lock.ts'
import { BusRig, storedTicks, until } from '../support/bus-rig.ts'
import { lacksNats, NatsServer } from '../support/nats-server.ts'
import { DaemonHome } from '../support/real-daemon.ts'
import { runCommand } from '../support/run-command.ts'

describe.skipIf(lacksNats)('publish --from', { timeout: 60_000 }, () => {
  let server: NatsServer
  let connection: NatsConnection
  beforeEach(async () => {
    server = await NatsServer.start()
    connection = await server.connect()
  })
  afterEach(async () => {
    await connection.close()
    await server.remove()
  })

  async function publish(stateDir: string, ...args: readonly string[]) {
    const command = ['publish', '--state-dir', stateDir, '--json', ...args]
    const { code, stdout } = await runCommand('full-feed-subscription', command, {
      cwd: stateDir,
      env: { NATS_URL: server.url },
    })
    return { code, ...JSON.parse(stdout) }
  }
  const sequences = async () => (await storedTicks(connection)).map((tick) => tick.sequence)

  describe('without a daemon', () => {
    let rig: BusRig
    beforeEach(async () => {
      rig = new BusRig()
      await rig.openJournal(hostname())
      rig.append(3000)
      await rig.writer?.close()
    })
    afterEach(() => rig.remove())

    test('brings all from that tick on into a new stream, and says no to doing it twice', async () => {
      expect(await publish(rig.stateDir, '--from', '1001')).toMatchObject({ code: 0, outcome: 'published', to: 3000 })
      const once = Array.from({ length: 2000 }, (_, i) => 1001 + i)
      expect(await sequences()).toEqual(once)
      expect(await publish(rig.stateDir, '--from', '2999')).toMatchObject({ code: 69, outcome: 'already-published' })
      expect(await sequences()).toEqual(once)
      expect(await publish(rig.stateDir, '--from', '2999', '--again')).toMatchObject({ code: 0, from: 2999 })
      expect(await sequences()).toEqual([...once, 2999, 3000])
    })

    test('says so when the journal has no such tick, the bus is away, or somebody else has the lock', async () => {
      expect(await publish(rig.stateDir, '--from', '3001')).toMatchObject({ code: 69, outcome: 'no-such-tick' })
      const attempt = await takeLock(rig.stateDir, 'daemon', { pid: process.pid, command: 'test', since: '' })
      expect(await publish(rig.stateDir, '--from', '1')).toMatchObject({ code: 69, outcome: 'not-running' })
      if (attempt.kind === 'held') await attempt.lock.release()
      await server.end('SIGKILL')
      expect(await publish(rig.stateDir, '--from', '1')).toMatchObject({ code: 69, outcome: 'bus-not-connected' })
      await server.start()
    })
  })

  test('beside a daemon asks it: live ticks wait behind, and all of it is there in order', async () => {
    const home = new DaemonHome()
    try {
      home.start({ env: { NATS_URL: server.url, SIM_INSTRUMENTS: '20', SIM_TICKS_PER_SECOND: '300' } })
      await home.until('some ticks', ({ bus, journal }) => bus.connected && journal.last_sequence > 300)
      expect(await publish(home.stateDir, '--from', '10')).toMatchObject({ code: 69, outcome: 'already-published' })
      const before = (await sequences()).at(-1) ?? 0
      expect(await publish(home.stateDir, '--from', '10', '--again')).toMatchObject({ code: 0, outcome: 'begun' })
      await until(
        'the second round',
        async () => (await sequences()).filter((sequence) => sequence === before).length > 1,
      )
      const stored = await sequences()
      const border = stored.indexOf(10, stored.indexOf(10) + 1)
      expect(stored.slice(border)).toEqual(
        (await home.ticks()).map(({ seq }) => seq).slice(9, 9 + stored.length - border),
      )
    } finally {
      await home.dispose()
    }
  })
})
