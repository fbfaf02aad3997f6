import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  EMPTY_LOGIN_BUDGET,
  grantLogin,
  LOGIN_WINDOW_MS,
  type LoginBudget,
  mergeBudgets,
  parseLoginBudget,
} from '#domain/login-budget.ts'

const ACCOUNTS = ['primary-account', 'backup-account']

/** Asks at each instant and returns what was granted, per account. */
function ask(requests: readonly { account: string; atMs: number }[], limit: number): Map<string, number[]> {
  const granted = new Map<string, number[]>()
  let budget: LoginBudget = EMPTY_LOGIN_BUDGET
  for (const { account, atMs } of requests) {
    const answer = grantLogin(budget, account, atMs, limit)
    if (!answer.granted) continue
    budget = answer.budget
    granted.set(account, [...(granted.get(account) ?? []), atMs])
  }
  return granted
}

describe('the login budget', () => {
  it('grants up to the limit at once, then says when the next login may be asked for', () => {
    let budget: LoginBudget = EMPTY_LOGIN_BUDGET
    for (const atMs of [0, 10, 20]) {
      const grant = grantLogin(budget, 'a', atMs, 3)
      if (grant.granted) budget = grant.budget
    }
    expect(grantLogin(budget, 'a', 30, 3)).toEqual({ granted: false, retryAtMs: LOGIN_WINDOW_MS })
    expect(grantLogin(budget, 'a', LOGIN_WINDOW_MS, 3).granted).toBe(true)
    expect(grantLogin(budget, 'a', LOGIN_WINDOW_MS - 1, 3).granted).toBe(false)
  })

  it('waits for enough logins to leave the window when the limit was lowered since', () => {
    expect(grantLogin({ a: [0, 10, 20] }, 'a', 30, 2)).toEqual({ granted: false, retryAtMs: LOGIN_WINDOW_MS + 10 })
  })

  it('counts accounts apart, and both lines of one account together', () => {
    const requests = [0, 1, 2, 3].map((atMs) => ({ account: ACCOUNTS[atMs % 2] ?? '', atMs }))
    expect(ask(requests, 1)).toEqual(
      new Map([
        [ACCOUNTS[0], [0]],
        [ACCOUNTS[1], [1]],
      ]),
    )
    expect(
      ask(
        requests.map((request) => ({ ...request, account: 'shared' })),
        1,
      ),
    ).toEqual(new Map([['shared', [0]]]))
  })

  it('never grants more than the limit within any minute, whatever asks and when', () => {
    const request = fc.record({ account: fc.constantFrom(...ACCOUNTS), afterMs: fc.nat({ max: 20_000 }) })
    fc.assert(
      fc.property(fc.array(request, { maxLength: 200 }), fc.integer({ min: 0, max: 6 }), (requests, limit) => {
        let atMs = 0
        const dated = requests.map(({ account, afterMs }) => {
          atMs += afterMs
          return { account, atMs }
        })
        for (const stamps of ask(dated, limit).values()) {
          for (const stamp of stamps) {
            const within = stamps.filter((each) => each >= stamp && each < stamp + LOGIN_WINDOW_MS)
            expect(within.length).toBeLessThanOrEqual(limit)
          }
        }
      }),
    )
  })

  it('grants what it announced: asking again at retryAtMs succeeds', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: 30_000 }), { maxLength: 30 }),
        fc.integer({ min: 1, max: 5 }),
        (gaps, limit) => {
          let budget: LoginBudget = EMPTY_LOGIN_BUDGET
          let atMs = 0
          for (const gap of gaps) {
            atMs += gap
            const answer = grantLogin(budget, 'a', atMs, limit)
            if (answer.granted) budget = answer.budget
            else expect(grantLogin(budget, 'a', answer.retryAtMs, limit).granted).toBe(true)
          }
        },
      ),
    )
  })

  it('waits a minute at most after the wall clock was stepped back, and grants nothing extra', () => {
    const first = grantLogin(EMPTY_LOGIN_BUDGET, 'a', 10_000_000, 1)
    const budget = first.granted ? first.budget : EMPTY_LOGIN_BUDGET
    expect(grantLogin(budget, 'a', 0, 1)).toEqual({ granted: false, retryAtMs: LOGIN_WINDOW_MS })
  })

  it('forgets what has left the window, so that the file stays small', () => {
    const first = grantLogin(EMPTY_LOGIN_BUDGET, 'a', 0, 5)
    const later = grantLogin(first.granted ? first.budget : {}, 'b', 2 * LOGIN_WINDOW_MS, 5)
    expect(later).toEqual({ granted: true, budget: { b: [2 * LOGIN_WINDOW_MS] } })
  })

  it('survives a restart through JSON', () => {
    const first = grantLogin(EMPTY_LOGIN_BUDGET, 'a', 5_000, 1)
    const restored = parseLoginBudget(JSON.parse(JSON.stringify(first.granted ? first.budget : {})))
    expect(grantLogin(restored ?? {}, 'a', 6_000, 1).granted).toBe(false)
  })

  it.each([[null], [[]], ['text'], [{ a: 1 }], [{ a: ['x'] }], [{ a: [null] }]])('takes %j for no budget', (value) => {
    expect(parseLoginBudget(value)).toBeNull()
  })

  it('of two processes is one: a login that both know of counts once, equal instants of two logins twice', () => {
    expect(mergeBudgets({ a: [1, 5, 5], b: [2] }, { a: [5, 7], c: [3] })).toEqual({ a: [1, 5, 5, 7], b: [2], c: [3] })
    expect(mergeBudgets({ a: [5] }, { a: [5, 5] })).toEqual({ a: [5, 5] })
  })
})
