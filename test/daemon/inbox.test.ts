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

describe('an inbox', () => {
  test('hands items on in order, those put before and those put later', async () => {
    const inbox = new Inbox<Note>(10)
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
    const inbox = new Inbox<Note>(10)
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
    const inbox = new Inbox<Note>(10)
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
    const inbox = new Inbox<Note>(10)
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
    const inbox = new Inbox<Note>(2)
    inbox.put({ type: 'noise' })
    inbox.put({ type: 'noise' })
    expect(() => inbox.put({ type: 'noise' })).toThrow('at most 2')
  })
})
