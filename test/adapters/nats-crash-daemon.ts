/** Program of nats-crash.test.ts: journals and publishes to the server of argv[3] until it is killed; its state is in argv[2]. */
import { writeSync } from 'node:fs'
import { BusRig, busOptions, natsBus } from '../support/bus-rig.ts'

const rig = new BusRig(process.argv[2])
await rig.openJournal()
const publisher = await rig.publish(natsBus(busOptions([process.argv[3] ?? ''])))
let told = false
setInterval(() => {
  rig.append(100, { offSessionEach: 17 })
  rig.writer?.flush()
  if (told || publisher.published < 500) return
  told = true
  writeSync(1, 'publishing\n')
}, 3)
