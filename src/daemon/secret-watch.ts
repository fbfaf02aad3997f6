/**
 * Looks after the secrets that the lines log in with while the daemon runs: notices a change (files at once, everything at an interval),
 * lets `#domain/secret-rotation.ts` decide what becomes of it, and performs that: step aside, one trial login on the trading front, use
 * it or keep the old one. One line after the other, and never a tick's business.
 */
import { type FSWatcher, watch } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { TradingLogin } from '#adapters/feeds/feed-adapter.ts'
import { type Clock, sleep } from '#clock.ts'
import { unreachable } from '#domain/assert.ts'
import { Failure, problemOf } from '#domain/failure.ts'
import { FEED_ERROR_TEXTS, type FeedErrorKind } from '#domain/feed-error.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import type { Line } from '#domain/line.ts'
import { nextAttempt } from '#domain/retry.ts'
import type { HiddenText } from '#domain/secret-ref.ts'
import {
  isSecretOld,
  latchCleared,
  nextRotationAct,
  OBSTACLE_SENTENCES,
  observeSecret,
  type RotationObstacle,
  type RotationSituation,
  type RotationState,
  trialFailed,
} from '#domain/secret-rotation.ts'
import type { SecretStatus } from '#domain/status.ts'
import { changedAtMs, type LineSecrets, markOf, type ReadSecrets } from './line-secrets.ts'

/** One login on the trading front and away again, with these secrets. Rejects with the signal's reason when aborted. */
export type TrialLogin = (
  secrets: { password: HiddenText; authCode: HiddenText | null },
  signal: AbortSignal,
) => Promise<TradingLogin>

export interface WatchedLine {
  secrets: LineSecrets
  accountKey: string
  /** Null: no trading front, so nobody can be asked. */
  trial: TrialLogin | null
}

export interface SecretWatchParts {
  lines: readonly WatchedLine[]
  clock: Clock
  /** Between two looks at the sources. */
  checkMs: number
  maxAgeMs: number
  isLatched(accountKey: string): boolean
  requestLogin(accountKey: string): Promise<number>
  latch(line: Line, accountKey: string, message: string): Promise<void>
  isServing(line: Line): boolean
  otherLine(line: Line): RotationSituation['otherLine']
  /** Lets the other line serve; false when it can't. */
  stepAside(line: Line): boolean
  audit(event: { line: Line; outcome: RotationOutcome; reason: string }): void
  log(level: 'info' | 'warn' | 'error', message: string, details?: Record<string, unknown>): void
  random(): number
}

export type RotationOutcome = 'noticed' | 'stepped-aside' | 'proven' | 'unproven' | 'refused' | 'postponed'

interface Keeping {
  readonly line: WatchedLine
  state: RotationState
  found: ReadSecrets | null
  checkedAtMs: number | null
  /** Why it could not be read the last time, null when it could. */
  trouble: string | null
  toldObstacle: RotationObstacle | null
  refusal: string | null
  isTrying: boolean
  wasOld: boolean
}

/** While a change waits for something, that is looked at this often; the sources are not asked for it. */
const BUSY_MS = 1_000
/** Writers replace a file in several steps. */
const SETTLE_MS = 250
const DAY_MS = 86_400_000

export class SecretWatch {
  readonly outcomes = new Map<RotationOutcome, number>()
  readonly #parts: SecretWatchParts
  readonly #keepings: readonly Keeping[]
  readonly #watchers: FSWatcher[] = []
  #lookAtMs = Number.NEGATIVE_INFINITY
  #wake: () => void = () => undefined

  constructor(parts: SecretWatchParts) {
    this.#parts = parts
    this.#keepings = parts.lines.map((line) => ({
      line,
      state: { kind: 'unread' },
      found: null,
      checkedAtMs: null,
      trouble: null,
      toldObstacle: null,
      refusal: null,
      isTrying: false,
      wasOld: false,
    }))
  }

  /** Looks and acts until the signal aborts; then nothing is left open. Never rejects but for our own mistakes. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, checkMs } = this.#parts
    this.#watchFiles()
    try {
      while (!signal.aborted) {
        if (clock.monotonicMs() >= this.#lookAtMs) {
          // Before looking: what changes meanwhile is looked at again.
          this.#lookAtMs = clock.monotonicMs() + checkMs
          for (const keeping of this.#keepings) await this.#look(keeping, signal)
        }
        for (const keeping of this.#keepings) await this.#act(keeping, signal)
        const isBusy = this.#keepings.some(({ state }) => state.kind !== 'in-use')
        const untilLookMs = Math.max(0, this.#lookAtMs - clock.monotonicMs())
        await this.#pause(isBusy ? Math.min(BUSY_MS, untilLookMs) : untilLookMs, signal)
      }
    } finally {
      for (const watcher of this.#watchers) watcher.close()
    }
  }

  /** Looks at the sources soon: a file changed, or an operator asks. */
  lookSoon(): void {
    this.#lookAtMs = Math.min(this.#lookAtMs, this.#parts.clock.monotonicMs() + SETTLE_MS)
    this.#wake()
  }

  /** The front refused the secret that the line had in use: the next login reads it anew. */
  refusedInUse(line: Line): void {
    const keeping = this.#keepings.find(({ line: { secrets } }) => secrets.line === line)
    if (keeping === undefined) return
    keeping.line.secrets.forget()
    keeping.state = { kind: 'unread' }
  }

  statusOf(line: Line): SecretStatus | null {
    const keeping = this.#keepings.find(({ line: { secrets } }) => secrets.line === line)
    if (keeping === undefined) return null
    const { found, checkedAtMs, state } = keeping
    const changed = found === null ? null : changedAtMs(found)
    return {
      state: keeping.isTrying ? 'proving' : state.kind,
      proof: 'proof' in state ? state.proof : null,
      detail: this.#detail(keeping),
      source: keeping.line.secrets.sources.join(', '),
      changed_at: changed === null ? null : isoShanghai(changed),
      age_days: changed === null ? null : Math.round(((this.#parts.clock.wallMs() - changed) / DAY_MS) * 10) / 10,
      checked_at: checkedAtMs === null ? null : isoShanghai(checkedAtMs),
    }
  }

  /** For the metric: null where the source does not tell. */
  ageSecondsOf(line: Line): number | null {
    const found = this.#keepings.find(({ line: { secrets } }) => secrets.line === line)?.found ?? null
    const changed = found === null ? null : changedAtMs(found)
    return changed === null ? null : Math.max(0, (this.#parts.clock.wallMs() - changed) / 1_000)
  }

  /** What an operator should know now, one sentence each. */
  warnings(): string[] {
    return this.#keepings.flatMap((keeping) => {
      const { state, trouble } = keeping
      const { line } = keeping.line.secrets
      const old = this.#isOld(keeping) ? [`${line}: ${this.#ageSentence(keeping)}`] : []
      const unread = trouble === null ? [] : [`${line}: its secret can't be looked up: ${trouble}`]
      const isOpen =
        state.kind === 'changed' || state.kind === 'refused' || ('proof' in state && state.proof === 'unproven')
      return [...old, ...unread, ...(isOpen ? [`${line}: ${this.#detail(keeping)}`] : [])]
    })
  }

  #detail({ state, isTrying, refusal }: Keeping): string {
    if (isTrying) return 'A changed secret is being tried on the trading front; the old login stays up.'
    switch (state.kind) {
      case 'unread':
        return 'No login has needed it yet.'
      case 'in-use':
        return PROOF_SENTENCES[state.proof]
      case 'changed':
        return `A changed secret waits to be proven. ${state.obstacle === null ? '' : OBSTACLE_SENTENCES[state.obstacle]}`.trimEnd()
      case 'refused':
        return `A changed secret was refused, the one before stays in use and the account is latched: ${refusal ?? ''}`
      default:
        return unreachable(state)
    }
  }

  #watchFiles(): void {
    const files = this.#keepings.flatMap(({ line }) => line.secrets.files)
    // The directory, since a file is mostly replaced by another one, or a link in it by another link.
    for (const directory of new Set(files.map((file) => dirname(file)))) {
      const names = new Set(files.filter((file) => dirname(file) === directory).map((file) => basename(file)))
      try {
        const watcher = watch(directory, { persistent: false }, (_event, name) => {
          if (name === null || names.has(name) || name.startsWith('..')) this.lookSoon()
        })
        // The interval is there for everything that a watch can't see.
        watcher.on('error', () => watcher.close())
        this.#watchers.push(watcher)
      } catch (error) {
        this.#parts.log('info', `${directory} can't be watched (${String(error)}); looked at by the interval only`)
      }
    }
  }

  async #look(keeping: Keeping, signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts
    const { secrets } = keeping.line
    let found: ReadSecrets
    try {
      found = await secrets.read(signal)
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof Failure)) throw error
      if (keeping.trouble !== error.message) {
        const held = secrets.line
        this.#parts.log(
          'warn',
          `${held}: its secret can't be looked up, the one in use stays: ${error.message} ${error.remedy}`,
        )
      }
      keeping.trouble = error.message
      return
    }
    keeping.trouble = null
    keeping.found = found
    keeping.checkedAtMs = clock.wallMs()
    this.#compare(keeping, found)
    this.#warnOfAge(keeping)
  }

  #compare(keeping: Keeping, found: ReadSecrets): void {
    const { secrets } = keeping.line
    const before = keeping.state
    keeping.state = observeSecret(before, {
      found: markOf(found),
      inUse: secrets.markInUse(found),
      nowMs: this.#parts.clock.monotonicMs(),
    })
    if (keeping.state.kind !== 'changed' || keeping.state === before) return
    keeping.toldObstacle = null
    this.#tell(keeping, 'noticed', `a changed secret was found at ${secrets.sources.join(', ')}`)
  }

  async #act(keeping: Keeping, signal: AbortSignal): Promise<void> {
    const { clock, isLatched } = this.#parts
    const { secrets, accountKey, trial } = keeping.line
    // The first login may have come after the look.
    if (keeping.state.kind === 'unread' && keeping.found !== null) this.#compare(keeping, keeping.found)
    if (keeping.state.kind === 'refused' && !isLatched(accountKey)) {
      keeping.state = latchCleared(keeping.state, clock.monotonicMs())
    }
    const { line } = secrets
    const next = nextRotationAct(keeping.state, {
      isLatched: isLatched(accountKey),
      hasTradingFront: trial !== null,
      isServing: this.#parts.isServing(line),
      otherLine: this.#parts.otherLine(line),
      nowMs: clock.monotonicMs(),
    })
    switch (next.act) {
      case 'none':
        return
      case 'wait':
        this.#wait(keeping, next.obstacle)
        return
      case 'adopt':
        this.#use(keeping, 'unproven')
        this.#tell(
          keeping,
          'unproven',
          'there is no trading front to prove it on; it is used from the next login on',
          'warn',
        )
        return
      case 'step-aside':
        if (this.#parts.stepAside(line))
          this.#tell(keeping, 'stepped-aside', 'the other line serves while the secret is tried')
        else this.#wait(keeping, 'line-must-serve')
        return
      case 'prove':
        if (trial !== null) await this.#prove(keeping, trial, signal)
        return
      default:
        unreachable(next)
    }
  }

  #wait(keeping: Keeping, obstacle: RotationObstacle): void {
    if (keeping.state.kind === 'changed') keeping.state = { ...keeping.state, obstacle }
    if (keeping.toldObstacle === obstacle) return
    keeping.toldObstacle = obstacle
    this.#tell(keeping, 'postponed', OBSTACLE_SENTENCES[obstacle])
  }

  async #prove(keeping: Keeping, trial: TrialLogin, signal: AbortSignal): Promise<void> {
    const { clock, isLatched, requestLogin, random } = this.#parts
    const { accountKey } = keeping.line
    const { found, state } = keeping
    if (found === null || state.kind !== 'changed') return
    const waitMs = await requestLogin(accountKey)
    if (waitMs > 0) {
      keeping.state = { ...state, notBeforeMs: clock.monotonicMs() + waitMs }
      this.#wait(keeping, 'login-budget')
      return
    }
    // A line may have met the refusal of this account while the budget was written.
    if (isLatched(accountKey)) return
    keeping.isTrying = true
    const outcome = await tried(trial, found, signal).finally(() => {
      keeping.isTrying = false
    })
    if (outcome === null || signal.aborted) return
    if (outcome.ok) {
      this.#use(keeping, 'trading-login')
      this.#tell(
        keeping,
        'proven',
        'the trading front took it; it is used from the next login on, the old login stays up',
      )
      return
    }
    const nowMs = clock.monotonicMs()
    const next = nextAttempt(outcome.kind, state.attempts + 1, random(), nowMs)
    keeping.state = trialFailed(state, next, nowMs)
    if (next.again === 'never') await this.#refused(keeping, outcome, next.latch)
    else this.#tell(keeping, 'postponed', `${outcome.message}; the one in use stays`, 'warn')
  }

  async #refused(keeping: Keeping, { message }: { message: string }, isAccountAtRisk: boolean): Promise<void> {
    const { secrets, accountKey } = keeping.line
    keeping.refusal = message
    this.#tell(keeping, 'refused', `${message}; the one in use and its login stay`, 'error')
    if (isAccountAtRisk) await this.#parts.latch(secrets.line, accountKey, message)
  }

  #use(keeping: Keeping, proof: 'unproven' | 'trading-login'): void {
    if (keeping.found !== null) keeping.line.secrets.use(keeping.found)
    keeping.state = { kind: 'in-use', proof }
    keeping.refusal = null
  }

  #tell(keeping: Keeping, outcome: RotationOutcome, reason: string, level: 'info' | 'warn' | 'error' = 'info'): void {
    const { line } = keeping.line.secrets
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1)
    this.#parts.log(level, `${line}: secret ${outcome}: ${reason}`, { component: line })
    this.#parts.audit({ line, outcome, reason })
  }

  #isOld({ found }: Keeping): boolean {
    return found !== null && isSecretOld(changedAtMs(found), this.#parts.clock.wallMs(), this.#parts.maxAgeMs)
  }

  #ageSentence({ found }: Keeping): string {
    const changed = (found === null ? null : changedAtMs(found)) ?? 0
    const days = Math.floor((this.#parts.clock.wallMs() - changed) / DAY_MS)
    return `its secret is ${days} days old, more than SECRET_MAX_AGE_DAYS; change it with the broker and at its source`
  }

  #warnOfAge(keeping: Keeping): void {
    const isOld = this.#isOld(keeping)
    if (isOld && !keeping.wasOld) this.#parts.log('warn', `${keeping.line.secrets.line}: ${this.#ageSentence(keeping)}`)
    keeping.wasOld = isOld
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    await sleep(Math.min(ms, DAY_MS), AbortSignal.any([signal, woken.signal])).catch((reason: unknown) => {
      if (!signal.aborted && !woken.signal.aborted) throw reason
    })
  }
}

const PROOF_SENTENCES = {
  login: 'The line logged in with it.',
  'trading-login': 'Changed while running; a trading login proved it.',
  unproven: 'Changed while running and unproven: there is no trading front to ask.',
} as const

/** Null when aborted. */
async function tried(
  trial: TrialLogin,
  { password, authCode }: ReadSecrets,
  signal: AbortSignal,
): Promise<TradingLogin | null> {
  try {
    return await trial({ password: password.text, authCode: authCode?.text ?? null }, signal)
  } catch (error) {
    if (signal.aborted) return null
    if (!(error instanceof Failure)) throw error
    const kind: FeedErrorKind = 'secret-unavailable'
    return { ok: false, kind, message: problemOf(error).message || FEED_ERROR_TEXTS[kind].message }
  }
}
