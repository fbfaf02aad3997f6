// What systemd hears of a daemon from its start to its end, over a NOTIFY_SOCKET as systemd gives it.
import { afterAll, expect, test } from 'vitest'
import { NotifySocket, whyNoNotifySocket } from '../support/notify-socket.ts'
import { DaemonHome, eventually } from '../support/real-daemon.ts'

if (whyNoNotifySocket !== undefined) console.warn(`SKIPPED, what systemd hears of the daemon: ${whyNoNotifySocket}`)

const home = new DaemonHome()
afterAll(() => home.dispose(), 60_000)

test.skipIf(whyNoNotifySocket !== undefined)(
  'a run says READY with its status, WATCHDOG again and again, RELOADING and READY around a reload, and STOPPING at its end',
  { timeout: 180_000 },
  async () => {
    const socket = await NotifySocket.open(`${home.directory}/notify`)
    try {
      const heard = (field: string, times: number) =>
        eventually(
          () => (socket.with(field).length >= times ? socket.with(field) : undefined),
          () =>
            `${field} was heard ${times} times, but there was ${JSON.stringify(socket.messages.map((m) => [...m]))}`,
        )
      const env = { SIM_INSTRUMENTS: '20', NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: '2000000' }
      const daemon = home.start({ env })
      const [ready] = await heard('READY', 1)
      expect(ready?.get('READY')).toBe('1')
      expect(ready?.get('STATUS')).toMatch(/ on primary, \d+\/\d+ contracts, \d+ ticks\/s$/)
      expect((await heard('WATCHDOG', 2)).every((message) => message.get('WATCHDOG') === '1')).toBe(true)

      daemon.signal('SIGHUP')
      const [reloading] = await heard('RELOADING', 1)
      // systemd wants the moment with it, and drops the message without.
      expect(reloading?.get('MONOTONIC_USEC')).toMatch(/^\d+$/)
      expect((await heard('READY', 2))[1]?.get('STATUS')).toBe('reloaded')

      expect((await daemon.stop()).code).toBe(0)
      await heard('STOPPING', 1)
      expect(socket.with('READY')).toHaveLength(2)
    } finally {
      await socket.close()
    }
  },
)
