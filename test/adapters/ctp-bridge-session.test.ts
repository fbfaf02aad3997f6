/**
 * The market-data session of the CTP bridge, in the shape of every SDK version that moved something: what the front says arrives as
 * frames, field by field, in order.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { PROTOCOL_VERSION } from '#adapters/feeds/wire.ts'
import { textOf } from '../support/ctp-bridge-client.ts'
import { bridgeOf, frontOf } from '../support/ctp-scene.ts'
import { BUILDS, builtBridge, SHAPES, versionOf, whyNoBridge } from '../support/ctp-standin.ts'

const EVERY_BUILD = SHAPES.flatMap((shape) => BUILDS.map((build) => ({ shape, build })))

describe.skipIf(whyNoBridge !== undefined).each(EVERY_BUILD)(
  'market-data session, SDK $shape, $build',
  ({ shape, build }) => {
    let executable: string
    beforeAll(async () => {
      executable = await builtBridge(shape, build)
    }, 300_000)

    it('says hello first, with the protocol and the version of the API it was built for', async () => {
      const bridge = bridgeOf(executable)
      const hello = await bridge.message('hello')
      expect(bridge.messages[0]).toBe(hello)
      expect(hello).toMatchObject({ sequence: 1, code: PROTOCOL_VERSION, numbers: [bridge.process.pid] })
      expect([textOf(hello, 0), textOf(hello, 1)]).toEqual(['ctp', versionOf(shape)])
    })

    it('connects, logs in, subscribes and passes every field of a tick on by name', async () => {
      const market = await frontOf()
      const bridge = bridgeOf(executable)
      const loggedIn = await bridge.logIn(market.address)
      expect(loggedIn).toMatchObject({ code: 0, request: 2 })
      expect(textOf(loggedIn, 1)).toBe('20261123')
      expect(await market.line('login')).toEqual(['login', '2', '9999', 'trader', 'secret'])

      const request = bridge.send('subscribe', ['rb2701', 'SPC a2701&m2701'])
      const subscribed = await bridge.message('subscribed', 2)
      expect(await market.line('subscribe')).toEqual(['subscribe', 'rb2701', 'SPC a2701&m2701'])
      expect(subscribed).toMatchObject({ code: 0, request, instrument: 2 })
      expect(bridge.of('instrument').map((message) => [message.instrument, textOf(message, 0)])).toEqual([
        [1, 'rb2701'],
        [2, 'SPC a2701&m2701'],
      ])

      await bridge.until(() => bridge.ticks.length === 2, 'both snapshots')
      market.session.tick('SPC a2701&m2701', EVERY_FIELD)
      const tick = await bridge.until(() => bridge.ticks[2], 'the tick')
      expect(tick).toMatchObject({
        instrument: 2,
        id: 'SPC a2701&m2701',
        tradingDay: '20261123',
        actionDay: '20261121',
        updateTime: '21:30:05',
        updateMillisec: 500,
        volume: 12345,
        bidVolumes: [101, 102, 103, 104, 105],
        askVolumes: [201, 202, 203, 204, 205],
      })
      const banding = shape === '6.3.15' ? Number.NaN : 24
      for (const [name, value] of Object.entries(DOUBLES)) {
        expect([name, tick.double(name as keyof typeof DOUBLES)]).toEqual([name, value])
      }
      expect(tick.double('BandingUpperPrice')).toBe(banding)
      expect(tick.double('BandingLowerPrice')).toBe(banding + 1)
      expect(Math.abs(tick.receivedWallMs - Date.now())).toBeLessThan(60_000)
      expect(market.received.filter(([word]) => word === 'forbidden')).toEqual([])
    })

    it('ends with 0 when stdin ends, without touching the Release that would hang', async () => {
      const market = await frontOf()
      const bridge = bridgeOf(executable)
      await bridge.logIn(market.address)
      expect(await bridge.end()).toEqual({ code: 0, signal: null })
    })
  },
)

const DOUBLES = {
  LastPrice: 1.5,
  PreSettlementPrice: 2,
  PreClosePrice: 3,
  PreOpenInterest: 4,
  OpenPrice: 5,
  HighestPrice: 6,
  LowestPrice: 7,
  Turnover: 8,
  OpenInterest: 9,
  ClosePrice: 10,
  SettlementPrice: 11,
  UpperLimitPrice: 12,
  LowerLimitPrice: -13,
  BidPrice1: 14,
  BidPrice2: 15,
  BidPrice3: 16,
  BidPrice4: 17,
  BidPrice5: 18,
  AskPrice1: 19,
  AskPrice2: 20,
  AskPrice3: 21,
  AskPrice4: 22,
  AskPrice5: 22.5,
  AveragePrice: 23,
}

const EVERY_FIELD = {
  ...DOUBLES,
  BandingUpperPrice: 24,
  BandingLowerPrice: 25,
  TradingDay: '20261123',
  ActionDay: '20261121',
  UpdateTime: '21:30:05',
  UpdateMillisec: 500,
  Volume: 12345,
  ...Object.fromEntries(
    [1, 2, 3, 4, 5].flatMap((level) => [
      [`BidVolume${level}`, 100 + level],
      [`AskVolume${level}`, 200 + level],
    ]),
  ),
}
