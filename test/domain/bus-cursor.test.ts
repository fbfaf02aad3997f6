import { describe, expect, test } from 'vitest'
import {
  type BusCursor,
  busBacklog,
  catchUpSeconds,
  lostBeginning,
  REPAIR_MAX,
  RESUME_SENTENCES,
  type Resume,
  resumeFrom,
  type StreamEnd,
} from '#domain/bus-cursor.ts'
import { busRetryMs } from '#domain/bus-failure.ts'

const CREATED = '2026-01-05T01:00:00Z'
/** Journal sequence 100 is message 80. */
const CURSOR: BusCursor = { sequence: 100, stream: { name: 'S', created: CREATED, lastSequence: 80 } }
const NO_CONTACT: BusCursor = { sequence: 100, stream: null }

type Last = { host: string; sequence: number } | 'no-tick' | null

/** A stream of `lastSequence` messages; `last` is its last message, unless told to be `at` an earlier one. */
function end(lastSequence: number, last: Last, more: { created?: string; at?: number } = {}): StreamEnd {
  const tick = last === null || last === 'no-tick' ? null : { ...last, epoch: 1 }
  return {
    name: 'S',
    created: more.created ?? CREATED,
    firstSequence: 1,
    lastSequence,
    expiry: { maxAgeMs: 0, isFull: false },
    last: last === null ? null : { streamSequence: more.at ?? lastSequence, tick },
  }
}
const ours = (sequence: number) => ({ host: 'me', sequence })
const theirs = (sequence: number) => ({ host: 'other', sequence })
const from = (sequence: number, reason: string) => ({ kind: 'resume', sequence, reason })
const foreign = expect.objectContaining({ kind: 'foreign-writer' })

describe('where publication goes on', () => {
  test.each<[string, BusCursor, StreamEnd, unknown, { isGuess?: boolean; sentMax?: number }?]>([
    ['nothing was added', CURSOR, end(80, ours(100)), from(100, 'unchanged')],
    ['off-session ticks followed the last one published', CURSOR, end(80, ours(97)), from(100, 'unchanged')],
    ['ticks landed whose answers were not seen', CURSOR, end(90, ours(115)), from(115, 'unseen-acknowledgements')],
    ['more messages than ticks were added', CURSOR, end(90, ours(105)), foreign],
    ['a tick that was never sent is there', CURSOR, end(90, ours(151)), foreign],
    ['another host wrote', CURSOR, end(81, theirs(500)), foreign],
    ['somebody wrote what is no tick', CURSOR, end(81, 'no-tick'), foreign],
    ['what was added has been removed', CURSOR, end(90, ours(100), { at: 80 }), from(100, 'stream-emptied')],
    ['everything was purged', CURSOR, end(80, null), from(100, 'stream-emptied')],
    ['the server lost its tail', CURSOR, end(70, ours(88)), from(88, 'lost-tail-repaired')],
    ['the server lost its tail and another host wrote', CURSOR, end(70, theirs(88)), foreign],
    ['another host took the place of a lost tail', CURSOR, end(80, theirs(88)), foreign],
    ['the server lost everything but its date', CURSOR, end(0, null), { kind: 'count-back', lost: 80 }],
    ['the server lost its tail and all before it', CURSOR, end(70, null), { kind: 'count-back', lost: 10 }],
    ['the server lost more than one tail', CURSOR, end(70, ours(80), { at: 62 }), { kind: 'count-back', lost: 10 }],
    ['what is left is ahead of the cursor', CURSOR, end(70, ours(110)), from(100, 'stream-lost-messages')],
    ['the stream was made anew', CURSOR, end(0, null, { created: 'later' }), from(100, 'stream-replaced')],
    [
      'a stream was restored from our past',
      CURSOR,
      end(9, ours(9), { created: 'later' }),
      from(100, 'stream-replaced'),
    ],
    [
      'a stream was restored from our future',
      CURSOR,
      end(9, ours(120), { created: 'later' }),
      from(120, 'stream-replaced'),
    ],
    ['a stream was replaced by one of another host', CURSOR, end(9, theirs(9), { created: 'later' }), foreign],
    ['the first stream met is empty', NO_CONTACT, end(0, null), from(100, 'first-contact')],
    ['the first stream met has ticks of ours', NO_CONTACT, end(9, ours(20)), from(100, 'first-contact')],
    ['the cursor was lost', NO_CONTACT, end(9, ours(20)), from(20, 'cursor-restored'), { isGuess: true }],
    ['cursor and stream are both new', NO_CONTACT, end(0, null), from(100, 'first-contact'), { isGuess: true }],
    [
      'the journal was lost',
      { sequence: 0, stream: null },
      end(9, ours(7000)),
      from(0, 'journal-replaced'),
      { isGuess: true },
    ],
    ['another host was there first', NO_CONTACT, end(9, theirs(20)), foreign],
  ])('when %s', (_what, cursor, streamEnd, expected, { isGuess = false, sentMax = 150 } = {}) => {
    expect(resumeFrom({ cursor, end: streamEnd, host: 'me', sentMax, isGuess })).toEqual(expected)
  })

  test('a lost tail longer than a minute or so is not published again unasked', () => {
    const cursor: BusCursor = { sequence: 5e6, stream: { name: 'S', created: CREATED, lastSequence: 5e6 } }
    const at = (lost: number): Resume =>
      resumeFrom({ cursor, end: end(5e6 - lost, ours(5e6 - lost)), host: 'me', sentMax: 5e6, isGuess: false })
    expect(at(REPAIR_MAX)).toMatchObject({ reason: 'lost-tail-repaired' })
    expect(at(REPAIR_MAX + 1)).toMatchObject({ sequence: 5e6, reason: 'stream-lost-messages' })
  })

  test.each<[string, number, Partial<StreamEnd['expiry']>, number, unknown]>([
    ['nothing is gone', 1, {}, 5_000, null],
    ['what is gone was there before the first mark', 41, {}, 5_000, null],
    ['nothing ever expires', 61, {}, 1e9, { from: 41, to: 60 }],
    ['nothing is old enough', 61, { maxAgeMs: 10_000 }, 9_000, { from: 41, to: 60 }],
    ['what was there at the second mark is not old enough', 81, { maxAgeMs: 10_000 }, 12_000, { from: 71, to: 80 }],
    ['all of it may be old enough', 81, { maxAgeMs: 10_000 }, 15_000, null],
    ['there was no room for it', 61, { isFull: true }, 5_000, null],
  ])('a beginning that is lost is told from one that expired: %s', (_what, firstSequence, expiry, nowMs, lost) => {
    const marks = [
      { lastSequence: 40, atMs: 0 },
      { lastSequence: 70, atMs: 4_000 },
    ]
    const streamEnd = { ...end(90, ours(100)), firstSequence, expiry: { maxAgeMs: 0, isFull: false, ...expiry } }
    expect(lostBeginning(streamEnd, marks, nowMs)).toEqual(lost)
  })

  test('never before the cursor, except to repair', () => {
    for (let last = 0; last <= 160; last++) {
      for (let sequence = 1; sequence <= 160; sequence += 3) {
        const resume = resumeFrom({
          cursor: CURSOR,
          end: end(last, ours(sequence)),
          host: 'me',
          sentMax: 150,
          isGuess: false,
        })
        if (resume.kind === 'resume' && resume.reason !== 'lost-tail-repaired') {
          expect(resume.sequence).toBeGreaterThanOrEqual(CURSOR.sequence)
        }
      }
    }
  })

  test('every reason that an operator must know has a sentence', () => {
    const silent = Object.entries(RESUME_SENTENCES).filter(([, sentence]) => sentence === null)
    expect(silent.map(([reason]) => reason)).toEqual(['unchanged', 'unseen-acknowledgements', 'first-contact'])
  })
})

describe('the backlog', () => {
  test.each([
    ['everything is published', { last: 0, next: 1, written: 50 }, 50, 0],
    ['some wait', { last: 0, next: 1, written: 50 }, 20, 30],
    [
      'numbers were skipped by an unclean stop, all old ticks published',
      { last: 50, next: 1001, written: 1010 },
      50,
      10,
    ],
    ['numbers were skipped and old ticks wait', { last: 50, next: 1001, written: 1010 }, 20, 40],
    ['numbers were skipped and nothing is new', { last: 50, next: 1001, written: 50 }, 20, 30],
    ['numbers were skipped and new ticks are published', { last: 50, next: 1001, written: 1010 }, 1007, 3],
  ])('when %s', (_what, journal, published, waiting) => {
    expect(busBacklog(journal, published)).toBe(waiting)
  })

  test.each([
    ['nothing waits', 0, 20_000, 20_000, 0],
    ['only what is on its way waits', 900, 20_000, 20_000, 0],
    ['it shrinks by 40,000 a second', 400_000, 20_000, 60_000, 10],
    ['it stays as it is', 400_000, 20_000, 20_000, null],
    ['it grows', 400_000, 20_000, 0, null],
  ])('is caught up with, when %s', (_what, backlog, arriving, publishing, seconds) => {
    expect(catchUpSeconds(backlog, arriving, publishing)).toBe(seconds)
  })
})

test('an unreachable bus is tried at least twice a second for ever, a refused password ever more slowly', () => {
  const waits = (kind: Parameters<typeof busRetryMs>[0]) =>
    [1, 2, 3, 100].map((attempt) => busRetryMs(kind, attempt, 0))
  expect(waits('bus-unreachable')).toEqual([50, 100, 200, 500])
  expect(waits('bus-credentials-rejected')).toEqual([1000, 2000, 4000, 30_000])
  expect(busRetryMs('bus-unreachable', 1, 0.999)).toBeLessThan(63)
})
