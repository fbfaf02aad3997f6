/**
 * The control socket: HTTP over `<state-dir>/control.sock`, mode 0600, so the file system decides who may ask. Bodies are bounded,
 * every request has a deadline, and every refusal says what to do about it.
 */
import { chmod, lstat, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Failure, problemOf } from '#domain/failure.ts'
import { SOCKET_PATH_BYTES_MAX } from './http-exchange.ts'

export interface ControlRequest {
  query: URLSearchParams
  /** Parsed JSON of a POST, undefined for a GET or an empty body. */
  body: unknown
}

export type ControlAnswer =
  | { kind: 'json'; status: number; body: unknown }
  /** Lines of text sent as they come, until the source ends or the asker goes away. */
  | { kind: 'lines'; lines: (signal: AbortSignal) => AsyncIterable<string> }

export type ControlRoute = (request: ControlRequest) => Promise<ControlAnswer>

/** Routes by `METHOD /path`. */
export type ControlRoutes = ReadonlyMap<string, ControlRoute>

export interface ControlServer {
  /** Stops listening, ends what is under way and removes the socket. */
  close(): Promise<void>
}

/** The largest catalogue that a check may send along fits. */
const BODY_BYTES_MAX = 16 * 1024 * 1024
const CONNECTIONS_MAX = 64

/** HTTP status of a refusal, by its kind; any other kind is a 409: the feed's state forbids it. */
const STATUS_OF_KIND: Readonly<Record<string, number>> = {
  'bad-request': 400,
  'body-too-large': 413,
  'not-found': 404,
  unexpected: 500,
}

/**
 * @throws Failure `socket-path-too-long`, or `control-socket` when the socket can't be made. The caller holds the daemon lock, so a
 * socket file that is already there belongs to a dead process and is removed; anything else there is somebody's and stays.
 */
export async function serveControl(
  socketPath: string,
  routes: ControlRoutes,
  onFault: (error: unknown) => void,
): Promise<ControlServer> {
  if (Buffer.byteLength(socketPath) > SOCKET_PATH_BYTES_MAX) {
    throw new Failure(
      'socket-path-too-long',
      `the control socket's path ${socketPath} is longer than ${SOCKET_PATH_BYTES_MAX} bytes`,
      'Choose a state directory with a shorter path.',
    )
  }
  const stopping = new AbortController()
  const server = createServer((request, response) => {
    answer(request, response, routes, stopping.signal).catch((error: unknown) => {
      // The asker went away in the middle of its answer; nobody is left to tell.
      if (!response.destroyed) onFault(error)
      response.destroy()
    })
  })
  server.maxConnections = CONNECTIONS_MAX
  server.requestTimeout = 10_000
  server.headersTimeout = 5_000
  await removeSocket(socketPath)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new Failure(
          'control-socket',
          `the control socket ${socketPath} can't be opened: ${error.message}`,
          'Check that the state directory is on a local file system and writable for this user.',
          error,
        ),
      ),
    )
    server.listen(socketPath, resolve)
  })
  await chmod(socketPath, 0o600)
  return {
    async close() {
      stopping.abort()
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeIdleConnections()
      setTimeout(() => server.closeAllConnections(), 500).unref()
      await closed
    },
  }
}

async function removeSocket(socketPath: string): Promise<void> {
  const found = await lstat(socketPath).catch(() => null) // Not there, or not to be looked at: listening tells.
  if (found === null) return
  if (!found.isSocket()) {
    throw new Failure(
      'control-socket',
      `${socketPath} is in the way of the control socket: it is ${found.isDirectory() ? 'a directory' : 'no socket'}`,
      'Move it away; nothing of the feed has put it there.',
    )
  }
  await rm(socketPath, { force: true })
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  routes: ControlRoutes,
  stopping: AbortSignal,
): Promise<void> {
  try {
    const url = new URL(request.url ?? '/', 'http://control')
    const route = routes.get(`${request.method} ${url.pathname}`)
    if (route === undefined) {
      throw new Failure(
        'not-found',
        `nothing is served at ${request.method} ${url.pathname}`,
        'See that the daemon and this command are of the same version.',
      )
    }
    const result = await route({ query: url.searchParams, body: await readBody(request) })
    switch (result.kind) {
      case 'json':
        sendJson(response, result.status, result.body)
        return
      case 'lines': {
        const gone = new AbortController()
        response.on('close', () => gone.abort())
        const signal = AbortSignal.any([gone.signal, stopping])
        response.writeHead(200, { 'content-type': 'application/x-ndjson' })
        response.flushHeaders()
        await pipeline(Readable.from(result.lines(signal)), response).catch((error: unknown) => {
          if (!signal.aborted) throw error
        })
        return
      }
    }
  } catch (error) {
    if (response.headersSent) throw error
    const { name, message, remedy } = problemOf(error)
    sendJson(response, STATUS_OF_KIND[name] ?? 409, { error: { kind: name, message, remedy } })
    if (!(error instanceof Failure)) throw error
  }
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body)
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    connection: 'close',
  })
  response.end(text)
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  if (request.method !== 'POST') return undefined
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    const part: Buffer = chunk
    bytes += part.length
    if (bytes > BODY_BYTES_MAX) {
      throw new Failure(
        'body-too-large',
        `the request body is over ${BODY_BYTES_MAX} bytes`,
        'Send fewer contracts at once.',
      )
    }
    chunks.push(part)
  }
  if (bytes === 0) return undefined
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch (error) {
    throw new Failure('bad-request', 'the request body is not JSON', 'Send a JSON object.', error)
  }
}
