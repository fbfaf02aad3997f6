/**
 * Hands a command's result to a Pushgateway, and takes it away again when an environment is given up. POST merges family by family, so a
 * failed run replaces its exit code and leaves the time of the last success standing. Whatever goes wrong here is a sentence for the
 * caller's warnings and never its result.
 */
import type { ClientRequest, IncomingMessage } from 'node:http'
import type { PushedSample } from './pushed-metrics.ts'

/** Grouping labels in order; `job` comes first by the gateway's protocol. */
export type PushGroup = readonly (readonly [label: string, value: string])[]

export interface PushTarget {
  /** Base address of the gateway. */
  url: string
  /** For the whole exchange, name resolution included. */
  timeoutMs: number
  /** For basic authentication; asked for just before use. May throw. */
  login?: () => Promise<{ user: string; password: string }>
  tls?: { caFile: string | null; certFile: string | null; keyFile: string | null }
}

export type PushResult = { kind: 'pushed' } | { kind: 'failed'; warning: string }
export type RemovalResult = { kind: 'removed'; groups: number } | { kind: 'failed'; warning: string }

const ANSWER_BYTES_MAX = 2_048
/** The gateway lists every metric of every group: some kilobytes a group. */
const LIST_BYTES_MAX = 32 << 20

/** Never throws and never takes longer than the target's timeout. */
export async function pushSamples(
  target: PushTarget,
  group: PushGroup,
  samples: readonly PushedSample[],
): Promise<PushResult> {
  try {
    const url = groupPath(target.url, group)
    const { status, text } = await exchange(target, { method: 'POST', url, body: expositionText(samples) })
    if (status >= 200 && status < 300) return { kind: 'pushed' }
    return { kind: 'failed', warning: `metrics not pushed: the gateway answered ${status}${text && `: ${text}`}` }
  } catch (error) {
    return { kind: 'failed', warning: `metrics not pushed: ${messageOf(error)}` }
  }
}

/** Deletes every group that has these labels. Never throws; each request has the target's timeout. */
export async function removeGroups(
  target: PushTarget,
  wanted: Readonly<Record<string, string>>,
): Promise<RemovalResult> {
  try {
    const listed = await exchange(target, {
      method: 'GET',
      url: `${baseOf(target.url)}/api/v1/metrics`,
      bytesMax: LIST_BYTES_MAX,
    })
    if (listed.status !== 200) throw new Error(`the gateway answered ${listed.status} to the question for its groups`)
    const groups = groupsIn(JSON.parse(listed.text)).filter((labels) =>
      Object.entries(wanted).every(([label, value]) => labels[label] === value),
    )
    for (const { job = '', ...others } of groups) {
      const url = groupPath(target.url, [['job', job], ...Object.entries(others)])
      const { status } = await exchange(target, { method: 'DELETE', url })
      if (status < 200 || status >= 300) throw new Error(`the gateway answered ${status} to a deletion`)
    }
    return { kind: 'removed', groups: groups.length }
  } catch (error) {
    return { kind: 'failed', warning: `pushed metrics not removed: ${messageOf(error)}` }
  }
}

/** The plain form of a value breaks at a slash or when it is empty, so every value goes as base64. */
export function groupPath(url: string, group: PushGroup): string {
  const segments = group.map(([label, value]) => `${label}@base64/${Buffer.from(value).toString('base64url') || '='}`)
  return `${baseOf(url)}/metrics/${segments.join('/')}`
}

/** Prometheus text format 0.0.4, each family once with its help and type. */
export function expositionText(samples: readonly PushedSample[]): string {
  const families = new Map<string, PushedSample[]>()
  for (const sample of samples) families.set(sample.name, [...(families.get(sample.name) ?? []), sample])
  const lines: string[] = []
  for (const [name, family] of families) {
    lines.push(`# HELP ${name} ${family[0]?.help ?? ''}`, `# TYPE ${name} gauge`)
    for (const { labels, value } of family) lines.push(`${name}${labelText(labels)} ${numberText(value)}`)
  }
  return `${lines.join('\n')}\n`
}

function labelText(labels: PushedSample['labels']): string {
  const pairs = Object.entries(labels ?? {}).map(([label, value]) => `${label}="${escaped(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  return Number.isFinite(value) ? String(value) : value > 0 ? '+Inf' : '-Inf'
}

function baseOf(url: string): string {
  return url.replace(/\/+$/, '')
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The grouping labels of each group in the gateway's list; what is not as documented is passed over. */
function groupsIn(answer: unknown): Record<string, string>[] {
  const rows = isRecord(answer) && Array.isArray(answer['data']) ? answer['data'] : []
  return rows.flatMap((row: unknown) => {
    const labels = isRecord(row) && isRecord(row['labels']) ? row['labels'] : {}
    const group = Object.fromEntries(Object.entries(labels).map(([label, value]) => [label, String(value)]))
    return 'job' in group ? [group] : []
  })
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

interface Question {
  method: 'POST' | 'GET' | 'DELETE'
  url: string
  body?: string
  bytesMax?: number
}

interface Answer {
  status: number
  text: string
}

/** One deadline over reading the secret and certificates, connecting and the whole answer. */
async function exchange(target: PushTarget, question: Question): Promise<Answer> {
  const { timeoutMs } = target
  const url = new URL(question.url)
  const deadline = new AbortController()
  const late = new Error(`${url.host} did not answer within ${timeoutMs / 1000} s`)
  const timer = setTimeout(() => deadline.abort(late), timeoutMs)
  const tooLate = new Promise<never>((_, reject) => deadline.signal.addEventListener('abort', () => reject(late)))
  try {
    return await Promise.race([ask(target, url, question, deadline.signal), tooLate])
  } finally {
    clearTimeout(timer)
  }
}

/** node:http loads only where a gateway is configured: the minute timer must stay fast without one. */
async function ask(target: PushTarget, url: URL, question: Question, signal: AbortSignal): Promise<Answer> {
  const { request } = await (url.protocol === 'https:' ? import('node:https') : import('node:http'))
  const { method, body = '', bytesMax = ANSWER_BYTES_MAX } = question
  const [authorization, certificates] = await Promise.all([authorizationOf(target), certificatesOf(target)])
  signal.throwIfAborted()
  const headers = {
    ...(method === 'POST' && { 'Content-Type': 'text/plain; version=0.0.4' }),
    'Content-Length': Buffer.byteLength(body),
    ...authorization,
  }
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method, headers, agent: false, signal, ...certificates }, (answer) => {
      readAnswer(answer, outgoing, bytesMax).then(resolve, reject)
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

function readAnswer(answer: IncomingMessage, outgoing: ClientRequest, bytesMax: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let text = ''
    const settle = () => {
      outgoing.destroy()
      const isShort = bytesMax === ANSWER_BYTES_MAX
      resolve({ status: answer.statusCode ?? 0, text: isShort ? text.trim().slice(0, 200) : text })
    }
    answer.setEncoding('utf8')
    answer.on('data', (chunk: string) => {
      text += chunk
      if (text.length > bytesMax) settle()
    })
    answer.on('end', settle)
    answer.on('error', reject)
  })
}

async function authorizationOf({ login }: PushTarget): Promise<Record<string, string>> {
  if (login === undefined) return {}
  const { user, password } = await login()
  return { Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` }
}

async function certificatesOf({ tls }: PushTarget): Promise<{ ca?: string; cert?: string; key?: string }> {
  if (tls === undefined) return {}
  const { readFile } = await import('node:fs/promises')
  const read = async (file: string | null) => (file === null ? null : await readFile(file, 'utf8'))
  const [ca, cert, key] = await Promise.all([read(tls.caFile), read(tls.certFile), read(tls.keyFile)])
  return { ...(ca !== null && { ca }), ...(cert !== null && { cert }), ...(key !== null && { key }) }
}
