/**
 * The secrets that a line logs in with: read at the first login that needs them and held from then on, so that a secret which changes at
 * its source is not used before it is proven, and the old one is still there when the new one is refused.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { resolveSecret, type SecretStores } from '#adapters/secrets/resolve-secret.ts'
import type { ResolvedSecret } from '#adapters/secrets/secret-source.ts'
import type { LineConfig } from '#config/config.ts'
import type { Line } from '#domain/line.ts'
import { describeSecretRef, type HiddenText, type SecretRef } from '#domain/secret-ref.ts'

/** What a line's logins need, as far as its configuration has it. */
export interface ReadSecrets {
  password: ResolvedSecret
  authCode: ResolvedSecret | null
}

/** Marks compare secrets within this process and say nothing outside of it. */
const MARK_KEY = randomBytes(32)

export class LineSecrets {
  readonly line: Line
  /** Where they are, never what they are. */
  readonly sources: readonly string[]
  /** Files among the sources, for whoever watches them. */
  readonly files: readonly string[]
  readonly #password: SecretRef
  readonly #authCode: SecretRef | null
  readonly #stores: SecretStores
  #held: { password: ResolvedSecret | null; authCode: ResolvedSecret | null } = { password: null, authCode: null }

  constructor({ line, password, authCode }: LineConfig, stores: SecretStores) {
    this.line = line
    this.#password = password
    this.#authCode = authCode
    this.#stores = stores
    const refs = authCode === null ? [password] : [password, authCode]
    this.sources = refs.map(describeSecretRef)
    this.files = refs.flatMap((ref) => (ref.source === 'file' ? [ref.path] : []))
  }

  /** For a login. @throws Failure when it can't be read, the first time */
  async password(signal: AbortSignal): Promise<HiddenText> {
    this.#held.password ??= await resolveSecret(this.#password, this.#stores, signal)
    return this.#held.password.text
  }

  /** Null where the line has none. @throws Failure when it can't be read, the first time */
  async authCode(signal: AbortSignal): Promise<HiddenText | null> {
    if (this.#authCode === null) return null
    this.#held.authCode ??= await resolveSecret(this.#authCode, this.#stores, signal)
    return this.#held.authCode.text
  }

  /** What the line logs in with at present; null before the first login that needed it. */
  inUse(which: 'password' | 'authCode'): HiddenText | null {
    return this.#held[which]?.text ?? null
  }

  /** As they are at their sources now. @throws Failure */
  async read(signal: AbortSignal): Promise<ReadSecrets> {
    const [password, authCode] = await Promise.all([
      resolveSecret(this.#password, this.#stores, signal),
      this.#authCode === null ? null : resolveSecret(this.#authCode, this.#stores, signal),
    ])
    return { password, authCode }
  }

  /** From the next login on. */
  use(secrets: ReadSecrets): void {
    this.#held = { ...secrets }
  }

  /** The front refused what is held: the next login reads anew. */
  forget(): void {
    this.#held = { password: null, authCode: null }
  }

  /** Null before the first login. An authentication code that no login has needed yet counts as the one that was found. */
  markInUse(found: ReadSecrets): string | null {
    const { password, authCode } = this.#held
    return password === null ? null : markOf({ password, authCode: authCode ?? found.authCode })
  }
}

export function markOf({ password, authCode }: ReadSecrets): string {
  const mark = createHmac('sha256', MARK_KEY).update(password.text.reveal())
  return mark
    .update('\0')
    .update(authCode?.text.reveal() ?? '')
    .digest('base64')
}

/** When the older of them was changed; null where no source tells. */
export function changedAtMs({ password, authCode }: ReadSecrets): number | null {
  const known = [password.changedAtMs, authCode?.changedAtMs ?? null].filter((ms) => ms !== null)
  return known.length === 0 ? null : Math.min(...known)
}
