/**
 * Everything that vendor libraries and fronts are known to do wrong, through the bridge: it reports, decides nothing, and lives on where
 * the library lets it. The same tests run over a build with AddressSanitizer and UndefinedBehaviorSanitizer.
 */
import { spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { frontErrorTexts, vendorText } from '#adapters/feeds/wire.ts'
import { textOf } from '../support/ctp-bridge-client.ts'
import { bridgeOf, frontOf } from '../support/ctp-scene.ts'
import { BUILDS, builtBridge, type Sdk, standinSdk, whyNoBridge } from '../support/ctp-standin.ts'

const SHAPE = '6.7.7'
const REFUSED = 78

describe.skipIf(whyNoBridge !== undefined).each(BUILDS)('a front that misbehaves (%s build)', (build) => {
  let executable: string
  beforeAll(async () => {
    executable = await builtBridge(SHAPE, build)
  }, 300_000)

  it('passes on the answers that came when there are fewer than asked for, and every tick', async () => {
    const market = await frontOf({
      subscribe(session, ids) {
        for (const id of ids.slice(0, 2)) session.subscribedTo(id)
        for (const id of ids) session.tick(id, { LastPrice: 1 })
      },
    })
    const bridge = bridgeOf(executable)
    await bridge.logIn(market.address)
    bridge.send('subscribe', ['rb2701', 'rb2702', 'rb2703', 'rb2704'])
    await bridge.until(() => bridge.ticks.length === 4, 'a tick of each')
    expect(bridge.of('subscribed').map((message) => message.instrument)).toEqual([1, 2])
    expect(bridge.ticks.map((tick) => tick.id)).toEqual(['rb2701', 'rb2702', 'rb2703', 'rb2704'])
  })

  it('takes an answer without info as a success', async () => {
    const market = await frontOf({
      login: (session, request) => session.loggedIn(request, { error: 'null' }),
      subscribe: (session, ids) => session.subscribedTo(ids[0] ?? '', 'null'),
    })
    const bridge = bridgeOf(executable)
    expect(await bridge.logIn(market.address)).toMatchObject({ code: 0 })
    bridge.send('subscribe', ['rb2701'])
    expect(await bridge.message('subscribed')).toMatchObject({ code: 0 })
  })

  it('passes GBK text on byte by byte, also when it is cut in the middle of a character and fills its field', async () => {
    // "CTP: illegal login" in GBK, then 用 until the 81 bytes of the field are full, the last one being half a character.
    const text = Buffer.concat([
      Buffer.from('CTP:', 'latin1'),
      Buffer.from('b2bbbacfb7a8b5c4b5c7c2bc', 'hex'),
      Buffer.alloc(65),
    ])
    for (let at = 16; at < 81; at++) text[at] = at % 2 === 0 ? 0xd3 : 0xc3
    const market = await frontOf({ login: (session, request) => session.send('rsp-login', request, '3', text, '') })
    const bridge = bridgeOf(executable)
    const answer = await bridge.logIn(market.address)
    expect(answer).toMatchObject({ code: 3, request: 2 })
    expect(Buffer.from(answer.texts[0] ?? [])).toEqual(text)
    expect(vendorText(answer.texts[0])).toMatch(/^CTP:不合法的登录(用)+\uFFFD$/)
  })

  it('keeps its frames whole when the library prints on stdout', async () => {
    const market = await frontOf()
    const bridge = bridgeOf(executable)
    await bridge.logIn(market.address)
    market.session.noise('CONNECT_TIMER heartbeat')
    bridge.send('subscribe', ['rb2701'])
    market.session.noise('OnFrontDisconnected')
    await bridge.message('subscribed')
    await bridge.until(() => bridge.log.includes('OnFrontDisconnected'), 'the noise in the log')
    expect(bridge.log).toContain('CONNECT_TIMER heartbeat')
  })

  it('reports no connection to a front that accepts and stays silent, and still counts and ends', async () => {
    const market = await frontOf({ connected: () => undefined })
    const bridge = bridgeOf(executable)
    bridge.start(market.address)
    await market.line('hello')
    await bridge.message('counters')
    expect(bridge.of('connected')).toEqual([])
    expect(await bridge.end()).toEqual({ code: 0, signal: null })
  })

  it('returns -1 for a login or a subscription before the connection', async () => {
    const market = await frontOf({ connected: () => undefined })
    const bridge = bridgeOf(executable)
    bridge.start(market.address)
    await market.line('hello')
    const requests = [bridge.send('login', { user: 'x' }), bridge.send('subscribe', ['rb2701'])]
    await bridge.message('requested', 2)
    expect(bridge.of('requested').map(({ request, code }) => [request, code])).toEqual(
      requests.map((request) => [request, -1]),
    )
  })

  it('says nothing while TCP is refused, and connects when the front comes up', async () => {
    const port = await freePort()
    const bridge = bridgeOf(executable)
    bridge.start(`tcp://127.0.0.1:${port}`)
    await bridge.message('counters')
    expect(bridge.messages.map((message) => message.type)).toEqual(['hello', 'counters'])
    await frontOf({}, port)
    await bridge.message('connected')
    expect(bridge.of('disconnected')).toEqual([])
  })

  it('reports a storm of reconnections and never logs in by itself', async () => {
    const market = await frontOf({ connected: (session) => session.socket.destroy() })
    const bridge = bridgeOf(executable, { env: { STANDIN_EAGER: '1', STANDIN_RETRY_MS: '0' } })
    bridge.start(market.address)
    await bridge.message('disconnected', 200)
    expect(bridge.of('disconnected')[199]).toMatchObject({ code: 0x1001 })
    expect(market.received.filter(([word]) => word !== 'hello')).toEqual([])
    expect(await bridge.end()).toEqual({ code: 0, signal: null })
  })

  it('reports a session lost after a burst of subscriptions; library reconnects, nobody logs in or subscribes again', async () => {
    const market = await frontOf({
      subscribe(session, ids) {
        session.acknowledge(ids)
        if (session.subscribed.size >= 1000) session.drop(0x2001)
      },
    })
    const bridge = bridgeOf(executable)
    await bridge.logIn(market.address)
    for (let batch = 0; batch < 2; batch++) bridge.send('subscribe', contracts(500, batch * 500))
    expect(await bridge.message('disconnected')).toMatchObject({ code: 0x2001 })
    await bridge.message('connected', 2)
    await market.until(() => (market.connections === 2 ? true : undefined), 'the second connection')
    expect(bridge.of('subscribed')).toHaveLength(1000)
    expect(market.received.map(([word]) => word)).toEqual(['hello', 'login', 'subscribe', 'subscribe', 'hello'])
    // What the supervisor sends after the reconnection uses the numbers given before.
    bridge.send('login', { broker: '9999', user: 'trader', password: 'secret' })
    await bridge.message('loggedIn', 2)
    bridge.send('subscribe', contracts(1, 999))
    expect(await bridge.message('subscribed', 1001)).toMatchObject({ instrument: 1000, code: 0 })
    expect(bridge.of('instrument')).toHaveLength(1000)
  })

  it.each([3, 7, 8, 60, 75])('reports error %i of a login with its text and the command it answers', async (id) => {
    const market = await frontOf({
      login: (session, request) => session.loggedIn(request, { error: String(id), text: `CTP:error ${id}` }),
    })
    const bridge = bridgeOf(executable)
    const answer = await bridge.logIn(market.address)
    expect(answer).toMatchObject({ code: id, request: 2 })
    expect(textOf(answer, 0)).toBe(`CTP:error ${id}`)
  })

  it('reports error 6000 for each contract over the limit, and errors that answer nothing', async () => {
    const market = await frontOf({
      subscribe(session, ids) {
        ids.forEach((id, index) => {
          session.subscribedTo(id, index < 1 ? '0' : '6000', 'over')
        })
        session.send('rsp-error', '77', '90', 'later')
      },
    })
    const bridge = bridgeOf(executable)
    await bridge.logIn(market.address)
    const request = bridge.send('subscribe', ['rb2701', 'rb2702', 'rb2703'])
    const error = await bridge.message('frontError')
    expect(error).toMatchObject({ code: 90, request: 77 })
    expect(bridge.of('subscribed').map(({ code, request }) => [code, request])).toEqual([
      [0, request],
      [6000, request],
      [6000, request],
    ])
  })

  it.each([-1, -2, -3])('passes the return code %i of the library on', async (code) => {
    const market = await frontOf()
    const bridge = bridgeOf(executable)
    await bridge.logIn(market.address)
    for (const name of ['subscribe', 'unsubscribe', 'login'] as const) market.session.nextReturn(name, code)
    await market.until(
      () => (market.received.filter(([word]) => word === 'returning').length === 3 ? true : undefined),
      'the script',
    )
    const requests = [
      bridge.send('subscribe', ['rb2701']),
      bridge.send('unsubscribe', ['rb2701']),
      bridge.send('login'),
    ]
    await bridge.message('requested', 4)
    expect(
      bridge
        .of('requested')
        .slice(1)
        .map((answer) => [answer.request, answer.code]),
    ).toEqual(requests.map((request) => [request, code]))
  })

  it('delivers callbacks that come after the disconnect, behind it', async () => {
    const market = await frontOf()
    const bridge = bridgeOf(executable)
    await bridge.logIn(market.address)
    bridge.send('subscribe', ['rb2701'])
    await bridge.until(() => bridge.ticks.length === 1, 'the snapshot')
    market.session.lateTick('rb2701', { LastPrice: 42 })
    market.session.drop(0x1001)
    const late = await bridge.until(() => bridge.ticks[1], 'the late tick')
    const disconnected = await bridge.message('disconnected')
    expect(late.double('LastPrice')).toBe(42)
    expect(late.sequence).toBeGreaterThan(disconnected.sequence)
  })

  it('keeps the order of ticks and other frames', async () => {
    const market = await frontOf()
    const bridge = bridgeOf(executable)
    await bridge.logIn(market.address)
    market.session.stream(50, 0, ['rb2701'])
    market.session.subscribedTo('rb2702', '6000')
    market.session.stream(50, 0, ['rb2701'])
    market.session.drop(0x1001)
    const disconnected = await bridge.message('disconnected')
    const [refused] = bridge.of('subscribed')
    const before = (sequence: number) => bridge.ticks.filter((tick) => tick.sequence < sequence).length
    expect([before(refused?.sequence ?? 0), before(disconnected.sequence)]).toEqual([50, 100])
  })

  it('leaves judging a tick to the supervisor: stale, malformed and absurd ones pass as they came', async () => {
    const market = await frontOf({
      subscribe: (session, ids) =>
        session.tick(ids[0] ?? '', { UpdateTime: '20:01:00', TradingDay: '20261120', ActionDay: '', Volume: 0 }),
    })
    const bridge = bridgeOf(executable)
    await bridge.logIn(market.address)
    bridge.send('subscribe', ['rb2701'])
    const stale = await bridge.until(() => bridge.ticks[0], 'the first tick')
    expect(stale).toMatchObject({ updateTime: '20:01:00', tradingDay: '20261120', actionDay: '', volume: 0 })
    market.session.tick('rb2701', { UpdateTime: '99:99:99.9', Volume: -5, LastPrice: -37.63 })
    const malformed = await bridge.until(() => bridge.ticks[1], 'the second tick')
    expect(malformed).toMatchObject({ updateTime: '99:99:99', volume: -5 })
    expect(malformed.double('LastPrice')).toBe(-37.63)
  })

  it('writes NaN, always the same one, for every way of saying "no value"', async () => {
    const market = await frontOf({ subscribe: (session, ids) => session.tick(ids[0] ?? '', ABSENT) })
    const bridge = bridgeOf(executable)
    await bridge.logIn(market.address)
    bridge.send('subscribe', ['rb2701'])
    const tick = await bridge.until(() => bridge.ticks[0], 'the tick')
    for (const name of ['LastPrice', 'OpenPrice', 'HighestPrice', 'LowestPrice', 'AskPrice1'] as const)
      expect(tick.double(name)).toBeNaN()
    expect(tick.double('BidPrice1')).toBe(0)
    const doubles = tick.record.subarray(64, 272)
    const bits = Array.from({ length: 26 }, (_, i) => doubles.readBigUInt64LE(8 * i)).filter(
      (value) => value > 0x7ff0000000000000n,
    )
    expect(new Set(bits)).toEqual(new Set([0x7ff8000000000000n]))
  })

  it('defines a contract it never asked for at its first tick, with the exchange when the tick has it', async () => {
    const market = await frontOf()
    const bridge = bridgeOf(executable)
    await bridge.logIn(market.address)
    market.session.tick('IF2612', { ExchangeID: 'CFFEX', LastPrice: 4000 })
    const tick = await bridge.until(() => bridge.ticks[0], 'the tick')
    const [definition] = bridge.of('instrument')
    expect([definition?.instrument, definition?.texts.map(vendorText)]).toEqual([tick.instrument, ['IF2612', 'CFFEX']])
    expect(definition?.sequence).toBeLessThan(tick.sequence)
  })

  it('takes an answer about no contract for an error, or for nothing', async () => {
    const market = await frontOf()
    const bridge = bridgeOf(executable)
    await bridge.logIn(market.address)
    market.session.subscribedToNothing('null')
    market.session.subscribedToNothing('0')
    market.session.subscribedToNothing('8', 'CTP:not ready')
    const error = await bridge.message('frontError')
    expect([error.code, error.request, textOf(error, 0)]).toEqual([8, 0, 'CTP:not ready'])
    expect([bridge.of('frontError').length, bridge.of('subscribed').length]).toEqual([1, 0])
  })

  it('passes on an error that answers a login by its number', async () => {
    const market = await frontOf({
      login: (session, request) => session.send('rsp-error', request, '75', 'CTP:locked'),
    })
    const bridge = bridgeOf(executable)
    bridge.start(market.address)
    await bridge.message('connected')
    const request = bridge.send('login', { broker: '9999', user: 'trader', password: 'secret' })
    expect(await bridge.message('frontError')).toMatchObject({ code: 75, request })
  })

  it('goes on delivering when nobody reads what the library prints', { timeout: 60_000 }, async () => {
    const market = await frontOf()
    const bridge = bridgeOf(executable, { isLogRead: false })
    await bridge.logIn(market.address)
    // More than any pipe holds.
    for (let line = 0; line < 100; line++) market.session.noise('x'.repeat(30_000))
    market.session.tick('rb2701', { LastPrice: 42 })
    await bridge.until(() => bridge.ticks.length === 1, 'the tick')
    expect(await bridge.end()).toEqual({ code: 0, signal: null })
  })

  it('unsubscribes', async () => {
    const market = await frontOf()
    const bridge = bridgeOf(executable)
    await bridge.logIn(market.address)
    bridge.send('subscribe', ['rb2701'])
    const request = bridge.send('unsubscribe', ['rb2701'])
    expect(await bridge.message('unsubscribed')).toMatchObject({ code: 0, instrument: 1, request })
  })
})

describe.skipIf(whyNoBridge !== undefined).each(BUILDS)('a library that dies (%s build)', (build) => {
  let executable: string
  beforeAll(async () => {
    executable = await builtBridge(SHAPE, build)
  }, 300_000)

  it('is told from a hang by the end of the process', async () => {
    const market = await frontOf()
    for (const how of ['segv', 'abort', 'throw'] as const) {
      const bridge = bridgeOf(executable)
      await bridge.logIn(market.address)
      bridge.send('subscribe', ['rb2701'])
      await bridge.message('subscribed')
      market.session.crash(how)
      expect(await bridge.ended).toEqual({ code: null, signal: how === 'segv' ? 'SIGSEGV' : 'SIGABRT' })
    }
  })

  it('is refused with words where it throws while it is called', async () => {
    const market = await frontOf()
    const bridge = bridgeOf(executable)
    await bridge.logIn(market.address)
    market.session.nextReturn('subscribe', 'throw')
    await market.line('returning')
    bridge.send('subscribe', ['rb2701'])
    const refusal = await bridge.message('frontError')
    expect(refusal.code).toBe(-70)
    expect(textOf(refusal, 0)).toBe('the vendor library threw: thrown by subscribe')
    expect(await bridge.ended).toEqual({ code: 70, signal: null })
  })

  it('is refused with words instead, where it throws while it is created', async () => {
    const market = await frontOf()
    const bridge = bridgeOf(executable)
    mkdirSync(join(bridge.flowDirectory, 'DialogRsp.con'))
    bridge.start(market.address)
    const refusal = await bridge.message('frontError')
    expect(textOf(refusal, 0)).toContain('can not open CFlow file')
    expect(await bridge.ended).toEqual({ code: 70, signal: null })
  })
})

describe.skipIf(whyNoBridge !== undefined).each(BUILDS)('what would kill the library (%s build)', (build) => {
  let executable: string
  let sdk: Sdk
  beforeAll(async () => {
    sdk = await standinSdk(SHAPE)
    executable = await builtBridge(SHAPE, build)
  }, 300_000)

  it('a missing flow directory aborts a naive client, and the bridge refuses it', async () => {
    const naive = runNaively(sdk, '/nonexistent/flow/', 'tcp://127.0.0.1:9', 'init')
    expect(naive.signal).toBe('SIGABRT')
    const bridge = bridgeOf(executable)
    bridge.send('start', { fronts: 'tcp://127.0.0.1:9', flow_dir: '/nonexistent/flow' })
    const refusal = await bridge.message('frontError')
    expect([textOf(refusal, 0), textOf(refusal, 1)]).toEqual([
      "the flow directory '/nonexistent/flow' does not exist",
      'Create it: the vendor library aborts without it.',
    ])
    expect(await bridge.ended).toEqual({ code: REFUSED, signal: null })
  })

  it('a malformed front address kills a naive client, and the bridge refuses it', async () => {
    expect(runNaively(sdk, `${tmpdir()}/`, 'tcp://127.0.0.1', 'init').signal).toBe('SIGSEGV')
    const bridge = bridgeOf(executable)
    bridge.start('tcp://127.0.0.1:9\ntcp://127.0.0.1')
    const refusal = await bridge.message('frontError')
    expect(textOf(refusal, 0)).toBe("malformed front address 'tcp://127.0.0.1'")
    expect(refusal.code).toBe(-REFUSED)
    expect(await bridge.ended).toEqual({ code: REFUSED, signal: null })
  })

  it('Release hangs a naive client, and the bridge ends without it', async () => {
    expect(runNaively(sdk, `${tmpdir()}/`, 'tcp://127.0.0.1:9', 'release').signal).toBe('SIGALRM')
    const bridge = bridgeOf(executable)
    bridge.start('tcp://127.0.0.1:9')
    await bridge.message('hello')
    expect(await bridge.end()).toEqual({ code: 0, signal: null })
  })

  it.each([
    ['no fronts', { fronts: '' }, 'start names no front address'],
    ['too many fronts', { fronts: 'tcp://127.0.0.1:9\n'.repeat(17) }, 'start names more than 16 front addresses'],
    ['an unknown session', { session: 'trade' }, 'session must be md or td'],
    ['an unknown topic', { public_topic: 'all' }, 'public_topic must be quick or restart'],
    ['a library that is not there', { library: '/nonexistent.so' }, "can't read the library /nonexistent.so"],
  ])('refuses to start with %s', async (_, options, message) => {
    const bridge = bridgeOf(executable)
    bridge.start('tcp://127.0.0.1:9', options)
    expect(textOf(await bridge.message('frontError'), 0)).toBe(message)
    expect((await bridge.ended).code).toBe(message.includes('library') ? 69 : REFUSED)
  })

  it('refuses a flow directory in which another bridge works, until that one has ended, however it ends', async () => {
    const market = await frontOf()
    const first = bridgeOf(executable)
    await first.logIn(market.address)
    const second = bridgeOf(executable)
    second.start(market.address, { flow_dir: first.flowDirectory })
    const refusal = await second.message('frontError')
    expect(textOf(refusal, 0)).toBe(`another bridge works in the flow directory '${first.flowDirectory}'`)
    expect(await second.ended).toEqual({ code: 75, signal: null })
    expect(market.connections).toBe(1)
    first.process.kill('SIGKILL')
    await first.ended
    const third = bridgeOf(executable)
    third.start(market.address, { flow_dir: first.flowDirectory })
    await third.message('connected')
  })

  it('tells in which directory it can not work, whatever it is called', async () => {
    const bridge = bridgeOf(executable)
    bridge.send('start', { fronts: 'tcp://127.0.0.1:9', flow_dir: '/nonexistent/流' })
    expect(frontErrorTexts(await bridge.message('frontError'))).toEqual({
      message: "the flow directory '/nonexistent/流' does not exist",
      remedy: 'Create it: the vendor library aborts without it.',
    })
  })

  it('answers commands out of place and lives on', async () => {
    const market = await frontOf()
    const bridge = bridgeOf(executable)
    const early = bridge.send('login', { user: 'x' })
    bridge.start(market.address)
    await bridge.message('connected')
    const misplaced = [
      bridge.start(market.address),
      bridge.send('advance'),
      bridge.send('authenticate'),
      bridge.send('queryInstruments'),
    ]
    await bridge.message('requested', 5)
    expect(bridge.of('requested').map(({ request, code }) => [request, code])).toEqual(
      [early, ...misplaced].map((request) => [request, -100]),
    )
    expect(bridge.of('frontError').map((message) => textOf(message, 0))).toEqual([
      'command before start (command type 102)',
      'started already (command type 101)',
      'this bridge plays no recording (command type 105)',
      'this kind of session has no such command',
      'this kind of session has no such command',
    ])
    expect(market.connections).toBe(1)
  })

  it('sends no login whose texts would be cut, since a cut password is a wrong password', async () => {
    const market = await frontOf()
    const bridge = bridgeOf(executable)
    bridge.start(market.address)
    await bridge.message('connected')
    const request = bridge.send('login', { broker: '9999', user: 'trader', password: 'x'.repeat(41) })
    expect(await bridge.message('requested')).toMatchObject({ request, code: -100 })
    expect(market.received.map(([word]) => word)).toEqual(['hello'])
    expect(bridge.log).not.toContain('xxxx')
  })

  it('asks the vendor for no contract with an impossible id, and names it', async () => {
    const market = await frontOf()
    const bridge = bridgeOf(executable)
    await bridge.logIn(market.address)
    bridge.send('subscribe', ['', 'y'.repeat(81), 'rb2701'])
    await bridge.message('subscribed')
    expect(await market.line('subscribe')).toEqual(['subscribe', 'rb2701'])
    expect(bridge.of('frontError').map((message) => message.code)).toEqual([-100, -100])
    expect(bridge.send('subscribe', [''])).toBe(4)
    expect(await bridge.message('requested', 3)).toMatchObject({ request: 4, code: -100 })
  })

  it('numbers as many contracts as it has room for, and names the others', { timeout: 60_000 }, async () => {
    const market = await frontOf({ subscribe: () => undefined })
    const bridge = bridgeOf(executable)
    await bridge.logIn(market.address)
    for (let from = 0; from < 65_536; from += 4_096) bridge.send('subscribe', contracts(4_096, from))
    const last = bridge.send('subscribe', ['rb2701', 'rb2702', 'c0'])
    await bridge.until(() => bridge.of('requested').some(({ request }) => request === last), 'the last request', 30_000)
    expect(bridge.of('instrument')).toHaveLength(65_536)
    expect(bridge.of('frontError').map((message) => [message.code, textOf(message, 0)])).toEqual(
      ['rb2701', 'rb2702'].map(() => [-100, 'too many instruments for one bridge']),
    )
    // Ticks of contracts that have no number are counted, since they can't be sent.
    market.session.tick('rb2701', { LastPrice: 1 })
    market.session.tick('c1', { LastPrice: 1 })
    await bridge.until(() => bridge.ticks.length === 1, 'the tick of a contract with a number')
    await bridge.until(() => bridge.of('counters').some(({ numbers }) => numbers[2] === 1), 'the count of the other')
    await market.until(() => market.received.filter(([word]) => word === 'subscribe').length === 17 || undefined, 'all')
    expect(market.received.at(-1)).toEqual(['subscribe', 'c0'])
  })

  it('ends when more frames than memory should hold wait for a reader that takes none', {
    timeout: 60_000,
  }, async () => {
    const market = await frontOf()
    const bridge = bridgeOf(executable)
    await bridge.logIn(market.address)
    bridge.frames.pause()
    market.session.answers(2_000_000, 'rb2701')
    // Its end closes the pipe, which nobody sees who does not read it.
    const end = await new Promise((resolve) => {
      bridge.process.on('exit', (code, signal) => resolve({ code, signal }))
    })
    expect(end).toEqual({ code: 74, signal: null })
    expect(bridge.log).toContain('the supervisor has read nothing for too long')
    bridge.frames.resume()
  })

  it('ends when nobody reads its frames any more', async () => {
    const market = await frontOf()
    const bridge = bridgeOf(executable)
    await bridge.logIn(market.address)
    bridge.frames.destroy()
    expect(await bridge.ended).toEqual({ code: 74, signal: null })
  })
})

describe.skipIf(whyNoBridge !== undefined).each(BUILDS)('the process of a bridge (%s build)', (build) => {
  let executable: string
  beforeAll(async () => {
    executable = await builtBridge(SHAPE, build)
  }, 300_000)

  it('takes SIGTERM for the end of stdin and lets a hang-up pass', async () => {
    const market = await frontOf()
    const bridge = bridgeOf(executable)
    await bridge.logIn(market.address)
    for (const signal of ['SIGHUP', 'SIGINT'] as const) bridge.process.kill(signal)
    bridge.send('subscribe', ['rb2701'])
    await bridge.message('subscribed')
    // Half a command on its way is no fault of protocol then.
    bridge.stdin.write(Buffer.alloc(5, 1))
    bridge.process.kill('SIGTERM')
    expect(await bridge.ended).toEqual({ code: 0, signal: null })
    // What came before the end is told, and counted.
    expect(bridge.messages.at(-1)).toMatchObject({ type: 'counters', numbers: [1, 1, 0, expect.any(Number)] })
  })

  it('leaves no core, and no password in memory that it has no more use for', async () => {
    const market = await frontOf()
    const bridge = bridgeOf(executable)
    bridge.start(market.address)
    await bridge.message('connected')
    // Too long for the vendor, so that no library has a copy of it.
    const password = `correct-horse-${'battery'.repeat(8)}`
    for (const broker of ['9999', 'a-broker-id-that-does-not-fit']) {
      const request = bridge.send('login', { broker, user: 'trader', password })
      await bridge.until(() => bridge.of('requested').some((answer) => answer.request === request), 'the answer')
    }
    // The command is wiped after it was answered, and the next one is read after that.
    bridge.send('subscribe', ['rb2701'])
    await bridge.message('subscribed')
    expect(readFileSync(`/proc/${bridge.process.pid}/limits`, 'utf8')).toMatch(/^Max core file size +0 +0 /m)
    const memory = memoryOf(bridge.process.pid ?? 0)
    if (memory === null) return // Nobody may look into a process that leaves no core, but root.
    expect(memory.includes(SHAPE)).toBe(true)
    expect(memory.includes(password.slice(0, 40))).toBe(false)
  })

  it('that can not read its stdin says so', () => {
    const directory = openSync(tmpdir(), 'r')
    try {
      const unreadable = spawnSync(executable, [], { stdio: [directory, 'pipe', 'pipe', 'pipe'] })
      expect([unreadable.status, unreadable.stderr.toString()]).toEqual([
        71,
        expect.stringContaining("stdin can't be read: Is a directory"),
      ])
    } finally {
      closeSync(directory)
    }
  })

  it('that finds no descriptor for the flow directory says so', async () => {
    // One for the loader, which the bridge then takes to wake its writer with.
    const bridge = bridgeOf('/bin/sh', { args: ['-c', `ulimit -n 5; exec '${executable}'`] })
    bridge.start('tcp://127.0.0.1:9')
    const refusal = await bridge.message('frontError')
    expect(textOf(refusal, 0)).toContain("can't be locked: Too many open files")
    expect(await bridge.ended).toEqual({ code: 71, signal: null })
  })
})

const ABSENT = {
  LastPrice: 'max',
  OpenPrice: 'nan',
  HighestPrice: 'inf',
  LowestPrice: '3.4028234663852886e38',
  AskPrice1: 'max',
  BidPrice1: 0,
}

/** Everything that the process may write to; null for who may not look. */
function memoryOf(pid: number): Buffer | null {
  try {
    const fd = openSync(`/proc/${pid}/mem`, 'r')
    try {
      const regions = readFileSync(`/proc/${pid}/maps`, 'utf8').matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm)
      return Buffer.concat(
        [...regions].map(([, from = '', to = '']) => bytesOf(fd, BigInt(`0x${from}`), BigInt(`0x${to}`))),
      )
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'EACCES' || error.code === 'EPERM')) return null
    throw error
  }
}

function bytesOf(fd: number, from: bigint, to: bigint): Buffer {
  // The shadow memory of a sanitizer is terabytes of nothing.
  if (to - from > 512n * 1024n * 1024n) return Buffer.alloc(0)
  const bytes = Buffer.alloc(Number(to - from))
  try {
    readSync(fd, bytes, 0, bytes.length, from)
  } catch {
    return Buffer.alloc(0) // Reserved, but not backed by anything.
  }
  return bytes
}

function contracts(count: number, from: number): string[] {
  return Array.from({ length: count }, (_, i) => `c${from + i}`)
}

function runNaively(sdk: Sdk, flow: string, front: string, action: 'init' | 'release') {
  const home = mkdtempSync(join(tmpdir(), 'naive-'))
  try {
    return spawnSync(
      join(sdk.directory, 'naive-client'),
      [sdk.mdLibrary, flow === `${tmpdir()}/` ? `${home}/` : flow, front, action],
      {
        timeout: 20_000,
        stdio: 'ignore',
      },
    )
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
