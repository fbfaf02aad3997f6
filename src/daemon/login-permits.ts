/**
 * Who may log in now: the login budget, durable before a login is sent, and the latches. One place for both lines, because they may share
 * an account.
 */
import { join } from 'node:path'
import { readIfPresent, writeDurably } from '#adapters/state/durable-file.ts'
import { accountKey, isKilled, type Latch, latchOf, readLatches, setCredentialLatch } from '#adapters/state/latches.ts'
import type { Clock } from '#clock.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import type { Line } from '#domain/line.ts'
import { EMPTY_LOGIN_BUDGET, grantLogin, type LoginBudget, parseLoginBudget } from '#domain/login-budget.ts'

export class LoginPermits {
  readonly #stateDir: string
  readonly #clock: Clock
  readonly #perMinute: number
  #budget: LoginBudget = EMPTY_LOGIN_BUDGET
  #latches: readonly Latch[] = []
  #writes: Promise<void> = Promise.resolve()
  readonly #onTrouble: (message: string) => void

  constructor(parts: { stateDir: string; clock: Clock; perMinute: number; onTrouble(message: string): void }) {
    this.#onTrouble = parts.onTrouble
    this.#stateDir = parts.stateDir
    this.#clock = parts.clock
    this.#perMinute = parts.perMinute
  }

  /** Reads what the last process left. A damaged budget counts as used up for one window, for the lines' accounts. */
  async open(accounts: readonly string[]): Promise<void> {
    await this.refresh()
    const text = await readIfPresent(this.#path)
    if (text === null) return
    const budget = parseLoginBudget(parsedOrNull(text))
    const nowMs = this.#clock.wallMs()
    this.#budget =
      budget ?? Object.fromEntries(accounts.map((account) => [accountKey(account), Array(this.#perMinute).fill(nowMs)]))
  }

  /** Looks for latches that an operator set or cleared. */
  async refresh(): Promise<void> {
    this.#latches = await readLatches(this.#stateDir)
  }

  /** The kill latch is set, though perhaps nobody could tell this daemon. */
  get isKilled(): boolean {
    return isKilled(this.#latches)
  }

  isLatched(account: string): boolean {
    return latchOf(this.#latches, accountKey(account)) !== null
  }

  async latch(account: string, line: Line, masked: string, reason: string): Promise<void> {
    await setCredentialLatch(this.#stateDir, {
      since: isoShanghai(this.#clock.wallMs()),
      reason,
      account: accountKey(account),
      masked,
      line,
      errorId: null,
    })
    await this.refresh()
  }

  /** Milliseconds until a login of this account may be sent; 0: granted, and counted on disk. */
  async request(account: string): Promise<number> {
    const nowMs = this.#clock.wallMs()
    const grant = grantLogin(this.#budget, accountKey(account), nowMs, this.#perMinute)
    if (!grant.granted) return Math.max(1, grant.retryAtMs - nowMs)
    this.#budget = grant.budget
    this.#writes = this.#writes.then(() => this.#write())
    await this.#writes
    return 0
  }

  /** A full disk must not keep a line from logging in: the budget then holds for this process only, and is told. */
  async #write(): Promise<void> {
    try {
      await writeDurably(this.#path, JSON.stringify(this.#budget))
    } catch (error) {
      this.#onTrouble(
        `the login budget can't be kept on disk: ${error instanceof Error ? error.message : String(error)}`,
      )
    }
  }

  get #path(): string {
    return join(this.#stateDir, 'login-budget.json')
  }
}

function parsedOrNull(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
