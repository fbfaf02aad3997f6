/**
 * Real nats-servers for tests: on free ports of the loopback, with a store of their own, killed and restarted at will. Without the
 * program tests skip and say so; with FEED_REQUIRE_REAL=1 they fail instead.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type NatsConnection } from '@nats-io/transport-node'

const PROGRAM = 'nats-server'
const version = spawnSync(PROGRAM, ['--version'], { encoding: 'utf8' })
const isThere = version.status === 0
const isRequired = process.env['FEED_REQUIRE_REAL'] === '1'

/** For describe.skipIf: true when there is no nats-server and none is demanded. */
export const lacksNats = !isThere && !isRequired
if (!isThere)
  console.warn('nats-server is not installed: tests against a real bus are skipped (apt-get install nats-server)')

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

export interface ServerSettings {
  port?: number
  /** More lines of the configuration file. */
  config?: string
  /** Where the store is kept; a directory of its own by default. */
  store?: string
  /** Most bytes that all streams together may take. */
  storeBytesMax?: number
  /** Command that starts it, `nats-server -c FILE` appended: for namespaces and small disks. */
  wrapper?: readonly string[]
}

export class NatsServer {
  readonly port: number
  readonly store: string
  readonly name: string
  #config: string
  readonly #home: string
  readonly #wrapper: readonly string[]
  readonly #storeLimit: string
  #process: ChildProcess | null = null
  log = ''

  private constructor(settings: ServerSettings & { port: number; name: string }) {
    this.#home = mkdtempSync(join(tmpdir(), 'nats-'))
    this.port = settings.port
    this.name = settings.name
    this.store = settings.store ?? join(this.#home, 'store')
    this.#wrapper = settings.wrapper ?? []
    this.#config = settings.config ?? ''
    this.#storeLimit = settings.storeBytesMax === undefined ? '' : `, max_file_store: ${settings.storeBytesMax}`
  }

  static async start(settings: ServerSettings & { name?: string } = {}): Promise<NatsServer> {
    const port = settings.port ?? (await freePort())
    const server = new NatsServer({ ...settings, port, name: settings.name ?? `n${port}` })
    await server.start()
    return server
  }

  /** A cluster of `count`, with a leader for JetStream's own affairs elected. */
  static async cluster(count = 3): Promise<NatsServer[]> {
    const routes = await Promise.all(Array.from({ length: count }, freePort))
    const list = routes.map((port) => `nats://127.0.0.1:${port}`).join(', ')
    const servers = await Promise.all(
      routes.map((route, i) =>
        NatsServer.start({
          name: `c${i}-${route}`,
          config: `cluster { name: test, listen: "127.0.0.1:${route}", routes: [${list}] }`,
        }),
      ),
    )
    return servers
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`
  }

  get pid(): number {
    return this.#process?.pid ?? 0
  }

  /** Starts again, with other settings if given; resolves when it listens. */
  async start(config = this.#config): Promise<void> {
    this.#config = config
    const file = join(this.#home, 'nats.conf')
    writeFileSync(
      file,
      `server_name: "${this.name}"\nlisten: "127.0.0.1:${this.port}"\njetstream { store_dir: "${this.store}"${this.#storeLimit} }\n${config}\n`,
    )
    const [command = PROGRAM, ...rest] = [...this.#wrapper, PROGRAM, '-c', file]
    const process = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#process = process
    const ready = new Promise<void>((resolve, reject) => {
      const take = (text: Buffer) => {
        this.log = (this.log + text.toString('latin1')).slice(-20_000)
        if (text.includes('Server is ready')) resolve()
      }
      process.stdout?.on('data', take)
      process.stderr?.on('data', take)
      process.on('error', reject)
      process.on('exit', (code) => reject(new Error(`nats-server ended with ${code}: ${this.log}`)))
    })
    await ready
    ready.catch(() => undefined)
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const process = this.#process
    this.#process = null
    if (process === null || process.exitCode !== null || process.signalCode !== null) return
    const ended = new Promise((resolve) => process.on('exit', resolve))
    process.kill(signal)
    await ended
  }

  pause(): void {
    this.#process?.kill('SIGSTOP')
  }

  resume(): void {
    this.#process?.kill('SIGCONT')
  }

  async remove(): Promise<void> {
    this.resume()
    await this.end('SIGKILL')
    rmSync(this.#home, { recursive: true, force: true })
  }

  async connect(): Promise<NatsConnection> {
    return await connect({ servers: this.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 })
  }
}
