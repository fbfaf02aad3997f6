/** What Vault's status codes and error texts mean for us. See the status codes of its API documentation. */
import { Failure } from '#domain/failure.ts'
import { objectOf } from '../json-answer.ts'
import type { SecretFailure } from '../secret-source.ts'

const STORE = 'Vault'
const TEXT_LENGTH_MAX = 200

/** An answer other than a success. The session reads `status`; everybody else the kind. */
export class VaultRefusal extends Failure<SecretFailure> {
  readonly status: number
  /** The token itself is no good any more, so far as Vault tells: it answers 403 to that as to a missing permission. */
  readonly mayBeToken: boolean
  /** The answer's body where there was one: a deleted version of a secret says so in it. */
  readonly body: unknown

  constructor(kind: SecretFailure, told: { status: number; message: string; remedy: string; body?: unknown }) {
    super(kind, told.message, told.remedy)
    this.status = told.status
    this.mayBeToken = told.status === 403
    this.body = told.body
  }
}

/** @param what the question in words, such as `vault:secret/ctp`; never a secret */
export function refusalOf(status: number, text: string, what: string): VaultRefusal {
  const body = parsedOrNull(text)
  const errors = errorsOf(body)
  const because = errors === '' ? '' : `: ${errors}`
  switch (status) {
    case 400:
    case 405:
      return new VaultRefusal('secret-store-refused', {
        status,
        message: `${STORE} refuses ${what} as a bad request${because}`,
        remedy: 'Check the path in the reference and the names and ids that VAULT_* settings give.',
      })
    case 401:
    case 403:
      return new VaultRefusal('secret-store-refused', {
        status,
        message: /invalid token|bad token/i.test(errors)
          ? `${STORE} refuses ${what}: the token is expired, revoked or wrong`
          : `${STORE} refuses ${what}: permission denied`,
        remedy:
          'Give the token or role a policy that may read this path (KV 2: MOUNT/data/PATH), and check VAULT_NAMESPACE.',
      })
    case 404:
      return new VaultRefusal('secret-missing', {
        status,
        message: `${STORE} has nothing at ${what}${because}`,
        remedy: 'Check path, namespace and KV version, or write the secret.',
        body,
      })
    case 412:
    case 429:
    case 472:
    case 473:
      return unavailable(
        status,
        `${STORE} can't answer ${what} just now (${status})${because}`,
        'Try again, and ask its administrator about quotas and replication.',
      )
    case 503:
      return /sealed/i.test(errors)
        ? unavailable(
            status,
            `${STORE} is sealed`,
            'Let its administrators unseal it; a feed that runs goes on with the secrets that it has.',
          )
        : unavailable(
            status,
            `${STORE} is not available (503)${because}`,
            'Look at its status: it may be sealed, in maintenance or without an active node.',
          )
    default:
      if (status >= 500)
        return unavailable(status, `${STORE} fails with ${status}${because}`, "Look at Vault's own log.")
      return new VaultRefusal('secret-store-garbled', {
        status,
        message: `${STORE} answers ${what} with the status ${status}, which it does not document`,
        remedy: "Check that VAULT_ADDR is Vault's own address and no proxy's or login page's.",
      })
  }
}

function unavailable(status: number, message: string, remedy: string): VaultRefusal {
  return new VaultRefusal('secret-store-unavailable', { status, message, remedy })
}

/** Vault's `errors`: sentences for people, on one line and not too long. */
function errorsOf(body: unknown): string {
  const errors = objectOf(body)?.['errors']
  if (!Array.isArray(errors)) return ''
  const texts = errors.filter((error) => typeof error === 'string').join('; ')
  return texts
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .trim()
    .slice(0, TEXT_LENGTH_MAX)
}

function parsedOrNull(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null // Half an error text says no less than its status.
  }
}
