/**
 * Secrets in HashiCorp Vault: `vault:PATH#FIELD`, with PATH as the `vault kv get` command takes it (`secret/ctp`) or as the API does
 * (`secret/data/ctp`). Whether an engine keeps versions (KV 2) is asked of Vault, as that command does. A secret with a lease (a
 * database's login) is kept while its lease lasts, and the lease is renewed, since each reading would make another one.
 */
import { Failure } from '#domain/failure.ts'
import { HiddenText } from '#domain/secret-ref.ts'
import { type JsonObject, numberOf, objectOf, textOf } from '../json-answer.ts'
import { fieldText, type ResolvedSecret, type SecretFailure, type SecretSource } from '../secret-source.ts'
import { askWithinBudget, type StoreAttempt } from '../store-retry.ts'
import { VaultRefusal } from './vault-answer.ts'
import { type VaultOptions, VaultSession, type VaultSurroundings } from './vault-session.ts'

interface Leased {
  fields: JsonObject
  leaseId: string
  renewable: boolean
  /** CLOCK_MONOTONIC. */
  renewAtMs: number
  expiresAtMs: number
}

interface Found {
  fields: JsonObject
  changedAtMs: number | null
}

export class VaultSecrets implements SecretSource<'vault'> {
  readonly #options: VaultOptions & { readonly budgetMs: number }
  readonly #around: VaultSurroundings
  readonly #session: VaultSession
  /** Mounts with versions, as Vault told: `secret/`. */
  readonly #versioned = new Map<string, boolean>()
  readonly #leases = new Map<string, Leased>()

  /** @param options `budgetMs` is for one secret, retries included */
  constructor(options: VaultOptions & { readonly budgetMs: number }, around: VaultSurroundings) {
    this.#options = options
    this.#around = around
    this.#session = new VaultSession(options, around)
  }

  async read(
    { path, field }: { path: string; field: string },
    signal: AbortSignal = new AbortController().signal,
  ): Promise<ResolvedSecret> {
    const clean = cleanPath(path)
    const { budgetMs } = this.#options
    const found = await askWithinBudget((attempt) => this.#find(clean, attempt), { budgetMs, signal })
    const text = fieldText(found.fields, field, `vault:${path}#${field}`)
    return { text: new HiddenText(text), changedAtMs: found.changedAtMs, warning: null }
  }

  async #find(path: string, attempt: StoreAttempt): Promise<Found> {
    const leased = await this.#leased(path, attempt)
    if (leased !== null) return { fields: leased.fields, changedAtMs: null }
    const { apiPath, isVersioned } = await this.#place(path, attempt)
    const what = `vault:${path}`
    try {
      const answer = await this.#session.ask({ method: 'GET', path: urlPath(apiPath), what }, attempt)
      const data = objectOf(answer['data'])
      if (data === undefined) throw nothingThere(what)
      const inner = objectOf(data['data'])
      // Recognised by its shape too, where nobody could tell the version and the path is the API's.
      if (isVersioned || (inner !== undefined && objectOf(data['metadata']) !== undefined)) return versioned(data, what)
      this.#keepLease(path, answer, data)
      return { fields: data, changedAtMs: null }
    } catch (error) {
      throw error instanceof VaultRefusal && error.status === 404 ? deletedOr(error, what) : error
    }
  }

  async #place(path: string, attempt: StoreAttempt): Promise<{ apiPath: string; isVersioned: boolean }> {
    if (this.#options.kvVersion === '1') return { apiPath: path, isVersioned: false }
    const mount = this.#options.kvVersion === '2' ? `${path.split('/')[0]}/` : await this.#mountOf(path, attempt)
    const isVersioned = this.#options.kvVersion === '2' || (mount !== null && this.#versioned.get(mount) === true)
    if (mount === null || !isVersioned) return { apiPath: path, isVersioned: false }
    const rest = path.slice(mount.length)
    return { apiPath: rest.startsWith('data/') ? path : `${mount}data/${rest}`, isVersioned: true }
  }

  /** Null where this Vault can't tell: the path is then taken as the API's own. */
  async #mountOf(path: string, attempt: StoreAttempt): Promise<string | null> {
    for (const mount of this.#versioned.keys()) if (path.startsWith(mount)) return mount
    const question = { method: 'GET' as const, path: `sys/internal/ui/mounts/${urlPath(path)}`, what: `vault:${path}` }
    try {
      const data = objectOf((await this.#session.ask(question, attempt))['data'])
      const mount = textOf(data?.['path'])
      if (mount === undefined || !path.startsWith(mount)) return null
      this.#versioned.set(mount, data?.['type'] === 'kv' && objectOf(data['options'])?.['version'] === '2')
      return mount
    } catch (error) {
      if (error instanceof VaultRefusal && error.status === 404) return null
      throw error
    }
  }

  #keepLease(path: string, answer: JsonObject, fields: JsonObject): void {
    const leaseId = textOf(answer['lease_id'])
    const seconds = numberOf(answer['lease_duration']) ?? 0
    if (leaseId === undefined || seconds <= 0) return
    this.#leases.set(path, { fields, leaseId, renewable: answer['renewable'] === true, ...this.#times(seconds) })
  }

  /** What is still leased, its lease renewed in the second half of its time; null where it must be read. */
  async #leased(path: string, attempt: StoreAttempt): Promise<Leased | null> {
    const leased = this.#leases.get(path)
    if (leased === undefined) return null
    const nowMs = this.#around.clock.monotonicMs()
    if (nowMs < leased.renewAtMs) return leased
    if (leased.renewable && nowMs < leased.expiresAtMs) {
      try {
        const body = { lease_id: leased.leaseId }
        const what = `the lease of vault:${path}`
        const answer = await this.#session.ask({ method: 'PUT', path: 'sys/leases/renew', body, what }, attempt)
        const seconds = numberOf(answer['lease_duration']) ?? 0
        if (seconds > 0) {
          const renewed = { ...leased, renewable: answer['renewable'] === true, ...this.#times(seconds) }
          this.#leases.set(path, renewed)
          return renewed
        }
      } catch (error) {
        // A lease that can't be renewed is at its end: the secret is read anew. A Vault that is away leaves it as it is.
        if (!(error instanceof VaultRefusal) || error.kind === 'secret-store-unavailable') throw error
      }
    }
    this.#leases.delete(path)
    return null
  }

  #times(seconds: number): Pick<Leased, 'renewAtMs' | 'expiresAtMs'> {
    const nowMs = this.#around.clock.monotonicMs()
    return { renewAtMs: nowMs + seconds * 500, expiresAtMs: nowMs + seconds * 1_000 }
  }
}

/** `metadata.created_time` is when this version was written. */
function versioned(data: JsonObject, what: string): Found {
  const fields = objectOf(data['data'])
  if (fields === undefined) throw nothingThere(what)
  const createdMs = Date.parse(textOf(objectOf(data['metadata'])?.['created_time']) ?? '')
  return { fields, changedAtMs: Number.isNaN(createdMs) ? null : createdMs }
}

/** A deleted version is answered with 404 too, but with its metadata. */
function deletedOr(refusal: VaultRefusal, what: string): Failure<SecretFailure> {
  const metadata = objectOf(objectOf(objectOf(refusal.body)?.['data'])?.['metadata'])
  if (metadata === undefined) return refusal
  const how = metadata['destroyed'] === true ? 'destroyed' : 'deleted'
  const remedy = how === 'deleted' ? 'Undelete that version, or write a new one.' : 'Write a new version.'
  return new Failure('secret-missing', `the latest version of ${what} is ${how}`, remedy)
}

function nothingThere(what: string): Failure<SecretFailure> {
  const remedy = 'Check path, namespace and KV version, or write the secret.'
  return new Failure('secret-missing', `Vault has nothing at ${what}`, remedy)
}

function cleanPath(path: string): string {
  const segments = path.split('/').filter((segment) => segment !== '')
  if (segments.length > 0 && !segments.some((segment) => segment === '.' || segment === '..')) return segments.join('/')
  const remedy = 'Write the path from the mount on, such as vault:secret/ctp#password.'
  throw new Failure<SecretFailure>('secret-missing', `vault:${path} is no path in Vault`, remedy)
}

function urlPath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/')
}
