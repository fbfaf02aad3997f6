/** Program of journal-disk.test.ts: writes far more than the file system in argv[2] holds, and prints what became of it. */
import { openJournal } from '#adapters/journal/open-journal.ts'
import { verifyJournal } from '#adapters/journal/verify-journal.ts'
import { appendNth, frozenWall } from './journal-rig.ts'

const directory = process.argv[2] ?? ''
const troubles: string[] = []
let removed = 0
const { writer } = await openJournal({
  directory,
  host: 'test-host',
  clock: frozenWall,
  onTrouble: (failure) => troubles.push(failure.message),
  onEvent: (event) => {
    if (event.kind === 'segment-removed') removed++
  },
  policy: { segmentBytesMax: 200_000, minFreeBytes: 0, keepDays: Number.POSITIVE_INFINITY },
})
for (let n = 1; n <= 60_000; n++) {
  appendNth(writer, n)
  if (n % 500 === 0) await writer.sync()
}
await writer.close()
const { state, lost, writtenSequence: written } = writer
const { intact, records, lastSequence } = await verifyJournal(directory)
console.log(JSON.stringify({ state, lost, written, troubles, removed, intact, records, lastSequence }))
