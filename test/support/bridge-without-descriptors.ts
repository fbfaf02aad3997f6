/**
 * A process that has used up its file descriptors and starts a bridge all the same; then it gives some back and starts another. Prints how
 * each of them ended. Run under a small `ulimit -n`, and with an argument longer than any program may have.
 */
import { closeSync, openSync } from 'node:fs'
import { type BridgeCommand, type BridgeEnd, BridgeProcess } from '#adapters/feeds/bridge-process.ts'
import { systemClock } from '#clock.ts'

async function endOf(command: BridgeCommand): Promise<BridgeEnd> {
  const ignored = () => undefined
  return new Promise<BridgeEnd>((resolve) => {
    const bridge: BridgeProcess = new BridgeProcess(
      command,
      {
        reading: ignored,
        tick: ignored,
        message: ignored,
        printed: ignored,
        ended: (end) => void bridge.retire(10).then(() => resolve(end)),
      },
      systemClock,
    )
    bridge.send('start')
  })
}

const command = { program: '/bin/true', args: [], env: {} }
const held: number[] = []
try {
  for (;;) held.push(openSync('/dev/null', 'r'))
} catch {
  // None left: that is the point.
}
const without = await endOf(command)
for (const fd of held) closeSync(fd)
const withAll = await endOf(command)
const tooLong = await endOf({ ...command, args: ['x'.repeat(4 * 1024 * 1024)] })
process.stdout.write(JSON.stringify({ without, withAll, tooLong }))
