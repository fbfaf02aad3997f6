// The daemon is killed at any moment, told to stop, or started where it can't be: what the next start finds, and what is left behind.

import { chmodSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, test } from 'vitest'
import { accountKey, setCredentialLatch, setKillLatch } from '#adapters/state/latches.ts'
import { expectOneStream, saidBy } from '../support/journalled.ts'
import { DaemonHome, eventually, type RealDaemon } from '../support/real-daemon.ts'
import { csvOf } from '../support/recordings.ts'

const homes: DaemonHome[] = []
afterAll(async () => {
  for (const home of homes) await home.dispose()
})

function newHome(): DaemonHome {
  const home = new DaemonHome()
  homes.push(home)
  return home
}

const SMALL = {
  SIM_INSTRUMENTS: '60',
  SIM_TICKS_PER_SECOND: '600',
  SUBSCRIBE_RATE_LIMIT_MAX_REQUESTS: '0',
  CHECKPOINT_INTERVAL_SECONDS: '0.5',
  // The default would keep the last starts of this test waiting for a minute.
  RATE_LIMIT_LOGIN_PER_MINUTE: '60',
}

const KILLS = Number(process.env['DAEMON_KILLS'] ?? 8)

describe('kill -9 at any moment', { timeout: 180_000 }, () => {
  test(`${KILLS} times: written ticks stay, numbers are never given again, nothing old is news, nothing is left over`, async () => {
    const seed = Number(process.env['DAEMON_KILLS_SEED'] ?? Date.now() % 100_000)
    console.info(`DAEMON_KILLS_SEED=${seed}`)
    let state = seed
    const upTo = (limit: number) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return (state / 4_294_967_296) * limit
    }
    const home = newHome()
    const written = new Map<number, string>()
    /** What was ever read stays, under its number; numbers are given once. */
    const readAgain = async () => {
      const ticks = await home.ticks({ offSession: true })
      for (const tick of ticks) {
        const said = saidBy(tick)
        const before = written.get(tick.seq)
        if (before !== undefined && before !== said) expect.fail(`sequence ${tick.seq} was ${before}, is ${said}`)
        written.set(tick.seq, said)
      }
      const kept = new Set(ticks.map(({ seq }) => seq))
      for (const seq of written.keys()) if (!kept.has(seq)) expect.fail(`sequence ${seq} is gone`)
      return ticks
    }
    let epoch = 0
    let livesWithTicks = 0
    for (let life = 0; life < KILLS; life++) {
      const daemon = home.start({ env: SMALL })
      if (life % 2 === 0) {
        const status = await home.untilReady()
        expect(status.epoch).toBeGreaterThan(epoch)
        epoch = status.epoch
        if (livesWithTicks > 0) expect(status.journal.recovery).not.toBeNull()
        livesWithTicks++
      }
      await new Promise((resolve) => setTimeout(resolve, upTo(1_500)))
      daemon.noteBridges()
      await daemon.kill()
      await expectNoOrphans(daemon)
      if (home.has('journal')) await readAgain()
    }
    const last = home.start({ env: SMALL })
    const status = await home.untilReady()
    expect(status.epoch).toBeGreaterThan(epoch)
    expect(status.warnings.join('\n')).toContain(status.journal.recovery ?? 'a recovery')
    const { accepted } = status.ticks
    await home.until('news again', ({ ticks }) => ticks.accepted > accepted + 300)
    expect(await last.stop()).toEqual({ code: 0, signal: null })
    const ticks = await readAgain()
    expectOneStream(ticks)
    expect(new Set(ticks.map((tick) => tick.epoch)).size).toBeGreaterThanOrEqual(livesWithTicks)
    expect(await home.command('verify')).toMatchObject({ code: 0 })

    // After an orderly end the next start has nothing to mend.
    const after = home.start({ env: SMALL })
    expect((await home.untilReady()).journal.recovery).toBeNull()
    await after.stop()
    expectOneStream(await home.ticks({ offSession: true }))
  })

  test('the first ticks after a restart are what the exchange said since, not what was known before', async () => {
    const home = newHome()
    // So few ticks that most contracts stand still between two lives: their snapshots are old.
    const slow = { ...SMALL, SIM_INSTRUMENTS: '200', SIM_TICKS_PER_SECOND: '20' }
    for (let life = 0; life < 3; life++) {
      const daemon = home.start({ env: slow })
      await home.untilReady()
      const before = (await home.status()).ticks
      await home.until('some ticks', ({ ticks }) => ticks.accepted > before.accepted + 10)
      if (life > 0) expect(before.duplicate + before.stale).toBeGreaterThan(150)
      await daemon.kill()
    }
    expectOneStream(await home.ticks({ offSession: true }))
  })
})

async function expectNoOrphans(daemon: RealDaemon): Promise<void> {
  await eventually(
    () => (daemon.orphans().length === 0 ? true : undefined),
    () => `bridges ${daemon.orphans()} end after their daemon was killed`,
  )
}

describe.concurrent('an orderly end', { timeout: 180_000 }, () => {
  test('on the first signal drains: everything accepted is in the journal, no child is left', async () => {
    const home = newHome()
    const daemon = home.start({ env: SMALL })
    await home.until('a thousand ticks', ({ ticks }) => ticks.accepted > 1_000)
    const { ticks } = await home.status()
    daemon.noteBridges()
    expect(await daemon.stop()).toEqual({ code: 0, signal: null })
    expect(daemon.orphans()).toEqual([])
    expect(daemon.report()).toMatchObject({ outcome: 'stopped', exit_code: 0 })
    expect(home.has('control.sock')).toBe(false)
    const kept = await home.ticks()
    expect(kept.length).toBeGreaterThanOrEqual(ticks.accepted)
    expectOneStream(kept)
  })

  test('on the second signal cuts: it ends at once and leaves no child, and the journal is intact', async () => {
    const home = newHome()
    const daemon = home.start({ env: SMALL })
    await home.until('a thousand ticks', ({ ticks }) => ticks.accepted > 1_000)
    daemon.signal('SIGTERM')
    daemon.signal('SIGINT')
    const { signal } = await daemon.end()
    expect(signal).toBeNull()
    await expectNoOrphans(daemon)
    const again = home.start({ env: SMALL })
    await home.untilReady()
    await again.stop()
    expectOneStream(await home.ticks({ offSession: true }))
    expect(await home.command('verify')).toMatchObject({ code: 0 })
  })

  test('also with a bridge that does not listen any more', async () => {
    const home = newHome()
    const daemon = home.start({ env: SMALL })
    await home.untilReady()
    const bridges = daemon.noteBridges()
    expect(bridges).toHaveLength(2)
    for (const pid of bridges) process.kill(pid, 'SIGSTOP')
    expect(await daemon.stop()).toEqual({ code: 0, signal: null })
    expect(daemon.orphans()).toEqual([])
  })
})

describe.concurrent('a start that cannot be', { timeout: 180_000 }, () => {
  const expectNothingStarted = async (home: DaemonHome, daemon: RealDaemon) => {
    expect(daemon.orphans()).toEqual([])
    expect(home.has('control.sock')).toBe(false)
  }

  test('on a busy metrics port is refused with a remedy, and leaves nothing behind', async () => {
    const home = newHome()
    const server = createServer()
    const port = await new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => {
        const address = server.address()
        resolve(typeof address === 'object' && address !== null ? address.port : 0)
      })
    })
    const daemon = home.start({ env: SMALL, args: ['--metrics-port', String(port)] })
    expect(await daemon.end()).toEqual({ code: 78, signal: null })
    expect(daemon.stderr).toContain(String(port))
    expect(daemon.stderr).toMatch(/-> .*METRICS_PORT|-> .*--metrics-port/)
    await expectNothingStarted(home, daemon)
    await new Promise((resolve) => server.close(resolve))
    const again = home.start({ env: SMALL, args: ['--metrics-port', String(port)] })
    await home.untilReady()
    expect((await again.stop()).code).toBe(0)
  })

  test('beside another daemon on the same state directory exits 75, names it, and disturbs nothing', async () => {
    const home = newHome()
    const first = home.start({ env: SMALL })
    const { pid } = await home.untilReady()
    const second = home.start({ env: SMALL })
    expect(await second.end()).toEqual({ code: 75, signal: null })
    expect(second.stderr).toContain(String(pid))
    const { ticks } = await home.status()
    await home.until(
      'the first goes on',
      (status) => status.pid === pid && status.ticks.accepted > ticks.accepted + 100,
    )
    expect((await first.stop()).code).toBe(0)
    expectOneStream(await home.ticks({ offSession: true }))
  })

  test.each([
    ['the kill latch', ['kill'], 77, 'killed'],
    ["every line's account latched", ['primary', 'backup'], 77, 'no-line-may-log-in'],
    ["one line's account latched: it starts on the other", ['primary'], 0, 'ready'],
  ] as const)('with %s', async (_what, latched, code, outcome) => {
    const home = newHome()
    const since = '2026-11-19T09:31:00.000+08:00'
    for (const latch of latched) {
      if (latch === 'kill') await setKillLatch(home.stateDir, { since, reason: 'runaway' })
      else {
        const account = accountKey(`sim/sim-${latch}`)
        const reason = 'the front refused the login: error 3'
        await setCredentialLatch(home.stateDir, { since, reason, account, masked: '***', line: latch, errorId: 3 })
      }
    }
    const daemon = home.start({ env: SMALL })
    if (outcome === 'ready') {
      const { lines, serving_line: serving } = await home.untilReady()
      expect([lines.primary.state, serving]).toEqual(['latched', 'backup'])
      expect((await daemon.stop()).code).toBe(code)
      return
    }
    expect(await daemon.end()).toEqual({ code, signal: null })
    expect(daemon.stderr).toContain(outcome)
    expect(daemon.stderr).toContain('-> ')
    expect(daemon.stderr).toContain('--clear-latch')
    await expectNothingStarted(home, daemon)
  })

  test('in a directory that cannot be written is refused with a remedy', async () => {
    const home = newHome()
    // Root writes everywhere but in the kernel's own file systems.
    const isRoot = process.getuid?.() === 0
    const directory = isRoot ? '/proc/feed' : `${home.directory}/read-only`
    if (!isRoot) {
      mkdirSync(directory)
      chmodSync(directory, 0o500)
    }
    const daemon = home.start({ env: SMALL, args: ['--state-dir', directory] })
    expect(await daemon.end()).toEqual({ code: 78, signal: null })
    expect(daemon.stderr).toContain(directory)
    expect(daemon.stderr).toMatch(/^ {2}-> .+/m)
  })

  const row = { InstrumentID: 'rb2605', UpdateTime: '09:30:00' }
  const goodCsv = csvOf(Array.from({ length: 2_000 }, (_, i) => ({ ...row, Volume: i })))
  test.each([
    ['that is not there', 'absent.csv', null],
    ['without a header that is one', 'headless.csv', '1,2,3\n4,5,6\n'],
    ['without the columns that a tick needs', 'columns.csv', 'TradingDay,InstrumentID\n20260304,rb2605\n'],
    ['that is empty', 'empty.csv', ''],
    ['whose gzip is cut off in its first bytes', 'cut.csv.gz', gzipSync(goodCsv).subarray(0, 30)],
    ['that is no gzip', 'text.csv.gz', 'hello'],
  ])('from a recording %s is refused with a remedy', async (_title, name, content) => {
    const home = newHome()
    const path = `${home.directory}/${name}`
    if (content !== null) writeFileSync(path, content)
    const daemon = home.start({
      args: ['--until-end'],
      env: { FEED_ADAPTER: 'replay', REPLAY_FILES: path, REPLAY_SPEED: '0' },
    })
    expect(await daemon.end(), daemon.stderr.slice(-1_500)).toEqual({ code: 78, signal: null })
    expect(daemon.stderr).toMatch(/^ {2}-> .+/m)
    await expectNothingStarted(home, daemon)
  })
})

describe.concurrent('a state directory with damage', { timeout: 180_000 }, () => {
  const damaged = async (damage: (home: DaemonHome) => void) => {
    const home = newHome()
    const first = home.start({ env: SMALL })
    await home.until('a thousand ticks', ({ ticks }) => ticks.accepted > 1_000)
    await first.stop()
    damage(home)
    const second = home.start({ env: SMALL })
    const status = await home.untilReady()
    const { accepted } = status.ticks
    await home.until('news', ({ ticks }) => ticks.accepted > accepted + 300)
    expect((await second.stop()).code).toBe(0)
    return { home, status, second }
  }

  test.each([
    ['flipped bytes', (path: string) => writeFileSync(path, flipped(readFileSync(path), 100))],
    ['a missing end', (path: string) => truncateSync(path, 200)],
    ['nothing in it', (path: string) => truncateSync(path, 0)],
    ['something else in it', (path: string) => writeFileSync(path, 'not a checkpoint')],
  ])(
    'a checkpoint with %s is set aside with a warning, and the journal tells where things stood',
    async (_title, damage) => {
      const { home, status } = await damaged((at) => damage(at.file('checkpoint')))
      expect(status.warnings.join('\n')).toContain('set aside')
      expect(home.has('checkpoint.damaged')).toBe(true)
      expectOneStream(await home.ticks({ offSession: true }))
    },
  )

  test('an epoch file that is no number does not make an epoch used twice', async () => {
    const { home } = await damaged((at) => writeFileSync(at.file('epoch'), 'x'))
    const epochs = (await home.ticks()).map(({ epoch }) => epoch)
    expect(new Set(epochs)).toEqual(new Set([1, 2]))
  })

  test('a login budget that is no JSON holds logins back, and says so', async () => {
    const home = newHome()
    const first = home.start({ env: SMALL })
    await home.untilReady()
    await first.stop()
    writeFileSync(home.file('login-budget.json'), '{')
    const second = home.start({ env: SMALL })
    const { lines } = await home.until('the line waits', (status) => status.lines.primary.state === 'waiting')
    expect(lines.primary).toMatchObject({ login_attempts: 0, detail: expect.stringContaining('login budget') })
    expect((await second.stop()).code).toBe(0)
  })
})

function flipped(bytes: Buffer, at: number): Buffer {
  bytes[at] = (bytes[at] ?? 0) ^ 0xff
  return bytes
}
