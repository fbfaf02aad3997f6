/**
 * The pulse of one line: is it in fit state to serve, judged like a traffic light that one cannot see. A clock alone cannot tell a dead
 * line from a quiet market, but the other line can: what it delivered since this line's last tick is the evidence. Silence that both lines
 * share belongs to the exchange or the calendar; outside continuous trading silence means nothing at all.
 *
 * Every instant and duration here is in ms on one monotonic clock, the one of `nowMs`.
 */
import { unreachable } from './assert.ts'
import type { SessionState } from './session-calendar.ts'
import type { LineState } from './status.ts'

/** Green may serve, yellow is in doubt, red should not serve if another can. */
export type Pulse = 'green' | 'yellow' | 'red'

export type PulseReason =
  // green
  | 'ticking'
  | 'market-quiet'
  | 'too-quiet-to-judge'
  | 'exchange-silent-on-both'
  | 'market-silent-on-both'
  | 'standing-by'
  // yellow
  | 'off-hours'
  | 'subscribing'
  | 'awaiting-first-tick'
  | 'silent-alone'
  | 'mute-suspected'
  | 'coverage-low-on-both'
  // red, yet delivering
  | 'exchange-mute'
  | 'coverage-low'
  | 'invalid-ticks'
  | 'lagging'
  // red, delivering nothing
  | 'not-connected'
  | 'connect-failing'
  | 'login-failing'
  | 'latched'
  | 'failed'
  | 'bridge-silent'
  | 'nothing-subscribed'
  | 'line-mute'
  | 'market-silent'

/**
 * What a reason means for serving. `rising`: not up yet, and nothing wrong with that. `doubt`: cannot be told. `impaired`: delivers, but badly.
 * `dead`: delivers nothing.
 */
export type Fault = 'none' | 'rising' | 'doubt' | 'impaired' | 'dead'

export const FAULT_OF_REASON = {
  ticking: 'none',
  'market-quiet': 'none',
  'too-quiet-to-judge': 'none',
  'exchange-silent-on-both': 'none',
  // No fault of a line, and no reason to move; but nobody trades, and somebody should look.
  'market-silent-on-both': 'none',
  'standing-by': 'none',
  'off-hours': 'rising',
  subscribing: 'rising',
  'awaiting-first-tick': 'rising',
  'silent-alone': 'doubt',
  'mute-suspected': 'doubt',
  'coverage-low-on-both': 'doubt',
  'exchange-mute': 'impaired',
  'coverage-low': 'impaired',
  'invalid-ticks': 'impaired',
  lagging: 'impaired',
  'not-connected': 'dead',
  'connect-failing': 'dead',
  'login-failing': 'dead',
  latched: 'dead',
  failed: 'dead',
  'bridge-silent': 'dead',
  'nothing-subscribed': 'dead',
  'line-mute': 'dead',
  'market-silent': 'dead',
} as const satisfies Record<PulseReason, Fault>

/** The reasons that make a line red: the only ones that may move the serving line by themselves. */
export type RedReason = {
  [R in PulseReason]: (typeof FAULT_OF_REASON)[R] extends 'impaired' | 'dead' ? R : never
}[PulseReason]

export const PULSE_SENTENCES: Record<PulseReason, string> = {
  ticking: 'The line delivers ticks.',
  'market-quiet': 'The line is up and no exchange is in continuous trading.',
  'too-quiet-to-judge': 'The line is up and the market is too quiet to demand ticks.',
  'exchange-silent-on-both': 'An exchange is silent on both lines, so the line is not to blame.',
  'market-silent-on-both':
    'Every liquid exchange is silent on both lines: a halt of all of them, or a fault that the lines share.',
  'standing-by': 'The line stands by as configured and can be raised.',
  'off-hours': 'The line is down while the market is closed.',
  subscribing: 'The line is logged in and still subscribing.',
  'awaiting-first-tick': 'The line is up and brought no tick yet, though ticks are due.',
  'silent-alone': 'The line is silent longer than the market explains, and no other line can confirm it.',
  'mute-suspected': 'The line is silent longer than usual while the other line brought a few ticks.',
  'coverage-low-on-both': 'Both lines carry fewer contracts than they should.',
  'exchange-mute': 'The line is silent on an exchange on which the other line ticks.',
  'coverage-low': 'The line carries fewer contracts of its list than the threshold asks.',
  'invalid-ticks': 'Too many ticks of the line are invalid.',
  lagging: 'The line delivers the same ticks much later than the other line.',
  'not-connected': 'The line has no session.',
  'connect-failing': 'The line failed to connect several times in a row.',
  'login-failing': 'The line failed to log in several times in a row.',
  latched: 'The account of the line is latched until an operator clears it.',
  failed: 'The line has given up until an operator looks at it.',
  'bridge-silent': 'The bridge of the line sends nothing, not even its counters.',
  'nothing-subscribed': 'The line is logged in and holds none of its contracts.',
  'line-mute': 'The line is silent while the other line ticks.',
  'market-silent': 'The line is silent on every liquid exchange for longer than any market is.',
}

/** Silence on one exchange, or on the whole market, as two lines show it. */
export interface SilenceEvidence {
  /** This line's last live tick; null when none since the exchange (re)opened. */
  thisLastTickMs: number | null
  otherLastTickMs: number | null
  /**
   * The news (accepted live ticks) that the other line brought since this line's last live tick (accepted or duplicate), and when the
   * first of it was read; null when there is none. Only contracts on both lists count, never the snapshots pushed after a subscription;
   * starts anew when the exchange (re)opens. Cheap to keep: the other's news adds one, this line's tick clears. Times are those of
   * reading, not of the vendor callback: after a stall of our own, one pipe is read before the other.
   */
  unanswered: { ticks: number; sinceMs: number } | null
}

export interface ExchangeEvidence extends SilenceEvidence {
  exchange: string
  /** Of the exchange as a whole: open while any of its products is in continuous trading. */
  sessionState: SessionState
  /** How long it has been in this session state. */
  inStateForMs: number
  /** Typical time between ticks of the exchange, all its contracts together; null while unknown. */
  expectedGapMs: number | null
}

export interface LineEvidence {
  state: LineState
  stateSinceMs: number
  /** Whether the line is meant to stream now: a warm or cold line in waiting is not. */
  wantedUp: boolean
  /** Last frame of any kind from the bridge; null before the first. Counters come once a second, alive or not. */
  lastFrameMs: number | null
  /** Since when this line has been streaming without a break; null when it is not. */
  streamingSinceMs: number | null
  /** The same of the other line; null when it is absent or down and thus cannot bear witness. */
  otherStreamingSinceMs: number | null
  /** All exchanges together; only those in continuous trading count. */
  market: SilenceEvidence
  exchanges: readonly ExchangeEvidence[]
  /** Subscribed share of each line's own list; null when unknown. */
  coverage: { own: number | null; other: number | null }
  /** Ticks of the last 60 s. */
  recent: { received: number; invalid: number }
  /** 95th percentile of how much later than the other line this line brings the same tick; null when unknown. */
  delayP95Ms: number | null
  connectFailures: number
  loginFailures: number
}

/** The same evidence, with every silence counted from `readingSinceMs` at the earliest: before, nobody could have heard anything. */
export function sinceReading(readingSinceMs: number, evidence: LineEvidence): LineEvidence {
  const since = <Instant extends number | null>(ms: Instant) => (ms === null ? ms : Math.max(ms, readingSinceMs))
  const silence = <Silent extends SilenceEvidence>(silent: Silent): Silent => ({
    ...silent,
    thisLastTickMs: since(silent.thisLastTickMs),
    otherLastTickMs: since(silent.otherLastTickMs),
    unanswered: silent.unanswered && { ...silent.unanswered, sinceMs: since(silent.unanswered.sinceMs) },
  })
  return {
    ...evidence,
    stateSinceMs: Math.max(evidence.stateSinceMs, readingSinceMs),
    lastFrameMs: since(evidence.lastFrameMs),
    streamingSinceMs: since(evidence.streamingSinceMs),
    otherStreamingSinceMs: since(evidence.otherStreamingSinceMs),
    market: silence(evidence.market),
    exchanges: evidence.exchanges.map(silence),
  }
}

export interface LivenessPolicy {
  /** The bridge's counters come every second: three missing ones are no coincidence. */
  bridgeSilentMs: number
  /** A line is mute after this long with at least `muteTicksMin` unanswered ticks. */
  muteMs: number
  muteTicksMin: number
  /** In a flood of ticks much less silence proves the same. */
  floodMuteMs: number
  floodTicksMin: number
  /** As `muteMs`, for one exchange of a line that ticks elsewhere. */
  exchangeMuteMs: number
  /** A line that just came up neither accuses nor is accused. */
  settleMs: number
  /** Without a witness: silence of this many expected gaps, and at least `aloneDoubtMs`, is doubtful. */
  aloneGapFactor: number
  aloneDoubtMs: number
  /** Silence of this length on every liquid exchange, and on at least two, is taken for a dead feed. */
  marketSilentMs: number
  /** An exchange with a longer expected gap is not liquid. */
  liquidGapMs: number
  /** How long subscribing may take before low coverage counts. */
  risingMs: number
  coverageThreshold: number
  /** Guards: share of invalid ticks, judged from `invalidReceivedMin` received ticks on. */
  invalidRatioMax: number
  invalidReceivedMin: number
  delayP95MaxMs: number
  /** Failures in a row from which a line counts as failing rather than as dialling. */
  failuresMax: number
}

export const DEFAULT_LIVENESS_POLICY: LivenessPolicy = {
  bridgeSilentMs: 3_000,
  muteMs: 2_000,
  muteTicksMin: 20,
  floodMuteMs: 700,
  floodTicksMin: 5_000,
  exchangeMuteMs: 3_000,
  settleMs: 3_000,
  aloneGapFactor: 20,
  aloneDoubtMs: 5_000,
  marketSilentMs: 30_000,
  liquidGapMs: 1_000,
  risingMs: 60_000,
  coverageThreshold: 0.995,
  invalidRatioMax: 0.02,
  invalidReceivedMin: 1_000,
  delayP95MaxMs: 500,
  failuresMax: 3,
}

export interface PulseReading {
  pulse: Pulse
  reason: PulseReason
}

export function measurePulse(evidence: LineEvidence, policy: LivenessPolicy, nowMs: number): PulseReading {
  const reason = downReason(evidence, policy) ?? upReason(evidence, policy, nowMs)
  return { pulse: pulseOf(reason), reason }
}

export function pulseOf(reason: PulseReason): Pulse {
  const fault: Fault = FAULT_OF_REASON[reason]
  switch (fault) {
    case 'none':
      return 'green'
    case 'rising':
    case 'doubt':
      return 'yellow'
    case 'impaired':
    case 'dead':
      return 'red'
    default:
      return unreachable(fault)
  }
}

/** Why the line has no session, or null when it has one. */
function downReason(evidence: LineEvidence, policy: LivenessPolicy): PulseReason | null {
  switch (evidence.state) {
    case 'latched':
    case 'failed':
      return evidence.state
    case 'off':
    case 'connecting':
    case 'logging-in':
    case 'waiting':
      if (!marketIsLive(evidence)) return evidence.wantedUp ? 'off-hours' : 'standing-by'
      // A warm line that can't log in does not stand by, it is broken.
      if (evidence.loginFailures >= policy.failuresMax) return 'login-failing'
      if (evidence.connectFailures >= policy.failuresMax) return 'connect-failing'
      return evidence.wantedUp ? 'not-connected' : 'standing-by'
    case 'logged-in':
    case 'subscribing':
    case 'streaming':
      return null
    default:
      return unreachable(evidence.state)
  }
}

/** In an auction no tick is owed, but the lines should be up: trading is about to begin. */
function marketIsLive(evidence: LineEvidence): boolean {
  return evidence.exchanges.some(({ sessionState }) => sessionState === 'open' || sessionState === 'auction')
}

/** The pulse of a line with a session: hard evidence first, then silence, then quality. */
function upReason(evidence: LineEvidence, policy: LivenessPolicy, nowMs: number): PulseReason {
  if (evidence.lastFrameMs !== null && nowMs - evidence.lastFrameMs > policy.bridgeSilentMs) return 'bridge-silent'
  if (!evidence.wantedUp) return 'standing-by'

  const { own, other } = evidence.coverage
  const covered = own !== null && own >= policy.coverageThreshold
  const rising = evidence.state !== 'streaming' && !covered
  if (rising && nowMs - evidence.stateSinceMs <= policy.risingMs) return 'subscribing'
  if (own === 0) return 'nothing-subscribed'

  const silence = silenceReason(evidence, policy, nowMs)
  if (FAULT_OF_REASON[silence] === 'dead' || FAULT_OF_REASON[silence] === 'rising') return silence
  if (rising || (own !== null && !covered)) {
    const otherIsLow = evidence.otherStreamingSinceMs !== null && other !== null && other < policy.coverageThreshold
    return otherIsLow ? 'coverage-low-on-both' : 'coverage-low'
  }
  if (FAULT_OF_REASON[silence] === 'impaired') return silence
  return guardReason(evidence, policy) ?? silence
}

function guardReason(evidence: LineEvidence, policy: LivenessPolicy): RedReason | null {
  const { received, invalid } = evidence.recent
  if (received >= policy.invalidReceivedMin && invalid > received * policy.invalidRatioMax) return 'invalid-ticks'
  if (evidence.delayP95Ms !== null && evidence.delayP95Ms > policy.delayP95MaxMs) return 'lagging'
  return null
}

type SilenceReason =
  | 'ticking'
  | 'market-quiet'
  | 'too-quiet-to-judge'
  | 'exchange-silent-on-both'
  | 'market-silent-on-both'
  | 'awaiting-first-tick'
  | 'silent-alone'
  | 'mute-suspected'
  | 'exchange-mute'
  | 'line-mute'
  | 'market-silent'

function silenceReason(evidence: LineEvidence, policy: LivenessPolicy, nowMs: number): SilenceReason {
  const open = evidence.exchanges.filter(({ sessionState }) => sessionState === 'open')
  if (open.length === 0) return 'market-quiet'

  const { streamingSinceMs, otherStreamingSinceMs } = evidence
  const witnessed = otherStreamingSinceMs !== null && nowMs - otherStreamingSinceMs >= policy.settleMs
  const upForMs = streamingSinceMs === null ? 0 : nowMs - streamingSinceMs
  if (witnessed && upForMs >= policy.settleMs) {
    const openForMs = Math.max(...open.map(({ inStateForMs }) => inStateForMs))
    if (isMute(evidence.market, openForMs, policy, nowMs)) return 'line-mute'
    if (open.some((each) => isMuteOnExchange(each, policy, nowMs))) return 'exchange-mute'
  }

  // A line that never gets all that it asks for owes ticks all the same, once its time to subscribe is over.
  const owesForMs = evidence.state === 'subscribing' ? Math.max(upForMs, nowMs - evidence.stateSinceMs) : upForMs
  const silences = open.map((each) => measureSilence(each, owesForMs, policy, nowMs))
  const liquid = silences.filter((silence) => silence.isLiquid)
  if (liquid.length >= 2 && liquid.every(({ ownMs }) => ownMs >= policy.marketSilentMs)) return 'market-silent'
  if (isAwaitingFirstTick(evidence, open, policy, nowMs)) return 'awaiting-first-tick'

  const late = liquid.filter(({ isBeyondGap }) => isBeyondGap)
  if (late.length > 0 && !witnessed) return 'silent-alone'
  if (late.some(({ isShared }) => !isShared)) return 'mute-suspected'
  if (late.length > 1 && late.length === liquid.length) return 'market-silent-on-both'
  if (late.length > 0) return 'exchange-silent-on-both'
  if (liquid.length === 0 && nothingEverTicked(evidence, open, policy, nowMs)) return 'silent-alone'
  const quietMs = sinceMs(evidence.market.thisLastTickMs, nowMs)
  return liquid.length === 0 && quietMs >= policy.aloneDoubtMs ? 'too-quiet-to-judge' : 'ticking'
}

/** A line that came up while a liquid exchange traded proves itself by its first tick: until then nothing tells it from a dead one. */
function isAwaitingFirstTick(
  { streamingSinceMs, market }: LineEvidence,
  open: readonly ExchangeEvidence[],
  policy: LivenessPolicy,
  nowMs: number,
): boolean {
  if (streamingSinceMs === null || (market.thisLastTickMs ?? 0) >= streamingSinceMs) return false
  const upForMs = nowMs - streamingSinceMs
  const isDue = ({ expectedGapMs, inStateForMs }: ExchangeEvidence) =>
    expectedGapMs !== null && expectedGapMs <= policy.liquidGapMs && inStateForMs > upForMs
  return upForMs < policy.marketSilentMs && open.some(isDue)
}

/** Open for long, and neither line ever brought a tick to learn a rate from: no proof of anything, least of all that all is well. */
function nothingEverTicked(
  { streamingSinceMs, market }: LineEvidence,
  open: readonly ExchangeEvidence[],
  policy: LivenessPolicy,
  nowMs: number,
): boolean {
  if (streamingSinceMs === null || market.thisLastTickMs !== null || market.otherLastTickMs !== null) return false
  const owedForMs = Math.min(nowMs - streamingSinceMs, Math.max(...open.map(({ inStateForMs }) => inStateForMs)))
  return owedForMs >= policy.marketSilentMs && open.every(({ expectedGapMs }) => expectedGapMs === null)
}

function isMute(silence: SilenceEvidence, openForMs: number, policy: LivenessPolicy, nowMs: number): boolean {
  if (silence.unanswered === null) return false
  const silentMs = Math.min(nowMs - silence.unanswered.sinceMs, openForMs)
  const { ticks } = silence.unanswered
  return (
    (ticks >= policy.muteTicksMin && silentMs >= policy.muteMs) ||
    (ticks >= policy.floodTicksMin && silentMs >= policy.floodMuteMs)
  )
}

function isMuteOnExchange(exchange: ExchangeEvidence, policy: LivenessPolicy, nowMs: number): boolean {
  if (exchange.unanswered === null) return false
  const silentMs = Math.min(nowMs - exchange.unanswered.sinceMs, exchange.inStateForMs)
  return exchange.unanswered.ticks >= policy.muteTicksMin && silentMs >= policy.exchangeMuteMs
}

interface Silence {
  isLiquid: boolean
  /** How long this line brought no tick; what a line that just came up shows meanwhile makes it no better. */
  ownMs: number
  isBeyondGap: boolean
  /** The other line is silent about as long; half the limit, because the lines never fall silent at the same instant. */
  isShared: boolean
}

function measureSilence(exchange: ExchangeEvidence, upForMs: number, policy: LivenessPolicy, nowMs: number): Silence {
  const gapMs = exchange.expectedGapMs ?? Number.POSITIVE_INFINITY
  const limitMs = Math.max(policy.aloneDoubtMs, gapMs * policy.aloneGapFactor)
  // Nobody owes a tick from before the line came up or the exchange opened.
  const owedForMs = Math.min(exchange.inStateForMs, upForMs)
  const thisMs = Math.min(owedForMs, sinceMs(exchange.thisLastTickMs, nowMs))
  const bothMs = Math.min(thisMs, sinceMs(exchange.otherLastTickMs, nowMs))
  return {
    isLiquid: gapMs <= policy.liquidGapMs,
    ownMs: thisMs,
    isBeyondGap: thisMs >= limitMs,
    isShared: bothMs >= limitMs / 2,
  }
}

function sinceMs(instantMs: number | null, nowMs: number): number {
  return instantMs === null ? Number.POSITIVE_INFINITY : nowMs - instantMs
}
