/**
 * The real daemon on the real feed's adapter, the vendor's library and fronts being stand-ins: what the daemon's other scenarios show
 * over simulated lines, as far as it does not need a market that is open.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { FrontSession, ScriptedFront } from '../support/ctp-front.ts'
import { frontOf } from '../support/ctp-scene.ts'
import { BUILDS, builtBridge, whyNoBridge } from '../support/ctp-standin.ts'
import { DaemonHome, type RealDaemon } from '../support/real-daemon.ts'
import { runCommand } from '../support/run-command.ts'

const CONTRACTS = Array.from({ length: 30 }, (_, i) => `rb27${String(i).padStart(2, '0')}`)

let homes: DaemonHome[] = []
afterEach(async () => {
  for (const home of homes) await home.dispose()
  homes = []
})

function begin(
  bridge: string,
  fronts: { primary: ScriptedFront; backup: ScriptedFront },
  more: Readonly<Record<string, string>> = {},
): { home: DaemonHome; daemon: RealDaemon; env: Record<string, string> } {
  const home = new DaemonHome()
  homes.push(home)
  mkdirSync(home.stateDir, { mode: 0o700 })
  writeFileSync(home.file('catalogue.json'), JSON.stringify({ symbols: CONTRACTS.map((symbol) => `${symbol}.SHFE`) }))
  const env = {
    FEED_ADAPTER: 'ctp',
    CTP_BRIDGE_PATH: bridge,
    SUBSCRIBE_BATCH_SIZE: '10',
    SUBSCRIBE_RATE_LIMIT_MAX_REQUESTS: '0',
    RATE_LIMIT_LOGIN_PER_MINUTE: '60',
    ...login('PRIMARY', 'trader-1', fronts.primary),
    ...login('BACKUP', 'trader-2', fronts.backup),
    ...more,
  }
  return { home, daemon: home.start({ env }), env }
}

function login(line: 'PRIMARY' | 'BACKUP', user: string, front: ScriptedFront): Record<string, string> {
  return {
    [`CTP_${line}_BROKER_ID`]: '9999',
    [`CTP_${line}_USER_ID`]: user,
    [`CTP_${line}_PASSWORD`]: `password-of-${user}`,
    [`CTP_${line}_MD_ADDRESS`]: front.address,
    [`CTP_${line}_TD_ADDRESS`]: front.address,
    [`CTP_${line}_APP_ID`]: 'app',
    [`CTP_${line}_AUTH_CODE`]: '0000000000000000',
  }
}

function refuses(session: FrontSession, request: string): void {
  session.loggedIn(request, { error: '3', text: 'CTP:no' })
}

const words = (front: ScriptedFront, word: string) => front.received.filter(([first]) => first === word)

describe.skipIf(whyNoBridge !== undefined).each(BUILDS)(
  'the daemon over CTP bridges (%s build)',
  { timeout: 120_000 },
  (build) => {
    let bridge: string
    beforeAll(async () => {
      bridge = await builtBridge('6.7.11', build)
    }, 300_000)

    it('holds both lines, survives a lost session, a dead bridge and a refused login, and ends without a trace', async () => {
      let refusal = '0'
      const primary = await frontOf({ login: (session, request) => session.loggedIn(request, { error: refusal }) })
      const backup = await frontOf()
      const { home, daemon } = begin(bridge, { primary, backup })
      const bothUp = await home.until('both lines are subscribed', ({ lines }) =>
        [lines.primary, lines.backup].every(
          (line) => line?.state === 'streaming' && line.subscribed === CONTRACTS.length,
        ),
      )
      expect(bothUp.lines.primary).toMatchObject({ account: '***r-1', refused: 0, login_attempts: 1 })
      expect(words(primary, 'login')).toEqual([
        ['login', expect.any(String), '9999', 'trader-1', 'password-of-trader-1'],
      ])
      expect(
        words(primary, 'subscribe')
          .flatMap(([, ...ids]) => ids)
          .toSorted(),
      ).toEqual(CONTRACTS)

      // The library reconnects and forgets; the daemon logs in and subscribes again over the same bridge.
      const pid = bothUp.lines.primary.bridge_pid
      primary.session.drop(0x2001)
      const back = await home.until(
        'the primary is back',
        ({ lines }) => lines.primary.disconnects === 1 && lines.primary.state === 'streaming',
      )
      expect(back.lines.primary).toMatchObject({ bridge_pid: pid, subscribed: CONTRACTS.length })
      expect(words(primary, 'login')).toHaveLength(2)

      // A library that crashes costs one process.
      primary.session.crash('segv')
      await home.until(
        'another bridge holds the primary',
        ({ lines }) => lines.primary.bridge_pid !== pid && lines.primary.state === 'streaming',
      )
      expect((await home.status()).lines.backup).toMatchObject({ state: 'streaming', disconnects: 0 })

      // "Illegal login": never again until an operator says so, however often the library reconnects.
      refusal = '3'
      primary.session.drop(0x1001)
      await home.until('the primary is latched', ({ lines }) => lines.primary.state === 'latched')
      const attempts = words(primary, 'login').length

      expect(await daemon.stop(), daemon.stderr.slice(-2_000)).toEqual({ code: 0, signal: null })
      expect(words(primary, 'login')).toHaveLength(attempts)
      expect([...words(primary, 'forbidden'), ...words(backup, 'forbidden')]).toEqual([])
      expect(daemon.stderr).not.toContain('password-of')
      expect(daemon.stderr).not.toContain('trader-1')
      for (const session of [...primary.sessions, ...backup.sessions]) expect(session.socket.destroyed).toBe(true)
    })

    it('makes a trading login before the market-data login where that is wanted, and counts both', async () => {
      const { home, daemon } = begin(
        bridge,
        { primary: await frontOf(), backup: await frontOf({ login: refuses }) },
        { CTP_TD_LOGIN_FIRST: 'true' },
      )
      const { lines } = await home.until(
        'the primary streams, and the account of the backup is latched',
        (status) => status.lines.primary.state === 'streaming' && status.lines.backup?.state === 'latched',
      )
      expect(lines.primary).toMatchObject({ login_attempts: 2 })
      // The refusal came from the trading front, so the market-data front was never asked.
      expect(lines.backup).toMatchObject({ login_attempts: 1 })
      const budget = JSON.parse(readFileSync(home.file('login-budget.json'), 'utf8')) as Record<string, number[]>
      expect(Object.values(budget).map((stamps) => stamps.length)).toEqual(expect.arrayContaining([1, 2]))
      expect(await daemon.stop()).toEqual({ code: 0, signal: null })
      expect(daemon.orphans()).toEqual([])
    })

    it('spends no login on a trading login whose secrets can not be read', async () => {
      const fronts = { primary: await frontOf(), backup: await frontOf() }
      const code = { CTP_PRIMARY_AUTH_CODE: 'file:/nonexistent/code', CTP_BACKUP_AUTH_CODE: 'file:/nonexistent/code' }
      const { home, daemon } = begin(bridge, fronts, { CTP_TD_LOGIN_FIRST: 'true', ...code })
      const { lines } = await home.until('both lines wait for their secrets', ({ lines: { primary, backup } }) =>
        [primary, backup].every((line) => line?.state === 'waiting'),
      )
      expect(lines.primary).toMatchObject({ login_attempts: 0, detail: expect.stringContaining('/nonexistent/code') })
      expect(home.has('login-budget.json')).toBe(false)
      expect(await daemon.stop()).toEqual({ code: 0, signal: null })
    })

    it('takes a list that was refreshed beside it, with a login from the same budget', async () => {
      const listed = [...CONTRACTS, 'rb2799']
      const primary = await frontOf({
        query(session, request) {
          for (const [i, id] of listed.entries()) {
            const row = [id, 'SHFE', 'rb', '1', '', '20270115', '', '', '10', '1', '1']
            session.send('instrument', request, i === listed.length - 1 ? '1' : '0', ...row)
          }
        },
      })
      const { home, daemon, env } = begin(bridge, { primary, backup: await frontOf() })
      await home.until('the primary streams', ({ lines }) => lines.primary.state === 'streaming')
      const refresh = ['catalogue', 'refresh', '--reload', '--json', '--state-dir', home.stateDir]
      const { code, stdout, stderr } = await runCommand('full-feed-subscription', refresh, { cwd: home.directory, env })
      expect(code, stderr).toBe(0)
      expect(JSON.parse(stdout)).toMatchObject({ outcome: 'refreshed', added: 1, removed: 0, reloaded: true })
      const { lines } = await home.until('the new contract is subscribed', (status) => status.subscribed_total === 31)
      expect(lines.primary).toMatchObject({ login_attempts: 1, disconnects: 0 })
      const budget = JSON.parse(readFileSync(home.file('login-budget.json'), 'utf8')) as Record<string, number[]>
      expect(Object.values(budget).flat()).toHaveLength(3)
      expect(await daemon.stop()).toEqual({ code: 0, signal: null })
    })

    it('is not started without a bridge: 78, and how to build one', async () => {
      const { home, daemon } = begin('/nonexistent/ctp-bridge', { primary: await frontOf(), backup: await frontOf() })
      expect(await daemon.end()).toEqual({ code: 78, signal: null })
      expect(daemon.stderr).toMatch(/-> .*build:ctp-bridge/)
      expect(home.has('control.sock')).toBe(false)
    })
  },
)
