/**
 * The trading session: the instrument list and the trading day, and never anything that could trade. The stand-in's other functions
 * tell the front when they are called, which also shows a bridge that has slipped to a wrong slot of the virtual table.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { flowDirectory } from '#adapters/feeds/ctp/flow-directory.ts'
import { vendorEnvironment } from '#adapters/feeds/ctp/start-options.ts'
import {
  fetchCatalogue,
  logInOnce,
  type TradingSessionOptions,
  VendorRefusal,
} from '#adapters/feeds/ctp/trading-session.ts'
import { encodeMessage, PROTOCOL_VERSION } from '#adapters/feeds/wire.ts'
import { systemClock } from '#clock.ts'
import { Failure } from '#domain/failure.ts'
import { HiddenText } from '#domain/secret-ref.ts'
import type { ScriptedFront } from '../support/ctp-front.ts'
import { frontOf } from '../support/ctp-scene.ts'
import { BUILDS, bridgeSource, builtBridge, SHAPES, whyNoBridge } from '../support/ctp-standin.ts'

const EVERY_BUILD = SHAPES.flatMap((shape) => BUILDS.map((build) => ({ shape, build })))

let home = ''
afterEach(() => {
  if (home !== '') rmSync(home, { recursive: true, force: true })
  home = ''
})

function optionsFor(
  market: ScriptedFront,
  bridge: string,
  more: Partial<TradingSessionOptions> = {},
): TradingSessionOptions {
  home = mkdtempSync(join(tmpdir(), 'ctp-trading-'))
  const flow = flowDirectory({ stateDir: home, account: '9999/trader', line: 'primary', session: 'td' })
  return {
    command: { program: bridge, args: [], env: vendorEnvironment(process.env) },
    start: { fronts: [market.address], flowDirectory: flow, library: null, productionMode: true },
    account: { brokerId: '9999', userId: 'trader' },
    appId: 'client_app_1.0',
    authCode: async () => new HiddenText('0000000000000000'),
    password: async () => new HiddenText('secret'),
    timeouts: { helloMs: 10_000, connectMs: 10_000, loginMs: 10_000, rowMs: 10_000 },
    clock: systemClock,
    log: () => undefined,
    ...more,
  }
}

const NEVER = new AbortController().signal

/** rb2701 with a Chinese name, an option without a price tick, a contract that is not trading; the last row ends the list. */
const INSTRUMENTS: [string, string[]][] = [
  ['0', ['rb2701', 'SHFE', 'rb', '1', '螺纹钢2701', '20270115', '', '20260116', '10', '1', '1']],
  ['0', ['m2701-C-3000', 'DCE', 'm_o', '2', '', '20261207', 'm2701', '20260116', '10', 'max', '1']],
  ['1', ['SPC a2701&m2701', 'DCE', 'SPC', '3', '', '', '', '', '1', '0.5', '0']],
]

function sendsInstruments(session: { send(...words: string[]): void }, request: string): void {
  for (const [last, fields] of INSTRUMENTS) session.send('instrument', request, last, ...fields)
}

describe.skipIf(whyNoBridge !== undefined).each(EVERY_BUILD)(
  'trading session, SDK $shape, $build',
  ({ shape, build }) => {
    let bridge: string
    beforeAll(async () => {
      bridge = await builtBridge(shape, build)
    }, 300_000)

    it('authenticates, logs in, lists the instruments with the status of products, and calls nothing else', async () => {
      const market = await frontOf({
        login(session, request) {
          session.send('status', 'SHFE', 'rb', '2', '21:00:00')
          session.loggedIn(request)
        },
        query: sendsInstruments,
      })
      const catalogue = await fetchCatalogue(optionsFor(market, bridge), NEVER)
      expect(catalogue.tradingDay).toBe('20261123')
      expect(catalogue.statuses).toEqual([{ exchange: 'SHFE', product: 'rb', status: '2', enteredAt: '21:00:00' }])
      expect(
        catalogue.rows.map(({ symbol, exchange, product, productClass, expiry, underlying, openDate }) =>
          [symbol, exchange, product, productClass, expiry, underlying, openDate].join(','),
        ),
      ).toEqual([
        'rb2701,SHFE,rb,1,20270115,,20260116',
        'm2701-C-3000,DCE,m_o,2,20261207,m2701,20260116',
        'SPC a2701&m2701,DCE,SPC,3,,,',
      ])
      expect(catalogue.rows.map(({ multiplier, priceTick, isTrading }) => [multiplier, priceTick, isTrading])).toEqual([
        [10, 1, true],
        [10, null, true],
        [1, 0.5, false],
      ])
      // Exactly these calls, at whatever slots this version has them. QUICK (2) on the private topic keeps the day's orders out, RESTART
      // (0) on the public one brings the state of each product.
      expect(market.received.map(([word]) => word)).toEqual(['hello', 'topics', 'auth', 'login', 'query'])
      expect(await market.line('topics')).toEqual(['topics', '2', '0'])
      expect((await market.line('auth')).slice(2)).toEqual(['9999', 'trader', 'client_app_1.0', '0000000000000000'])
      expect((await market.line('login')).slice(2)).toEqual(['9999', 'trader', 'secret'])
      expect((await market.line('query')).slice(2)).toEqual(['', '', ''])
    })
  },
)

describe.skipIf(whyNoBridge !== undefined).each(BUILDS)('a trading front that says no (%s build)', (build) => {
  let bridge: string
  beforeAll(async () => {
    bridge = await builtBridge('6.7.7', build)
  }, 300_000)

  it.each([
    [3, 'credentials-rejected'],
    [75, 'account-locked'],
    [7, 'front-not-ready'],
    [8, 'front-not-ready'],
    [60, 'too-many-sessions'],
    [140, 'password-change-required'],
    [9876, 'unknown-trading-login-error'],
  ])('login error %i is %s, after one attempt', async (id, kind) => {
    const market = await frontOf({
      login: (session, request) => session.loggedIn(request, { error: String(id), text: 'CTP:no' }),
    })
    const refusal = await fetchCatalogue(optionsFor(market, bridge), NEVER).catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(VendorRefusal)
    expect(refusal).toMatchObject({
      kind,
      errorId: id,
      message: `the trading front refused the login: error ${id} CTP:no`,
    })
    expect(market.received.filter(([word]) => word === 'login')).toHaveLength(1)
  })

  it('a refused authentication sends no login', async () => {
    const market = await frontOf({
      authenticate: (session, request) => session.send('rsp-auth', request, '63', 'CTP:auth'),
    })
    await expect(fetchCatalogue(optionsFor(market, bridge), NEVER)).rejects.toMatchObject({
      kind: 'app-not-authorised',
      errorId: 63,
    })
    expect(market.received.map(([word]) => word)).not.toContain('login')
  })

  it('a query that comes too early is repeated without another login, whichever way the front says so', async () => {
    let asked = 0
    const market = await frontOf({
      login(session, request) {
        session.nextReturn('query', -2)
        session.loggedIn(request)
      },
      query(session, request) {
        asked++
        if (asked === 1) session.send('rsp-error', request, '90', 'CTP:later')
        else sendsInstruments(session, request)
      },
    })
    const { rows } = await fetchCatalogue(optionsFor(market, bridge), NEVER)
    expect(rows).toHaveLength(3)
    expect(market.received.map(([word]) => word).filter((word) => word === 'login' || word === 'query')).toEqual([
      'login',
      'query',
      'query',
    ])
  })

  it.each([
    ['auth', -1, 'not-connected'],
    ['login', -1, 'not-connected'],
    ['login', -3, 'login-too-frequent'],
    ['query', -1, 'not-connected'],
  ] as const)(
    'a %s that the library does not take (%i) is %s, and nothing waits for an answer',
    async (name, code, kind) => {
      const market = await frontOf({
        connected(session) {
          session.nextReturn(name, code)
          session.welcome()
        },
      })
      await expect(fetchCatalogue(optionsFor(market, bridge), NEVER)).rejects.toMatchObject({
        kind,
        message: expect.stringContaining(`return code ${code}`),
      })
    },
  )

  it.each([
    [96, 'query-refused'],
    [7, 'front-not-ready'],
  ])('an instrument query refused with error %i is %s, whichever way the front says so', async (id, kind) => {
    for (const word of ['instrument-end', 'rsp-error']) {
      const market = await frontOf({ query: (session, request) => session.send(word, request, String(id), 'CTP:no') })
      await expect(fetchCatalogue(optionsFor(market, bridge), NEVER)).rejects.toMatchObject({ kind, errorId: id })
    }
  })

  it('a password longer than any field is sent to nobody, and told with the remedy', async () => {
    const market = await frontOf()
    const password = async () => new HiddenText('p'.repeat(41))
    await expect(fetchCatalogue(optionsFor(market, bridge, { password }), NEVER)).rejects.toMatchObject({
      kind: 'configuration-refused',
      message: "a login text is longer than the vendor's field",
      remedy: expect.stringContaining('Correct broker id'),
    })
    expect(market.received.map(([word]) => word)).not.toContain('login')
  })

  it('a second session in the same flow directory is refused before it connects, and gets its turn afterwards', async () => {
    const slow = await frontOf({ login: () => undefined })
    const options = optionsFor(slow, bridge)
    const stop = new AbortController()
    const first = fetchCatalogue(options, stop.signal).catch((error: unknown) => error)
    await slow.line('login')
    const market = await frontOf()
    const second = { ...options, start: { ...options.start, fronts: [market.address] } }
    await expect(fetchCatalogue(second, NEVER)).rejects.toMatchObject({
      kind: 'flow-directory-busy',
      message: expect.stringContaining('another bridge works in the flow directory'),
    })
    expect(market.connections).toBe(0)
    stop.abort(new Error('over'))
    await first
    expect((await fetchCatalogue(second, NEVER)).rows).toEqual([])
  })

  it('an empty list is a list', async () => {
    const market = await frontOf()
    expect((await fetchCatalogue(optionsFor(market, bridge), NEVER)).rows).toEqual([])
  })

  it('a login without a query is enough for a market-data front that wants to have seen one', async () => {
    const market = await frontOf({ login: (session, request) => session.loggedIn(request, { tradingDay: '' }) })
    // Without a day in the answer it is the one that the library itself knows.
    expect(await logInOnce(optionsFor(market, bridge, { appId: null }), NEVER)).toEqual({ tradingDay: '20261123' })
    expect(market.received.map(([word]) => word)).toEqual(['hello', 'login'])
  })

  it('a cut connection, a silent front and an abort all end the session and its process', async () => {
    const dropped = await frontOf({ query: (session) => session.drop(0x1001) })
    await expect(fetchCatalogue(optionsFor(dropped, bridge), NEVER)).rejects.toMatchObject({ kind: 'disconnected' })

    const silent = await frontOf({ connected: () => undefined })
    const impatient = { helloMs: 10_000, connectMs: 100, loginMs: 100, rowMs: 100 }
    await expect(fetchCatalogue(optionsFor(silent, bridge, { timeouts: impatient }), NEVER)).rejects.toMatchObject({
      kind: 'connect-timeout',
    })

    const stopped = await frontOf({ query: () => stop.abort(new Error('stopped by the operator')) })
    const stop = new AbortController()
    await expect(fetchCatalogue(optionsFor(stopped, bridge), stop.signal)).rejects.toThrow('stopped by the operator')
  })

  it('what the bridge refuses is told with its remedy', async () => {
    const market = await frontOf()
    const options = optionsFor(market, bridge)
    const failure = await fetchCatalogue(
      { ...options, start: { ...options.start, library: '/nonexistent.so' } },
      NEVER,
    ).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(Failure)
    expect(failure).toMatchObject({ kind: 'bridge-unavailable', message: "can't read the library /nonexistent.so" })
    const missing = { ...options, command: { ...options.command, program: '/nonexistent/ctp-bridge' } }
    await expect(fetchCatalogue(missing, NEVER)).rejects.toMatchObject({ kind: 'bridge-unavailable' })
  })
})

describe('a bridge of another version', () => {
  it('is sent nothing, least of all a password', async () => {
    const frames = encodeMessage('hello', { sequence: 1, wallMs: 0, monotonicMs: 0, code: PROTOCOL_VERSION + 1 })
    home = mkdtempSync(join(tmpdir(), 'ctp-trading-'))
    const files = { frames: join(home, 'frames'), commands: join(home, 'commands') }
    writeFileSync(files.frames, frames)
    const program = `cat '${files.frames}' >&3; cat > '${files.commands}'`
    const options: TradingSessionOptions = {
      command: { program: '/bin/sh', args: ['-c', program], env: vendorEnvironment(process.env) },
      start: { fronts: ['tcp://127.0.0.1:9'], flowDirectory: home, library: null, productionMode: true },
      account: { brokerId: '9999', userId: 'trader' },
      appId: null,
      authCode: async () => new HiddenText(''),
      password: async () => new HiddenText('secret'),
      timeouts: { helloMs: 10_000, connectMs: 10_000, loginMs: 10_000, rowMs: 10_000 },
      clock: systemClock,
      log: () => undefined,
    }
    await expect(fetchCatalogue(options, NEVER)).rejects.toMatchObject({
      kind: 'protocol-fault',
      message: `the bridge speaks version ${PROTOCOL_VERSION + 1}, not ${PROTOCOL_VERSION}`,
    })
    expect(readFileSync(files.commands)).toHaveLength(0)
  })
})

describe('the sources of the bridge', () => {
  it('call nothing of the vendor but connecting, logging in, subscribing and listing instruments', () => {
    const directory = bridgeSource('.')
    const sources = readdirSync(directory).map((name) => readFileSync(join(directory, name), 'utf8'))
    const calls = sources.flatMap((source) => [...source.matchAll(/(?:api|created)->(\w+)/g)].map(([, name]) => name))
    expect([...new Set(calls)].toSorted()).toEqual([
      'GetTradingDay',
      'Init',
      'RegisterFront',
      'RegisterSpi',
      'ReqAuthenticate',
      'ReqQryInstrument',
      'ReqUserLogin',
      'SubscribeMarketData',
      'SubscribePrivateTopic',
      'SubscribePublicTopic',
      'UnSubscribeMarketData',
    ])
    const forbidden =
      /\b(Req|OnRsp|OnRtn|OnErrRtn)\w*(Order|Settlement|Transfer|Bank|Position|SelfClose|Quote|CombAction|PasswordUpdate)\w*/g
    for (const source of sources) expect(source.match(forbidden) ?? []).toEqual([])
  })
})
