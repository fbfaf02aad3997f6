/** From a fault of a line to the webhook of the ops channel and to the pager, through the real servers and the shipped rules. */
import { utimesSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dashboardFiles } from '../../grafana/src/dashboards.ts'
import { MonitoringStack } from '../support/monitoring-stack.ts'
import { lacksPrometheus } from '../support/prometheus-programs.ts'
import { DaemonHome, eventually, type RealDaemon } from '../support/real-daemon.ts'
import { runCommand } from '../support/run-command.ts'
import { ALERTS, RECORDED } from '../support/shipped-monitoring.ts'

const PROFILE = 'staging'
const OLD_SECRET_MS = 40 * 86_400_000
/** The primary falls silent this long after the start, for ever. */
const MUTE_AFTER_MS = 60_000
/** Without NATS, without a drill, an early window or a disconnect there is nothing to show. */
const MAY_BE_EMPTY =
  /md_bus_|consumer_backlog|md_t5_|feed:checkpoint|command="drill"|md_drill_seconds|md_disconnects|start\|restart|md_errors_total|md_line_delay/

describe.skipIf(lacksPrometheus)('alerts of a real daemon', { timeout: 600_000 }, () => {
  const home = new DaemonHome()
  const envFile = `${home.directory}/env.staging`
  let stack: MonitoringStack
  let daemon: RealDaemon

  beforeAll(async () => {
    stack = await MonitoringStack.start(PROFILE)
    const secret = `${home.directory}/password`
    writeFileSync(secret, 'not-a-placeholder-1', { mode: 0o600 })
    const changed = new Date(Date.now() - OLD_SECRET_MS)
    utimesSync(secret, changed, changed)
    const lines = [
      'FEED_ADAPTER=sim',
      'SIM_INSTRUMENTS=60',
      'SIM_TICKS_PER_SECOND=300',
      `CTP_PRIMARY_PASSWORD=file:${secret}`,
      `PUSHGATEWAY_URL=${stack.pushgatewayUrl}`,
    ]
    writeFileSync(envFile, `${lines.join('\n')}\n`, { mode: 0o600 })
    daemon = home.start({
      args: ['--profile', PROFILE, '--env-file', envFile, '--metrics-port', String(stack.ports.daemon)],
      scenario: [{ at_ms: MUTE_AFTER_MS, line: 'primary', fault: 'mute' }],
    })
  }, 120_000)

  afterAll(async () => {
    await home.dispose()
    await stack?.close()
  })

  const command = (program: 'start-live-env' | 'check-feed-health', ...args: readonly string[]) =>
    runCommand(program, [...args, '--profile', PROFILE, '--env-file', envFile, '--state-dir', home.stateDir], {
      cwd: home.directory,
    })

  test('faults reach those who have to know, and nothing else does', async () => {
    await home.untilReady()
    await stack.heard('deadman', 'FeedMonitoringAlive')

    // Two that are there from the start: a secret that is too old, and nobody who looks.
    const rotation = await stack.heard('ops-channel', 'FeedSecretRotationOverdue', PROFILE)
    expect(rotation.text).toContain('docs/ops/production-runbook.md#feedsecretrotationoverdue')
    expect(rotation.text).toContain('validate-env --profile staging')
    await stack.heard('ops-channel', '[warning] FeedHealthCheckNotRun')
    const check = await command('check-feed-health')
    expect(check.code, check.stderr).toBeLessThan(2)
    await stack.heard('ops-channel', '[resolved] FeedHealthCheckNotRun')
    // On a machine so slow that the next fault came meanwhile there is nothing to compare.
    if ((await home.status()).failover.last === null) {
      expect(stack.notices.filter(({ text }) => /FeedFailover|FeedSingleLineLeft|FeedGap/.test(text))).toEqual([])
    }

    // The primary falls silent: a switch is told, and that one line is left wakes somebody.
    const failover = await stack.heard('ops-channel', 'FeedFailover')
    expect(failover.text).toContain('switched from primary to backup')
    const page = await stack.heard('pager', 'FeedSingleLineLeft', '"trigger"')
    expect(page.text).toContain('a-pager-key')
    await stack.heard('ops-channel', '[critical] FeedSingleLineLeft')
    expect(stack.notices.filter(({ receiver, text }) => receiver === 'pager' && text.includes('FeedFailover'))).toEqual(
      [],
    )

    // An operator tries to go back to it, which is refused.
    const failback = await command('start-live-env', 'failback', '--reason', 'too early', '--timeout', '5')
    expect(failback.code).toBe(69)
    await stack.heard('pager', 'FeedRunbookFailed', 'failback')

    await everyQueryIsAnswered()

    // A daemon that is gone explains the rest: health checks without it say UNKNOWN, and nobody is woken for that as well.
    await daemon.kill()
    await stack.heard('pager', 'FeedDaemonDown')
    expect((await command('check-feed-health')).code).toBe(3)
    await eventually(
      async () =>
        (await stack.inhibited()).includes('FeedCheckpointMissed') || (await noCheckpointIsDue()) || undefined,
      () => 'what the missing daemon explains is inhibited',
    )
    expect(stack.notices.filter(({ text }) => text.includes('FeedHealthCritical'))).toEqual([])
  })

  async function noCheckpointIsDue(): Promise<boolean> {
    return (await stack.query('ALERTS{alertname="FeedCheckpointMissed"}')).length === 0
  }

  /** Against the real data: no query is wrong, and what should show something does. */
  async function everyQueryIsAnswered(): Promise<void> {
    const panels = [...dashboardFiles().values()].flatMap((text) => {
      const { panels } = JSON.parse(text) as { panels: { targets: { expr: string }[] }[] }
      return panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
    })
    const recorded = RECORDED.map(({ name }) => name)
    const empty: string[] = []
    for (const expr of [...panels, ...recorded]) {
      const text = expr.replaceAll('$profile', '.+').replaceAll('$__rate_interval', '30s')
      if ((await stack.query(text)).length === 0 && !MAY_BE_EMPTY.test(expr)) empty.push(expr)
    }
    for (const { expr } of ALERTS) await stack.query(expr)
    const listed = /md_product_coverage_ratio\{exchange="(\w+)"/
    expect(empty.filter((expr) => !listed.test(expr))).toEqual([])
  }
})
