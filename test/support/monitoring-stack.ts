/**
 * Prometheus, Pushgateway and Alertmanager as shipped, made quick for a test and put on free ports of the loopback. The transformation is
 * all of it in `quick`: ports, intervals of scraping, evaluating and notifying, and every `for:` a sixtieth of what it is. Expressions,
 * labels, routes, inhibitions and templates are the shipped ones.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './nats-server.ts'
import { eventually } from './real-daemon.ts'
import { PACKAGE } from './shipped-monitoring.ts'

/** One notification of one alert, as the far end got it. */
export interface Notice {
  receiver: 'ops-channel' | 'pager' | 'deadman'
  text: string
}

interface Ports {
  prometheus: number
  pushgateway: number
  alertmanager: number
  receiver: number
  daemon: number
}

const PATIENCE_MS = 150_000

export class MonitoringStack {
  readonly notices: Notice[] = []
  readonly ports: Ports
  readonly #home: string
  readonly #receiver: Server
  readonly #processes: ChildProcess[] = []
  #log = ''

  private constructor(home: string, ports: Ports, receiver: Server) {
    this.#home = home
    this.ports = ports
    this.#receiver = receiver
  }

  /** Starts all three and waits until they are ready; the daemon to come is expected at `ports.daemon` with this profile. */
  static async start(profile: string): Promise<MonitoringStack> {
    const names = ['prometheus', 'pushgateway', 'alertmanager', 'receiver', 'daemon'] as const
    const numbers = await Promise.all(names.map(() => freePort()))
    const ports = Object.fromEntries(names.map((name, i) => [name, numbers[i] ?? 0])) as unknown as Ports
    const home = mkdtempSync(join(tmpdir(), 'fs-monitoring-'))
    const receiver = createServer((request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString()
      })
      request.on('end', () => {
        stack.#take(request.url ?? '', body)
        response.writeHead(request.url === '/pager' ? 202 : 200).end('{"status":"success"}')
      })
    })
    const stack = new MonitoringStack(home, ports, receiver)
    await new Promise<void>((resolve) => receiver.listen(ports.receiver, '127.0.0.1', resolve))
    writeConfiguration(home, ports, profile)
    await stack.#run()
    return stack
  }

  get pushgatewayUrl(): string {
    return `http://127.0.0.1:${this.ports.pushgateway}`
  }

  /** Waits until a notice holds all the words, in one text. Expressions look back as far as shipped, so it may take minutes. */
  async heard(receiver: Notice['receiver'], ...words: readonly string[]): Promise<Notice> {
    const deadline = performance.now() + PATIENCE_MS
    for (;;) {
      const found = this.notices.find(
        (each) => each.receiver === receiver && words.every((word) => each.text.includes(word)),
      )
      if (found !== undefined) return found
      if (performance.now() > deadline) {
        throw new Error(
          `${receiver} was not told ${words.join(' ')}; it was told:\n${this.#told()}\n${this.#log.slice(-3_000)}`,
        )
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  /** The samples of an instant query. */
  async query(expr: string): Promise<{ metric: Record<string, string>; value: [number, string] }[]> {
    const url = `http://127.0.0.1:${this.ports.prometheus}/api/v1/query?query=${encodeURIComponent(expr)}`
    const answer = (await (await fetch(url)).json()) as { status: string; error?: string; data?: { result: [] } }
    if (answer.status !== 'success') throw new Error(`${expr}: ${answer.error}`)
    return answer.data?.result ?? []
  }

  /** Names of the alerts that Alertmanager holds but does not tell, since another one explains them. */
  async inhibited(): Promise<string[]> {
    const url = `http://127.0.0.1:${this.ports.alertmanager}/api/v2/alerts?inhibited=true&active=false`
    const alerts = (await (await fetch(url)).json()) as { labels: { alertname: string } }[]
    return alerts.map(({ labels }) => labels.alertname)
  }

  async close(): Promise<void> {
    for (const child of this.#processes) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await ended
    }
    this.#receiver.closeAllConnections()
    await new Promise((resolve) => this.#receiver.close(resolve))
    rmSync(this.#home, { recursive: true, force: true })
  }

  async #run(): Promise<void> {
    const { ports } = this
    const listen = (port: number) => `--web.listen-address=127.0.0.1:${port}`
    this.#start('prometheus-pushgateway', listen(ports.pushgateway))
    this.#start(
      'prometheus-alertmanager',
      listen(ports.alertmanager),
      '--config.file=alertmanager.yml',
      '--storage.path=alertmanager-data',
      '--cluster.listen-address=',
    )
    this.#start('prometheus', listen(ports.prometheus), '--config.file=prometheus.yml', '--storage.tsdb.path=data')
    for (const port of [ports.pushgateway, ports.alertmanager, ports.prometheus]) {
      const ready = `http://127.0.0.1:${port}/-/ready`
      await eventually(
        () =>
          fetch(ready).then(
            ({ ok }) => ok || undefined,
            () => undefined,
          ),
        () => `${ready} answers\n${this.#log.slice(-3_000)}`,
      )
    }
  }

  #start(program: string, ...args: readonly string[]): void {
    const child = spawn(program, args, { cwd: this.#home, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        this.#log = (this.#log + chunk.toString()).slice(-50_000)
      })
    }
    this.#processes.push(child)
  }

  #take(url: string, body: string): void {
    const receiver = url === '/pager' ? 'pager' : url === '/ops' ? 'ops-channel' : 'deadman'
    this.notices.push({ receiver, text: body })
  }

  #told(): string {
    return this.notices.map(({ receiver, text }) => `${receiver}: ${text.slice(0, 300)}`).join('\n')
  }
}

function writeConfiguration(home: string, ports: Ports, profile: string): void {
  cpSync(join(PACKAGE, 'prometheus'), home, { recursive: true })
  for (const name of [
    'prometheus.yml',
    'alertmanager.yml',
    ...readdirSync(join(home, 'rules')).map((rule) => `rules/${rule}`),
  ]) {
    const path = join(home, name)
    writeFileSync(path, quick(readFileSync(path, 'utf8'), ports))
  }
  writeFileSync(
    join(home, 'targets/feed-supervisor.yml'),
    `- targets: ['127.0.0.1:${ports.daemon}']\n  labels: { profile: ${profile} }\n`,
  )
  mkdirSync(join(home, 'secrets'))
  const receiver = `http://127.0.0.1:${ports.receiver}`
  writeFileSync(join(home, 'secrets/ops-channel-url'), `${receiver}/ops`)
  writeFileSync(join(home, 'secrets/pager-key'), 'a-pager-key')
  writeFileSync(join(home, 'secrets/deadman-password'), 'a-password')
}

const SECONDS = { s: 1, m: 60, h: 3600 } as const

function quick(text: string, ports: Ports): string {
  return text
    .replaceAll(':9090', `:${ports.prometheus}`)
    .replaceAll(':9091', `:${ports.pushgateway}`)
    .replaceAll(':9093', `:${ports.alertmanager}`)
    .replaceAll(':9094', `:${ports.receiver}`)
    .replaceAll(
      /^( *(?:scrape_interval|scrape_timeout|evaluation_interval|group_wait|group_interval)): .*$/gm,
      '$1: 1s',
    )
    .replace(/^global:\n(?= {2}resolve)/m, `global:\n  pagerduty_url: http://127.0.0.1:${ports.receiver}/pager\n`)
    .replaceAll(/^( *for): (\d+)([smh])$/gm, (_, indent: string, count: string, unit: keyof typeof SECONDS) => {
      return `${indent}: ${Math.ceil((Number(count) * SECONDS[unit]) / 60)}s`
    })
}
