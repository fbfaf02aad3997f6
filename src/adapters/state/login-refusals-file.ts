/**
 * How often each account's login was refused for a reason that may be tried a few times only, since a session of it held. On disk, so that
 * neither a restart nor a crash gives an account more attempts than a broker forgives.
 */
import { join } from 'node:path'
import { problemOf } from '#domain/failure.ts'
import { readIfPresent, writeDurably } from './durable-file.ts'

export class LoginRefusalsFile {
  readonly #path: string
  readonly #onTrouble: (message: string) => void
  #counts = new Map<string, number>()
  #writing: Promise<void> = Promise.resolve()

  constructor({ stateDir, onTrouble }: { stateDir: string; onTrouble(message: string): void }) {
    this.#path = join(stateDir, 'login-refusals.json')
    this.#onTrouble = onTrouble
  }

  /** Reads what the last process left. A damaged file counts as none, and is told: the latches are what must hold. */
  async open(): Promise<void> {
    const text = await readIfPresent(this.#path)
    if (text === null) return
    const counts = parseCounts(text)
    if (counts === null) this.#onTrouble('the count of refused logins is damaged and begins anew')
    this.#counts = counts ?? new Map()
  }

  /** One more. Returns how many there are now. */
  count(account: string): number {
    const count = (this.#counts.get(account) ?? 0) + 1
    this.#counts.set(account, count)
    this.#write()
    return count
  }

  clear(account: string): void {
    if (this.#counts.delete(account)) this.#write()
  }

  get settled(): Promise<void> {
    return this.#writing
  }

  #write(): void {
    const text = JSON.stringify(Object.fromEntries(this.#counts))
    this.#writing = this.#writing
      .then(() => writeDurably(this.#path, text))
      .catch((error: unknown) =>
        this.#onTrouble(`the count of refused logins can't be kept on disk: ${problemOf(error).message}`),
      )
  }
}

function parseCounts(text: string): Map<string, number> | null {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
    const entries = Object.entries(value)
    return entries.every(([, count]) => Number.isSafeInteger(count) && count > 0) ? new Map(entries) : null
  } catch {
    return null
  }
}
