/**
 * What happens in one simulation: where in the market's year it begins, how the lines are held, which faults strike, what the operator and
 * the host do. A function of the seed; printed as it is when something is wrong.
 */
import type { Fault, FaultName } from '#adapters/feeds/scenario.ts'
import { EXCHANGES } from '#domain/instrument.ts'
import type { Line } from '#domain/line.ts'
import type { StandbyMode } from '#domain/standby.ts'
import { at } from '../support/shipped-calendar.ts'
import { Lots } from './lots.ts'
import type { ReadLate } from './sim-front.ts'
import { SIM_CONTRACTS } from './sim-market.ts'

export type ActName =
  | 'serve-primary'
  | 'serve-backup'
  | 'pause'
  | 'resume'
  | 'kill'
  | 'clear-latches'
  | 'restart'
  | 'crash'

export interface Act {
  atMs: number
  act: ActName
  /** How long the daemon is down after a restart or a crash. */
  downMs: number
}

export interface Schedule {
  seed: number
  startMs: number
  /** Faults and acts fall into this stretch; after it everything is to recover. */
  durationMs: number
  standby: StandbyMode
  home: Line
  linesShareFront: boolean
  linesShareAccount: boolean
  loginsPerMinute: number
  failbackStableMs: number
  skewMs: number
  reconnectMs: number
  faults: readonly Fault[]
  acts: readonly Act[]
  readLate: readonly ReadLate[]
  /** A mute front still answers a subscription with the contract's last state. */
  muteAnswers: boolean
}

/** Where a market day is interesting, in Shanghai time; the last is a holiday's eve with no night session. */
const BEGINNINGS: readonly [string, ...string[]] = [
  '2026-03-10 09:20',
  '2026-03-10 10:02',
  '2026-03-10 13:40',
  '2026-03-10 21:15',
  '2026-03-10 08:53',
  '2026-03-10 10:13',
  '2026-03-10 10:28',
  '2026-03-10 11:28',
  '2026-03-10 13:28',
  '2026-03-10 14:57',
  '2026-03-10 20:53',
  '2026-03-10 22:57',
  '2026-03-10 23:57',
  '2026-03-11 00:58',
  '2026-03-11 02:27',
  '2026-03-13 23:58',
  '2026-03-14 02:27',
  '2026-04-03 14:56',
  '2026-04-07 08:54',
  '2026-02-13 14:57',
]

const LOGIN_ERRORS: readonly [number, ...number[]] = [3, 63, 75, 140, 7, 7, 8, 60, 5, 9_999]
const DISCONNECT_REASONS: readonly [number, ...number[]] = [0x1001, 0x1002, 0x2001, 0x2003, 0, -4]
const OFTEN: readonly [FaultName, ...FaultName[]] = [
  'disconnect',
  'disconnect',
  'refuse-connect',
  'login-error',
  'mute',
  'mute',
  'drop-subscriptions',
  'partial-acks',
  'refuse-contracts',
  'throttle',
  'rewind',
  'duplicate',
  'garbage',
  'garbage',
  'lag',
  'lose',
  'crash',
  'hang',
  'exchange-halt',
]

/** Lines that deliver badly for long, in a busy market: what the guards, the hold-down and the flap limit are for. */
const IMPAIRING: readonly [FaultName, ...FaultName[]] = ['garbage', 'lag', 'lag', 'garbage', 'disconnect', 'mute']
const BUSY: readonly [string, ...string[]] = ['2026-03-10 09:20', '2026-03-10 13:40', '2026-03-10 21:15']

export function scheduleOf(seed: number): Schedule {
  const lots = new Lots(seed)
  const isImpaired = lots.isLucky(0.15)
  const durationMs = isImpaired ? 330_000 : lots.between(90_000, 330_000)
  const isStormy = lots.isLucky(0.2)
  const count = isStormy ? lots.whole(8, 20) : lots.whole(1, 6)
  const kinds = isImpaired ? IMPAIRING : OFTEN
  const faults = Array.from({ length: count }, () => drawFault(lots, durationMs, kinds))
  const schedule = {
    seed,
    startMs: at(lots.oneOf(isImpaired ? BUSY : BEGINNINGS)) + lots.between(0, 60_000),
    durationMs,
    standby: isImpaired ? 'hot' : lots.oneOf(['hot', 'hot', 'hot', 'warm', 'cold']),
    home: lots.isLucky(0.75) ? 'primary' : 'backup',
    linesShareFront: lots.isLucky(0.2),
    linesShareAccount: lots.isLucky(0.3),
    loginsPerMinute: lots.whole(1, 5),
    failbackStableMs: lots.oneOf([20_000, 60_000, 300_000]),
    skewMs: lots.isLucky(0.5) ? 0 : lots.between(-1_500, 1_500),
    reconnectMs: lots.oneOf([100, 500, 1_000, 3_000]),
    faults: faults.sort((a, b) => a.atMs - b.atMs),
    acts: drawActs(lots, durationMs),
    // Last, so that what was found under a seed before stays what it was.
    readLate: drawReadLate(lots, durationMs, faults),
    muteAnswers: lots.isLucky(0.5),
  } satisfies Schedule
  return lots.isLucky(0.1) ? { ...schedule, faults: withMarketHalt(lots, schedule) } : schedule
}

/** Every exchange stands still for a while, which is no line's fault. */
function withMarketHalt(lots: Lots, { faults, durationMs }: Schedule): Fault[] {
  const atMs = Math.round(lots.between(0, durationMs))
  const forMs = Math.round(Math.min(lots.between(10_000, 120_000), durationMs - atMs))
  return [...faults, ...marketHalt(atMs, forMs)].sort((a, b) => a.atMs - b.atMs)
}

export function marketHalt(atMs: number, forMs: number): Fault[] {
  return EXCHANGES.map((exchange) => ({ atMs, line: 'both', forMs, fault: 'exchange-halt', exchange }))
}

const READ_LATE_MAX_MS = 400

/** At any time, and just when a line comes back from a fault: that is when the order of reading matters. */
function drawReadLate(lots: Lots, durationMs: number, faults: readonly Fault[]): ReadLate[] {
  if (lots.isLucky(0.4)) return []
  const anywhere = Array.from({ length: lots.whole(1, 4) }, () => lots.between(0, durationMs))
  const atReturns = faults.map(({ atMs, forMs }) => atMs + forMs + lots.between(-500, 1_500))
  return [...anywhere, ...atReturns].map((atMs) => ({
    atMs: Math.round(atMs),
    line: lots.oneOf(['primary', 'backup']),
    forMs: Math.round(lots.between(50, 4_000)),
    byMs: Math.round(lots.between(20, READ_LATE_MAX_MS)),
  }))
}

function drawFault(lots: Lots, durationMs: number, kinds: readonly [FaultName, ...FaultName[]]): Fault {
  const name = lots.oneOf(kinds)
  const atMs = Math.round(lots.between(0, durationMs))
  const longestMs = durationMs - atMs
  // As often a blip as an outage.
  const isBlip = lots.isLucky(kinds === IMPAIRING ? 0.2 : 0.5)
  const wantedMs = isBlip ? lots.between(100, 8_000) : lots.between(8_000, kinds === IMPAIRING ? 250_000 : 120_000)
  const forMs = Math.round(Math.min(wantedMs, longestMs))
  const line = lots.isLucky(0.15) ? 'both' : lots.isLucky(0.6) ? 'primary' : 'backup'
  const span = { atMs, line, forMs } as const
  switch (name) {
    case 'disconnect':
      return { ...span, fault: name, reason: lots.oneOf(DISCONNECT_REASONS) }
    case 'login-error':
      return { ...span, fault: name, id: lots.oneOf(LOGIN_ERRORS), once: lots.isLucky(0.5) }
    case 'partial-acks':
      return { ...span, fault: name, ratio: lots.between(0, 0.95) }
    case 'refuse-contracts':
      return { ...span, fault: name, count: lots.whole(1, 2), id: lots.oneOf([16, 6000, 7]) }
    case 'throttle':
      return { ...span, fault: name, code: lots.oneOf([-2, -3]) }
    case 'rewind':
      return { ...span, fault: name, byMs: Math.round(lots.between(1_000, 120_000)), forMs: 0 }
    case 'garbage':
      return {
        ...span,
        fault: name,
        kinds: ['dbl-max', 'nan', 'negative-volume', 'malformed-time', 'far-future-time', 'absurd-volume'],
        ratio: lots.oneOf([0.01, 0.1, 0.5, 1]),
        replace: lots.isLucky(0.4),
      }
    case 'lag':
      return { ...span, fault: name, byMs: Math.round(lots.oneOf([200, 900, 3_000, 15_000, 70_000])) }
    case 'lose':
      return { ...span, fault: name, ratio: lots.oneOf([0.01, 0.2, 0.7, 1]) }
    case 'exchange-halt':
      return { ...span, fault: name, line: 'both', exchange: lots.oneOf(EXCHANGES) }
    case 'drop-subscriptions':
    case 'crash':
      return { ...span, fault: name, forMs: 0 }
    case 'refuse-connect':
    case 'mute':
    case 'duplicate':
    case 'hang':
      return { ...span, fault: name }
  }
}

const ACTS: readonly [ActName, ...ActName[]] = [
  'serve-primary',
  'serve-backup',
  'serve-backup',
  'pause',
  'resume',
  'clear-latches',
  'restart',
  'crash',
]

function drawActs(lots: Lots, durationMs: number): Act[] {
  const count = lots.isLucky(0.5) ? 0 : lots.whole(1, 4)
  const acts = Array.from({ length: count }, (): Act => {
    const act = lots.isLucky(0.03) ? 'kill' : lots.oneOf(ACTS)
    return { atMs: Math.round(lots.between(2_000, durationMs)), act, downMs: Math.round(lots.between(100, 20_000)) }
  })
  return acts.sort((a, b) => a.atMs - b.atMs)
}

/** A schedule without anything, to be filled in by a test. */
export function calmSchedule(start: string, overrides: Partial<Schedule> = {}): Schedule {
  return {
    seed: 1,
    startMs: at(start),
    durationMs: 120_000,
    standby: 'hot',
    home: 'primary',
    linesShareFront: false,
    linesShareAccount: false,
    loginsPerMinute: 5,
    failbackStableMs: 60_000,
    skewMs: 0,
    reconnectMs: 1_000,
    faults: [],
    acts: [],
    readLate: [],
    muteAnswers: false,
    ...overrides,
  }
}

export const CONTRACT_COUNT = SIM_CONTRACTS.length
