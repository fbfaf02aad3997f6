/** Program of journal-crash.test.ts: appends to the journal in argv[2] until it is killed, and tells on stdout what it did. */
import { writeSync } from 'node:fs'
import { openJournal } from '#adapters/journal/open-journal.ts'
import { appendNth, frozenWall } from './journal-rig.ts'

const tell = (word: string, value: unknown) => writeSync(1, `${word} ${JSON.stringify(value)}\n`)

const { writer, recovery } = await openJournal({
  directory: process.argv[2] ?? '',
  host: 'test-host',
  clock: frozenWall,
  onTrouble: (failure) => tell('trouble', failure.message),
  onEvent: () => {},
  onWritten: (sequence) => tell('written', sequence),
  policy: { reservedAtOnce: 5000, segmentBytesMax: 200_000, minFreeBytes: 0, keepDays: Number.POSITIVE_INFINITY },
})
tell('recovered', recovery)

let n = recovery.nextSequence
setInterval(() => {
  for (const end = n + 100; n < end && appendNth(writer, n) > 0; n++) {}
  // Told before anything of it can be on its way to the disk.
  tell('gave', n - 1)
  writer.flush()
}, 0)
