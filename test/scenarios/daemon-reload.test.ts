// What an operator may change while the daemon runs: the contract list by a reload; and what the list's own dates change by themselves.
import { writeFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { DaemonHome, eventually, type RealDaemon } from '../support/real-daemon.ts'

/** A Thursday morning: the trading day is 20261119. */
const MARKET = { SIM_MARKET_CLOCK: '2026-11-19T09:31:00+08:00', SIM_INSTRUMENTS: '40', SIM_TICKS_PER_SECOND: '400' }

const homes: DaemonHome[] = []
afterAll(async () => {
  for (const home of homes) await home.dispose()
}, 60_000)

interface Row {
  symbol: string
  exchange: string
  open_date?: string
  expiry?: string
}

/** What the simulated market holds, as a list to take contracts from. */
async function marketContracts(): Promise<Row[]> {
  const home = newHome()
  const daemon = home.start({ env: MARKET })
  await home.untilReady()
  const { subscriptions } = await home.control.subscriptions()
  await daemon.stop()
  return subscriptions.map(({ symbol, exchange }) => ({ symbol, exchange }))
}

function newHome(): DaemonHome {
  const home = new DaemonHome()
  homes.push(home)
  return home
}

const nameOf = ({ symbol, exchange }: Row) => `${symbol}.${exchange}`
const subscribedIn = async (home: DaemonHome) =>
  (await home.control.subscriptions()).subscriptions.map(({ symbol, exchange }) => `${symbol}.${exchange}`).sort()

describe('a contract list by file', { timeout: 180_000 }, () => {
  test('is read again on SIGHUP: what came is subscribed, what went is not, and a damaged one changes nothing', async () => {
    const [first = [], second = []] = halves(await marketContracts())
    const home = newHome()
    const list = `${home.directory}/contracts.json`
    const write = (rows: readonly Row[]) => writeFileSync(list, JSON.stringify({ symbols: rows }))
    write(first)
    const daemon = home.start({ env: MARKET, args: ['--contracts', list] })
    await home.until('the first list is subscribed', ({ subscribed_total: count }) => count === first.length)
    const { pid } = daemon

    const next = [...first.slice(5), ...second]
    write(next)
    daemon.signal('SIGHUP')
    await logged(daemon, 'reloaded')
    await home.until('the second list is subscribed', ({ subscribed_total: count }) => count === next.length)
    expect(await subscribedIn(home)).toEqual(next.map(nameOf).sort())
    expect(daemon.logged('reloaded')[0]?.msg).toContain(`${second.length} contracts came and 5 went`)
    const gone = first.slice(0, 5).map(nameOf)
    const kept = next.slice(0, 2).map(nameOf)
    const answer = await home.control.subscribe({ symbols: [...gone, ...kept, 'xx9999.SHFE', ...kept] })
    expect(answer).toMatchObject({ kind: 'done', body: { accepted: 2 } })
    const rejected = answer.kind === 'done' ? answer.body.rejected : []
    expect(rejected.map(({ symbol }) => symbol).sort()).toEqual([...gone, 'xx9999.SHFE'].sort())

    writeFileSync(list, '{"symbols": [')
    daemon.signal('SIGHUP')
    await logged(daemon, 'not reloaded')
    expect(await subscribedIn(home)).toHaveLength(next.length)
    expect((await home.status()).pid).toBe(pid)
    expect((await daemon.stop()).code).toBe(0)
  })

  test('demands no contract that is not listed yet or has expired, and tells which', async () => {
    const [[early, late, lastDay, ...others] = []] = halves(await marketContracts())
    if (early === undefined || late === undefined || lastDay === undefined) throw new Error('the market is too small')
    const home = newHome()
    const list = `${home.directory}/contracts.json`
    const symbols = [
      { ...early, open_date: '2026-11-20', expiry: '2027-05-17' },
      { ...late, open_date: '2025-11-18', expiry: '2026-11-18' },
      { ...lastDay, open_date: '2025-11-18', expiry: '2026-11-19' },
      ...others,
    ]
    writeFileSync(list, JSON.stringify({ symbols }))
    const daemon = home.start({ env: MARKET, args: ['--contracts', list] })
    await home.untilReady()
    const health = await home.control.health({ mode: 'dry-run' })
    expect(health).toMatchObject({ expected_total: symbols.length - 2, coverage_ratio: 1, missing_contracts: [] })
    expect([...health.ignored_contracts].sort()).toEqual([early, late].map(nameOf).sort())
    expect(await home.status()).toMatchObject({ trading_day: '20261119', expected_total: symbols.length - 2 })
    const answer = await home.control.subscribe({ symbols: [nameOf(early)] })
    expect(answer).toMatchObject({
      kind: 'done',
      body: { accepted: 0, rejected: [{ symbol: nameOf(early), reason: 'not listed at its exchange today' }] },
    })
    await daemon.stop()
  })
})

function halves(rows: readonly Row[]): [Row[], Row[]] {
  const middle = rows.length >> 1
  return [rows.slice(0, middle), rows.slice(middle)]
}

async function logged(daemon: RealDaemon, text: string): Promise<void> {
  await eventually(
    () => daemon.logged(text)[0],
    () => `the daemon says: ${text}\n${daemon.stderr.slice(-2000)}`,
  )
}
