/**
 * The login budget on disk, one for all processes of a state directory: the daemon's lines and whatever an operator starts beside it. Each
 * grant is looked up, counted and written under a lock that a crash cannot leave behind, before it is told.
 */
import { join } from 'node:path'
import { type Clock, sleep } from '#clock.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import {
  EMPTY_LOGIN_BUDGET,
  grantLogin,
  type LoginBudget,
  mergeBudgets,
  notLaterThan,
  parseLoginBudget,
} from '#domain/login-budget.ts'
import { readIfPresent, writeDurably } from './durable-file.ts'
import { accountKey } from './latches.ts'
import { type HeldLock, takeLock } from './run-lock.ts'

interface LoginBudgetParts {
  stateDir: string
  clock: Clock
  perMinute: number
  onTrouble(message: string): void
}

/** A grant takes milliseconds; who holds the lock for longer is stopped or drowned, and a line must not wait for it. */
const LOCK_DEADLINE_MS = 2_000
const LOCK_RETRY_MS = 20

export class LoginBudgetFile {
  readonly #parts: LoginBudgetParts
  /** What this process knows of: it counts also where the disk does not take it. */
  #known: LoginBudget = EMPTY_LOGIN_BUDGET
  /** The grants of this process by CLOCK_MONOTONIC: a wall clock that is set forward makes none of them older. */
  #own: LoginBudget = EMPTY_LOGIN_BUDGET
  /** Grants of this process follow one another. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(parts: LoginBudgetParts) {
    this.#parts = parts
  }

  /** Reads what the last process left. A damaged budget counts as used up for one window, for these accounts. */
  async open(accounts: readonly string[]): Promise<void> {
    const onDisk = await this.#read()
    if (onDisk !== 'damaged') this.#known = onDisk
    else this.#known = this.#usedUp(accounts)
  }

  /** Milliseconds until a login of this account may be sent; 0: granted, and counted on disk. */
  async request(account: string): Promise<number> {
    const granted = this.#last.then(() => this.#grant(account))
    this.#last = granted.catch(() => undefined)
    return granted
  }

  async #grant(account: string): Promise<number> {
    const { clock, perMinute } = this.#parts
    const lock = await this.#awaitLock()
    try {
      const onDisk = await this.#read().catch(() => EMPTY_LOGIN_BUDGET) // The write below tells of a disk that fails.
      const merged = mergeBudgets(this.#known, onDisk === 'damaged' ? this.#lostCount(account) : onDisk)
      const nowMs = clock.wallMs()
      this.#known = notLaterThan(merged, nowMs)
      if (this.#known !== merged) await this.#keep()
      const grant = grantLogin(this.#known, accountKey(account), nowMs, perMinute)
      const monotonicMs = clock.monotonicMs()
      const own = grantLogin(this.#own, accountKey(account), monotonicMs, perMinute)
      if (!grant.granted || !own.granted) {
        const waits = [grant.granted ? 0 : grant.retryAtMs - nowMs, own.granted ? 0 : own.retryAtMs - monotonicMs]
        return Math.max(1, ...waits)
      }
      this.#known = grant.budget
      this.#own = own.budget
      await this.#keep()
      return 0
    } finally {
      await lock?.release()
    }
  }

  /** A full disk must not keep a line from logging in: the budget then holds for this process only, and is told. */
  async #keep(): Promise<void> {
    await writeDurably(this.#path, JSON.stringify(this.#known)).catch((error: unknown) =>
      this.#parts.onTrouble(
        `the login budget can't be kept on disk: ${error instanceof Error ? error.message : String(error)}`,
      ),
    )
  }

  /** What others counted is lost with the file; what this process knows stands. At the start nothing is known. */
  #lostCount(account: string): LoginBudget {
    return Object.keys(this.#known).length > 0 ? EMPTY_LOGIN_BUDGET : this.#usedUp([account])
  }

  #usedUp(accounts: readonly string[]): LoginBudget {
    const { clock, perMinute } = this.#parts
    const nowMs = clock.wallMs()
    return Object.fromEntries(accounts.map((account) => [accountKey(account), Array(perMinute).fill(nowMs)]))
  }

  async #read(): Promise<LoginBudget | 'damaged'> {
    const text = await readIfPresent(this.#path)
    if (text === null) return EMPTY_LOGIN_BUDGET
    return parseLoginBudget(parsedOrNull(text)) ?? 'damaged'
  }

  /** Null where the lock is not to be had: the budget then holds for this process only. */
  async #awaitLock(): Promise<HeldLock | null> {
    const { stateDir, clock, onTrouble } = this.#parts
    const holder = { pid: process.pid, command: 'login budget', since: isoShanghai(clock.wallMs()) }
    const deadlineMs = clock.monotonicMs() + LOCK_DEADLINE_MS
    for (;;) {
      const attempt = await takeLock(stateDir, 'logins', holder).catch(() => null) // No state directory: told by the write.
      if (attempt === null) return null
      if (attempt.kind === 'held') return attempt.lock
      if (clock.monotonicMs() >= deadlineMs) {
        onTrouble(
          `the login budget is held by ${attempt.by === null ? 'a process that does not answer' : `process ${attempt.by.pid}`}`,
        )
        return null
      }
      await sleep(LOCK_RETRY_MS)
    }
  }

  get #path(): string {
    return join(this.#parts.stateDir, 'login-budget.json')
  }
}

function parsedOrNull(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
