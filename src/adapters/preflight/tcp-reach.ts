/** Does something accept TCP connections there? Nothing is sent, so no login is spent and no server logs more than a connection. */
import { connect } from 'node:net'

export interface Endpoint {
  readonly host: string
  readonly port: number
}

const CONNECT_DEADLINE_MS = 2_500

/** @returns null when it can be reached, otherwise why not, in a word. Never rejects. */
export function reach({ host, port }: Endpoint, signal: AbortSignal): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const end = (why: string | null) => {
      signal.removeEventListener('abort', abort)
      socket.destroy()
      resolve(why)
    }
    const abort = () => end('aborted')
    socket.setTimeout(CONNECT_DEADLINE_MS, () => end(`no answer within ${CONNECT_DEADLINE_MS} ms`))
    socket.once('connect', () => end(null))
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message))
    signal.addEventListener('abort', abort, { once: true })
  })
}
