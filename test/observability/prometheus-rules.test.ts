import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { lacksPrometheus, runTool } from '../support/prometheus-programs.ts'
import {
  ALERTS,
  KNOWN_METRICS,
  metricsIn,
  PACKAGE,
  RECORDED,
  RULE_FILES,
  RULE_TESTS,
} from '../support/shipped-monitoring.ts'

const PROMETHEUS = join(PACKAGE, 'prometheus')
const RUNBOOK = 'docs/ops/production-runbook.md'

describe.skipIf(lacksPrometheus)('judged by their own programs', () => {
  test('the scrape configuration and the rules are sound', () => {
    const config = runTool('promtool', 'check', 'config', join(PROMETHEUS, 'prometheus.yml'))
    expect(config.code, config.text).toBe(0)
    const rules = runTool('promtool', 'check', 'rules', '--lint=all', '--lint-fatal', ...RULE_FILES)
    expect(rules.code, rules.text).toBe(0)
  })

  test('every alert fires for its fault and only then', { timeout: 240_000 }, () => {
    const tests = runTool('promtool', 'test', 'rules', ...RULE_TESTS)
    expect(tests.code, tests.text).toBe(0)
  })

  test('the Alertmanager configuration is sound', () => {
    const config = runTool('amtool', 'check-config', join(PROMETHEUS, 'alertmanager.yml'))
    expect(config.code, config.text).toBe(0)
  })

  test.each([
    ['page a break', { alertname: 'FeedFlapping', severity: 'critical', profile: 'live' }, ['pager', 'ops-channel']],
    ['tell a warning', { alertname: 'FeedFailover', severity: 'warning', profile: 'live' }, ['ops-channel']],
    ['wake nobody for paper', { alertname: 'FeedGap', severity: 'critical', profile: 'paper' }, ['ops-channel']],
    ['feed the dead man', { alertname: 'FeedMonitoringAlive', severity: 'none' }, ['deadman']],
  ])('routes %s', (_what, labels, receivers) => {
    const pairs = Object.entries(labels).map(([label, value]) => `${label}=${value}`)
    const config = `--config.file=${join(PROMETHEUS, 'alertmanager.yml')}`
    const routes = runTool('amtool', 'config', 'routes', 'test', config, ...pairs)
    expect(routes.stdout.trim(), routes.text).toBe(receivers.join(','))
  })
})

test('the files were read as they are meant', () => {
  expect(ALERTS.length).toBeGreaterThan(30)
  expect(RECORDED.length).toBeGreaterThan(10)
  for (const { name, expr } of [...ALERTS, ...RECORDED]) expect(expr, name).not.toBe('')
})

test.each(ALERTS)('$name says how bad, what, what to do, and where to read on', ({ name, text }) => {
  const anchor = name.toLowerCase()
  expect(text).toMatch(/severity: (critical|warning|none)\n/)
  for (const annotation of ['summary', 'description', 'command']) expect(text).toContain(`          ${annotation}: `)
  expect(text).toContain(`runbook_url: ${RUNBOOK}#${anchor}\n`)
  expect(readFileSync(join(PACKAGE, RUNBOOK), 'utf8')).toContain(`\n### ${name}\n`)
})

test.each([...ALERTS, ...RECORDED])('$name speaks of metrics that are exported', ({ expr }) => {
  expect(metricsIn(expr).filter((name) => !KNOWN_METRICS.has(name))).toEqual([])
})

test.each(ALERTS.filter(({ name }) => name !== 'FeedMonitoringAlive'))(
  '$name is tested with its fault, without it, in a break and in closed hours',
  ({ name }) => {
    const titles = RULE_TESTS.flatMap((file) => readFileSync(file, 'utf8').split('\n')).filter((line) =>
      line.startsWith(`  - name: '${name}: `),
    )
    for (const word of [': fires', ': stays silent', 'in a break', 'in closed hours']) {
      expect(
        titles.filter((title) => title.includes(word)),
        word,
      ).not.toEqual([])
    }
  },
)

test('no secret is in what is shipped', () => {
  const text = readFileSync(join(PROMETHEUS, 'alertmanager.yml'), 'utf8')
  expect(text).not.toMatch(/^\s*(api_url|routing_key|service_key|password|credentials|bearer_token): /m)
})
