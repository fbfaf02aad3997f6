/** The command as a monitoring system runs it, asking a daemon whose answers the test sets. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { TransmittedHealth } from '#adapters/control/parse-answers.ts'
import { Failure } from '#domain/failure.ts'
import { type FakeDaemon, healthOf, lineOf, startFakeDaemon, statusOf } from '../support/fake-daemon.ts'
import { type CommandEnd, runCommand } from '../support/run-command.ts'

let directory = ''
let daemon: FakeDaemon | null = null
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'health-'))
})
afterEach(async () => {
  await daemon?.close()
  daemon = null
  rmSync(directory, { recursive: true, force: true })
})

function check(args: readonly string[], env: Record<string, string> = {}): Promise<CommandEnd> {
  return runCommand('check-feed-health', ['--state-dir', directory, ...args], { cwd: directory, env })
}

async function checkJson(args: readonly string[], env: Record<string, string> = {}) {
  const end = await check([...args, '--json'], env)
  const report: TransmittedHealth & { summary: string; outcome?: string } = JSON.parse(end.stdout)
  return { ...end, report }
}

async function withDaemon(health: Partial<TransmittedHealth> = {}): Promise<FakeDaemon> {
  daemon = await startFakeDaemon(directory)
  daemon.health = healthOf(health)
  return daemon
}

function file(name: string, content: string): string {
  const path = join(directory, name)
  writeFileSync(path, content)
  return path
}

describe('the verdict is the exit code', () => {
  test.each([
    ['OK', 0],
    ['WARNING', 1],
    ['CRITICAL', 2],
    ['UNKNOWN', 3],
  ] as const)('%s', async (verdict, exitCode) => {
    await withDaemon({ verdict, exit_code: exitCode, errors: exitCode > 1 ? ['Neither line delivers.'] : [] })
    const { code, report } = await checkJson([])
    expect(code).toBe(exitCode)
    expect(report).toMatchObject({
      verdict,
      exit_code: exitCode,
      mode: 'dry-run',
      lines: { primary: { state: 'streaming' } },
    })
    expect(report.summary).toMatch(new RegExp(`^FEED ${verdict} - `))
  })

  test('no daemon is UNKNOWN, with what to do about it', async () => {
    const { code, report } = await checkJson([])
    expect(code).toBe(3)
    expect(report.verdict).toBe('UNKNOWN')
    expect(report.errors).toEqual([expect.stringMatching(/no daemon listens on .*Start it with start-live-env/)])
  })

  test('a daemon that declines to judge is UNKNOWN', async () => {
    const fake = await withDaemon()
    Object.assign(fake.health, { verdict: 'FINE' })
    expect((await checkJson([])).code).toBe(3)
  })

  test.each([
    [['--mode', 'guess']],
    [['--coverage-threshold', '1.5']],
    [['--lag-warning', 'soon']],
    [['--lag-warning', '60', '--lag-critical', '30']],
    [['--max-remediation-attempts', '-1']],
    [['--escalation-command', "page 'me"]],
    [['--active-file', 'active.json']],
    [['--out', 'xml']],
    [['--pushgateway-url', 'gateway:9091']],
    [['--no-such-option']],
    [['too', 'many']],
  ])('bad usage is UNKNOWN too: %j', async (args) => {
    const end = await check(args)
    expect(end.code).toBe(3)
    expect(end.stderr).toMatch(/error: /)
    expect(end.stdout).not.toContain('"verdict"')
  })

  test.each([
    [{ FEED_PROFILE: 'live' }, /there is no env file/],
    [{ FEED_PROFILE: 'sim', FEED_STATE_DIR: '' }, /no daemon listens/],
  ])('a surrounding that is not ready is UNKNOWN: %j', async (env, message) => {
    const { code, report } = await checkJson([], env)
    expect(code).toBe(3)
    expect(report.errors.join()).toMatch(message)
  })
})

describe('what it says', () => {
  test('elsewhere than on a terminal: one line of JSON', async () => {
    await withDaemon()
    const { stdout } = await check([])
    expect(stdout.trim().split('\n')).toHaveLength(1)
    expect(JSON.parse(stdout)).toMatchObject({ event: 'result', verdict: 'OK' })
  })

  test('thresholds are passed on to the daemon, which judges by them', async () => {
    const fake = await withDaemon()
    await check(['--coverage-threshold', '0.9', '--lag-warning', '10', '--lag-critical', '20', '--mode', 'audit'])
    expect(fake.questions).toEqual(['mode=audit&coverage_threshold=0.9&lag_warning=10&lag_critical=20'])
  })

  test('--help tells options, exit codes and examples', async () => {
    const { code, stdout } = await check(['--help'])
    expect(code).toBe(0)
    for (const part of ['--escalation-command', 'Exit codes:', '3  UNKNOWN', 'Examples:'])
      expect(stdout).toContain(part)
  })

  test('--wait asks again until the verdict is OK', async () => {
    const fake = await withDaemon({ verdict: 'CRITICAL', exit_code: 2 })
    const asked = checkJson(['--wait', '20'])
    while (fake.questions.length < 2) await new Promise((resolve) => setTimeout(resolve, 10))
    fake.health = healthOf()
    expect((await asked).code).toBe(0)
  })
})

describe('files', () => {
  test('audit always keeps a report', async () => {
    await withDaemon()
    const { report } = await checkJson(['--mode', 'audit'])
    const [name, ...others] = readdirSync(join(directory, 'reports'))
    expect(others).toEqual([])
    expect(report.report_file).toBe(join(directory, 'reports', name ?? ''))
    expect(JSON.parse(readFileSync(report.report_file ?? '', 'utf8'))).toMatchObject({ verdict: 'OK', mode: 'audit' })
  })

  test('a dry run keeps none', async () => {
    await withDaemon()
    await check([])
    expect(existsSync(join(directory, 'reports'))).toBe(false)
  })

  test('CSV has a row for each contract that something is wrong with', async () => {
    await withDaemon({
      verdict: 'CRITICAL',
      exit_code: 2,
      missing_contracts: ['SP m2605&m2609.DCE'],
      stalled_contracts: [
        {
          symbol: 'rb2605',
          exchange: 'SHFE',
          line: 'backup',
          lag_seconds: 75,
          severity: 'warning',
          evidence: 'other-line',
        },
      ],
    })
    const { code, report } = await checkJson(['--out', 'csv', '--out-dir', join(directory, 'elsewhere')])
    expect(code).toBe(2)
    expect(readFileSync(report.report_file ?? '', 'utf8')).toBe(
      'symbol,exchange,line,problem,severity,lag_seconds,evidence\n' +
        'SP m2605&m2609,DCE,primary,missing,critical,,\n' +
        'rb2605,SHFE,backup,stalled,warning,75,other-line\n',
    )
  })

  test('an audit whose report cannot be written is not OK', async () => {
    await withDaemon()
    const { code, report } = await checkJson(['--mode', 'audit', '--out-dir', file('plain-file', '')])
    expect(code).toBe(1)
    expect(report.errors).toEqual([expect.stringMatching(/cannot be written/)])
  })
})

describe('from files instead of a daemon', () => {
  const catalogue = '{"symbols": ["rb2605.SHFE", {"symbol": "m2605", "exchange": "DCE"}]}'
  const now = () => new Date().toISOString()

  function offline(active: object) {
    return checkJson([
      '--catalogue',
      file('catalogue.json', catalogue),
      '--active-file',
      file('active.json', JSON.stringify(active)),
    ])
  }

  test('every contract there and ticking: OK', async () => {
    const subscriptions = [
      { symbol: 'rb2605', exchange: 'SHFE', last_tick_at: now() },
      { symbol: 'm2605', exchange: 'DCE', last_tick_at: now() },
    ]
    const { code, report } = await offline({ subscriptions, generated_at: now() })
    expect(report).toMatchObject({ verdict: 'OK', coverage_ratio: 1, expected_total: 2, ticked_total: 2 })
    expect(code).toBe(0)
  })

  test('a bare name counts as subscribed and not as ticking', async () => {
    const { report } = await offline({ subscriptions: ['rb2605.SHFE', 'm2605.DCE'], generated_at: now() })
    expect(report).toMatchObject({ coverage_ratio: 1, ticked_total: 0 })
  })

  test('a missing contract below the threshold: CRITICAL, and it is named', async () => {
    const { code, report } = await offline({ subscriptions: ['rb2605.SHFE', 'au2606.SHFE'], generated_at: now() })
    expect(code).toBe(2)
    expect(report).toMatchObject({
      missing_contracts: ['m2605.DCE'],
      unexpected_contracts: ['au2606.SHFE'],
      coverage_ratio: 0.5,
    })
  })

  test('a file of long ago is no evidence of now', async () => {
    const { code, report } = await offline({
      subscriptions: ['rb2605.SHFE', 'm2605.DCE'],
      generated_at: '2026-03-03T10:00:00+08:00',
    })
    expect(code).toBe(1)
    expect(report.warnings.join()).toMatch(/minutes ago/)
  })

  test.each([
    ['empty', '{"symbols": []}'],
    ['malformed', '{"symbols": ['],
    ['of something else', '[1, 2]'],
  ])('a catalogue that is %s is UNKNOWN', async (_what, text) => {
    const { code } = await checkJson([
      '--catalogue',
      file('catalogue.json', text),
      '--active-file',
      file('a.json', '{"subscriptions": ["rb2605.SHFE"]}'),
    ])
    expect(code).toBe(3)
  })

  const half = '{"subscriptions": ["rb2605.SHFE"], "generated_at": null}'
  const fromFiles = (settings: string, options: { catalogue?: string; args?: string[] } = {}) =>
    checkJson([
      ...[
        '--env-file',
        file('sim.env', settings),
        '--catalogue',
        file('catalogue.json', options.catalogue ?? catalogue),
      ],
      ...['--active-file', file('active.json', half), ...(options.args ?? [])],
    ])

  test("the env file's coverage threshold counts; one on the command line counts more", async () => {
    expect((await fromFiles('COVERAGE_THRESHOLD=0.4\n')).report.verdict).toBe('WARNING')
    expect((await fromFiles('')).report.verdict).toBe('CRITICAL')
    const asked = await fromFiles('COVERAGE_THRESHOLD=0.4\n', { args: ['--coverage-threshold', '0.6'] })
    expect(asked.report.verdict).toBe('CRITICAL')
  })

  test.each([
    ['2026-11-19T09:31:00+08:00', 'open', '20261119'],
    ['2026-11-19T21:30:00', 'open', '20261120'],
    ['2026-11-19T18:00:00+08:00', 'closed', '20261120'],
  ])("the env file's market clock %s decides: %s", async (start, sessionState, tradingDay) => {
    const { report } = await fromFiles(`SIM_MARKET_CLOCK=${start}\n`)
    expect(report).toMatchObject({ session_state: sessionState, trading_day: tradingDay })
  })

  test("the env file's calendar is the one that is asked", async () => {
    const { code, report } = await fromFiles(
      'SIM_MARKET_CLOCK=2026-11-19T09:31:00+08:00\nCALENDAR_DIR=./no-such-calendar\n',
    )
    expect(code).toBe(3)
    expect(report.errors.join()).toContain('no-such-calendar')
  })

  test('a contract outside of its first and last trading day is not demanded', async () => {
    const symbols = [
      'rb2605.SHFE',
      { symbol: 'rb2705', exchange: 'SHFE', open_date: '2026-11-20', expiry: '2027-05-17' },
      { symbol: 'rb2611', exchange: 'SHFE', open_date: '2025-11-18', expiry: '2026-11-16' },
    ]
    const { code, report } = await fromFiles('SIM_MARKET_CLOCK=2026-11-19T09:31:00+08:00\n', {
      catalogue: JSON.stringify({ symbols }),
    })
    expect(report).toMatchObject({ expected_total: 1, coverage_ratio: 1, verdict: 'OK' })
    expect(report.ignored_contracts).toEqual(['rb2705.SHFE', 'rb2611.SHFE'])
    expect(code).toBe(0)
  })

  test("a catalogue alone goes to the daemon, and the verdict is the daemon's", async () => {
    const fake = await withDaemon({ verdict: 'CRITICAL', exit_code: 2, errors: ['Neither line delivers.'] })
    const { code, report } = await checkJson(['--catalogue', file('catalogue.json', catalogue)])
    expect(code).toBe(2)
    expect(report.errors).toEqual(['Neither line delivers.'])
    expect(fake.questions).toEqual([
      'mode=dry-run {"catalogue":[["rb2605","SHFE",null,null],["m2605","DCE",null,null]]}',
    ])
  })

  test('a catalogue without a daemon is UNKNOWN', async () => {
    expect((await checkJson(['--catalogue', file('catalogue.json', catalogue)])).code).toBe(3)
  })
})

describe('enforce', () => {
  const ill: Partial<TransmittedHealth> = {
    verdict: 'CRITICAL',
    exit_code: 2,
    stalled_contracts: [
      {
        symbol: 'rb2605',
        exchange: 'SHFE',
        line: 'backup',
        lag_seconds: 75,
        severity: 'critical',
        evidence: 'other-line',
      },
    ],
    lines: { primary: lineOf({ expected: 5, subscribed: 3, refused: 1 }), backup: lineOf() },
  }
  const escalation = () => [
    '--escalation-command',
    `${process.execPath} -e 'require("fs").writeFileSync(process.argv[1], JSON.stringify(process.argv.slice(2)))' ${join(directory, 'called')} {marker} "$(id) {exit_code}"`,
  ]

  test('asks again for what is missing or stalled, on the line concerned, and reports what came back', async () => {
    const fake = await withDaemon(ill)
    fake.onOrder = () => {
      fake.health = healthOf({ lines: { primary: lineOf({ rate_limit_hits: 2 }), backup: lineOf() } })
    }
    const { code, report } = await checkJson(['--mode', 'enforce', ...escalation()])
    expect(code).toBe(0)
    expect(fake.orders.map(({ body }) => body)).toEqual([
      { line: 'primary', only: 'missing' },
      { line: 'backup', symbols: ['rb2605.SHFE'], only: 'stalled' },
    ])
    expect(report.remediation).toEqual({ attempts: 1, requested: 2, recovered: 2, rate_limit_events: 2 })
    expect(existsSync(join(directory, 'called'))).toBe(false)
  })

  test('what did not help is escalated, without a shell', async () => {
    const fake = await withDaemon(ill)
    fake.refusal = new Failure('busy', 'the line is busy', 'Wait.')
    const { code, report } = await checkJson(['--mode', 'enforce', '--max-remediation-attempts', '0', ...escalation()])
    expect(code).toBe(2)
    const [marker, argument] = JSON.parse(readFileSync(join(directory, 'called'), 'utf8'))
    expect(marker).toMatch(/^FEED-CRITICAL-sim-\d{8}T\d{6}$/)
    expect(argument).toBe('$(id) 2')
    expect(report.warnings).toContain(`escalated as ${marker}`)
  })

  test('an escalation that fails is told, and the verdict stands', async () => {
    await withDaemon(ill)
    const { code, report } = await checkJson([
      '--mode',
      'enforce',
      '--max-remediation-attempts',
      '0',
      '--escalation-command',
      '/nonexistent/page',
    ])
    expect(code).toBe(2)
    expect(report.warnings.join()).toMatch(/escalation .* failed: .*could not be started/)
  })

  test('a dead daemon is escalated as well', async () => {
    const { code } = await checkJson(['--mode', 'enforce', ...escalation()])
    expect(code).toBe(3)
    expect(JSON.parse(readFileSync(join(directory, 'called'), 'utf8'))[1]).toBe('$(id) 3')
  })

  test('a dry run asks for nothing', async () => {
    const fake = await withDaemon(ill)
    await checkJson(escalation())
    expect(fake.orders).toEqual([])
    expect(existsSync(join(directory, 'called'))).toBe(false)
  })
})

describe('--if-trading-day', () => {
  test('a holiday of the daemon is skipped with 0', async () => {
    const fake = await withDaemon({ verdict: 'CRITICAL', exit_code: 2 })
    fake.status = statusOf({ session_state: 'holiday' })
    const { code, report } = await checkJson(['--if-trading-day'])
    expect(code).toBe(0)
    expect(report.outcome).toBe('skipped')
  })

  test('a closed hour of a trading day is not', async () => {
    const fake = await withDaemon({ verdict: 'CRITICAL', exit_code: 2 })
    fake.status = statusOf({ session_state: 'closed' })
    expect((await checkJson(['--if-trading-day'])).code).toBe(2)
  })
})

describe('metrics', () => {
  let gateway: Server | null = null
  afterEach(() => {
    gateway?.closeAllConnections()
    gateway?.close()
  })

  async function gatewayUrl(onPush: (path: string, body: string) => void): Promise<string> {
    const server = createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += String(chunk)
      onPush(request.url ?? '', body)
      response.end()
    })
    gateway = server
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  test('are pushed in a group of their own, unless skipped', async () => {
    await withDaemon({ verdict: 'CRITICAL', exit_code: 2, missing_contracts: ['m2605.DCE'] })
    const pushes: { path: string; body: string }[] = []
    const PUSHGATEWAY_URL = await gatewayUrl((path, body) => pushes.push({ path, body }))
    expect((await check([], { PUSHGATEWAY_URL })).code).toBe(2)
    expect((await check(['--skip-metrics'], { PUSHGATEWAY_URL })).code).toBe(2)
    expect(pushes).toHaveLength(1)
    const labels = (pushes[0]?.path.split('/').slice(2) ?? []).map((part) =>
      part.endsWith('@base64') ? part : Buffer.from(part, 'base64url').toString(),
    )
    expect(labels).toEqual([
      'job@base64',
      'feed-supervisor',
      'check@base64',
      'feed-health',
      'profile@base64',
      'sim',
      'session_window@base64',
      'day',
    ])
    expect(pushes[0]?.body).toContain('md_health_verdict 2\n')
    expect(pushes[0]?.body).toContain('md_subscription_missing_contracts 1\n')
  })

  test('a gateway that is down adds a warning and changes nothing else', async () => {
    await withDaemon()
    const { code, report } = await checkJson(['--pushgateway-url', 'http://127.0.0.1:1'])
    expect(code).toBe(0)
    expect(report.warnings).toEqual([expect.stringMatching(/metrics not pushed/)])
  })
})
