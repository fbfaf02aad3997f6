/**
 * One HTTP/1.1 request over a unix socket, answered whole or not at all. Written over node:net because a timer asks every minute and
 * loading node:http costs more than the question itself; one request per connection keeps the protocol that small.
 */
import { connect } from 'node:net'
import { Failure } from '#domain/failure.ts'

export interface HttpRequest {
  socketPath: string
  method: 'GET' | 'POST'
  path: string
  /** Sent as JSON. */
  body?: unknown
  /** For the whole exchange, connecting included. */
  timeoutMs: number
  signal?: AbortSignal
}

export interface HttpAnswer {
  status: number
  body: string
}

/** Nobody listens, somebody else's file, too slow, or no HTTP. */
export type ExchangeFault =
  | 'not-running'
  | 'not-permitted'
  | 'control-timeout'
  | 'control-broken'
  | 'socket-path-too-long'
export type ExchangeFailure = Failure<ExchangeFault>

/** 25,000 contracts with their names and times make about 5 MB. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024
/** sun_path holds 108 bytes with its closing NUL; a longer one would be cut silently. */
export const SOCKET_PATH_BYTES_MAX = 107

/** Throws an ExchangeFailure, or the signal's reason when aborted. */
export async function exchange(request: HttpRequest): Promise<HttpAnswer> {
  if (Buffer.byteLength(request.socketPath) > SOCKET_PATH_BYTES_MAX) throw pathTooLong(request.socketPath)
  request.signal?.throwIfAborted()
  return new Promise((resolve, reject) => {
    const socket = connect(request.socketPath)
    const chunks: Buffer[] = []
    let bytes = 0
    const settle = (act: () => void) => {
      clearTimeout(deadline)
      request.signal?.removeEventListener('abort', onAbort)
      socket.destroy()
      act()
    }
    const fail = (failure: ExchangeFailure) => settle(() => reject(failure))
    const onAbort = () => settle(() => reject(request.signal?.reason))
    const deadline = setTimeout(() => fail(tooSlow(request)), request.timeoutMs)
    request.signal?.addEventListener('abort', onAbort, { once: true })
    socket.on('error', (error: NodeJS.ErrnoException) => fail(connectFailure(error, request)))
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes > ANSWER_BYTES_MAX) fail(broken('the answer is larger than 64 MB', request))
    })
    socket.on('end', () => {
      const answer = parseAnswer(Buffer.concat(chunks))
      if (answer === null) fail(broken('the connection ended before the answer was complete', request))
      else settle(() => resolve(answer))
    })
    socket.write(requestText(request))
  })
}

function requestText({ method, path, body }: HttpRequest): string {
  const head = `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n`
  if (body === undefined) return `${head}\r\n`
  const json = JSON.stringify(body)
  return `${head}Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(json)}\r\n\r\n${json}`
}

/** Null when the answer is cut short or is no HTTP. */
export function parseAnswer(bytes: Buffer): HttpAnswer | null {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd < 0) return null
  const head = bytes.toString('latin1', 0, headEnd)
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1]
  if (status === undefined) return null
  const rest = bytes.subarray(headEnd + 4)
  const length = /^content-length: *(\d+) *$/im.exec(head)?.[1]
  if (length !== undefined && rest.length < Number(length)) return null
  const body = /^transfer-encoding: *chunked *$/im.test(head) ? unchunk(rest) : rest
  return body === null ? null : { status: Number(status), body: body.toString('utf8') }
}

function unchunk(bytes: Buffer): Buffer | null {
  const parts: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const lineEnd = bytes.indexOf('\r\n', at)
    const size = lineEnd < 0 ? Number.NaN : Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    if (size === 0) return Buffer.concat(parts)
    const start = lineEnd + 2
    if (Number.isNaN(size) || start + size + 2 > bytes.length) return null
    parts.push(bytes.subarray(start, start + size))
    at = start + size + 2
  }
  return null
}

function connectFailure(error: NodeJS.ErrnoException, request: HttpRequest): ExchangeFailure {
  const { socketPath } = request
  switch (error.code) {
    // A socket file without a listener is what a killed daemon leaves behind.
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ECONNREFUSED':
      return new Failure(
        'not-running',
        `no daemon listens on ${socketPath}`,
        'Start it with start-live-env, or name its directory with --state-dir.',
        error,
      )
    case 'EACCES':
    case 'EPERM':
      return new Failure(
        'not-permitted',
        `the control socket ${socketPath} may not be opened by this user`,
        'Run the command as the user that runs the daemon.',
        error,
      )
    default:
      return broken(`the connection broke: ${error.message}`, request, error)
  }
}

function tooSlow(request: HttpRequest): ExchangeFailure {
  return new Failure(
    'control-timeout',
    `the daemon did not answer ${request.method} ${pathname(request)} within ${request.timeoutMs / 1000} s`,
    'See whether the machine is overloaded and look at the daemon log; start-live-env restart replaces a daemon that hangs.',
  )
}

function broken(what: string, request: HttpRequest, cause?: unknown): ExchangeFailure {
  return new Failure(
    'control-broken',
    `${request.method} ${pathname(request)} on the control socket failed: ${what}`,
    'Look at the end of the daemon log; start-live-env status shows whether it still runs.',
    cause,
  )
}

function pathTooLong(socketPath: string): ExchangeFailure {
  return new Failure(
    'socket-path-too-long',
    `the control socket's path has ${Buffer.byteLength(socketPath)} bytes, a unix socket may have ${SOCKET_PATH_BYTES_MAX}: ${socketPath}`,
    'Choose a shorter --state-dir.',
  )
}

function pathname(request: HttpRequest): string {
  return request.path.split('?', 1).join('')
}
