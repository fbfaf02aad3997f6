import type { NatsConnection } from '@nats-io/transport-node'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { natsRequestBus } from '#adapters/bus/nats/nats-request-bus.ts'
import { systemClock } from '#clock.ts'
import {
  BUSY_ANSWER,
  type ListedContract,
  RequestDesk,
  type RequestProviders,
  type RequestServer,
  serveRequests,
} from '#daemon/answer-requests.ts'
import { LatestTicks } from '#daemon/latest-ticks.ts'
import { HiddenText } from '#domain/secret-ref.ts'
import { BusRig, busOptions, natsBus, until } from '../support/bus-rig.ts'
import { lacksNats, NatsServer } from '../support/nats-server.ts'

const CONTRACTS: ListedContract[] = Array.from({ length: 18_000 }, (_, i) => ({
  symbol: `rb${i}`,
  exchange: i % 2 === 0 ? 'SHFE' : 'DCE',
  product: 'rb',
}))

describe.skipIf(lacksNats)('requests over a real nats-server', () => {
  let server: NatsServer
  let rig: BusRig
  let asker: NatsConnection
  let served: RequestServer
  let floods = 0
  const latest = new LatestTicks()

  const serve = (prefix = 'market') => {
    const providers: RequestProviders = {
      contracts: () => CONTRACTS,
      subscriptions: () => CONTRACTS.slice(0, 10).map((each) => ({ ...each, row: { ...each, last_tick_at: null } })),
      subscribe: (symbols) => ({
        accepted: symbols.filter((symbol) => symbol.startsWith('rb')),
        rejected: symbols
          .filter((symbol) => !symbol.startsWith('rb'))
          .map((symbol) => ({ symbol, reason: 'not on the contract list' })),
      }),
      health: () => ({ verdict: 'ok', missing_contracts: CONTRACTS.map((each) => each.symbol) }),
      latest,
    }
    return serveRequests({
      bus: natsRequestBus(
        {
          options: busOptions([server.url], { subjectPrefix: prefix }),
          name: 'test',
          resolveSecret: async () => new HiddenText(''),
        },
        { clock: systemClock, busyAnswer: BUSY_ANSWER, flooded: () => floods++ },
      ),
      desk: new RequestDesk(providers, systemClock),
      jitter: () => 0,
      log: (level, message) => rig.logs.push({ level, message, details: {} }),
    })
  }

  beforeEach(async () => {
    floods = 0
    server = await NatsServer.start()
    rig = new BusRig()
    asker = await server.connect()
    served = serve()
    await until('listening', () => served.isListening)
    await asker.flush()
  })
  afterEach(async () => {
    await served.close()
    await asker.close()
    await rig.remove()
    await server.remove()
  })

  const ask = async (subject: string, request?: unknown): Promise<Record<string, unknown>> => {
    const body = request === undefined || typeof request === 'string' ? request : JSON.stringify(request)
    const reply = await asker.request(subject, body ?? '', { timeout: 1000 })
    return reply.json()
  }

  test('contracts come in pages that a reply can hold, each once and in order', async () => {
    const names: unknown[] = []
    let pages = 0
    for (let after: unknown; after !== null; pages++) {
      const page = await ask('md.contracts.list', after === undefined ? undefined : { after })
      const contracts = page['contracts'] as { vt_symbol: string }[]
      names.push(...contracts.map((contract) => contract.vt_symbol))
      expect(page['total']).toBe(18_000)
      after = page['next']
    }
    expect(pages).toBe(4)
    expect(names).toEqual(CONTRACTS.map((each) => `${each.symbol}.${each.exchange}`).sort())
    const dce = await ask('md.contracts.list', { exchange: 'DCE', limit: 3 })
    expect(dce).toMatchObject({
      total: 9000,
      contracts: [{ exchange: 'DCE' }, { exchange: 'DCE' }, { exchange: 'DCE' }],
    })
  })

  test('the latest tick of every instrument, off-session ones too, is to be had by exchange, product or list', async () => {
    await rig.openJournal()
    const publisher = await rig.publish(natsBus(busOptions([server.url])), { latest })
    rig.append(9_995, { instruments: 3000 })
    rig.append(5, { instruments: 3000, offSessionEach: 1 })
    await until('the last tick', () => publisher.publishedSequence === 10_000)
    const seen = new Map<string, number>()
    let asked = 0
    for (let after: unknown = ''; after !== null; asked++) {
      const page = await ask('md.snapshot', { exchange: 'SHFE', product: 'rb', after })
      for (const tick of page['ticks'] as { vt_symbol: string; seq: number }[]) seen.set(tick.vt_symbol, tick.seq)
      expect(page['seq']).toBe(10_000)
      after = page['next']
    }
    expect(asked).toBeGreaterThan(1)
    expect(seen.size).toBe(3000)
    expect(seen.get('rb1000.SHFE')).toBe(10_000)
    expect(seen.get('rb999.SHFE')).toBe(9_999)
    expect(seen.get('rb1001.SHFE')).toBe(7_001)

    const some = await ask('md.snapshot', { symbols: ['rb7.SHFE', 'rb8', 'nothing.SHFE', '>'] })
    expect(some).toMatchObject({
      ticks: [{ symbol: 'rb7' }, { symbol: 'rb8' }],
      missing: ['nothing.SHFE', '>'],
      next: null,
    })
    expect(await ask('md.snapshot', { exchange: 'CZCE' })).toMatchObject({ ticks: [] })
  })

  test('after a restart snapshots are answered from what the stream holds', async () => {
    await rig.openJournal()
    const first = await rig.publish(natsBus(busOptions([server.url])))
    rig.append(2000, { instruments: 1500 })
    await until('the last tick', () => first.publishedSequence === 2000)
    await first.close(1000)
    const restarted = new LatestTicks()
    await rig.publish(natsBus(busOptions([server.url])), { latest: restarted })
    await until('the last ticks', () => restarted.count === 1500)
    expect(JSON.parse(restarted.json(restarted.placeOf('rb3') ?? -1).toString())).toMatchObject({ seq: 1503 })
    rig.append(1, { instruments: 1500 })
    await until(
      'a new tick',
      () => JSON.parse(restarted.json(restarted.placeOf('rb501') ?? -1).toString()).seq === 2001,
    )
  })

  test('subscriptions are ordered in bulk, with a reason for each one rejected', async () => {
    expect(await ask('md.subscribe.bulk', { symbols: ['rb1', 'rb1', '*', 'market.tick.>'] })).toEqual({
      accepted: ['rb1'],
      rejected: [
        { symbol: '*', reason: 'not on the contract list' },
        { symbol: 'market.tick.>', reason: 'not on the contract list' },
      ],
    })
    const active = await ask('md.subscriptions.active')
    expect(active).toMatchObject({ total: 10, next: null })
    expect(active['subscriptions']).toContainEqual({
      symbol: 'rb3',
      exchange: 'DCE',
      product: 'rb',
      last_tick_at: null,
    })
  })

  test('a health report that is too long is cut and says so', async () => {
    const report = await ask('health.check')
    expect(report['missing_contracts']).toHaveLength(200)
    expect(report['truncated']).toEqual(['missing_contracts'])
  })

  test.each([
    ['md.snapshot', '{"symbols": "rb1"}', 'symbols is no list'],
    ['md.snapshot', '{"exchange": "*"}', 'no exchange is called'],
    ['md.contracts.list', '{"limit": -1}', 'limit is no positive integer'],
    ['md.contracts.list', '{broken', 'no JSON'],
    ['md.contracts.list', '[1]', 'no JSON object'],
    ['md.subscribe.bulk', '{}', 'symbols is missing'],
    ['md.subscribe.bulk', JSON.stringify({ symbols: Array(20_001).fill('rb') }), 'more than 20000'],
    ['health.check', '\u0000', 'no JSON'],
  ])('%s with %s gets a typed error', async (subject, body, message) => {
    const { error } = (await ask(subject, body)) as { error: Record<string, string> }
    expect(error).toMatchObject({ kind: 'bad-request', message: expect.stringContaining(message) })
    expect(error['remedy']).toBeTruthy()
  })

  test('a megabyte is refused by its size alone', async () => {
    expect(await ask('md.snapshot', ' '.repeat(1_000_000))).toMatchObject({ error: { kind: 'request-too-large' } })
  })

  test('an environment of another prefix answers under its own names only', async () => {
    const other = serve('paper')
    await until('listening', () => other.isListening)
    await asker.flush()
    expect(await ask('paper.md.subscribe.bulk', { symbols: [] })).toEqual({ accepted: [], rejected: [] })
    await other.close()
    await expect(ask('paper.md.subscribe.bulk', { symbols: [] })).rejects.toThrow()
  })

  test('a flood neither stops ticks nor grows memory, and is over when it is over', async () => {
    await rig.openJournal()
    const publisher = await rig.publish(natsBus(busOptions([server.url])), { latest })
    rig.append(1000)
    await until('a beginning', () => publisher.publishedSequence === 1000)
    const flooder = await server.connect()
    const large = new Uint8Array(1_000_000)
    const before = process.memoryUsage().rss
    let rss = 0
    const startedMs = performance.now()
    let sent = 0
    while (performance.now() - startedMs < 3000) {
      // 10,000 a second of all kinds, and every hundredth a megabyte.
      for (const due = ((performance.now() - startedMs) / 1000) * 10_000; sent < due; sent++) {
        const body = sent % 100 === 0 ? large : sent % 3 === 0 ? '{broken' : '{}'
        flooder.publish(sent % 2 === 0 ? 'md.snapshot' : 'md.contracts.list', body, { reply: 'nobody.listens' })
      }
      rig.append(100)
      await flooder.flush()
      await new Promise((resolve) => setTimeout(resolve, 5))
      rss = Math.max(rss, process.memoryUsage().rss)
    }
    await flooder.close()
    const written = rig.writer?.lastSequence ?? 0
    await until('every tick', () => publisher.publishedSequence === written, 5_000)
    expect(publisher.failures).toBe(0)
    expect(floods).toBeGreaterThan(0)
    // The flooder is in this process too, with buffers of its own.
    expect(rss - before).toBeLessThan(200e6)
    await until('answers again', async () => {
      const answer = await ask('md.subscribe.bulk', { symbols: ['rb1'] }).catch(() => null)
      return JSON.stringify(answer) === '{"accepted":["rb1"],"rejected":[]}'
    })
  }, 60_000)

  test('a server that comes back is answered again', async () => {
    await server.end('SIGKILL')
    await until('noticing', () => !served.isListening)
    await server.start()
    await until('answering', async () => (await ask('health.check').catch(() => null))?.['verdict'] === 'ok')
    expect(rig.logs.filter((line) => line.level === 'warn').length).toBeLessThan(4)
  })
})
