// One line from its bridge's first word to its ticks, and what it does when the front says no, says nothing, or goes away.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { TradingLogin } from '#adapters/feeds/feed-adapter.ts'
import { Subscription } from '#domain/subscription-book.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { CONTRACTS, ScriptedLine, SECOND } from '../support/scripted-line.ts'

let clock: ManualClock
let rig: ScriptedLine
beforeEach(() => {
  clock = new ManualClock()
  rig = new ScriptedLine(clock)
})
afterEach(async () => {
  await rig.end()
  clock.dispose()
  expect(rig.session.state).toBe('off')
  expect(rig.bridges.every(({ retired }) => retired)).toBe(true)
})

describe('a line that comes up', () => {
  test('goes step by step: start, list, login, subscribe, stream', async () => {
    await rig.clock.settle()
    expect(rig.bridge.sent).toEqual([])
    await rig.upToConnected()
    expect(rig.bridge.sent.map(({ type }) => type)).toEqual(['start', 'queryInstruments', 'login'])
    expect(rig.session).toMatchObject({ state: 'logging-in', connected: true, loggedIn: false })
    rig.bridge.say('loggedIn', { texts: ['', '20261119'] })
    await rig.clock.settle()
    expect(rig.bridge.last('subscribe')?.texts).toEqual(CONTRACTS)
    expect(rig.session).toMatchObject({ state: 'subscribing', loggedIn: true })
    rig.bridge.answerSubscribe(0)
    await rig.clock.settle()
    expect(rig.session).toMatchObject({ state: 'streaming', detail: 'subscribed 3 of 3' })
    expect(rig.snapshotsExpected).toEqual([0, 1, 2])
  })

  test('takes a tick for an acknowledgement', async () => {
    await rig.upToLoggedIn()
    rig.bridge.answerSubscribe(0, () => null)
    expect(rig.session.book.subscribed).toBe(0)
    for (const symbol of CONTRACTS) rig.bridge.tick(symbol, { eventMs: 0 })
    await rig.clock.settle()
    expect(rig.session.state).toBe('streaming')
    expect(rig.session.book.subscribed).toBe(3)
    expect(rig.ticks).toEqual([0, 1, 2])
  })

  test('asks in batches, each when it is admitted', async () => {
    await rig.end()
    rig = new ScriptedLine(clock, { batchSize: 2 })
    await rig.upToLoggedIn()
    expect(rig.bridge.last('subscribe')?.texts).toEqual(CONTRACTS.slice(0, 2))
    rig.bridge.answerSubscribe(0)
    await rig.clock.settle()
    expect(rig.bridge.last('subscribe')?.texts).toEqual(CONTRACTS.slice(2))
    expect(rig.admitted).toEqual([2, 1])
  })

  test('waits for the login budget, and says so', async () => {
    rig.loginWaitMs = 12 * SECOND
    await rig.upToConnected()
    expect(rig.session).toMatchObject({ state: 'waiting', detail: 'login budget is used up; next login in 12 s' })
    rig.loginWaitMs = 0
    await rig.pass(11 * SECOND)
    expect(rig.bridge.count('login')).toBe(0)
    await rig.pass(2 * SECOND)
    expect(rig.bridge.count('login')).toBe(1)
  })

  test('as a warm standby logs in and subscribes nothing until it is raised', async () => {
    await rig.end()
    rig = new ScriptedLine(clock, { wanted: 'logged-in' })
    await rig.upToLoggedIn()
    expect(rig.session.state).toBe('logged-in')
    expect(rig.bridge.count('subscribe')).toBe(0)
    rig.session.want('streaming')
    await rig.clock.settle()
    rig.bridge.answerSubscribe(0)
    await rig.clock.settle()
    expect(rig.session.state).toBe('streaming')
    expect(rig.bridges).toHaveLength(1)
  })

  test('as a cold standby starts no bridge until it is raised, and ends it when it is lowered', async () => {
    await rig.end()
    rig = new ScriptedLine(clock, { wanted: 'off' })
    await rig.pass(60 * SECOND)
    expect(rig.bridges).toEqual([])
    rig.session.want('streaming')
    await rig.upToStreaming()
    expect(rig.session.state).toBe('streaming')
    rig.session.want('off')
    await rig.clock.settle()
    expect(rig.bridge.retired).toBe(true)
    expect(rig.session.state).toBe('off')
  })

  test.each([
    ['before the bridge said hello', async () => undefined],
    [
      'while the bridge lists its contracts',
      async () => {
        rig.bridge.say('hello', { code: 1, texts: ['scripted', '1.0'] })
        await rig.clock.settle()
      },
    ],
    ['while the login is under way', () => rig.upToConnected()],
    ['while contracts are asked for', () => rig.upToLoggedIn()],
    ['while it streams', () => rig.upToStreaming()],
  ])('is down at once when it is lowered to off %s', async (_when, goThere) => {
    await rig.clock.settle()
    await goThere()
    const logins = rig.bridge.count('login')
    rig.session.want('off')
    await rig.clock.settle()
    expect(rig.bridge.retired).toBe(true)
    expect(rig.session.state).toBe('off')
    expect(rig.bridge.count('login')).toBe(logins)
    await rig.pass(120 * SECOND)
    expect(rig.bridges).toHaveLength(1)
  })
})

describe('a front that says no', () => {
  test('to the credentials latches the account: not one more login, until somebody clears it', async () => {
    await rig.upToConnected()
    rig.bridge.say('loggedIn', { code: 3, texts: ['CTP:no such user', ''] })
    await rig.pass(600 * SECOND)
    expect(rig.latches).toEqual(['broker/primary'])
    expect(rig.session.state).toBe('latched')
    expect(rig.loginsGranted).toBe(1)
    expect(rig.bridges).toHaveLength(1)
    rig.latches.length = 0
    await rig.pass(2 * SECOND)
    expect(rig.bridges).toHaveLength(2)
  })

  test.each([
    ['while its bridge still ends', async () => undefined],
    [
      'while it is drained because the line was lowered',
      async () => {
        rig.session.want('off')
        await rig.clock.settle()
      },
    ],
  ])('to the credentials latches the account when it is read, %s', async (_when, lower) => {
    await rig.upToConnected()
    let goOn = () => {}
    rig.bridge.gone = new Promise((resolve) => {
      goOn = resolve
    })
    await lower()
    rig.bridge.say('loggedIn', { code: 3, texts: ['CTP:no such user', ''] })
    expect(rig.latches).toEqual(['broker/primary'])
    await rig.clock.settle()
    expect(rig.bridge.retired).toBe(true)
    goOn()
    await rig.clock.settle()
    expect(rig.session.state).toBe('latched')
    expect(rig.latches).toEqual(['broker/primary'])
  })

  test('to the credentials holds, although the latch can not be written', async () => {
    rig.latchTrouble = new Error('EROFS')
    await rig.upToConnected()
    rig.bridge.say('loggedIn', { code: 3, texts: ['CTP:no such user', ''] })
    await rig.clock.settle()
    expect(rig.session.state).toBe('latched')
    expect(rig.logged).toContainEqual(expect.stringContaining('not on disk'))
  })

  /** Refuses the login under way, and leaves time for the next one to be sent. */
  async function refused(code: number): Promise<void> {
    rig.bridge.say('loggedIn', { code, texts: ['CTP:a new reason', ''] })
    await rig.pass(130 * SECOND)
  }
  const nextConnects = async () => {
    if (rig.session.state !== 'latched') await rig.upToConnected()
  }

  test('for an unlisted reason may say so three times, whatever else goes wrong between, then the account is latched', async () => {
    await rig.upToConnected()
    for (let refusal = 1; refusal <= 3; refusal++) {
      await refused(9_999)
      if (refusal === 3) break
      await nextConnects()
      await refused(7)
      await nextConnects()
    }
    expect(rig.latches).toEqual(['broker/primary'])
    expect(rig.session.state).toBe('latched')
    const logins = rig.loginsGranted
    await rig.pass(3_600 * SECOND)
    expect(rig.loginsGranted).toBe(logins)
  })

  test('for an unlisted reason is not asked more often because the line is lowered and raised', async () => {
    await rig.upToConnected()
    for (let refusal = 1; refusal <= 5; refusal++) {
      await refused(9_999)
      rig.session.want('off')
      await rig.clock.settle()
      rig.session.want('streaming')
      await rig.clock.settle()
      await nextConnects()
    }
    expect(rig.loginsGranted).toBe(3)
  })

  test('for an unlisted reason has its three times again after a session that held a minute, not after a shorter one', async () => {
    const streamsFor = async (seconds: number) => {
      await rig.upToStreaming()
      await rig.pass(seconds * SECOND)
      rig.bridge.end({ kind: 'exited', code: 1, signal: null })
      await rig.pass(2 * SECOND)
    }
    await rig.upToConnected()
    await refused(9_999)
    await streamsFor(50)
    expect(rig.refusals).toBe(1)
    await streamsFor(70)
    expect(rig.refusals).toBe(0)
  })

  test('because it is not ready is asked again after half a minute', async () => {
    await rig.upToConnected()
    rig.bridge.say('loggedIn', { code: 7, texts: ['CTP:not inited', ''] })
    await rig.pass(29 * SECOND)
    expect(rig.session.state).toBe('waiting')
    expect(rig.bridges).toHaveLength(1)
    await rig.pass(2 * SECOND)
    expect(rig.bridges).toHaveLength(2)
    expect(rig.latches).toEqual([])
  })

  test('to many contracts is told in one line', async () => {
    await rig.upToLoggedIn()
    rig.bridge.answerSubscribe(0, () => 16)
    await rig.pass(SECOND)
    expect(rig.logged.filter((line) => line.includes('refused'))).toEqual(['primary: the front refused 3 contracts'])
  })

  test('to a contract is believed, and asked again with the next trading day', async () => {
    await rig.upToLoggedIn()
    rig.bridge.answerSubscribe(0, (symbol) => (symbol === 'rb2605' ? 16 : 0))
    await rig.pass(300 * SECOND)
    expect(rig.session).toMatchObject({ state: 'streaming', detail: 'subscribed 2 of 3, 1 refused' })
    expect(rig.bridge.count('subscribe')).toBe(1)
    rig.session.forgetRefusals()
    await rig.clock.settle()
    expect(rig.bridge.last('subscribe')?.texts).toEqual(['rb2605'])
  })

  test('because a contract is not ready yet is asked for that contract again after half a minute', async () => {
    await rig.upToLoggedIn()
    rig.bridge.answerSubscribe(0, (symbol) => (symbol === 'rb2605' ? 7 : 0))
    await rig.pass(28 * SECOND)
    expect(rig.session.state).toBe('streaming')
    expect(rig.bridge.count('subscribe')).toBe(1)
    await rig.pass(4 * SECOND)
    expect(rig.bridge.last('subscribe')?.texts).toEqual(['rb2605'])
    rig.bridge.answerSubscribe(0)
    await rig.clock.settle()
    expect(rig.session).toMatchObject({ state: 'streaming', detail: 'subscribed 3 of 3' })
  })

  test('for the moment, by its flow control, is asked the same again a second later', async () => {
    await rig.upToLoggedIn()
    rig.bridge.answerSubscribe(-2)
    await rig.clock.settle()
    expect(rig.session.rateLimitHits).toBe(1)
    expect(rig.session.book.subscribed).toBe(0)
    await rig.pass(SECOND)
    expect(rig.bridge.count('subscribe')).toBe(1)
    await rig.pass(SECOND)
    expect(rig.bridge.count('subscribe')).toBe(2)
    rig.bridge.answerSubscribe(0)
    await rig.clock.settle()
    expect(rig.session.state).toBe('streaming')
  })
})

describe('a front that says nothing', () => {
  test('is no front after the connect timeout: another bridge, later and later', async () => {
    const starts: number[] = []
    const begun = rig.clock.monotonicMs()
    await rig.clock.settle()
    for (let i = 0; i < 5; i++) {
      starts.push(Math.round((rig.clock.monotonicMs() - begun) / 100) / 10)
      rig.bridge.say('hello', { code: 1 })
      await rig.clock.settle()
      rig.bridge.list(CONTRACTS)
      const before = rig.bridges.length
      while (rig.bridges.length === before) await rig.clock.pass(100)
    }
    const waits = starts.slice(1).map((at, i) => at - (starts[i] ?? 0) - 10)
    expect(waits.map((wait) => Math.round(wait * 2) / 2)).toEqual([0.5, 1, 2, 4])
    expect(rig.session.connectFailures).toBe(5)
    expect(rig.loginsGranted).toBe(0)
  })

  test('to the login is given up after the login timeout and waited for longer than a connect', async () => {
    await rig.upToConnected()
    await rig.pass(16 * SECOND)
    expect(rig.session.loginOutcomes).toMatchObject({ granted: 1, 'timed-out': 1 })
    expect(rig.session.state).toBe('waiting')
    await rig.pass(2 * SECOND)
    expect(rig.bridges).toHaveLength(2)
  })

  test('to some contracts is asked for those again, and the line streams after the last attempt', async () => {
    await rig.upToLoggedIn()
    const answered = (symbol: string) => (symbol === 'rb2605' ? null : 0)
    rig.bridge.answerSubscribe(0, answered)
    for (let round = 2; round <= 4; round++) {
      while (rig.bridge.count('subscribe') < round) {
        await rig.pass(SECOND)
        expect(rig.session.state).toBe('subscribing')
      }
      expect(rig.bridge.last('subscribe')?.texts).toEqual(['rb2605'])
      expect(rig.session.state).toBe('subscribing')
      rig.bridge.answerSubscribe(0, answered)
    }
    await rig.pass(11 * SECOND)
    expect(rig.session).toMatchObject({ state: 'streaming', detail: 'subscribed 2 of 3, 1 unanswered' })
  })

  test.each([
    ['hello', async () => rig.clock.settle(), 11],
    ['a word while it streams', () => rig.upToStreaming(), 8],
  ])('not even %s: the bridge hangs and is replaced', async (_what, goThere, seconds) => {
    await goThere()
    await rig.pass(seconds * SECOND, { alive: false })
    expect(rig.bridges.length).toBeGreaterThanOrEqual(2)
    expect(rig.bridges[0]?.retired).toBe(true)
  })
})

describe('a session that ends', () => {
  test('by the end of its bridge counts as a lost connection; one that was given up on purpose does not', async () => {
    await rig.upToStreaming()
    rig.bridge.end({ kind: 'exited', code: null, signal: 'SIGKILL' })
    await rig.clock.settle()
    expect([...rig.session.disconnects]).toEqual([['bridge-ended', 1]])
    await rig.pass(2 * SECOND)
    await rig.upToStreaming()
    rig.session.recycle('first-tick-timeout', 'mute')
    await rig.pass(2 * SECOND)
    expect([...rig.session.disconnects]).toEqual([['bridge-ended', 1]])
  })

  test('by a disconnect is resumed by the same bridge, which forgot everything', async () => {
    await rig.upToStreaming()
    rig.bridge.say('disconnected', { code: 0x1001 })
    await rig.clock.settle()
    expect(rig.session).toMatchObject({ state: 'connecting', connected: false, loggedIn: false })
    expect(rig.session.book).toMatchObject({ subscribed: 0, wanted: 3 })
    rig.bridge.say('connected')
    await rig.pass(SECOND)
    expect(rig.bridge.count('login')).toBe(2)
    rig.bridge.say('loggedIn', { texts: ['', '20261119'] })
    await rig.clock.settle()
    expect(rig.bridge.last('subscribe')?.texts).toEqual(CONTRACTS)
    expect(rig.bridges).toHaveLength(1)
    expect([...rig.session.disconnects]).toEqual([['read-failed', 1]])
  })

  test('again and again logs in later and later, never faster than the retry table', async () => {
    await rig.upToStreaming()
    const waits: number[] = []
    for (let i = 0; i < 6; i++) {
      rig.bridge.say('disconnected', { code: 0x1001 })
      await rig.clock.settle()
      rig.bridge.say('connected')
      const [from, logins] = [rig.clock.monotonicMs(), rig.bridge.count('login')]
      while (rig.bridge.count('login') === logins) await rig.pass(100)
      waits.push(rig.clock.monotonicMs() - from)
      rig.bridge.say('loggedIn', { texts: ['', '20261119'] })
      await rig.clock.settle()
      rig.bridge.answerSubscribe(0)
      await rig.clock.settle()
    }
    expect(waits.map((ms) => Math.round(ms / 500) * 500)).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000])
  })

  test('while contracts are asked for slows the next subscription down', async () => {
    await rig.upToLoggedIn()
    expect(rig.admitted).toEqual([3])
    rig.bridge.say('disconnected', { code: 0x1001 })
    await rig.clock.settle()
    rig.bridge.say('connected')
    await rig.pass(4 * SECOND)
    expect(rig.bridge.count('login')).toBe(1)
    await rig.pass(2 * SECOND)
    rig.bridge.say('loggedIn', { texts: ['', '20261119'] })
    await rig.clock.settle()
    expect(rig.admitted).toEqual([3, 6])
  })

  test('by the death of the bridge begins anew with another one', async () => {
    await rig.upToStreaming()
    rig.bridge.end({ kind: 'exited', code: null, signal: 'SIGKILL' })
    await rig.clock.settle()
    expect(rig.session).toMatchObject({ state: 'waiting', detail: 'the bridge process ended (signal SIGKILL)' })
    expect(rig.session.book.subscribed).toBe(0)
    await rig.pass(SECOND)
    expect(rig.bridges).toHaveLength(2)
    await rig.upToStreaming()
    expect(rig.session.state).toBe('streaming')
  })

  test('because it was given up begins anew with another one', async () => {
    await rig.upToStreaming()
    rig.session.recycle('first-tick-timeout', 'no tick came')
    await rig.clock.settle()
    expect(rig.bridge.retired).toBe(true)
    expect(rig.session).toMatchObject({ state: 'waiting', detail: 'no tick came' })
    await rig.pass(6 * SECOND)
    expect(rig.bridges).toHaveLength(2)
  })
})

describe('a pause of the daemon itself', () => {
  test('is no silence of the bridge: it is listened to again before it is given up', async () => {
    await rig.upToStreaming()
    // As if this process had been stopped: nothing was read, and it has just found out.
    rig.readingSinceMs = rig.clock.monotonicMs() + 12 * SECOND
    await rig.pass(12 * SECOND, { alive: false })
    await rig.pass(5 * SECOND, { alive: false })
    expect(rig.bridges).toHaveLength(1)
    await rig.pass(2 * SECOND, { alive: false })
    expect(rig.bridges[0]?.retired).toBe(true)
  })
})

describe('a list that changes while the line streams', () => {
  test('is followed: what is new is asked for, what is gone is not carried any more', async () => {
    await rig.upToStreaming()
    rig.session.book.list(rig.slot('rb2611'))
    rig.session.listChanged([rig.slot('rb2601')])
    await rig.clock.settle()
    expect(rig.bridge.last('subscribe')?.texts).toEqual(['rb2611'])
    expect(rig.bridge.last('unsubscribe')?.texts).toEqual(['rb2601'])
    rig.bridge.answerSubscribe(0)
    await rig.clock.settle()
    expect(rig.session).toMatchObject({ state: 'streaming', detail: 'subscribed 3 of 3' })
  })
})

describe('a front whose market data wants a trading login first', () => {
  const made: AbortSignal[] = []
  let outcome: TradingLogin = { ok: true }
  /** Lets a test look at the time while the login is under way. */
  let underWay: Promise<void> | null = null

  beforeEach(async () => {
    await rig.end()
    made.length = 0
    outcome = { ok: true }
    underWay = null
    rig = new ScriptedLine(clock, {
      tradingLogin: async (signal, watch) => {
        made.push(signal)
        await underWay
        watch.leaving()
        signal.throwIfAborted()
        return outcome
      },
    })
  })

  test('gets one, and then the login: two of the budget', async () => {
    await rig.upToStreaming()
    expect(made).toHaveLength(1)
    expect(rig.loginsGranted).toBe(2)
    expect(rig.session).toMatchObject({ state: 'streaming', loginOutcomes: { granted: 2, accepted: 2 } })
  })

  test('gets no other one for a storm of drops, and another one after an hour', async () => {
    await rig.upToStreaming()
    for (let drop = 0; drop < 4; drop++) {
      rig.bridge.say('disconnected', { code: 0x1001 })
      rig.bridge.say('connected')
      await rig.pass(10 * SECOND)
      rig.bridge.say('loggedIn', { texts: ['', '20261119'] })
      await rig.clock.settle()
      rig.bridge.answerSubscribe(0)
      await rig.clock.settle()
    }
    expect(made).toHaveLength(1)
    expect(rig.session.state).toBe('streaming')
    await rig.pass(3_700 * SECOND)
    rig.bridge.say('disconnected', { code: 0x1001 })
    rig.bridge.say('connected')
    await rig.pass(10 * SECOND)
    expect(made).toHaveLength(2)
  })

  test('that has forgotten an older one gets a new one; refused right after it, the account is latched', async () => {
    await rig.upToStreaming()
    rig.bridge.say('disconnected', { code: 0x1001 })
    rig.bridge.say('connected')
    await rig.pass(2 * SECOND)
    const logins = rig.bridge.count('login')
    rig.bridge.say('loggedIn', { code: 3, texts: ['CTP:illegal login', ''] })
    await rig.pass(5 * SECOND)
    expect(rig.latches).toEqual([])
    expect(made).toHaveLength(2)
    expect(rig.bridge.count('login')).toBe(logins + 1)
    rig.bridge.say('loggedIn', { code: 3, texts: ['CTP:illegal login', ''] })
    await rig.pass(600 * SECOND)
    expect(rig.latches).toEqual(['broker/primary'])
    expect(made).toHaveLength(2)
  })

  test.each([
    ['credentials-rejected', { granted: 1, refused: 1, 'timed-out': 0 }],
    ['front-not-ready', { granted: 1, refused: 1, 'timed-out': 0 }],
    ['login-timeout', { granted: 1, refused: 0, 'timed-out': 1 }],
    ['connect-timeout', { granted: 1, refused: 0, 'timed-out': 0 }],
    ['flow-directory-busy', { granted: 1, refused: 0, 'timed-out': 0 }],
  ] as const)('counts a failure of it as refused only when the front refused: %s', async (kind, outcomes) => {
    outcome = { ok: false, kind, message: 'x' }
    await rig.upToConnected()
    expect(rig.session.loginOutcomes).toMatchObject(outcomes)
  })

  test('that refuses it latches the account before any market-data login', async () => {
    outcome = { ok: false, kind: 'credentials-rejected', message: 'error 3' }
    await rig.upToConnected()
    await rig.pass(600 * SECOND)
    expect(rig.latches).toEqual(['broker/primary'])
    expect(rig.session).toMatchObject({ state: 'latched', loginOutcomes: { granted: 1, refused: 1 } })
    expect(made).toHaveLength(1)
    expect(rig.bridges.every((bridge) => bridge.count('login') === 0)).toBe(true)
  })

  test('that refuses it latches the account when the refusal is read, while its process still ends', async () => {
    await rig.end()
    let goOn = () => {}
    const gone = new Promise<void>((resolve) => {
      goOn = resolve
    })
    rig = new ScriptedLine(clock, {
      tradingLogin: async (_signal, watch) => {
        watch.failed('credentials-rejected', 'error 3')
        await gone
        return { ok: false, kind: 'credentials-rejected', message: 'error 3' }
      },
    })
    await rig.upToConnected()
    expect(rig.latches).toEqual(['broker/primary'])
    goOn()
    await rig.clock.settle()
    expect(rig.session.state).toBe('latched')
    expect(rig.latches).toEqual(['broker/primary'])
  })

  test('does not get it when the account was latched while its process started', async () => {
    let goOn = () => {}
    underWay = new Promise((resolve) => {
      goOn = resolve
    })
    await rig.upToConnected()
    rig.latches.push('broker/primary')
    goOn()
    await rig.clock.settle()
    expect(made.map(({ aborted }) => aborted)).toEqual([true])
    expect(rig.session).toMatchObject({ state: 'latched', loginOutcomes: { accepted: 0, refused: 0 } })
  })

  test('that is not ready for it is asked again later', async () => {
    outcome = { ok: false, kind: 'front-not-ready', message: 'error 7' }
    await rig.upToConnected()
    await rig.pass(20 * SECOND)
    expect(rig.session.state).toBe('waiting')
    expect(made).toHaveLength(1)
  })

  test('that goes away meanwhile ends it', async () => {
    let goOn = () => {}
    underWay = new Promise((resolve) => {
      goOn = resolve
    })
    await rig.upToConnected()
    expect(made.map(({ aborted }) => aborted)).toEqual([false])
    rig.bridge.say('disconnected', { code: 0x1001 })
    await rig.clock.settle()
    expect(made.map(({ aborted }) => aborted)).toEqual([true])
    goOn()
    await rig.clock.settle()
    expect(rig.bridge.count('login')).toBe(0)
    expect(rig.session.state).toBe('connecting')
  })
})

test('a latch that came from elsewhere holds at the next login, although the bridge lives', async () => {
  await rig.upToStreaming()
  rig.latches.push('broker/primary')
  rig.bridge.say('disconnected', { code: 0x1001 })
  rig.bridge.say('connected')
  await rig.pass(60 * SECOND)
  expect(rig.session.state).toBe('latched')
  expect(rig.loginsGranted).toBe(1)
})

describe('a bridge that can not be believed', () => {
  test('because it speaks another version is started three times and then left to an operator', async () => {
    for (let start = 1; start <= 3; start++) {
      await rig.clock.settle()
      expect(rig.bridges).toHaveLength(start)
      rig.bridge.say('hello', { code: 99, texts: ['scripted', '1.0'] })
      await rig.pass(3 * SECOND, { alive: false })
    }
    expect(rig.bridges).toHaveLength(3)
    expect(rig.session).toMatchObject({ state: 'failed', detail: 'the bridge speaks version 99, not 1' })
  })

  test('because it numbers an instrument beyond any market is given up, and no memory is taken for it', async () => {
    await rig.upToLoggedIn()
    rig.bridge.say('instrument', { instrument: 4_000_000_000, texts: ['rb2601', 'SHFE'] })
    await rig.pass(3 * SECOND, { alive: false })
    expect(rig.bridges.length).toBeGreaterThan(1)
  })

  test('because a request returned a code that no vendor documents is asked again like one that did not leave', async () => {
    await rig.upToLoggedIn()
    rig.bridge.answerSubscribe(7)
    await rig.pass(2 * SECOND)
    expect(rig.bridge.count('subscribe')).toBe(2)
  })

  test('tells once what it dropped, by its count or by the holes in its frames, whichever says more', async () => {
    await rig.upToLoggedIn()
    const drops = () => rig.logged.filter((text) => text.includes('dropped'))
    rig.bridge.skipFrames(25)
    rig.bridge.say('counters', { numbers: [100, 75, 25, 90] })
    rig.bridge.say('counters', { numbers: [100, 75, 25, 90] })
    rig.bridge.say('counters', { numbers: [110, 75, 35, 90] })
    expect(drops()).toEqual(
      [25, 10].map((count) => `primary: the bridge dropped ${count} ticks that were not read in time`),
    )
    expect(rig.session.counters.dropped).toBe(35)
  })
})

test('a night of refused connects does not use up the attempts of another kind of failure', async () => {
  await rig.clock.settle()
  for (let night = 0; night < 5; night++) {
    rig.bridge.say('hello', { code: 1, texts: ['scripted', '1.0'] })
    await rig.clock.settle()
    rig.bridge.list(CONTRACTS)
    await rig.pass(45 * SECOND)
  }
  rig.bridge.say('hello', { code: 99, texts: ['scripted', '1.0'] })
  await rig.pass(3 * SECOND, { alive: false })
  expect(rig.session.state).not.toBe('failed')
})

test('contracts are asked for in requests that fit into a frame, whatever batch size is set', async () => {
  await rig.end()
  rig = new ScriptedLine(clock, { batchSize: 5_000 })
  const names = Array.from({ length: 1_500 }, (_, i) => `SPD ${'x'.repeat(70)}${String(i).padStart(4, '0')}`)
  await rig.upToLoggedIn(names)
  for (let request = 0; request < 3; request++) {
    rig.bridge.answerSubscribe(0)
    await rig.clock.settle()
  }
  expect(rig.admitted).toEqual([700, 700, 100])
})

describe('a login that does not leave, or is answered by an error frame', () => {
  const login = () => rig.bridge.sent.findLastIndex(({ type }) => type === 'login') + 1

  test.each([
    [-1, 'not-connected', 1],
    [-2, 'login-too-frequent', 3],
    [-3, 'login-too-frequent', 3],
  ])('with return code %i is not waited for, and made again by a new session', async (code, kind, seconds) => {
    await rig.upToConnected()
    rig.bridge.say('requested', { code, request: login() })
    await rig.clock.settle()
    expect(rig.session).toMatchObject({
      state: 'waiting',
      detail: `the vendor library did not send the login (return code ${code})`,
    })
    expect(rig.logged).toContainEqual(expect.stringContaining(kind))
    expect(rig.session.loginOutcomes).toMatchObject({ refused: 0, 'timed-out': 0 })
    await rig.pass(seconds * SECOND, { alive: false })
    expect(rig.bridges).toHaveLength(2)
  })

  test('because a text does not fit is left to an operator, with the words of the bridge', async () => {
    await rig.upToConnected()
    const texts = ["a login text is longer than the vendor's field", 'Correct broker id, user id or password.']
    rig.bridge.say('frontError', { code: -100, request: login(), texts })
    rig.bridge.say('requested', { code: -100, request: login() })
    await rig.pass(600 * SECOND, { alive: false })
    expect(rig.session).toMatchObject({ state: 'failed', detail: texts.join('. ') })
    expect(rig.bridges).toHaveLength(1)
    expect(rig.latches).toEqual([])
  })

  test('with an error of the front is refused, and latches like any refusal', async () => {
    await rig.upToConnected()
    rig.bridge.say('requested', { request: login() })
    rig.bridge.say('frontError', { code: 75, request: login(), texts: ['CTP:locked'] })
    await rig.clock.settle()
    expect(rig.latches).toEqual(['broker/primary'])
    expect(rig.session.loginOutcomes).toMatchObject({ refused: 1 })
  })

  test('is not taken for it when the answer belongs to another request, or comes before its own return code', async () => {
    await rig.upToConnected()
    rig.bridge.say('requested', { code: -3, request: 999 })
    rig.bridge.say('frontError', { code: 75, request: 0, texts: ['CTP:general'] })
    rig.bridge.say('frontError', { code: 75, request: 999, texts: ['CTP:another'] })
    rig.bridge.say('loggedIn', { request: login(), texts: ['', '20261119'] })
    rig.bridge.say('requested', { request: login() })
    await rig.clock.settle()
    expect(rig.session).toMatchObject({ loggedIn: true, loginOutcomes: { accepted: 1 } })
    expect(rig.latches).toEqual([])
  })
})

describe('a front that takes only so many contracts', () => {
  const MANY = Array.from({ length: 30 }, (_, i) => `rb27${String(i).padStart(2, '0')}`)
  const overTwelve = (symbol: string) => (MANY.indexOf(symbol) < 12 ? 0 : 6000)

  beforeEach(async () => {
    await rig.end()
    rig = new ScriptedLine(clock, { batchSize: 10 })
    await rig.upToLoggedIn(MANY)
    rig.bridge.answerSubscribe(0, overTwelve)
    await rig.clock.settle()
    rig.bridge.answerSubscribe(0, overTwelve)
    await rig.clock.settle()
  })

  test('is asked for no more in this login, and says so once; the rest counts as refused', async () => {
    await rig.pass(300 * SECOND)
    expect(rig.bridge.count('subscribe')).toBe(2)
    expect(rig.session.book).toMatchObject({ expected: 30, subscribed: 12, refused: 18, wanted: 0 })
    expect(rig.session).toMatchObject({ state: 'streaming', detail: 'subscribed 12 of 30, 18 refused' })
    const told = rig.logged.filter((text) => text.includes('accepts no more contracts'))
    expect(told).toHaveLength(1)
    expect(told[0]).toContain('12 of 30 are subscribed')
    expect(told[0]).toContain('INCLUDE and EXCLUDE')
  })

  test('is not asked by an operator who wants all again either', async () => {
    rig.session.subscribeAgain(rig.session.book.slotsIn(Subscription.refused))
    await rig.pass(300 * SECOND)
    expect(rig.bridge.count('subscribe')).toBe(2)
    expect(rig.session.book).toMatchObject({ subscribed: 12, refused: 18 })
  })

  test('is asked again in the next login, those that it had first', async () => {
    rig.bridge.say('disconnected', { code: 0x1001 })
    rig.bridge.say('connected')
    await rig.pass(10 * SECOND)
    rig.bridge.say('loggedIn', { texts: ['', '20261119'] })
    await rig.clock.settle()
    for (let batch = 0; batch < 3; batch++) {
      rig.bridge.answerSubscribe(0)
      await rig.clock.settle()
    }
    expect(rig.session.book).toMatchObject({ subscribed: 30, refused: 0 })
  })

  test('is asked again when contracts that it had are taken off the list', async () => {
    rig.session.listChanged([rig.slot('rb2700')])
    await rig.clock.settle()
    expect(rig.bridge.last('subscribe')?.texts[0]).toBe('rb2712')
    rig.bridge.answerSubscribe(0, (symbol) => (symbol === 'rb2712' ? 0 : 6000))
    await rig.pass(60 * SECOND)
    expect(rig.bridge.count('subscribe')).toBe(3)
    expect(rig.session.book).toMatchObject({ expected: 29, subscribed: 12, refused: 17 })
  })
})

describe('a bridge that ends', () => {
  test('with words tells them, and what to do, instead of a number', async () => {
    await rig.clock.settle()
    const texts = ["malformed front address 'tcp://\u4e0a\u6d77'", 'Write it as tcp://host:port.']
    rig.bridge.say('frontError', { code: -78, texts })
    rig.bridge.end({ kind: 'exited', code: 78, signal: null })
    await rig.clock.settle()
    expect(rig.session).toMatchObject({ state: 'failed', detail: texts.join('. ') })
    expect(rig.logged).toContainEqual(expect.stringContaining(texts.join('. ')))
  })

  test('for another reason than it last complained of is told by its own', async () => {
    await rig.upToLoggedIn()
    rig.bridge.say('frontError', { code: -100, request: 99, texts: ['no instrument can have this id', 'Correct it.'] })
    rig.bridge.end({ kind: 'exited', code: null, signal: 'SIGSEGV', unfinishedBytes: 31 })
    await rig.clock.settle()
    expect(rig.session.detail).toBe('the bridge process ended (signal SIGSEGV, 31 bytes into a frame)')
  })

  test.each([
    ['for want of descriptors is started again', { passes: true }, 2],
    ['because there is none is left to an operator', { passes: false }, 1],
  ])('before it began, %s', async (_, { passes }, bridges) => {
    await rig.clock.settle()
    rig.bridge.end({ kind: 'not-started', message: 'spawn EMFILE', passes })
    await rig.pass(2 * SECOND, { alive: false })
    expect(rig.bridges).toHaveLength(bridges)
  })

  test('because another one works in its flow directory is started again soon', async () => {
    await rig.clock.settle()
    rig.bridge.say('frontError', { code: -75, texts: ['another bridge works in the flow directory', 'Nothing to do.'] })
    rig.bridge.end({ kind: 'exited', code: 75, signal: null })
    await rig.pass(SECOND, { alive: false })
    expect(rig.bridges).toHaveLength(2)
  })
})
