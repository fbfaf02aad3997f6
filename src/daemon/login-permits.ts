/**
 * Who may log in now: the login budget, durable before a login is sent, the latches, and the refusals that may become one. One place for
 * both lines, because they may share an account, and the same for an operator's command beside the daemon.
 */
import {
  accountKey,
  type CredentialLatch,
  isKilled,
  type Latch,
  latchOf,
  readLatches,
  setCredentialLatch,
} from '#adapters/state/latches.ts'
import { LoginBudgetFile } from '#adapters/state/login-budget-file.ts'
import { LoginRefusalsFile } from '#adapters/state/login-refusals-file.ts'
import type { Clock } from '#clock.ts'
import { problemOf } from '#domain/failure.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import type { Line } from '#domain/line.ts'

export class LoginPermits {
  readonly #stateDir: string
  readonly #clock: Clock
  readonly #budget: LoginBudgetFile
  readonly #refusals: LoginRefusalsFile
  readonly #onTrouble: (message: string) => void
  /** By account key: latches of this process that are not on disk yet. */
  readonly #unwritten = new Map<string, Omit<CredentialLatch, 'kind'>>()
  #latches: readonly Latch[] = []

  constructor(parts: { stateDir: string; clock: Clock; perMinute: number; onTrouble(message: string): void }) {
    this.#stateDir = parts.stateDir
    this.#clock = parts.clock
    this.#onTrouble = parts.onTrouble
    this.#budget = new LoginBudgetFile(parts)
    this.#refusals = new LoginRefusalsFile(parts)
  }

  /** Reads what the last process left. A damaged budget counts as used up for one window, for the lines' accounts. */
  async open(accounts: readonly string[]): Promise<void> {
    await this.refresh()
    await this.#budget.open(accounts)
    await this.#refusals.open()
  }

  /** Looks for latches that an operator set or cleared. */
  async refresh(): Promise<void> {
    await this.#writeLatches()
    this.#latches = await readLatches(this.#stateDir)
  }

  /** The kill latch is set, though perhaps nobody could tell this daemon. */
  get isKilled(): boolean {
    return isKilled(this.#latches)
  }

  isLatched(account: string): boolean {
    const key = accountKey(account)
    return this.#unwritten.has(key) || latchOf(this.#latches, key) !== null
  }

  async latch(
    account: string,
    line: Line,
    masked: string,
    reason: string,
    errorId: number | null = null,
  ): Promise<void> {
    // It holds at once, whatever the disk says; a latch that can't be written is tried again at every refresh.
    this.#unwritten.set(accountKey(account), {
      since: isoShanghai(this.#clock.wallMs()),
      reason,
      account: accountKey(account),
      masked,
      line,
      errorId,
    })
    await this.refresh()
  }

  async #writeLatches(): Promise<void> {
    for (const [key, latch] of this.#unwritten) {
      try {
        await setCredentialLatch(this.#stateDir, latch)
        this.#unwritten.delete(key)
        // Whoever clears the latch gives the account all its attempts back.
        this.#refusals.clear(key)
      } catch (error) {
        this.#onTrouble(`the latch of an account can't be kept on disk: ${problemOf(error).message}`)
      }
    }
  }

  /** Counts at once, on disk soon. Returns how many there were since a session of this account held or its latch was cleared. */
  countRefusal(account: string): number {
    return this.#refusals.count(accountKey(account))
  }

  sessionHeld(account: string): void {
    this.#refusals.clear(accountKey(account))
  }

  /** Resolves when every refusal counted so far is on disk, or could not be kept there. */
  async settled(): Promise<void> {
    await this.#refusals.settled
  }

  /** Milliseconds until a login of this account may be sent; 0: granted, and counted on disk. */
  request(account: string): Promise<number> {
    return this.#budget.request(account)
  }
}
