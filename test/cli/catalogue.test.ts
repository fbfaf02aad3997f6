// The contract list of the day, from a trading front: fetched once, kept by day, compared, and never made shorter by a front that is not ready.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { FrontScript, FrontSession, ScriptedFront } from '../support/ctp-front.ts'
import { frontOf } from '../support/ctp-scene.ts'
import { builtBridge, whyNoBridge } from '../support/ctp-standin.ts'
import { tradingDayNow, writeCurrentCalendar } from '../support/current-calendar.ts'
import { type CommandEnd, runCommand } from '../support/run-command.ts'

let directory = ''
let today = ''
beforeEach(() => {
  directory = mkdtempSync('/tmp/fs-catalogue-')
  writeCurrentCalendar(`${directory}/calendar`)
  today = tradingDayNow(`${directory}/calendar`)
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const STATE = 'state'
const inState = (name: string) => `${directory}/${STATE}/${name}`
const listIn = (name: string) =>
  JSON.parse(readFileSync(inState(name), 'utf8')) as { trading_day: string; symbols: Record<string, unknown>[] }

async function catalogue(args: readonly string[], env: Record<string, string>): Promise<CommandEnd> {
  return runCommand('full-feed-subscription', ['catalogue', ...args, '--state-dir', STATE], { cwd: directory, env })
}

/** The environment of a paper feed over this bridge and front. */
function paper(bridge: string, front: ScriptedFront | null, more: Record<string, string> = {}): Record<string, string> {
  writeFileSync(`${directory}/.env.paper`, '', { mode: 0o600 })
  return {
    FEED_PROFILE: 'paper',
    CTP_BRIDGE_PATH: bridge,
    CALENDAR_DIR: 'calendar',
    CTP_PRIMARY_BROKER_ID: '9999',
    CTP_PRIMARY_USER_ID: 'trader-1',
    CTP_PRIMARY_PASSWORD: 'password-of-trader-1',
    CTP_PRIMARY_MD_ADDRESS: front?.address ?? 'tcp://127.0.0.1:9',
    ...(front === null
      ? {}
      : {
          CTP_PRIMARY_TD_ADDRESS: front.address,
          CTP_PRIMARY_APP_ID: 'app',
          CTP_PRIMARY_AUTH_CODE: '0000000000000000',
        }),
    ...more,
  }
}

const NAMES = Array.from({ length: 40 }, (_, i) => `rb27${String(i).padStart(2, '0')}`)

/** What a front lists: futures of one product, and as many other rows as given. */
function lists(names: () => readonly string[], more: readonly string[][] = []): FrontScript {
  return {
    login: (session, request) => session.loggedIn(request, { tradingDay: today }),
    query(session: FrontSession, request) {
      const futures = names().map((name) => [name, 'SHFE', 'rb', '1', name, '20270115', '', '20260116', '10', '1', '1'])
      const rows = [...more, ...futures]
      for (const [i, row] of rows.entries()) {
        session.send('instrument', request, i === rows.length - 1 ? '1' : '0', ...row)
      }
    },
  }
}

const logins = (front: ScriptedFront) => front.received.filter(([word]) => word === 'login').length
const report = ({ stdout }: CommandEnd) => JSON.parse(stdout) as Record<string, unknown>

describe.skipIf(whyNoBridge !== undefined)('catalogue refresh', { timeout: 60_000 }, () => {
  let bridge: string
  beforeAll(async () => {
    bridge = await builtBridge('6.7.11', 'plain')
  }, 300_000)

  test('writes the list of the day and the one in use, logs in once a trading day, and tells what it left out', async () => {
    const front = await frontOf(
      lists(
        () => NAMES.slice(0, 3),
        [
          ['m2701-C-3000', 'DCE', 'm_o', '2', '', '20261207', 'm2701', '20260116', '10', 'max', '1'],
          ['SPC a2701&m2701', 'DCE', 'SPC', '3', '', '', '', '', '1', '0.5', '1'],
          ['au9999', 'SGE', 'au', '4', '', '', '', '', '1', '0.5', '1'],
          ['rb2612', 'SHFE', 'rb', '1', '', '20261215', '', '', '10', '1', '0'],
        ],
      ),
    )
    const env = paper(bridge, front)
    const first = await catalogue(['refresh', '--json'], env)
    expect(first, first.stderr).toMatchObject({ code: 0 })
    expect(report(first)).toMatchObject({
      schema: 'feed-supervisor/catalogue/1',
      action: 'refresh',
      outcome: 'refreshed',
      exit_code: 0,
      trading_day: today,
      line: 'primary',
      account: '***r-1',
      total: 5,
      previous_total: null,
      left_out: { not_trading: 1, other_exchange: 1, malformed: 0, duplicate: 0 },
    })
    expect(listIn('catalogue.json')).toEqual(listIn(`catalogue/${today}.json`))
    const { symbols, trading_day } = listIn('catalogue.json')
    expect(trading_day).toBe(today)
    expect(symbols[1]).toEqual({
      symbol: 'm2701-C-3000',
      exchange: 'DCE',
      product: 'm_o',
      class: 'option',
      multiplier: 10,
      price_tick: null,
      open_date: '2026-01-16',
      expiry: '2026-12-07',
    })
    expect(symbols.map(({ symbol }) => symbol)).toEqual(['SPC a2701&m2701', 'm2701-C-3000', ...NAMES.slice(0, 3)])
    const budget = JSON.parse(readFileSync(inState('login-budget.json'), 'utf8')) as Record<string, number[]>
    expect(Object.values(budget).flat()).toHaveLength(1)

    const second = await catalogue(['refresh', '--json'], env)
    expect(report(second)).toMatchObject({ outcome: 'skipped', exit_code: 0, trading_day: today })
    expect(logins(front)).toBe(1)
    // Taking a shorter list is another wish than asking once more.
    expect(report(await catalogue(['refresh', '--json', '--force'], env))).toMatchObject({ outcome: 'skipped' })
    expect(logins(front)).toBe(1)
    expect(report(await catalogue(['refresh', '--json', '--again'], env))).toMatchObject({
      outcome: 'refreshed',
      added: 0,
    })
    expect(logins(front)).toBe(2)
    // Nothing but the query, and no word of the secrets.
    expect(new Set(front.received.map(([word]) => word))).toEqual(
      new Set(['hello', 'topics', 'auth', 'login', 'query']),
    )
    expect([first.stdout, first.stderr].join()).not.toMatch(/password-of|trader-1/)
  })

  test('keeps the old list when the new one is more than 5 % shorter, unless forced', async () => {
    let names: readonly string[] = NAMES
    const front = await frontOf(lists(() => names))
    const env = paper(bridge, front)
    expect((await catalogue(['refresh'], env)).code).toBe(0)
    rmSync(inState(`catalogue/${today}.json`))
    names = NAMES.slice(0, 37)
    const shrunk = await catalogue(['refresh', '--json'], env)
    expect(shrunk.code).toBe(69)
    expect(report(shrunk)).toMatchObject({
      outcome: 'shrunk',
      exit_code: 69,
      total: 37,
      previous_total: 40,
      removed: 3,
    })
    expect(shrunk.stderr).toContain('--force')
    expect(listIn('catalogue.json').symbols).toHaveLength(40)
    const missing = await catalogue(['diff', inState('catalogue/refused.json')], env)
    expect(missing.stdout.split('\n').filter(Boolean)).toEqual(NAMES.slice(37).map((name) => `- ${name}.SHFE`))

    const forced = await catalogue(['refresh', '--json', '--force'], env)
    expect(forced.code).toBe(0)
    expect(forced.stderr).toContain('shrank')
    expect(listIn('catalogue.json').symbols).toHaveLength(37)
    expect(existsSync(inState('catalogue/refused.json'))).toBe(false)
    // A smaller loss is everyday life.
    names = NAMES.slice(0, 36)
    expect((await catalogue(['refresh', '--again'], env)).code).toBe(0)
    expect(logins(front)).toBe(4)
  })

  test.each([
    [38, 0],
    [37, 69],
  ])('%i of 40 contracts end with %i: exactly 5 %% less is still taken', async (left, code) => {
    let names: readonly string[] = NAMES
    const front = await frontOf(lists(() => names))
    const env = paper(bridge, front)
    expect((await catalogue(['refresh'], env)).code).toBe(0)
    names = NAMES.slice(0, left)
    // Asked once more without --force: a list that is too short is not taken.
    expect((await catalogue(['refresh', '--again'], env)).code).toBe(code)
    expect(listIn('catalogue.json').symbols).toHaveLength(code === 0 ? left : 40)
  })

  test('counts the products by what the front says of them now', async () => {
    const front = await frontOf({
      ...lists(() => NAMES),
      login(session, request) {
        for (const [product = '', status = ''] of ['rb 1', 'rb 2', 'hc 2', 'cu 6', 'au 9'].map((text) =>
          text.split(' '),
        )) {
          session.send('status', 'SHFE', product, status, '09:00:00')
        }
        session.loggedIn(request)
      },
    })
    const end = await catalogue(['refresh', '--json'], paper(bridge, front))
    expect(report(end)).toMatchObject({ product_status: { continuous: 2, closed: 1, other: 1 } })
    expect((await front.line('topics')).slice(1)).toEqual(['2', '0'])
  })

  test('an instrument query that the front refuses is told as such: 69, with a remedy of its own', async () => {
    const front = await frontOf({
      query: (session, request) => session.send('instrument-end', request, '96', 'CTP:no right to query'),
    })
    const end = await catalogue(['refresh', '--json'], paper(bridge, front))
    expect(report(end)).toMatchObject({ outcome: 'query-refused', exit_code: 69 })
    expect(end.stdout).toContain('CTP:no right to query')
    expect(end.stdout).toContain('Ask the broker')
    expect(end.stdout).not.toContain('repeated')
  })

  test('an empty list is never taken, forced or not', async () => {
    const front = await frontOf()
    const env = paper(bridge, front)
    const empty = await catalogue(['refresh', '--json', '--force'], env)
    expect(report(empty)).toMatchObject({ outcome: 'catalogue-empty', exit_code: 69 })
    expect(existsSync(inState('catalogue.json'))).toBe(false)
  })

  test.each([
    [3, 'credentials'],
    [63, 'application'],
  ])('a refusal with error %i latches the account: 77, and nobody asks again', async (id) => {
    const no = (session: FrontSession, request: string, word: 'rsp-auth' | 'login') =>
      word === 'login'
        ? session.loggedIn(request, { error: String(id), text: 'CTP:no' })
        : session.send('rsp-auth', request, id === 63 ? '63' : '0', 'CTP:no')
    const front = await frontOf({
      authenticate: (session, request) => no(session, request, 'rsp-auth'),
      login: (session, request) => no(session, request, 'login'),
    })
    const env = paper(bridge, front)
    const refused = await catalogue(['refresh', '--json'], env)
    expect(report(refused)).toMatchObject({ outcome: 'account-latched', exit_code: 77 })
    expect(refused.stderr).toContain('--clear-latch primary')
    expect(readdirSync(inState('latches'))).toHaveLength(1)
    const before = front.received.length
    expect((await catalogue(['refresh', '--force'], env)).code).toBe(77)
    expect(front.received).toHaveLength(before)
  })

  test('a front that is not ready is no refusal: 69, no latch', async () => {
    const front = await frontOf({
      login: (session, request) => session.loggedIn(request, { error: '7', text: 'CTP:wait' }),
    })
    const end = await catalogue(['refresh', '--json'], paper(bridge, front))
    expect(report(end)).toMatchObject({ outcome: 'front-not-ready', exit_code: 69 })
    expect(end.stdout).toContain('Refresh again once the front is open')
    expect(existsSync(inState('latches'))).toBe(false)
  })

  test('a secret that can not be read costs no login of the budget', async () => {
    const front = await frontOf(lists(() => NAMES))
    const env = { ...paper(bridge, front), CTP_PRIMARY_AUTH_CODE: `file:${directory}/nonexistent` }
    expect(report(await catalogue(['refresh', '--json'], env))).toMatchObject({ outcome: 'secret-unavailable' })
    expect(existsSync(inState('login-budget.json'))).toBe(false)
    expect(front.received).toEqual([])
  })

  test('a kill latch lets nobody log in', async () => {
    const front = await frontOf(lists(() => NAMES))
    mkdirSync(inState('latches'), { recursive: true, mode: 0o700 })
    writeFileSync(inState('latches/kill.json'), JSON.stringify({ kind: 'kill', since: 'now', reason: 'test' }))
    expect((await catalogue(['refresh'], paper(bridge, front))).code).toBe(77)
    expect(front.received).toEqual([])
  })

  test('two at once: one refreshes, the other says so with 75', async () => {
    let release = () => {}
    const front = await frontOf({
      ...lists(() => NAMES),
      connected: (session) => {
        release = () => session.welcome()
      },
    })
    const env = paper(bridge, front)
    const first = catalogue(['refresh'], env)
    await front.line('hello')
    expect((await catalogue(['refresh'], env)).code).toBe(75)
    release()
    expect((await first).code).toBe(0)
  })

  test('the lists of the last days are kept, and diff compares the last two of them without a daemon', async () => {
    const front = await frontOf(lists(() => NAMES))
    const env = paper(bridge, front)
    mkdirSync(inState('catalogue'), { recursive: true, mode: 0o700 })
    const old = Array.from({ length: 15 }, (_, i) => `202501${String(i + 10)}`)
    for (const day of old) {
      writeFileSync(inState(`catalogue/${day}.json`), JSON.stringify({ symbols: ['rb2501.SHFE', `${NAMES[0]}.SHFE`] }))
    }
    expect((await catalogue(['refresh'], env)).code).toBe(0)
    expect(readdirSync(inState('catalogue')).sort()).toEqual([...old.slice(-9), today].map((day) => `${day}.json`))
    const { stdout } = await catalogue(['diff', '--json'], env)
    expect(JSON.parse(stdout)).toMatchObject({ action: 'diff', removed: ['rb2501.SHFE'], exit_code: 0 })
    expect((JSON.parse(stdout) as { added: string[] }).added).toHaveLength(39)
    const day = await catalogue(['diff', '20250124', '--json'], env)
    expect(JSON.parse(day.stdout)).toMatchObject({ added: ['rb2501.SHFE'] })
    const shown = await catalogue(['show', '20250124'], env)
    expect(shown.stdout).toBe(`rb2501.SHFE\n${NAMES[0]}.SHFE\n`)
    expect((await catalogue(['show', '--json'], env)).stdout).toContain('"total":40')
  })
})

describe('catalogue refresh where it cannot be', () => {
  test('a line without trading front has its list by file: 78 with the remedy', async () => {
    const end = await catalogue(['refresh', '--json'], paper('/nonexistent/bridge', null))
    expect(report(end)).toMatchObject({ outcome: 'no-trading-front', exit_code: 78 })
    expect(end.stderr).toMatch(/-> .*CTP_PRIMARY_TD_ADDRESS.*CATALOGUE_FILE/)
  })

  test('without a bridge says how to build one: 78', async () => {
    const env = paper('/nonexistent/bridge', null, { CTP_PRIMARY_TD_ADDRESS: 'tcp://127.0.0.1:9' })
    const end = await catalogue(['refresh'], env)
    expect(end.code).toBe(78)
    expect(end.stderr).toMatch(/-> .*build:ctp-bridge/)
    expect(existsSync(inState('login-budget.json'))).toBe(false)
  })

  test('a backup that is not there: 78', async () => {
    expect((await catalogue(['refresh', '--line', 'backup'], paper('/nonexistent/bridge', null))).code).toBe(78)
  })

  test('a simulation lists its contracts itself: nothing to do', async () => {
    expect(report(await catalogue(['refresh', '--json'], {}))).toMatchObject({ outcome: 'skipped', exit_code: 0 })
  })

  test('with nothing kept, diff and show say what is missing', async () => {
    expect((await catalogue(['diff'], {})).code).toBe(78)
    expect((await catalogue(['show'], {})).code).toBe(69)
  })
})
