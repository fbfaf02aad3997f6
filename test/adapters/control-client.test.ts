import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { controlClient } from '#adapters/control/control-client.ts'
import { parseAnswer } from '#adapters/control/http-exchange.ts'
import { Failure } from '#domain/failure.ts'
import { type FakeDaemon, startFakeDaemon } from '../support/fake-daemon.ts'

let directory = ''
let socketPath = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'control-'))
  socketPath = join(directory, 'control.sock')
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

describe('with a daemon', () => {
  let daemon: FakeDaemon
  beforeEach(async () => {
    daemon = await startFakeDaemon(directory)
  })
  afterEach(() => daemon.close())

  test('status and health come back as they are', async () => {
    const control = controlClient({ socketPath })
    expect(await control.status()).toEqual(daemon.status)
    expect(await control.health({ mode: 'audit', coverageThreshold: 0.9, lagWarningSeconds: 5 })).toMatchObject({
      verdict: 'OK',
      mode: 'audit',
    })
    expect(daemon.questions).toEqual(['mode=audit&coverage_threshold=0.9&lag_warning=5'])
  })

  test('an answer of several megabytes arrives whole', async () => {
    const row = { symbol: 'rb2605', exchange: 'SHFE', last_tick_at: null, refused: false }
    daemon.subscriptions = { subscriptions: Array.from({ length: 25_000 }, () => row), generated_at: '' }
    expect((await controlClient({ socketPath }).subscriptions()).subscriptions).toHaveLength(25_000)
  })

  test('an order carries its body, and what was accepted is counted', async () => {
    const answer = await controlClient({ socketPath }).subscribe({ line: 'backup', only: 'missing' })
    expect(answer).toEqual({ kind: 'done', body: { accepted: 1, rejected: [], batches: 1 } })
    expect(daemon.orders).toEqual([{ path: '/v1/subscribe', body: { line: 'backup', only: 'missing' } }])
  })

  test('what the daemon declines is a value with its remedy', async () => {
    daemon.refusal = new Failure('target-cannot-serve', 'the backup line is not logged in', 'Look at its state.')
    expect(await controlClient({ socketPath }).servingLine({ command: 'failover', reason: 'test' })).toEqual({
      kind: 'refused',
      status: 409,
      problem: {
        name: 'target-cannot-serve',
        message: 'the backup line is not logged in',
        remedy: 'Look at its state.',
      },
    })
  })

  test('a verdict that this version does not know is not taken for one', async () => {
    Object.assign(daemon.health, { verdict: 'SPLENDID' })
    await expect(controlClient({ socketPath }).health({ mode: 'dry-run' })).rejects.toMatchObject({
      kind: 'control-broken',
    })
  })
})

describe('without a daemon', () => {
  let server: Server | null = null
  afterEach(() => new Promise<void>((resolve) => (server === null ? resolve() : server.close(() => resolve()))))

  /** Says `text` to whoever connects, and hangs up if told so. */
  function listen(text: string, hangUp: boolean): Promise<void> {
    server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.on('data', () => (hangUp ? socket.end(text) : socket.write(text)))
    })
    return new Promise((resolve) => server?.listen(socketPath, resolve))
  }

  test('no socket: not running', async () => {
    await expect(controlClient({ socketPath }).status()).rejects.toMatchObject({ kind: 'not-running' })
  })

  test.each([
    ['silence', '', false, 'control-timeout'],
    ['half an answer', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{', true, 'control-broken'],
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n', true, 'control-broken'],
    ['no JSON', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi', true, 'control-broken'],
    ['other JSON', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}', true, 'control-broken'],
  ])('%s is a typed failure', async (_what, text, hangUp, kind) => {
    await listen(text, hangUp)
    await expect(controlClient({ socketPath, timeoutMs: 300 }).status()).rejects.toMatchObject({ kind })
  })

  test('an abort ends the wait with its own reason', async () => {
    await listen('', false)
    const controller = new AbortController()
    const asked = controlClient({ socketPath, signal: controller.signal }).status()
    controller.abort(new Error('enough'))
    await expect(asked).rejects.toThrow('enough')
  })

  test('a path that no socket can have is told before anything is tried', async () => {
    const long = join(directory, 'x'.repeat(120))
    await expect(controlClient({ socketPath: long }).status()).rejects.toMatchObject({ kind: 'socket-path-too-long' })
  })
})

test.each([
  ['by length', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}', '{}'],
  ['by its end', 'HTTP/1.1 200 OK\r\n\r\n{}', '{}'],
  ['in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n', '{}'],
  ['in chunks, cut short', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n5\r\n}', null],
  ['in chunks without the last one', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n', null],
])('a body is read %s', (_how, text, body) => {
  expect(parseAnswer(Buffer.from(text))?.body ?? null).toBe(body)
})
