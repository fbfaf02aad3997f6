/**
 * Hands a command's result to a Pushgateway. POST merges family by family, so a failed run replaces its exit code and leaves the time
 * of the last success standing. Whatever goes wrong here is a sentence for the caller's warnings and never its result.
 */
import type { PushedSample } from './pushed-metrics.ts'

/** Grouping labels in order; `job` comes first by the gateway's protocol. */
export type PushGroup = readonly (readonly [label: string, value: string])[]

export interface PushTarget {
  /** Base address of the gateway. */
  url: string
  /** For the whole exchange, name resolution included. */
  timeoutMs: number
}

export type PushResult = { kind: 'pushed' } | { kind: 'failed'; warning: string }

const ANSWER_BYTES_MAX = 2_048

/** Never throws and never takes longer than the target's timeout. */
export async function pushSamples(
  target: PushTarget,
  group: PushGroup,
  samples: readonly PushedSample[],
): Promise<PushResult> {
  try {
    const { status, text } = await post(
      new URL(groupPath(target.url, group)),
      expositionText(samples),
      target.timeoutMs,
    )
    if (status >= 200 && status < 300) return { kind: 'pushed' }
    return { kind: 'failed', warning: `metrics not pushed: the gateway answered ${status}${text && `: ${text}`}` }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return { kind: 'failed', warning: `metrics not pushed: ${why}` }
  }
}

/** The plain form of a value breaks at a slash or when it is empty, so every value goes as base64. */
export function groupPath(url: string, group: PushGroup): string {
  const segments = group.map(([label, value]) => `${label}@base64/${Buffer.from(value).toString('base64url') || '='}`)
  return `${url.replace(/\/+$/, '')}/metrics/${segments.join('/')}`
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

/** node:http loads only where a gateway is configured: the minute timer must stay fast without one. */
async function post(url: URL, body: string, timeoutMs: number): Promise<{ status: number; text: string }> {
  const { request } = await (url.protocol === 'https:' ? import('node:https') : import('node:http'))
  return new Promise((resolve, reject) => {
    const headers = { 'Content-Type': 'text/plain; version=0.0.4', 'Content-Length': Buffer.byteLength(body) }
    const outgoing = request(url, { method: 'POST', headers, agent: false }, (answer) => {
      let text = ''
      const settle = () => {
        clearTimeout(deadline)
        outgoing.destroy()
        resolve({ status: answer.statusCode ?? 0, text: text.trim().slice(0, 200) })
      }
      answer.setEncoding('utf8')
      answer.on('data', (chunk: string) => {
        text += chunk
        if (text.length > ANSWER_BYTES_MAX) settle()
      })
      answer.on('end', settle)
      answer.on('error', reject)
    })
    const deadline = setTimeout(
      () => outgoing.destroy(new Error(`${url.host} did not answer within ${timeoutMs / 1000} s`)),
      timeoutMs,
    )
    outgoing.on('error', (error) => {
      clearTimeout(deadline)
      reject(error)
    })
    outgoing.end(body)
  })
}
