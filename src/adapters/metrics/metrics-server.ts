/**
 * The only thing that listens on TCP: /metrics for Prometheus, /livez and /readyz for whoever watches, and the status page for people.
 * Read-only, loopback by default.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Failure } from '#domain/failure.ts'
import type { MetricsPage } from './daemon-metrics.ts'

export interface Probe {
  ok: boolean
  /** One sentence. */
  detail: string
}

export interface StatusPage {
  /** The page as built, one file that fetches nothing but the overview. */
  html: string
  overview(): Promise<object>
}

export interface MetricsServerOptions {
  host: string
  /** 0: any free port. */
  port: number
  page: MetricsPage
  live(): Probe
  ready(): Probe
  statusPage: StatusPage
  onFault(error: unknown): void
}

export interface MetricsServer {
  readonly port: number
  close(): Promise<void>
}

const TEXT = 'text/plain; charset=utf-8'

/** @throws Failure `metrics-port` when the address can't be listened on */
export async function serveMetrics(options: MetricsServerOptions): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    const send = (status: number, type: string, text: string) => {
      response.writeHead(status, {
        'content-type': type,
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
        'content-length': Buffer.byteLength(text),
        connection: 'close',
      })
      response.end(request.method === 'HEAD' ? undefined : text)
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      send(405, TEXT, 'only GET is served here\n')
      return
    }
    const sendLater = (type: string, text: Promise<string>) =>
      text.then(
        (ready) => send(200, type, ready),
        (error: unknown) => {
          options.onFault(error)
          send(500, TEXT, 'this could not be rendered; see the log of the daemon\n')
        },
      )
    switch ((request.url ?? '/').split('?', 1)[0]) {
      case '/metrics':
        void sendLater(options.page.contentType, options.page.text())
        return
      case '/':
        send(200, 'text/html; charset=utf-8', options.statusPage.html)
        return
      case '/status.json':
        void sendLater(
          'application/json',
          options.statusPage.overview().then((overview) => JSON.stringify(overview)),
        )
        return
      case '/livez':
        sendProbe(send, options.live())
        return
      case '/readyz':
        sendProbe(send, options.ready())
        return
      default:
        send(404, TEXT, 'served here: / /status.json /metrics /livez /readyz\n')
    }
  })
  server.maxConnections = 64
  server.requestTimeout = 5_000
  server.headersTimeout = 5_000
  await listen(server, options)
  const { port } = server.address() as AddressInfo
  return {
    port,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}

function sendProbe(send: (status: number, type: string, text: string) => void, probe: Probe): void {
  send(probe.ok ? 200 : 503, TEXT, `${probe.detail}\n`)
}

function listen(server: Server, { host, port }: MetricsServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new Failure(
          'metrics-port',
          `the metrics port ${host}:${port} can't be listened on: ${error.message}`,
          'Choose another METRICS_PORT (0 takes any free one), or end the program that holds it.',
          error,
        ),
      ),
    )
    server.listen(port, host, resolve)
  })
}
