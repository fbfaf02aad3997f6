/**
 * Facts of the host that a scrape shows but must not wait for: free space under the journal, and how old the lines' secrets are. Looked
 * up now and then; what can't be found out is unknown, never zero.
 */
import { stat, statfs } from 'node:fs/promises'
import { LINES, type Line } from '#domain/line.ts'
import type { SecretRef } from '#domain/secret-ref.ts'

const LOOK_EVERY_MS = 10_000

export class HostFacts {
  journalFreeBytes: number | null = null
  /** When the secret was last changed; null where its place does not tell. */
  readonly secretChangedMs: Record<Line, number | null> = { primary: null, backup: null }
  readonly #journalDirectory: string
  readonly #secrets: Readonly<Record<Line, SecretRef | null>>
  readonly #timer: NodeJS.Timeout
  #looking = false

  constructor(journalDirectory: string, secrets: Readonly<Record<Line, SecretRef | null>>) {
    this.#journalDirectory = journalDirectory
    this.#secrets = secrets
    this.#timer = setInterval(() => void this.look(), LOOK_EVERY_MS)
  }

  /** Never throws. A disk that does not answer is asked once, not again and again. */
  async look(): Promise<void> {
    if (this.#looking) return
    this.#looking = true
    this.journalFreeBytes = await statfs(this.#journalDirectory).then(
      ({ bavail, bsize }) => bavail * bsize,
      () => null,
    )
    for (const line of LINES) this.secretChangedMs[line] = await changedMs(this.#secrets[line])
    this.#looking = false
  }

  close(): void {
    clearInterval(this.#timer)
  }
}

async function changedMs(secret: SecretRef | null): Promise<number | null> {
  if (secret?.source !== 'file') return null
  return stat(secret.path).then(
    ({ mtimeMs }) => mtimeMs,
    () => null,
  )
}
