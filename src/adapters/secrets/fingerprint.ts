/**
 * What may be written down about a secret: enough to see that it is another one than before, and nothing that says which. Keyed by a
 * random file of the state directory, so that a guess can't be tried against a plan or a snapshot that got away, and two environments
 * never show that they share a password.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { link, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Failure } from '#domain/failure.ts'
import type { HiddenText } from '#domain/secret-ref.ts'

const KEY_FILE = 'secret-fingerprint.key'
const KEY_BYTES = 32
/** 64 bits: far too few to say anything about the text, enough that two secrets hardly ever look alike. */
const SHOWN_DIGITS = 16

export class SecretFingerprints {
  readonly #key: Buffer

  private constructor(key: Buffer) {
    this.#key = key
  }

  /**
   * Reads the state directory's key, or makes it (mode 0600) where there is none yet; two processes that do so at once get the same one.
   * @throws Failure<'fingerprint-key'> when it can't be read, kept, or is damaged
   */
  static async open(stateDir: string): Promise<SecretFingerprints> {
    const path = join(stateDir, KEY_FILE)
    const key = (await readKey(path)) ?? (await makeKey(path))
    return new SecretFingerprints(key)
  }

  /** @param name what the secret is for, such as CTP_PRIMARY_PASSWORD: one text under two names has two fingerprints */
  of(name: string, secret: HiddenText): string {
    const mark = createHmac('sha256', this.#key).update(name).update('\0').update(secret.reveal())
    return mark.digest('hex').slice(0, SHOWN_DIGITS)
  }
}

/** Null where there is none. */
async function readKey(path: string): Promise<Buffer | null> {
  try {
    const key = await readFile(path)
    if (key.length === KEY_BYTES) return key
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw unusable(path, 'cannot be read', error)
  }
  throw unusable(path, 'is damaged', undefined)
}

async function makeKey(path: string): Promise<Buffer> {
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`
  try {
    const file = await open(draft, 'wx', 0o600)
    try {
      await file.writeFile(randomBytes(KEY_BYTES))
      await file.sync()
    } finally {
      await file.close()
    }
    // A link never replaces what another process put there meanwhile.
    await link(draft, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  } catch (error) {
    throw unusable(path, 'cannot be kept', error)
  } finally {
    await rm(draft, { force: true })
  }
  const kept = await readKey(path)
  if (kept === null) throw unusable(path, 'is gone again', undefined)
  return kept
}

function unusable(path: string, what: string, cause: unknown): Failure<'fingerprint-key'> {
  const remedy =
    'Let the user who runs this own the state directory; a damaged key can be removed, and every secret then counts as changed once.'
  return new Failure('fingerprint-key', `the key of fingerprints ${path} ${what}`, remedy, cause)
}
