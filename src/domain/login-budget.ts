/**
 * How many logins an account may still attempt: a sliding window of one minute, shared by whatever asks (both lines may use one
 * account). The budget is a plain value in wall time, so that it survives a restart through a file.
 */

export const LOGIN_WINDOW_MS = 60_000

/** Account -> wall times (ms) of the logins granted within the window, oldest first. Safe to write as JSON. */
export type LoginBudget = Readonly<Record<string, readonly number[]>>

export const EMPTY_LOGIN_BUDGET: LoginBudget = {}

export type LoginGrant =
  /** `budget` counts this login; keep it, durably, before the login is sent. */
  { granted: true; budget: LoginBudget } | { granted: false; retryAtMs: number }

/**
 * Asks for one login. `limit` is logins per minute and account; 0 grants none.
 * A wall clock stepped back makes later stamps count as of now: that delays a login by a minute at most and never grants one too many.
 */
export function grantLogin(budget: LoginBudget, account: string, nowMs: number, limit: number): LoginGrant {
  const recent = withinWindow(budget[account] ?? [], nowMs)
  if (recent.length < limit) {
    return { granted: true, budget: { ...prune(budget, nowMs), [account]: [...recent, nowMs] } }
  }
  // The window has room again when the login that is `limit` places from the end has left it.
  const blocking = recent[recent.length - limit]
  return { granted: false, retryAtMs: (blocking ?? nowMs) + LOGIN_WINDOW_MS }
}

/**
 * The budget with no login later than now, for a wall clock that was stepped back: written down once, such a login ages again. The same
 * object when there is none.
 */
export function notLaterThan(budget: LoginBudget, nowMs: number): LoginBudget {
  const entries = Object.entries(budget)
  if (entries.every(([, stamps]) => stamps.every((stamp) => stamp <= nowMs))) return budget
  return Object.fromEntries(
    entries.map(([account, stamps]) => [account, stamps.map((stamp) => Math.min(stamp, nowMs))] as const),
  )
}

/** One budget of two that were kept apart: a login that both know of counts once. */
export function mergeBudgets(a: LoginBudget, b: LoginBudget): LoginBudget {
  const merged: Record<string, readonly number[]> = { ...a }
  for (const [account, stamps] of Object.entries(b)) {
    const all = [...(a[account] ?? [])]
    const unmatched = [...all]
    for (const stamp of stamps) {
      const twin = unmatched.indexOf(stamp)
      if (twin < 0) all.push(stamp)
      else unmatched.splice(twin, 1)
    }
    merged[account] = all.sort((x, y) => x - y)
  }
  return merged
}

function prune(budget: LoginBudget, nowMs: number): LoginBudget {
  const kept = Object.entries(budget).map(([account, stamps]) => [account, withinWindow(stamps, nowMs)] as const)
  return Object.fromEntries(kept.filter(([, stamps]) => stamps.length > 0))
}

function withinWindow(stamps: readonly number[], nowMs: number): number[] {
  return stamps.map((stamp) => Math.min(stamp, nowMs)).filter((stamp) => nowMs - stamp < LOGIN_WINDOW_MS)
}

/** Reads a budget back from parsed JSON; null when it is none, and the caller should then wait a window before the first login. */
export function parseLoginBudget(value: unknown): LoginBudget | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
  const budget: Record<string, number[]> = {}
  for (const [account, stamps] of Object.entries(value)) {
    if (!Array.isArray(stamps) || !stamps.every((stamp) => Number.isFinite(stamp))) return null
    budget[account] = [...stamps].sort((a, b) => a - b)
  }
  return budget
}
