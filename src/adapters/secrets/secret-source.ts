/** What every kind of secret store offers. Nothing read from one is ever written to disk. */
import { Failure } from '#domain/failure.ts'
import type { HiddenText, SecretRef, SecretSourceName } from '#domain/secret-ref.ts'

export type SecretFailure =
  | 'secret-missing'
  | 'secret-unreadable'
  | 'secret-empty'
  | 'secret-malformed'
  | 'secret-source-not-supported'

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
