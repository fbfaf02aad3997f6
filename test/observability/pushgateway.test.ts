/** Commands and a Pushgateway: a real one, one that asks for a password over TLS, and four bad ones. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../support/nats-server.ts'
import { lacksPrometheus } from '../support/prometheus-programs.ts'
import { eventually } from '../support/real-daemon.ts'
import { type CommandName, runCommand } from '../support/run-command.ts'

const home = mkdtempSync('/tmp/fs-')
afterAll(() => rmSync(home, { recursive: true, force: true }))

let servers: Server[] = []
afterEach(async () => {
  for (const server of servers) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  servers = []
})

async function listening(server: Server): Promise<number> {
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

function run(name: CommandName, args: readonly string[], env: Readonly<Record<string, string>>) {
  return runCommand(name, [...args, '--state-dir', join(home, 's')], { cwd: home, env })
}

const BAD: readonly (readonly [string, RequestListener | null])[] = [
  ['down', null],
  ['answering 400', (_, response) => void response.writeHead(400).end('pushed metrics are invalid')],
  ['hanging', () => undefined],
  [
    'slow',
    (request, response) => {
      const timer = setInterval(() => response.write('.'), 100)
      request.socket.on('close', () => clearInterval(timer))
    },
  ],
]

describe.each(BAD)('with the gateway %s', (_what, answer) => {
  test.each([
    // Nothing runs: UNKNOWN for the check, a stop that is done, and a switch that cannot be.
    ['check-feed-health', [], 3],
    ['start-live-env', ['stop'], 0],
    ['start-live-env', ['stop', '--decommission'], 0],
    ['start-live-env', ['failover'], 69],
  ] as const)('%s %s keeps its exit code, warns, and ends', async (name, args, code) => {
    const port = answer === null ? 1 : await listening(createServer(answer))
    const env = { PUSHGATEWAY_URL: `http://127.0.0.1:${port}`, PUSHGATEWAY_TIMEOUT_SECONDS: '0.3' }
    const end = await run(name, [...args, '--json'], env)
    expect(end.code, end.stdout + end.stderr).toBe(code)
    expect(JSON.parse(end.stdout).warnings.join(' ')).toMatch(/not (pushed|removed): /)
  })
})

test('a gateway behind TLS and a password is served by both commands, from a file and by reference', async () => {
  const pki = join(home, 'pki')
  mkdirSync(pki)
  const [key, cert, password] = ['key.pem', 'cert.pem', 'password'].map((name) => join(pki, name)) as [
    string,
    string,
    string,
  ]
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
  const pair = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', cert]
  execFileSync('openssl', ['req', '-x509', '-days', '2', ...pair, ...subject], { stdio: 'ignore' })
  writeFileSync(password, 'gateway-word\n', { mode: 0o600 })
  const logins: (string | undefined)[] = []
  const server = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (request, response) => {
    logins.push(request.headers.authorization)
    response.end()
  })
  const env = {
    PUSHGATEWAY_URL: `https://127.0.0.1:${await listening(server)}`,
    PUSHGATEWAY_USER: 'feed',
    PUSHGATEWAY_PASSWORD: `file:${password}`,
    PUSHGATEWAY_TLS_CA: cert,
  }
  for (const [name, args] of [
    ['check-feed-health', []],
    ['start-live-env', ['stop']],
  ] as const) {
    const end = await run(name, [...args, '--json'], env)
    expect(JSON.parse(end.stdout).warnings.join(' ')).not.toContain('not pushed')
    expect(end.stdout + end.stderr).not.toContain('gateway-word')
  }
  const expected = `Basic ${Buffer.from('feed:gateway-word').toString('base64')}`
  expect(logins).toEqual([expected, expected])

  const { PUSHGATEWAY_TLS_CA: _, ...untrusting } = env
  const end = await run('check-feed-health', ['--json'], untrusting)
  expect(JSON.parse(end.stdout).warnings.join(' ')).toMatch(/not pushed: .*self.signed/)
})

describe.skipIf(lacksPrometheus)('a real Pushgateway', () => {
  let gateway: ChildProcess
  let url: string

  beforeAll(async () => {
    const port = await freePort()
    url = `http://127.0.0.1:${port}`
    gateway = spawn('prometheus-pushgateway', [`--web.listen-address=127.0.0.1:${port}`], { stdio: 'ignore' })
    await eventually(
      () =>
        fetch(`${url}/-/ready`).then(
          ({ ok }) => ok || undefined,
          () => undefined,
        ),
      () => 'the Pushgateway is ready',
    )
  })
  afterAll(() => void gateway.kill('SIGKILL'))

  async function pushed(): Promise<string[]> {
    const text = await (await fetch(`${url}/metrics`)).text()
    return text.split('\n').filter((line) => /^md_runbook_(exit_code|last_success)/.test(line))
  }

  const of = (lines: readonly string[], ...words: readonly string[]) =>
    lines.filter((line) => words.every((word) => line.includes(word)))

  test('keeps every command, window and environment apart, and the last success of what then failed', async () => {
    const env = { PUSHGATEWAY_URL: url }
    await run('start-live-env', ['stop'], env)
    await run('start-live-env', ['failover'], env)
    await run('check-feed-health', [], env)
    await run('start-live-env', ['stop'], { ...env, FEED_WINDOW: 'night' })
    await run('start-live-env', ['stop'], { ...env, FEED_WINDOW: 'day' })
    writeFileSync(join(home, '.env.paper'), 'FEED_ADAPTER=sim\n', { mode: 0o600 })
    await run('start-live-env', ['stop', '--profile', 'paper'], { ...env, FEED_WINDOW: 'day' })

    const lines = await pushed()
    expect(of(lines, 'exit_code', 'command="stop"', 'profile="sim"', 'session_window="day"', '} 0')).toHaveLength(1)
    expect(of(lines, 'exit_code', 'command="stop"', 'profile="sim"', 'session_window="night"', '} 0')).toHaveLength(1)
    expect(of(lines, 'exit_code', 'command="stop"', 'profile="paper"', 'session_window="day"', '} 0')).toHaveLength(1)
    expect(of(lines, 'exit_code', 'command="failover"', 'profile="sim"', '} 69')).toHaveLength(1)
    expect(of(lines, 'last_success', 'command="failover"')).toEqual([])
    expect(of(lines, 'exit_code', 'check="feed-health"', '} 3')).toHaveLength(1)

    const before = of(lines, 'last_success', 'command="stop"', 'profile="paper"')
    expect(before).toHaveLength(1)
    await run('start-live-env', ['stop', '--profile', 'paper', '--dry-run'], { ...env, FEED_WINDOW: 'day' })
    expect(of(await pushed(), 'last_success', 'command="stop"', 'profile="paper"'), 'a dry run is no success').toEqual(
      before,
    )
  })

  test('forgets an environment that is given up, and that one only', async () => {
    const end = await run('start-live-env', ['stop', '--profile', 'paper', '--decommission', '--json'], {
      PUSHGATEWAY_URL: url,
    })
    expect(JSON.parse(end.stdout).warnings.join(' ')).not.toContain('not removed')
    const lines = await pushed()
    expect(of(lines, 'profile="paper"')).toEqual([])
    expect(of(lines, 'profile="sim"').length).toBeGreaterThan(3)
  })
})
