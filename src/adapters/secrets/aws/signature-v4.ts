/**
 * AWS Signature Version 4 for one request whose body is at hand. As published: canonical request, string to sign, key derived for day,
 * region and service. The tests hold it against AWS's own examples.
 */
import { createHash, createHmac } from 'node:crypto'

export interface AwsKeys {
  readonly id: string
  readonly secret: string
  readonly sessionToken: string | null
}

export interface SignedParts {
  readonly method: string
  readonly url: URL
  /** Signed as they are; `host` and `x-amz-date` are added. Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly region: string
  readonly service: string
  readonly keys: AwsKeys
  /** Wall clock: AWS refuses a signature that is more than five minutes off. */
  readonly nowMs: number
}

/** All headers to send, the signature among them. */
export function signedHeaders(parts: SignedParts): Record<string, string> {
  const { method, url, body, region, service, keys, nowMs } = parts
  const time = `${new Date(nowMs).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`
  const headers: Record<string, string> = {
    ...parts.headers,
    host: url.host,
    'x-amz-date': time,
    ...(keys.sessionToken !== null && { 'x-amz-security-token': keys.sessionToken }),
  }
  const names = Object.keys(headers).sort()
  const canonical = [
    method,
    url.pathname,
    url.search.slice(1),
    ...names.map((name) => `${name}:${(headers[name] ?? '').trim().replace(/\s+/g, ' ')}`),
    '',
    names.join(';'),
    sha256(body),
  ].join('\n')
  const scope = `${time.slice(0, 8)}/${region}/${service}/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n')
  const key = [time.slice(0, 8), region, service, 'aws4_request'].reduce<Buffer | string>(hmac, `AWS4${keys.secret}`)
  const signature = hmac(key, toSign).toString('hex')
  return {
    ...headers,
    authorization: `AWS4-HMAC-SHA256 Credential=${keys.id}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`,
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
