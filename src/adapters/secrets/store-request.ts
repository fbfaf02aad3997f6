/**
 * One request to a secret store over HTTP or HTTPS: bounded in time and size, with a certificate authority of one's own where given.
 * `fetch` can't be told an authority per request, and follows redirects with headers that must not go everywhere; this follows none.
 */
import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { Failure } from '#domain/failure.ts'
import type { SecretFailure } from './secret-source.ts'

export interface StoreRequest {
  url: URL
  method: 'GET' | 'POST' | 'PUT'
  headers: Readonly<Record<string, string>>
  body?: string
  /** PEM; null for the authorities that Node knows. */
  ca: string | null
  timeoutMs: number
}

export interface StoreAnswer {
  status: number
  /** Lower-case names. */
  headers: Readonly<Record<string, string | string[] | undefined>>
  text: string
}

const ANSWER_BYTES_MAX = 1 << 20

export class AnswerTooLarge extends Error {
  override readonly name = 'AnswerTooLarge'
}

export class NoAnswerInTime extends Error {
  override readonly name = 'NoAnswerInTime'
}

/**
 * Resolves with whatever status came, once the answer is whole.
 * @throws Failure<SecretFailure> `secret-store-unreachable`, also for an answer that was cut off; the signal's reason when it aborts
 */
export async function askStore(store: string, request: StoreRequest, signal: AbortSignal): Promise<StoreAnswer> {
  signal.throwIfAborted()
  const tooLate = new AbortController()
  const timer = setTimeout(
    () => tooLate.abort(new NoAnswerInTime(`no whole answer within ${request.timeoutMs} ms`)),
    request.timeoutMs,
  )
  try {
    return await exchange(request, AbortSignal.any([signal, tooLate.signal]))
  } catch (error) {
    signal.throwIfAborted()
    throw unreachableStore(store, request.url, tooLate.signal.aborted ? tooLate.signal.reason : error)
  } finally {
    clearTimeout(timer)
  }
}

function exchange({ url, method, headers, body, ca }: StoreRequest, signal: AbortSignal): Promise<StoreAnswer> {
  const send = url.protocol === 'https:' ? requestHttps : requestHttp
  return new Promise((resolve, reject) => {
    // No connection is kept: between two questions lies a minute, and a kept one is often dead by then.
    const options = {
      method,
      headers: { ...headers, connection: 'close' },
      signal,
      agent: false,
      ...(ca !== null && { ca }),
    }
    const sent = send(url, options, (answer) => collect(answer).then(resolve, reject))
    sent.on('error', reject)
    sent.end(body)
  })
}

async function collect(answer: IncomingMessage): Promise<StoreAnswer> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of answer) {
    const bytes = Buffer.isBuffer(part) ? part : Buffer.from(String(part))
    length += bytes.length
    if (length > ANSWER_BYTES_MAX) {
      answer.destroy()
      throw new AnswerTooLarge(`the answer is over ${ANSWER_BYTES_MAX} bytes`)
    }
    parts.push(bytes)
  }
  // An answer with a length that is cut short ends in an error by itself on newer Node only.
  if (!answer.complete) throw new Error('the answer was cut off')
  return { status: answer.statusCode ?? 0, headers: answer.headers, text: Buffer.concat(parts).toString('utf8') }
}

const CERTIFICATE_CODES = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|ERR_TLS/

function unreachableStore(store: string, url: URL, cause: unknown): Failure<SecretFailure> {
  const place = `${store} at ${url.origin}`
  if (cause instanceof NoAnswerInTime || cause instanceof AnswerTooLarge) {
    const remedy = `Look at ${store}'s load and the network; SECRET_TIMEOUT_SECONDS is how long one secret may take.`
    return new Failure('secret-store-unreachable', `${place}: ${cause.message}`, remedy, cause)
  }
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  const what = code !== '' ? code : cause instanceof Error ? cause.message : String(cause)
  if (CERTIFICATE_CODES.test(code)) {
    const remedy =
      'Name the certificate authority that signed it (VAULT_CACERT, AWS_CA_BUNDLE), and check the host name in the address.'
    return new Failure(
      'secret-store-untrusted',
      `${place} shows a certificate that can't be trusted (${what})`,
      remedy,
      cause,
    )
  }
  const remedy = `Check the address and that ${store} runs and can be reached from this machine.`
  return new Failure('secret-store-unreachable', `${place} can't be asked (${what})`, remedy, cause)
}
