// What the daemon makes of a line must not depend on the bridge that brings it: the same scenarios over the simulator, a replay, and the
// CTP bridge with the vendor's library and fronts played by stand-ins.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { JournalTick } from '#adapters/journal/journal-tick.ts'
import { PULSE_SENTENCES } from '#domain/liveness.ts'
import type { FeedStatus } from '#domain/status.ts'
import { builtBridge } from '../support/ctp-standin.ts'
import { CONTRACTS, type FeedRig, RIGS } from '../support/feed-rigs.ts'
import { expectOneStream } from '../support/journalled.ts'
import { DaemonHome, type RealDaemon } from '../support/real-daemon.ts'

const TOTAL = CONTRACTS.length

describe.each(RIGS)('a feed over the $name bridge', { timeout: 120_000 }, (rig) => {
  const runs = test.skipIf(rig.whyNot !== undefined)
  const homes: DaemonHome[] = []
  beforeAll(async () => {
    if (rig.build !== undefined && rig.whyNot === undefined) await builtBridge('6.7.11', rig.build)
  }, 300_000)
  afterAll(async () => {
    for (const home of homes) await home.dispose()
    await rig.dispose()
  })

  async function begin(scenario: readonly object[] = []): Promise<{ home: DaemonHome; daemon: RealDaemon }> {
    const home = new DaemonHome()
    homes.push(home)
    return { home, daemon: await rig.start(home, scenario) }
  }

  const bothStream = (home: DaemonHome) =>
    home.until('both lines stream all contracts and deliver', ({ lines }) =>
      [lines.primary, lines.backup].every(
        (line) => line?.state === 'streaming' && line.pulse === 'green' && line.subscribed === TOTAL,
      ),
    )

  /** Ends in order, leaves nothing behind, and the journal is one stream. */
  async function stopWell(home: DaemonHome, daemon: RealDaemon): Promise<JournalTick[]> {
    expect(await daemon.stop(), daemon.stderr.slice(-2_000)).toEqual({ code: 0, signal: null })
    expect(daemon.orphans()).toEqual([])
    expect(home.has('control.sock')).toBe(false)
    expect(await home.command('verify')).toMatchObject({ code: 0 })
    const ticks = await home.ticks({ offSession: true })
    expectOneStream(ticks)
    return ticks
  }

  runs('connects, logs in, subscribes to READY, journals, and ends in order', async () => {
    const { home, daemon } = await begin()
    const status = await bothStream(home)
    expect((await home.untilReady()).coverage_ratio).toBe(1)
    expect(status.lines.primary).toMatchObject({ login_attempts: 1, refused: 0 })
    expect(daemon.noteBridges()).toHaveLength(2)
    const { ticks } = await home.status()
    await home.until('ticks go on', (now) => now.ticks.accepted > ticks.accepted + 800)
    const journalled = await stopWell(home, daemon)
    const live = journalled.filter(({ off_session }) => off_session !== true)
    expect(live.length).toBeGreaterThan(800)
    expect(new Set(live.map(({ vt_symbol }) => vt_symbol)).size).toBe(TOTAL)
    expectNoHole(rig, journalled)
  })

  runs('loses nothing when the bridge of the serving line is killed: the other one takes over', async () => {
    const { home, daemon } = await begin()
    await bothStream(home)
    const killed = new Set<number>()
    const switched = await home.until('the backup serves and the switch is measured', (status) => {
      daemon.noteBridges()
      const { lines, serving_line, failover } = status
      const pid = lines.primary.bridge_pid
      // A bridge that is back before anybody misses it is killed again.
      if (serving_line === 'primary' && pid !== null && !killed.has(pid)) {
        process.kill(pid, 'SIGKILL')
        killed.add(pid)
      }
      return serving_line === 'backup' && failover.last?.first_tick_ms !== null
    })
    expect(switched).toMatchObject({ epoch: 2, failover: { last: { from: 'primary', to: 'backup', lost: 0 } } })
    const back = await bothStream(home)
    expect(killed).not.toContain(back.lines.primary.bridge_pid)
    expectNoHole(rig, await stopWell(home, daemon))
  })

  runs('a line that disconnects comes back over the same bridge, logged in and subscribed anew', async () => {
    const { home, daemon } = await begin([
      { at_ms: 4_000, line: 'primary', fault: 'disconnect', reason: 8193, for_ms: 1_500 },
    ])
    const before = await bothStream(home)
    const healed = ({ lines }: FeedStatus) => lines.primary.disconnects === 1 && lines.primary.state === 'streaming'
    const after = await home.until('the primary streams again', healed)
    expect(after.lines.primary).toMatchObject({
      login_attempts: 2,
      subscribed: TOTAL,
      bridge_pid: before.lines.primary.bridge_pid,
    })
    expectNoHole(rig, await stopWell(home, daemon))
  })

  runs('a bridge that crashes is started again', async () => {
    const { home, daemon } = await begin([{ at_ms: 4_000, line: 'backup', fault: 'crash' }])
    const { lines } = await bothStream(home)
    await home.until('the backup streams from another process', (status) => {
      const backup = status.lines.backup
      return backup?.state === 'streaming' && backup.bridge_pid !== lines.backup?.bridge_pid
    })
    expect(daemon.logged('the bridge process ended')).not.toEqual([])
    expectNoHole(rig, await stopWell(home, daemon))
  })

  runs('a silent line loses the feed to the other one, by the name of line-mute', async () => {
    const { home, daemon } = await begin([{ at_ms: 4_000, line: 'primary', fault: 'mute' }])
    await bothStream(home)
    const { failover } = await home.until(
      'the backup serves and the switch is measured',
      (status) => status.serving_line === 'backup' && status.failover.last?.first_tick_ms !== null,
    )
    expect(failover.last).toMatchObject({ from: 'primary', to: 'backup', lost: 0 })
    expect(daemon.logged(`primary is red: ${PULSE_SENTENCES['line-mute']}`)).toHaveLength(1)
    expectNoHole(rig, await stopWell(home, daemon))
  })

  runs('a refused login latches the account and is never repeated, also not after a restart', async () => {
    const refusal = [{ at_ms: 0, line: 'primary', fault: 'login-error', id: 3, for_ms: 600_000 }]
    const { home, daemon } = await begin(refusal)
    const latched = ({ lines, serving_line, ready }: FeedStatus) =>
      lines.primary.state === 'latched' && serving_line === 'backup' && ready
    const { lines, ticks } = await home.until('the primary is latched and the backup serves', latched)
    expect(lines.primary.login_attempts).toBe(1)
    const later = await home.until('ticks go on', (status) => status.ticks.accepted > ticks.accepted + 800)
    expect(later.lines.primary).toMatchObject({ state: 'latched', login_attempts: 1, bridge_pid: null })
    await stopWell(home, daemon)
    expect(daemon.stderr).not.toContain('password-of')

    const again = await rig.start(home)
    const restarted = await home.until('the primary is latched', (status) => status.lines.primary.state === 'latched')
    expect(restarted.lines.primary).toMatchObject({ login_attempts: 0, bridge_pid: null })
    expect((await again.stop()).code).toBe(0)
  })

  runs('throttled requests are repeated until they are taken', async () => {
    const { home, daemon } = await begin([{ at_ms: 0, line: 'both', fault: 'throttle', code: -2, for_ms: 4_000 }])
    const { lines } = await bothStream(home)
    expect(lines.primary.rate_limit_hits).toBeGreaterThan(0)
    expect(lines.backup?.rate_limit_hits).toBeGreaterThan(0)
    await stopWell(home, daemon)
  })

  runs('fewer answers than requests: what ticks is subscribed all the same', async () => {
    const { home, daemon } = await begin([{ at_ms: 0, line: 'both', fault: 'partial-acks', ratio: 0.3 }])
    expect((await bothStream(home)).lines.primary).toMatchObject({ expected: TOTAL, refused: 0 })
    await stopWell(home, daemon)
  })

  runs('refused contracts are listed and not waited for', async () => {
    const { home, daemon } = await begin([{ at_ms: 0, line: 'both', fault: 'refuse-contracts', count: 7 }])
    const status = await home.until(
      'all that can be is subscribed',
      (now) => now.ready_state === 'contracts-refused' && now.subscribed_total === TOTAL - 7,
    )
    expect(status.refused_contracts).toHaveLength(7)
    expect(status.expected_total).toBe(TOTAL)
    const ticked = new Set((await stopWell(home, daemon)).map(({ vt_symbol }) => vt_symbol))
    for (const refused of status.refused_contracts) expect(ticked).not.toContain(refused)
  })

  runs('kill -9 of the daemon takes its bridges with it', async () => {
    const { home, daemon } = await begin()
    await bothStream(home)
    expect(daemon.noteBridges()).toHaveLength(2)
    await daemon.kill()
    for (let look = 0; look < 400 && daemon.orphans().length > 0; look++) {
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
    expect(daemon.orphans()).toEqual([])
  })
})

/** Every tick of a contract between its first live one and its last is there. */
function expectNoHole(rig: FeedRig, ticks: readonly JournalTick[]): void {
  if (!rig.volumeCountsTicks) return
  const volumes = new Map<string, number[]>()
  for (const { symbol, volume, off_session } of ticks) {
    const seen = volumes.get(symbol) ?? []
    if (seen.length > 0 || off_session !== true) seen.push(volume)
    volumes.set(symbol, seen)
  }
  expect(volumes.size).toBe(TOTAL)
  for (const [symbol, seen] of volumes) {
    const [first = 0, last = 0] = [seen[0], seen.at(-1)]
    expect(seen, symbol).toEqual(Array.from({ length: last - first + 1 }, (_, i) => first + i))
  }
}
