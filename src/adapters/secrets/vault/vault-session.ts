/**
 * Our login at Vault: made when first needed, renewed at half of its life, made again once when Vault does not take it any more. Every
 * request goes through here, also over a standby node, which sends on to the active one.
 */
import { readFile } from 'node:fs/promises'
import type { Clock } from '#clock.ts'
import { Failure } from '#domain/failure.ts'
import { HiddenText, type SecretRef } from '#domain/secret-ref.ts'
import { type JsonObject, numberOf, objectOf, parseObject, textOf } from '../json-answer.ts'
import type { SecretFailure } from '../secret-source.ts'
import { askStore, type StoreAnswer, type StoreRequest } from '../store-request.ts'
import type { StoreAttempt } from '../store-retry.ts'
import { refusalOf, VaultRefusal } from './vault-answer.ts'

export type VaultAuth =
  | { readonly method: 'token'; readonly token: SecretRef }
  | { readonly method: 'approle'; readonly mount: string; readonly roleId: string; readonly secretId: SecretRef }
  | { readonly method: 'kubernetes'; readonly mount: string; readonly role: string; readonly tokenFile: string }

export interface VaultOptions {
  readonly address: string
  readonly namespace: string | null
  readonly caFile: string | null
  /** Null: nobody said how to log in. */
  readonly auth: VaultAuth | null
  readonly kvVersion: 'auto' | '1' | '2'
}

export interface VaultSurroundings {
  /** Reads what opens the store: a file, a variable, or text. */
  readonly readLocal: (ref: SecretRef) => Promise<HiddenText>
  readonly clock: Pick<Clock, 'monotonicMs'>
}

interface Question {
  method: 'GET' | 'POST' | 'PUT'
  /** Beneath /v1/, in the form of a URL. */
  path: string
  body?: JsonObject
  /** How messages call it. */
  what: string
}

interface Token {
  text: HiddenText
  renewable: boolean
  /** CLOCK_MONOTONIC; Infinity for one without an end. */
  renewAtMs: number
  expiresAtMs: number
}

/** Standby to active, and once more where leadership has just changed. */
const REDIRECTS_MAX = 2

export class VaultSession {
  readonly #options: VaultOptions
  readonly #around: VaultSurroundings
  #token: Token | null = null
  /** One login for all who ask at the same time. */
  #login: Promise<Token> | null = null

  constructor(options: VaultOptions, around: VaultSurroundings) {
    this.#options = options
    this.#around = around
  }

  /** @throws Failure<SecretFailure>; a VaultRefusal where Vault itself said no */
  async ask(question: Question, attempt: StoreAttempt): Promise<JsonObject> {
    const token = await this.#usableToken(attempt)
    try {
      return await this.#exchange(question, token.text, attempt)
    } catch (error) {
      if (!(error instanceof VaultRefusal) || !error.mayBeToken) throw error
      // An expired token and a missing permission look alike, so a fresh token is tried once.
      this.#forget(token)
      const fresh = await this.#usableToken(attempt)
      if (fresh.text.reveal() === token.text.reveal()) throw error
      return await this.#exchange(question, fresh.text, attempt)
    }
  }

  #forget(token: Token): void {
    if (this.#token === token) this.#token = null
  }

  async #usableToken(attempt: StoreAttempt): Promise<Token> {
    const nowMs = this.#around.clock.monotonicMs()
    const token = this.#token
    if (token === null || nowMs >= token.expiresAtMs || (await this.#isReplaced(token))) return this.#logIn(attempt)
    return nowMs >= token.renewAtMs ? this.#renewed(token, attempt) : token
  }

  /** Whoever keeps a token file fresh has put another one there. */
  async #isReplaced(token: Token): Promise<boolean> {
    const { auth } = this.#options
    if (auth?.method !== 'token') return false
    return (await this.#around.readLocal(auth.token)).reveal() !== token.text.reveal()
  }

  #logIn(attempt: StoreAttempt): Promise<Token> {
    this.#login ??= this.#newToken(attempt)
      .then((token) => {
        this.#token = token
        return token
      })
      .finally(() => {
        this.#login = null
      })
    return this.#login
  }

  async #newToken(attempt: StoreAttempt): Promise<Token> {
    const { auth } = this.#options
    switch (auth?.method) {
      case undefined:
        throw new Failure<SecretFailure>(
          'secret-store-unconfigured',
          'nothing says how to log in to Vault',
          'Set VAULT_TOKEN, or VAULT_AUTH=approle or kubernetes with what they need.',
        )
      case 'token':
        return this.#lookedUp(await this.#around.readLocal(auth.token), attempt)
      case 'approle': {
        const secretId = await this.#around.readLocal(auth.secretId)
        return this.#loggedIn(auth.mount, { role_id: auth.roleId, secret_id: secretId.reveal() }, attempt)
      }
      case 'kubernetes': {
        const jwt = await serviceAccountToken(auth.tokenFile)
        return this.#loggedIn(auth.mount, { role: auth.role, jwt }, attempt)
      }
    }
  }

  async #loggedIn(mount: string, body: JsonObject, attempt: StoreAttempt): Promise<Token> {
    const what = `our login at auth/${mount}`
    const answer = await this.#exchange({ method: 'POST', path: `auth/${mount}/login`, body, what }, null, attempt)
    const token = this.#tokenOf(objectOf(answer['auth']))
    if (token !== null) return token
    const remedy = 'Check that VAULT_AUTH_MOUNT is the path of the auth method that VAULT_AUTH names.'
    throw new Failure<SecretFailure>('secret-store-garbled', `Vault took ${what} and gave no token`, remedy)
  }

  /** How long a token that was handed to us lasts. One that may not look itself up is used as it is. */
  async #lookedUp(text: HiddenText, attempt: StoreAttempt): Promise<Token> {
    const endless = {
      text,
      renewable: false,
      renewAtMs: Number.POSITIVE_INFINITY,
      expiresAtMs: Number.POSITIVE_INFINITY,
    }
    try {
      const question: Question = { method: 'GET', path: 'auth/token/lookup-self', what: 'the look at our own token' }
      const data = objectOf((await this.#exchange(question, text, attempt))['data'])
      const ttlSeconds = numberOf(data?.['ttl']) ?? 0
      if (ttlSeconds <= 0) return endless
      return { text, renewable: data?.['renewable'] === true, ...this.#times(ttlSeconds) }
    } catch (error) {
      if (error instanceof VaultRefusal && error.status === 403) return endless
      throw error
    }
  }

  /** At half of its life; where that fails the token is used to its end, and then there is a new login. */
  async #renewed(token: Token, attempt: StoreAttempt): Promise<Token> {
    if (!token.renewable) return token
    try {
      const question: Question = {
        method: 'POST',
        path: 'auth/token/renew-self',
        body: {},
        what: 'the renewal of our token',
      }
      const answer = await this.#exchange(question, token.text, attempt)
      this.#token = this.#tokenOf(objectOf(answer['auth'])) ?? token
      return this.#token
    } catch (error) {
      if (error instanceof VaultRefusal && (error.status === 403 || error.status === 400)) {
        this.#forget(token)
        return this.#logIn(attempt)
      }
      if (!(error instanceof Failure)) throw error
      return token
    }
  }

  #tokenOf(auth: JsonObject | undefined): Token | null {
    const text = textOf(auth?.['client_token'])
    if (text === undefined) return null
    const seconds = numberOf(auth?.['lease_duration']) ?? 0
    return { text: new HiddenText(text), renewable: auth?.['renewable'] === true, ...this.#times(seconds) }
  }

  /** A token of 0 seconds has no end. */
  #times(seconds: number): Pick<Token, 'renewAtMs' | 'expiresAtMs'> {
    if (seconds <= 0) return { renewAtMs: Number.POSITIVE_INFINITY, expiresAtMs: Number.POSITIVE_INFINITY }
    const nowMs = this.#around.clock.monotonicMs()
    return { renewAtMs: nowMs + seconds * 500, expiresAtMs: nowMs + seconds * 1_000 }
  }

  async #exchange(question: Question, token: HiddenText | null, attempt: StoreAttempt): Promise<JsonObject> {
    const { method, path, body, what } = question
    const { address, namespace, caFile } = this.#options
    const request: StoreRequest = {
      url: new URL(`v1/${path}`, address.endsWith('/') ? address : `${address}/`),
      method,
      headers: {
        accept: 'application/json',
        'x-vault-request': 'true',
        ...(token !== null && { 'x-vault-token': token.reveal() }),
        ...(namespace !== null && { 'x-vault-namespace': namespace }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ca: caFile === null ? null : await authorityOf(caFile),
      timeoutMs: attempt.timeoutMs,
    }
    const { status, text } = await followed(request, attempt.signal)
    if (status === 204) return {}
    if (status !== 200) throw refusalOf(status, text, what)
    return parseObject(text, 'Vault')
  }
}

/** A standby node that does not forward answers 307 with the active node's address; our token may go there, but never unencrypted. */
async function followed(request: StoreRequest, signal: AbortSignal): Promise<StoreAnswer> {
  let { url } = request
  for (let hops = 0; ; hops++) {
    const answer = await askStore('Vault', { ...request, url }, signal)
    const location = answer.headers['location']
    if (![301, 302, 307, 308].includes(answer.status) || typeof location !== 'string') return answer
    const next = URL.canParse(location, url.href) ? new URL(location, url) : null
    const isSafe =
      next !== null && (next.protocol === 'https:' || (next.protocol === 'http:' && url.protocol === 'http:'))
    if (!isSafe || hops >= REDIRECTS_MAX) {
      const why = isSafe ? 'sends us from node to node' : 'sends us to an address that we do not follow'
      const remedy = "Correct the api_addr of Vault's nodes, or point VAULT_ADDR at the active one."
      throw new Failure<SecretFailure>('secret-store-unavailable', `Vault at ${url.origin} ${why}`, remedy)
    }
    url = next
  }
}

async function authorityOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const remedy = 'Correct VAULT_CACERT, or let the user who runs this read the file.'
    throw new Failure<SecretFailure>(
      'secret-store-unconfigured',
      `the certificate authority ${file} can't be read`,
      remedy,
      error,
    )
  }
}

async function serviceAccountToken(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (error) {
    const remedy = 'Run in a pod with a service account, or correct VAULT_KUBERNETES_TOKEN_FILE.'
    throw new Failure<SecretFailure>('secret-missing', `there is no service account token ${file}`, remedy, error)
  }
}
