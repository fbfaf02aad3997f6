/**
 * Whether a configuration that has just come up does badly. Judged on what is seen of the daemon several times a second: too many bad ticks,
 * ticks that take too long, a feed that delivers nothing, a daemon that does not answer. One bad look is noise; what lasts is a breach.
 */
import type { FeedState } from './status.ts'

/** One look at the daemon. */
export interface GuardLook {
  /** Monotonic. */
  atMs: number
  /** Null: it did not answer. */
  feed: {
    /** Ticks received and those of them that were invalid, since the daemon was started. */
    received: number
    invalid: number
    delayP95Ms: number | null
    state: FeedState
    marketIsOpen: boolean
  } | null
}

export interface GuardLimits {
  invalidRatioMax: number
  /** Fewer received ticks prove nothing. */
  receivedMin: number
  delayP95MaxMs: number
  /** How long delay, gap or silence must last. */
  lastingMs: number
}

export type GuardBreach = { kind: 'errors' | 'delay' | 'gap' | 'silent'; detail: string }

export interface GuardState {
  /** Of the first look that was answered. */
  base: { received: number; invalid: number } | null
  slowSinceMs: number | null
  gapSinceMs: number | null
  silentSinceMs: number | null
  breach: GuardBreach | null
}

export const UNGUARDED: GuardState = {
  base: null,
  slowSinceMs: null,
  gapSinceMs: null,
  silentSinceMs: null,
  breach: null,
}

/** A breach stays. */
export function guardStep(state: GuardState, { atMs, feed }: GuardLook, limits: GuardLimits): GuardState {
  if (state.breach !== null) return state
  const since = (isBad: boolean, before: number | null) => (isBad ? (before ?? atMs) : null)
  const isSlow = feed?.delayP95Ms != null && feed.delayP95Ms > limits.delayP95MaxMs
  const isGap = feed?.marketIsOpen === true && feed.state === 'GAP'
  const next: GuardState = {
    base: state.base ?? (feed === null ? null : { received: feed.received, invalid: feed.invalid }),
    // What can't be seen has neither begun nor ended.
    slowSinceMs: feed === null ? state.slowSinceMs : since(isSlow, state.slowSinceMs),
    gapSinceMs: feed === null ? state.gapSinceMs : since(isGap, state.gapSinceMs),
    silentSinceMs: since(feed === null, state.silentSinceMs),
    breach: null,
  }
  return { ...next, breach: breachOf(next, { atMs, feed }, limits) }
}

function breachOf(state: GuardState, { atMs, feed }: GuardLook, limits: GuardLimits): GuardBreach | null {
  const lasts = (sinceMs: number | null) => sinceMs !== null && atMs - sinceMs >= limits.lastingMs
  const seconds = (sinceMs: number | null) => `${((atMs - (sinceMs ?? atMs)) / 1000).toFixed(1)} s`
  if (feed !== null && state.base !== null) {
    const received = feed.received - state.base.received
    const invalid = feed.invalid - state.base.invalid
    if (received >= limits.receivedMin && invalid > received * limits.invalidRatioMax) {
      const percent = `${((100 * invalid) / received).toFixed(1)} %`
      return { kind: 'errors', detail: `${invalid} of ${received} ticks received are invalid (${percent})` }
    }
  }
  if (lasts(state.slowSinceMs)) {
    const detail = `the 95th percentile of tick latency is above ${limits.delayP95MaxMs} ms for ${seconds(state.slowSinceMs)}`
    return { kind: 'delay', detail }
  }
  if (lasts(state.gapSinceMs)) {
    return { kind: 'gap', detail: `no line delivers for ${seconds(state.gapSinceMs)} while the market is open` }
  }
  if (lasts(state.silentSinceMs)) {
    return { kind: 'silent', detail: `the daemon does not answer for ${seconds(state.silentSinceMs)}` }
  }
  return null
}
