// Where each contract stands on one line, and that the counts never lie about it.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Subscription, SubscriptionBook } from '#domain/subscription-book.ts'

function bookOf(count: number): SubscriptionBook {
  const book = new SubscriptionBook()
  for (let slot = 0; slot < count; slot++) book.list(slot)
  return book
}

describe('a subscription book', () => {
  test('hands out what is wanted in slot order, so many at a time, once', () => {
    const book = bookOf(5)
    expect(book.takeBatch(2)).toEqual([0, 1])
    expect(book.takeBatch(2)).toEqual([2, 3])
    expect(book.takeBatch(2)).toEqual([4])
    expect(book.takeBatch(2)).toEqual([])
    expect(book).toMatchObject({ expected: 5, wanted: 0, requested: 5, subscribed: 0 })
  })

  test('hands a batch that was returned out again, but what was answered meanwhile not', () => {
    const book = bookOf(3)
    const batch = book.takeBatch(3)
    book.acknowledge(1)
    book.returnBatch(batch)
    expect(book.takeBatch(9)).toEqual([0, 2])
  })

  test('takes an answer before the request as one: a tick of an earlier session', () => {
    const book = bookOf(1)
    book.acknowledge(0)
    expect(book.state(0)).toBe(Subscription.subscribed)
    expect(book.takeBatch(1)).toEqual([])
  })

  test('keeps a refusal through ticks and logins, and in what is expected', () => {
    const book = bookOf(2)
    book.takeBatch(2)
    book.refuse(0)
    book.acknowledge(0)
    book.forget()
    expect(book.state(0)).toBe(Subscription.refused)
    expect(book).toMatchObject({ expected: 2, refused: 1, wanted: 1 })
    expect(book.askAgain([0, 7])).toBe(1)
    expect(book.takeBatch(9)).toEqual([0, 1])
  })

  test('wants everything again after a new login', () => {
    const book = bookOf(3)
    book.takeBatch(2)
    book.acknowledge(0)
    book.forget()
    expect(book).toMatchObject({ wanted: 3, requested: 0, subscribed: 0 })
  })

  test('knows nothing of contracts that are not on the list', () => {
    const book = bookOf(1)
    for (const slot of [5, 6]) {
      book.acknowledge(slot)
      book.refuse(slot)
      expect(book.state(slot)).toBe(Subscription.unlisted)
    }
    book.unlist(0)
    book.unlist(0)
    expect(book).toMatchObject({ expected: 0, wanted: 0 })
    expect(book.slotsIn(Subscription.unlisted).length).toBeLessThanOrEqual(7)
    book.list(0)
    expect(book.expected).toBe(1)
  })

  test('counts what is there, whatever happens', () => {
    const slot = fc.integer({ min: 0, max: 9 })
    const act = fc.oneof(
      fc.record({ do: fc.constantFrom('list', 'unlist', 'acknowledge', 'refuse', 'askAgain'), slot }),
      fc.record({ do: fc.constantFrom('take', 'return', 'forget'), slot }),
    )
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
        const book = new SubscriptionBook()
        let batch: number[] = []
        for (const { do: what, slot: at } of acts) {
          if (what === 'take') batch = book.takeBatch(at)
          else if (what === 'return') book.returnBatch(batch)
          else if (what === 'forget') book.forget()
          else if (what === 'askAgain') book.askAgain([at])
          else book[what as 'list' | 'unlist' | 'acknowledge' | 'refuse'](at)
          const states = Array.from({ length: 10 }, (_, i) => book.state(i))
          const count = (state: Subscription) => states.filter((each) => each === state).length
          expect(book).toMatchObject({
            wanted: count(Subscription.wanted),
            requested: count(Subscription.requested),
            subscribed: count(Subscription.subscribed),
            refused: count(Subscription.refused),
            expected: 10 - count(Subscription.unlisted),
          })
          expect(book.slotsIn(Subscription.subscribed)).toHaveLength(count(Subscription.subscribed))
        }
      }),
    )
  })
})
