// Ordered shutdown: the last opened is closed first, and nothing that hangs or fails keeps the others open.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Closers } from '#daemon/closers.ts'
import { ManualClock } from '../support/manual-clock.ts'

let clock: ManualClock
beforeEach(() => {
  clock = new ManualClock()
})
afterEach(() => clock.dispose())

const never = new AbortController().signal

describe('closing everything', () => {
  test('goes in reverse order, one after the other', async () => {
    const closers = new Closers()
    const told: string[] = []
    for (const name of ['lock', 'journal', 'lines']) {
      closers.add({
        name,
        deadlineMs: 1_000,
        close: async () => {
          told.push(`${name} begins`)
          await new Promise((resolve) => setTimeout(resolve, 100))
          told.push(`${name} is closed`)
        },
      })
    }
    const closing = closers.closeAll(never)
    await clock.pass(300)
    expect((await closing).map(({ name, outcome }) => `${name} ${outcome}`)).toEqual([
      'lines closed',
      'journal closed',
      'lock closed',
    ])
    expect(told).toEqual([
      'lines begins',
      'lines is closed',
      'journal begins',
      'journal is closed',
      'lock begins',
      'lock is closed',
    ])
    expect(await closers.closeAll(never)).toEqual([])
  })

  test('passes over what fails and what hangs, each after its own deadline', async () => {
    const closers = new Closers()
    let lockIsFree = false
    closers.add({
      name: 'lock',
      deadlineMs: 1_000,
      close: async () => {
        lockIsFree = true
      },
    })
    closers.add({ name: 'hangs', deadlineMs: 2_000, close: () => new Promise(() => undefined) })
    closers.add({ name: 'fails', deadlineMs: 1_000, close: async () => Promise.reject(new Error('disk gone')) })
    const closing = closers.closeAll(never)
    await clock.pass(1_999)
    expect(lockIsFree).toBe(false)
    await clock.pass(1)
    expect(await closing).toEqual([
      { name: 'fails', outcome: 'failed', message: 'disk gone' },
      { name: 'hangs', outcome: 'timed-out' },
      { name: 'lock', outcome: 'closed' },
    ])
  })

  test('waits no more once it is cut, but still lets go of everything', async () => {
    const closers = new Closers()
    const released: string[] = []
    for (const name of ['lock', 'slow', 'slower']) {
      closers.add({
        name,
        deadlineMs: 60_000,
        close: () => {
          released.push(name)
          return name === 'lock' ? Promise.resolve() : new Promise(() => undefined)
        },
      })
    }
    const cut = new AbortController()
    const closing = closers.closeAll(cut.signal)
    await clock.settle()
    expect(released).toEqual(['slower'])
    cut.abort()
    expect((await closing).map(({ outcome }) => outcome).slice(0, 2)).toEqual(['timed-out', 'timed-out'])
    expect(released).toEqual(['slower', 'slow', 'lock'])
  })
})
