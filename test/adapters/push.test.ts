import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { expositionText, groupPath, type PushGroup, pushSamples, removeGroups } from '#adapters/metrics/push.ts'
import { sample } from '#adapters/metrics/pushed-metrics.ts'

const GROUP: PushGroup = [
  ['job', 'feed-supervisor'],
  ['command', 'start'],
  ['profile', 'a/b'],
  ['session_window', ''],
]
const SAMPLES = [sample('md_runbook_exit_code', 69)]

let server: Server | null = null
afterEach(async () => {
  server?.closeAllConnections()
  await new Promise<void>((resolve) => (server === null ? resolve() : server.close(() => resolve())))
  server = null
})

function gateway(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const listening = createServer(answer)
  server = listening
  return new Promise((resolve) =>
    listening.listen(0, '127.0.0.1', () => {
      const address = listening.address() as AddressInfo
      resolve(`http://127.0.0.1:${address.port}`)
    }),
  )
}

test('the group goes as base64, so that a slash and an empty value are no trouble', () => {
  expect(groupPath('http://gateway:9091/', GROUP)).toBe(
    'http://gateway:9091/metrics/job@base64/ZmVlZC1zdXBlcnZpc29y/command@base64/c3RhcnQ/profile@base64/YS9i/session_window@base64/=',
  )
})

test('each family is declared once, with its samples together', () => {
  const text = expositionText([
    sample('md_subscription_stalled_contracts', 1, { severity: 'warning' }),
    sample('md_health_verdict', Number.NaN),
    sample('md_subscription_stalled_contracts', 2, { severity: 'cri"tical' }),
  ])
  expect(text.split('\n').filter((line) => !line.startsWith('# HELP'))).toEqual([
    '# TYPE md_subscription_stalled_contracts gauge',
    'md_subscription_stalled_contracts{severity="warning"} 1',
    'md_subscription_stalled_contracts{severity="cri\\"tical"} 2',
    '# TYPE md_health_verdict gauge',
    'md_health_verdict NaN',
    '',
  ])
})

test('a push is a POST, which leaves the families of other runs standing', async () => {
  const seen: { method: string | undefined; url: string | undefined; body: string }[] = []
  const url = await gateway(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    seen.push({ method: request.method, url: request.url, body })
    response.end()
  })
  expect(await pushSamples({ url, timeoutMs: 2_000 }, GROUP, SAMPLES)).toEqual({ kind: 'pushed' })
  expect(seen).toMatchObject([{ method: 'POST', url: groupPath('', GROUP) }])
  expect(seen[0]?.body).toContain('md_runbook_exit_code 69\n')
})

test.each([
  [
    'answers 400',
    (_: IncomingMessage, response: ServerResponse) => response.writeHead(400).end('pushed metrics are invalid'),
    /answered 400: pushed metrics are invalid/,
  ],
  ['never answers', () => undefined, /did not answer within 0.2 s/],
  ['hangs up', (request: IncomingMessage) => request.socket.destroy(), /not pushed/],
  [
    'talks without end',
    (_: IncomingMessage, response: ServerResponse) => response.writeHead(500).write('x'.repeat(100_000)),
    /answered 500/,
  ],
])('a gateway that %s is a warning within the timeout', async (_what, answer, warning) => {
  const url = await gateway((request, response) => void answer(request, response))
  const result = await pushSamples({ url, timeoutMs: 200 }, GROUP, SAMPLES)
  expect(result).toMatchObject({ kind: 'failed', warning: expect.stringMatching(warning) })
})

test('no gateway at all is a warning too', async () => {
  const result = await pushSamples({ url: 'http://127.0.0.1:1', timeoutMs: 1_000 }, GROUP, SAMPLES)
  expect(result).toMatchObject({ kind: 'failed', warning: expect.stringMatching(/ECONNREFUSED/) })
})

test('a login is asked for just before use and sent as basic authentication', async () => {
  const seen: (string | undefined)[] = []
  const url = await gateway((request, response) => {
    seen.push(request.headers.authorization)
    response.end()
  })
  const login = async () => ({ user: 'feed', password: 'pässword:1' })
  expect(await pushSamples({ url, timeoutMs: 2_000, login }, GROUP, SAMPLES)).toEqual({ kind: 'pushed' })
  expect(seen).toEqual([`Basic ${Buffer.from('feed:pässword:1').toString('base64')}`])
})

test.each([
  ['cannot be read', () => Promise.reject(new Error('there is no file:/password')), /there is no file/],
  ['never comes', () => new Promise<never>(() => undefined), /did not answer within 0.2 s/],
])('a password that %s is a warning within the timeout', async (_what, login, warning) => {
  const url = await gateway((_, response) => void response.end())
  const result = await pushSamples({ url, timeoutMs: 200, login }, GROUP, SAMPLES)
  expect(result).toMatchObject({ kind: 'failed', warning: expect.stringMatching(warning) })
})

test('certificates that cannot be read are a warning', async () => {
  const tls = { caFile: '/nonexistent/ca.pem', certFile: null, keyFile: null }
  const result = await pushSamples({ url: 'https://127.0.0.1:1', timeoutMs: 2_000, tls }, GROUP, SAMPLES)
  expect(result).toMatchObject({ kind: 'failed', warning: expect.stringMatching(/ENOENT/) })
})

test('an environment that is given up takes its own groups along and no others', async () => {
  const deleted: (string | undefined)[] = []
  const groups = [
    { job: 'feed-supervisor', command: 'start', profile: 'paper', session_window: 'day' },
    { job: 'feed-supervisor', check: 'feed-health', profile: 'paper', session_window: '' },
    { job: 'feed-supervisor', command: 'start', profile: 'live', session_window: 'day' },
    { job: 'another', profile: 'paper' },
  ]
  const url = await gateway((request, response) => {
    if (request.method === 'DELETE') deleted.push(request.url)
    if (request.method === 'GET') response.write(JSON.stringify({ data: groups.map((labels) => ({ labels })) }))
    response.end()
  })
  const result = await removeGroups({ url, timeoutMs: 2_000 }, { job: 'feed-supervisor', profile: 'paper' })
  expect(result).toEqual({ kind: 'removed', groups: 2 })
  expect(deleted).toEqual(groups.slice(0, 2).map((labels) => groupPath('', Object.entries(labels))))
})

test.each([
  ['has no list', (_: IncomingMessage, response: ServerResponse) => response.writeHead(404).end(), /answered 404/],
  ['talks nonsense', (_: IncomingMessage, response: ServerResponse) => response.end('<html>'), /not removed/],
  ['never answers', () => undefined, /did not answer/],
])('a gateway that %s keeps its groups, and that is a warning', async (_what, answer, warning) => {
  const url = await gateway((request, response) => void answer(request, response))
  const result = await removeGroups({ url, timeoutMs: 200 }, { job: 'feed-supervisor' })
  expect(result).toMatchObject({ kind: 'failed', warning: expect.stringMatching(warning) })
})
