/**
 * A scripted CTP front on loopback TCP, the other end of the SDK stand-in (test/native/ctp-standin/front-link.hpp has the words). Left
 * alone it behaves as a well-meaning front does; `script` replaces single answers, and the methods send whatever a test wants to see.
 */
import { createServer, type Server, type Socket } from 'node:net'

export type Words = readonly string[]

export interface FrontScript {
  /** Greet a new connection; the default welcomes it. */
  connected?: (session: FrontSession) => void
  login?: (session: FrontSession, request: string, account: { broker: string; user: string; password: string }) => void
  authenticate?: (session: FrontSession, request: string, texts: Words) => void
  subscribe?: (session: FrontSession, ids: Words) => void
  unsubscribe?: (session: FrontSession, ids: Words) => void
  query?: (session: FrontSession, request: string, filter: Words) => void
}

/** GBK bytes are given as they are; a string is sent as UTF-8, which for ASCII is the same. */
export type Text = string | Uint8Array

export class ScriptedFront {
  /** Every line that a library sent, decoded to words, in order of arrival. */
  readonly received: Words[] = []
  readonly sessions: FrontSession[] = []
  script: FrontScript
  readonly #server: Server
  #port = 0
  #waiters: (() => void)[] = []

  private constructor(script: FrontScript, server: Server) {
    this.script = script
    this.#server = server
  }

  static async open(script: FrontScript = {}, port = 0): Promise<ScriptedFront> {
    const server = createServer()
    const front = new ScriptedFront(script, server)
    server.on('connection', (socket) => front.#accept(socket))
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    front.#port = address.port
    return front
  }

  get port(): number {
    return this.#port
  }

  get address(): string {
    return `tcp://127.0.0.1:${this.#port}`
  }

  get connections(): number {
    return this.sessions.length
  }

  /** The session of the newest connection. */
  get session(): FrontSession {
    const newest = this.sessions.at(-1)
    if (newest === undefined) throw new Error('no library has connected yet')
    return newest
  }

  /** Resolves with the first line whose first word is `word`, waiting for it when it has not come yet. */
  async line(word: string, timeoutMs = 10_000): Promise<Words> {
    return this.until(() => this.received.find((words) => words[0] === word), `the library to send ${word}`, timeoutMs)
  }

  async until<T>(found: () => T | undefined, what: string, timeoutMs = 10_000): Promise<T> {
    const deadline = performance.now() + timeoutMs
    for (;;) {
      const value = found()
      if (value !== undefined) return value
      const leftMs = deadline - performance.now()
      if (leftMs <= 0)
        throw new Error(`waited ${timeoutMs} ms for ${what}; got ${JSON.stringify(this.received.slice(-20))}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs)
        this.#waiters.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  async close(): Promise<void> {
    for (const session of this.sessions) session.socket.destroy()
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
    })
  }

  #accept(socket: Socket): void {
    const session = new FrontSession(socket, this.script)
    this.sessions.push(session)
    let held = ''
    socket.setNoDelay(true)
    socket.setEncoding('latin1')
    socket.on('error', () => {})
    socket.on('data', (text: string) => {
      held += text
      const lines = held.split('\n')
      held = lines.pop() ?? ''
      for (const line of lines) {
        const words = line.split(' ').map(decoded)
        this.received.push(words)
        session.answer(words)
      }
      this.#wake()
    })
    this.#wake()
  }

  #wake(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) waiter()
  }
}

/** One connection of a library. */
export class FrontSession {
  readonly socket: Socket
  readonly subscribed = new Set<string>()
  readonly #script: FrontScript

  constructor(socket: Socket, script: FrontScript) {
    this.socket = socket
    this.#script = script
  }

  send(...words: readonly Text[]): void {
    this.socket.write(`${words.map(encoded).join(' ')}\n`)
  }

  /** The library reports the connection. */
  welcome(): void {
    this.send('welcome')
  }

  /** `error` 'null' leaves the info out, as real libraries do on success. */
  loggedIn(request: string, { error = '0', text = '', tradingDay = '20261123' as Text } = {}): void {
    this.send('rsp-login', request, error, text, tradingDay)
  }

  subscribedTo(id: string, error = '0', text: Text = ''): void {
    this.send('rsp-sub', id, error, text)
  }

  tick(id: string, fields: Readonly<Record<string, string | number>> = {}): void {
    this.send('tick', id, ...Object.entries(fields).map(([name, value]) => `${name}=${value}`))
  }

  /** A tick that the library delivers only after it has reported the next disconnect. */
  lateTick(id: string, fields: Readonly<Record<string, string | number>> = {}): void {
    this.send('late-tick', id, ...Object.entries(fields).map(([name, value]) => `${name}=${value}`))
  }

  /** The library makes `count` ticks itself, `perSecond` or as fast as it can, and then sends `streamed`. */
  stream(count: number, perSecond: number, ids: readonly string[]): void {
    this.send('stream', String(count), String(perSecond), ...ids)
  }

  /** An answer that names no contract. */
  subscribedToNothing(error: string, text: Text = ''): void {
    this.send('rsp-sub-null', error, text)
  }

  /** As many answers about one contract, made by the library itself. */
  answers(count: number, id: string): void {
    this.send('answers', String(count), id)
  }

  /** The library's own request function named returns `code` next time, or throws; `returning` comes back once it knows. */
  nextReturn(name: 'login' | 'auth' | 'subscribe' | 'unsubscribe' | 'query', code: number | 'throw'): void {
    this.send('return', name, String(code))
  }

  /** The connection ends with the reason given. */
  drop(reason: number): void {
    this.send('drop', String(reason))
  }

  noise(text: Text): void {
    this.send('noise', text)
  }

  crash(how: 'segv' | 'abort' | 'throw'): void {
    this.send('crash', how)
  }

  answer(words: Words): void {
    const [command = '', request = '', ...rest] = words
    const script = this.#script
    if (command === 'hello') {
      if (script.connected) script.connected(this)
      else this.welcome()
    } else if (command === 'login') {
      const [broker = '', user = '', password = ''] = rest
      if (script.login) script.login(this, request, { broker, user, password })
      else this.loggedIn(request)
    } else if (command === 'auth') {
      if (script.authenticate) script.authenticate(this, request, rest)
      else this.send('rsp-auth', request, '0', '')
    } else if (command === 'subscribe') {
      const ids = words.slice(1)
      if (script.subscribe) script.subscribe(this, ids)
      else this.acknowledge(ids)
    } else if (command === 'unsubscribe') {
      const ids = words.slice(1)
      if (script.unsubscribe) script.unsubscribe(this, ids)
      else for (const id of ids) this.send('rsp-unsub', id, '0', '')
    } else if (command === 'query') {
      if (script.query) script.query(this, request, rest)
      else this.send('instrument-end', request, 'null', '')
    }
  }

  /** What a front does with a subscription: a response for each contract, then the last known state of each. */
  acknowledge(ids: readonly string[]): void {
    for (const id of ids) {
      this.subscribed.add(id)
      this.subscribedTo(id)
    }
    for (const id of ids) this.tick(id, { LastPrice: 3500, UpdateTime: '09:00:00', TradingDay: '20261123' })
  }
}

function encoded(text: Text): string {
  const bytes = typeof text === 'string' ? Buffer.from(text, 'utf8') : text
  if (bytes.length === 0) return '%'
  return Array.from(bytes, (byte) => {
    const character = String.fromCharCode(byte)
    return /[A-Za-z0-9_.:=+-]/.test(character) ? character : `%${byte.toString(16).padStart(2, '0')}`
  }).join('')
}

function decoded(word: string): string {
  const bytes =
    word === '%'
      ? ''
      : word.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
