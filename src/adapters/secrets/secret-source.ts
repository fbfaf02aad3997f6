/** What every kind of secret store offers. Nothing read from one is ever written to disk. */
import { Failure } from '#domain/failure.ts'
import type { HiddenText, SecretRef, SecretSourceName } from '#domain/secret-ref.ts'

export type SecretFailure =
  | 'secret-missing'
  | 'secret-unreadable'
  | 'secret-empty'
  | 'secret-malformed'
  /** The store that a reference names is not configured. */
  | 'secret-store-unconfigured'
  /** No answer, or none that came whole: asking again may help. */
  | 'secret-store-unreachable'
  /** It answers that it can't serve now: sealed, in standby without a way to the active node, overloaded. */
  | 'secret-store-unavailable'
  | 'secret-store-untrusted'
  /** Our login there, or what it may read. */
  | 'secret-store-refused'
  /** It speaks, but not as documented. */
  | 'secret-store-garbled'

export interface ResolvedSecret {
  readonly text: HiddenText
  /** When it was last changed, as far as its store tells; for its age. */
  readonly changedAtMs: number | null
  /** What is unwise about how it is kept, in one sentence. */
  readonly warning: string | null
}

export interface SecretSource<Source extends SecretSourceName = SecretSourceName> {
  /**
   * Reads it anew each time, so that a rotated secret is seen.
   * @throws Failure<SecretFailure>; when `signal` aborts, its reason
   */
  read(ref: Extract<SecretRef, { source: Source }>, signal?: AbortSignal): Promise<ResolvedSecret>
}

const SECRET_LENGTH_MAX = 4_096

/** @param place how messages call it: a reference, never the text. */
export function checkSecretText(text: string, place: string): string {
  if (text === '') {
    throw new Failure<SecretFailure>('secret-empty', `${place} is empty`, 'Put the secret there.')
  }
  if (text.length > SECRET_LENGTH_MAX || /\p{Cc}/u.test(text)) {
    const message = `${place} holds no single line of up to ${SECRET_LENGTH_MAX} characters`
    throw new Failure<SecretFailure>('secret-malformed', message, 'Put the bare secret there and nothing else.')
  }
  return text
}

/** One field of what a store keeps under a name. @param place as for checkSecretText */
export function fieldText(fields: Readonly<Record<string, unknown>>, field: string, place: string): string {
  const value = Object.hasOwn(fields, field) ? fields[field] : undefined
  if (typeof value === 'string') return checkSecretText(value, place)
  // A number written without quotes; anything deeper is no password.
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value)
  if (value === undefined || value === null) {
    const names = Object.keys(fields).slice(0, 10).join(', ')
    const message = `${place}: there is no such field, only ${names === '' ? 'none' : names}`
    throw new Failure<SecretFailure>('secret-missing', message, 'Correct the part after the #, or add the field.')
  }
  throw new Failure<SecretFailure>('secret-malformed', `${place} holds no text`, 'Put the bare secret there as text.')
}
