// The bounded queue between callbacks and one reader.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Inbox } from '#daemon/inbox.ts'
import { ManualClock } from '../support/manual-clock.ts'

type Note = { type: 'connected' } | { type: 'answer'; code: number } | { type: 'noise' }

let clock: ManualClock
beforeEach(() => {
  clock = new ManualClock()
})
afterEach(() => clock.dispose())

const never = new AbortController().signal

/** Read without a break since the moment given. */
function reading(since = () => 0) {
  return { clock, readingSinceMs: since }
}

describe('an inbox', () => {
  test('hands items on in order, those put before and those put later', async () => {
    const inbox = new Inbox<Note>(10, reading())
    inbox.put({ type: 'answer', code: 1 })
    inbox.put({ type: 'answer', code: 2 })
    const codes: number[] = []
    for (let i = 0; i < 3; i++) {
      const taking = inbox.take(['answer'], { signal: never })
      if (i === 2) inbox.put({ type: 'answer', code: 3 })
      const taken = await taking
      if (taken.kind === 'taken') codes.push(taken.item.code)
    }
    expect(codes).toEqual([1, 2, 3])
  })

  test('drops what the reader does not name, and waits on', async () => {
    const inbox = new Inbox<Note>(10, reading())
    inbox.put({ type: 'noise' })
    const taking = inbox.take(['connected', 'answer'], { signal: never })
    inbox.put({ type: 'noise' })
    await clock.settle()
    inbox.put({ type: 'connected' })
    expect(await taking).toEqual({ kind: 'taken', item: { type: 'connected' } })
    inbox.put({ type: 'answer', code: 1 })
    inbox.clear()
    const late = inbox.take(['answer'], { signal: never, timeoutMs: 10 })
    await clock.pass(10)
    expect(await late).toEqual({ kind: 'timed-out' })
  })

  test('gives up at the deadline and not before, noise notwithstanding', async () => {
    const inbox = new Inbox<Note>(10, reading())
    let outcome: string | undefined
    const taking = inbox.take(['answer'], { signal: never, timeoutMs: 1_000 }).then(({ kind }) => {
      outcome = kind
    })
    for (let i = 0; i < 9; i++) {
      await clock.pass(100)
      inbox.put({ type: 'noise' })
    }
    await clock.pass(99)
    expect(outcome).toBeUndefined()
    await clock.pass(1)
    await taking
    expect(outcome).toBe('timed-out')
  })

  test('gives up at once when it is told to, before and while waiting, even with items there', async () => {
    const inbox = new Inbox<Note>(10, reading())
    const stop = new AbortController()
    const taking = inbox.take(['answer'], { signal: stop.signal })
    await clock.settle()
    stop.abort()
    expect(await taking).toEqual({ kind: 'aborted' })
    inbox.put({ type: 'answer', code: 1 })
    expect(await inbox.take(['answer'], { signal: stop.signal })).toEqual({ kind: 'aborted' })
    expect(await inbox.take(['answer'], { signal: never })).toMatchObject({ kind: 'taken' })
  })

  test('is bounded: more than it holds is our own mistake', () => {
    const inbox = new Inbox<Note>(2, reading())
    inbox.put({ type: 'noise' })
    inbox.put({ type: 'noise' })
    expect(() => inbox.put({ type: 'noise' })).toThrow('at most 2')
  })

  test('a deadline that passed while nobody could read begins anew', async () => {
    let sinceMs = 0
    const inbox = new Inbox<Note>(
      10,
      reading(() => sinceMs),
    )
    const taken = inbox.take(['answer'], { timeoutMs: 1_000, signal: never })
    const pauseEndsMs = clock.monotonicMs() + 900
    await clock.pass(999)
    sinceMs = pauseEndsMs
    await clock.pass(800)
    inbox.put({ type: 'answer', code: 7 })
    expect(await taken).toEqual({ kind: 'taken', item: { type: 'answer', code: 7 } })

    const unanswered = inbox.take(['answer'], { timeoutMs: 1_000, signal: never })
    await clock.pass(1_000)
    expect(await unanswered).toEqual({ kind: 'timed-out' })
  })
})
