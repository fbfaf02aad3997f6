// No secret gets out: every command, in good days and in bad ones, with known secrets in every place that a secret may come from. Then
// everything that was written anywhere is searched for them: outputs, files, processes.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/real-daemon.ts'
import { type CommandName, runCommand } from '../support/run-command.ts'
import { VaultDouble } from '../support/vault-double.ts'

const CANARY = /Canary-[a-z]+-[0-9a-f]{8}/
const secret = (where: string, digits: string) => `Canary-${where}-${digits}`
const TEXT = secret('text', '1a2b3c4d')
const REFERRED = secret('referred', '2b3c4d5e')
const IN_ENV_FILE = secret('envfile', '3c4d5e6f')
const IN_FILE = secret('file', '4d5e6f70')
const IN_VAULT = secret('vault', '5e6f7081')
const TOKEN = secret('token', '6f708192')
const AWS = secret('aws', '708192a3')
const NATS = secret('nats', '8192a3b4')

let directory = ''
let vault: VaultDouble
let gateway: Server
/** What anybody outside was told over the network, beside the stores themselves. */
const pushed: string[] = []
/** Everything that any command said. */
const said: { what: string; text: string }[] = []

beforeAll(async () => {
  directory = mkdtempSync('/tmp/fs-')
  writeFileSync(`${directory}/password`, `${IN_FILE}\n`, { mode: 0o600 })
  writeFileSync(`${directory}/feed.env`, `CTP_BACKUP_AUTH_CODE=${IN_ENV_FILE}\nCTP_BACKUP_APP_ID=app\n`, {
    mode: 0o600,
  })
  vault = await VaultDouble.start()
  gateway = createServer((request, response) => {
    let body = ''
    request.on('data', (part) => {
      body += String(part)
    })
    request.on('end', () => {
      pushed.push(`${request.method} ${request.url} ${body}`)
      response.writeHead(202).end()
    })
  })
  await new Promise<void>((resolve) => gateway.listen(0, '127.0.0.1', resolve))
})
afterAll(async () => {
  await command('start-live-env', ['stop'], base()).catch(() => undefined)
  await vault.http.stop()
  gateway.close()
  rmSync(directory, { recursive: true, force: true })
}, 60_000)

const MARKET = { SIM_INSTRUMENTS: '30', SIM_TICKS_PER_SECOND: '300', SUBSCRIBE_RATE_LIMIT_MAX_REQUESTS: '0' }

/** Secrets as text, by another variable, in an env file, in a file, and in Vault. */
function base(): Record<string, string> {
  return {
    ...MARKET,
    CTP_PRIMARY_PASSWORD: TEXT,
    CTP_PRIMARY_APP_ID: 'app',
    CTP_PRIMARY_AUTH_CODE: `file:${directory}/password`,
    CTP_BACKUP_PASSWORD: 'env:BACKUP_SECRET',
    BACKUP_SECRET: REFERRED,
    VAULT_ADDR: vault.http.url,
    VAULT_TOKEN: TOKEN,
    PUSHGATEWAY_URL: `http://127.0.0.1:${(gateway.address() as AddressInfo).port}`,
    PUSHGATEWAY_USER: 'feed',
    PUSHGATEWAY_PASSWORD: 'vault:secret/feed#push',
    AWS_ACCESS_KEY_ID: 'AKIACANARY',
    AWS_SECRET_ACCESS_KEY: AWS,
    ROLLBACK_WATCH_SECONDS: '1',
  }
}

async function command(name: CommandName, args: readonly string[], env: Record<string, string>) {
  const shared = ['--state-dir', `${directory}/s`, '--env-file', `${directory}/feed.env`]
  const ended = await runCommand(name, [...args, ...shared], { cwd: directory, env })
  said.push({ what: [name, ...args].join(' '), text: `${ended.stdout}\n${ended.stderr}` })
  return ended
}

const live = (args: readonly string[], env = base()) => command('start-live-env', args, env)

function scenario(fault: string, more: object = {}): Record<string, string> {
  const path = `${directory}/${fault}.json`
  const faults = ['primary', 'backup'].map((line) => ({ at_ms: 0, line, fault, ...more }))
  writeFileSync(path, JSON.stringify(faults))
  return { SIM_SCENARIO: path }
}

/** Arguments and environment of the daemon and of everything beneath it. */
function processes(pid: number): string[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  const own = ['cmdline', 'environ'].map(
    (file) => `${file} of ${pid}: ${readFileSync(`/proc/${pid}/${file}`, 'latin1')}`,
  )
  return [...own, ...children.flatMap(processes)]
}

function daemonPid(): number {
  return Number(JSON.parse(readFileSync(`${directory}/s/daemon.json`, 'utf8')).pid)
}

/** Every file beneath, archives unpacked; the places where secrets are kept on purpose are elsewhere. */
function filesUnder(root: string): { what: string; text: string }[] {
  const names = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return names.map((entry) => {
    const path = join(entry.parentPath, entry.name)
    return { what: path, text: readFileSync(path, 'latin1') }
  })
}

test('no secret is in any output, file, push, argument or environment', async () => {
  const data = { push: IN_VAULT, password: IN_VAULT }
  vault.state.kv2['secret/data/feed'] = { data, createdTime: '2026-11-01T00:00:00Z' }
  vault.state.tokens.set(TOKEN, { ttl: 3_600, renewable: true })
  const running: string[] = []
  const seen = () => running.push(...processes(daemonPid()))

  await command('validate-env', [], base())
  await command('validate-env', ['--json'], { ...base(), CTP_PRIMARY_PASSWORD: 'vault:secret/none#x' })
  await live(['plan'])
  expect((await live(['start'])).code).toBe(0)
  seen()
  const metrics = await metricsOf(daemonPid())
  await live(['status', '--json'])
  await live(['start'])
  await live(['plan', '--json'], { ...base(), CTP_PRIMARY_PASSWORD: secret('other', '92a3b4c5') })
  await command('check-feed-health', ['--json', '--out', 'json'], base())
  await command('full-feed-subscription', ['probe'], base())
  await command('full-feed-subscription', ['subscribe'], base())
  await live(['failover', '--reason', 'canary'])
  await live(['pause', '--reason', 'canary'])
  await live(['resume'])
  await live(['drill', '--reason', 'canary'])
  await live(['drill', '--kind', 'kill-switch', '--reason', 'canary'])
  seen()

  // Rotated under the running daemon, to one that is refused for its form, and back.
  writeFileSync(`${directory}/password`, `${IN_FILE}\n${secret('second', 'a3b4c5d6')}\n`)
  process.kill(daemonPid(), 'SIGHUP')
  writeFileSync(`${directory}/password`, `${secret('rotated', 'b4c5d6e7')}\n`)
  process.kill(daemonPid(), 'SIGHUP')

  // Bad configurations, each of which must be undone or refused.
  await live(['restart', '--timeout', '3'], { ...base(), ...scenario('refuse-connect') })
  seen()
  await live(['restart', '--timeout', '3'], {
    ...base(),
    CTP_PRIMARY_PASSWORD: 'vault:secret/feed#password',
    COVERAGE_THRESHOLD: '0.9',
  })
  seen()
  vault.state.instead = (_asked, response) => {
    response.writeHead(503).end(JSON.stringify({ errors: ['Vault is sealed'] }))
    return true
  }
  await live(['restart', '--timeout', '3'], { ...base(), CTP_PRIMARY_PASSWORD: 'vault:secret/feed#password' })
  await live(['plan'], { ...base(), CTP_PRIMARY_PASSWORD: 'vault:secret/feed#password' })
  vault.state.instead = null
  await live(['restart'], { ...base(), NATS_URL: 'nats://127.0.0.1:9', NATS_USER: 'feed', NATS_PASSWORD: NATS })
  await live(['restart'], { ...base(), SIM_INSTRUMENTS: TEXT })
  await live(['restart'], { ...base(), CTP_PRIMARY_PASSWORD: `vault:${TEXT}` })
  await live(['rollback', '--dry-run'])
  await live(['rollback', '--reason', 'canary'], { ...base(), COVERAGE_THRESHOLD: 'much' })
  seen()
  process.kill(daemonPid(), 'SIGKILL')
  await live(['start', '--timeout', '3'], { ...base(), ...scenario('login-error', { id: 3 }) })
  await live(['status'])
  await live(['bundle', `${directory}/bundle.tar.gz`])
  await live(['kill', '--reason', 'canary'])
  await live(['start'])
  await live(['status', '--clear-latch', 'kill', '--reason', 'canary'])
  await live(['stop'])
  await live(['backup', `${directory}/backup.tar.gz`])
  await live(['audit', 'verify'])
  await live(['audit'])
  await command('full-feed-subscription', ['verify'], base())

  for (const archive of ['bundle', 'backup']) {
    mkdirSync(`${directory}/s/unpacked-${archive}`)
    execFileSync('tar', ['-xzf', `${directory}/${archive}.tar.gz`, '-C', `${directory}/s/unpacked-${archive}`])
  }
  const places = [
    ...said,
    ...filesUnder(`${directory}/s`),
    ...running.map((text) => ({ what: text.slice(0, 20), text })),
    ...pushed.map((text) => ({ what: 'push', text })),
    { what: 'metrics', text: metrics },
  ]
  expect(pushed.length).toBeGreaterThan(0)
  expect(running.length).toBeGreaterThan(20)
  const found = places.filter(({ text }) => CANARY.test(text))
  expect(found.map(({ what, text }) => `${what}: ${excerpt(text)}`)).toEqual([])
}, 400_000)

function excerpt(text: string): string {
  const at = text.search(CANARY)
  return text.slice(Math.max(0, at - 80), at + 40)
}

/** The port is any free one; the daemon's log tells which. */
async function metricsOf(pid: number): Promise<string> {
  const port = await eventually(
    () => {
      const logs = filesUnder(`${directory}/s/logs`).map(({ text }) => text)
      return /metrics on port (\d+)/.exec(logs.join('\n'))?.[1]
    },
    () => `daemon ${pid} tells its metrics port`,
  )
  return (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
}
