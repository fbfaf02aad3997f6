/** A small HTTP server whose answers a test writes down: keeps what was asked, and ends with everything open. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'

export interface Asked {
  method: string
  path: string
  headers: IncomingMessage['headers']
  body: string
}

export class HttpDouble {
  readonly asked: Asked[] = []
  readonly #server: Server
  readonly #scheme: 'http' | 'https'

  private constructor(server: Server, scheme: 'http' | 'https') {
    this.#server = server
    this.#scheme = scheme
  }

  static async start(
    answer: (asked: Asked, response: ServerResponse) => void,
    tls?: { key: string; cert: string },
  ): Promise<HttpDouble> {
    const listener = (request: IncomingMessage, response: ServerResponse) => {
      let body = ''
      request.setEncoding('utf8').on('data', (text: string) => {
        body += text
      })
      request.on('end', () => {
        const asked = { method: request.method ?? '', path: request.url ?? '', headers: request.headers, body }
        double.asked.push(asked)
        answer(asked, response)
      })
    }
    const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener)
    const double = new HttpDouble(server, tls === undefined ? 'http' : 'https')
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return double
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo
    return `${this.#scheme}://127.0.0.1:${port}`
  }

  paths(): string[] {
    return this.asked.map(({ method, path }) => `${method} ${path}`)
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

export function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}
