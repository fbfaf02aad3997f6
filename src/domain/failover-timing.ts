/**
 * Safety sums over the time limits of liveness and failover: combinations that cannot keep the promised recovery time, or that make a
 * rule unreachable, are told before anything starts. Each problem names the field to change.
 */
import type { FailoverPolicy } from './failover.ts'
import type { Problem } from './failure.ts'
import type { LivenessPolicy } from './liveness.ts'

export interface FailoverTiming {
  liveness: LivenessPolicy
  failover: FailoverPolicy
  /** The recovery-time objective of the feed. */
  objectiveMs: number
  /** How often pulses are measured and a step is taken. */
  stepMs: number
}

/** A bridge sends its counters once a second. */
const COUNTERS_EVERY_MS = 1_000

interface Rule {
  field: string
  isBroken: (timing: FailoverTiming) => boolean
  message: (timing: FailoverTiming) => string
  remedy: string
}

const RULES: readonly Rule[] = [
  {
    field: 'stepMs',
    isBroken: ({ stepMs }) => !(stepMs > 0 && stepMs <= 1_000),
    message: ({ stepMs }) => `lines are judged every ${stepMs} ms, expected more than 0 and at most 1000`,
    remedy: 'Set an interval from 50 to 1000 ms.',
  },
  {
    field: 'liveness.muteMs',
    isBroken: ({ liveness, stepMs, objectiveMs }) => liveness.muteMs + stepMs >= objectiveMs,
    message: ({ liveness, stepMs, objectiveMs }) =>
      `noticing a mute line takes ${liveness.muteMs + stepMs} ms, which leaves nothing of the recovery objective of ${objectiveMs} ms`,
    remedy: 'Lower the mute window or raise the recovery objective.',
  },
  {
    field: 'liveness.exchangeMuteMs',
    isBroken: ({ liveness, stepMs, objectiveMs }) => liveness.exchangeMuteMs + stepMs >= objectiveMs,
    message: ({ liveness, stepMs, objectiveMs }) =>
      `noticing a mute exchange takes ${liveness.exchangeMuteMs + stepMs} ms, which leaves nothing of the recovery objective of ${objectiveMs} ms`,
    remedy: 'Lower the mute window of an exchange or raise the recovery objective.',
  },
  {
    field: 'liveness.bridgeSilentMs',
    isBroken: ({ liveness, stepMs, objectiveMs }) => liveness.bridgeSilentMs + stepMs >= objectiveMs,
    message: ({ liveness, stepMs, objectiveMs }) =>
      `noticing a silent bridge takes ${liveness.bridgeSilentMs + stepMs} ms, which leaves nothing of the recovery objective of ${objectiveMs} ms`,
    remedy: 'Lower the heartbeat window of the bridge or raise the recovery objective.',
  },
  {
    field: 'liveness.bridgeSilentMs',
    isBroken: ({ liveness }) => liveness.bridgeSilentMs < 2 * COUNTERS_EVERY_MS,
    message: ({ liveness }) =>
      `a bridge counts as silent after ${liveness.bridgeSilentMs} ms, but reports only every ${COUNTERS_EVERY_MS} ms`,
    remedy: `Set the heartbeat window of the bridge to ${2 * COUNTERS_EVERY_MS} ms or more.`,
  },
  {
    field: 'liveness.floodMuteMs',
    isBroken: ({ liveness }) => liveness.floodMuteMs > liveness.muteMs,
    message: ({ liveness }) =>
      `silence in a flood of ticks counts after ${liveness.floodMuteMs} ms, later than in a calm market (${liveness.muteMs} ms)`,
    remedy: 'Set the flood window at or below the mute window.',
  },
  {
    field: 'liveness.muteMs',
    isBroken: ({ liveness }) => liveness.floodMuteMs <= liveness.delayP95MaxMs,
    message: ({ liveness }) =>
      `a line may lag ${liveness.delayP95MaxMs} ms, but counts as mute after ${liveness.floodMuteMs} ms of silence`,
    remedy: 'Set the mute windows above the lag that is allowed.',
  },
  {
    field: 'liveness.marketSilentMs',
    isBroken: ({ liveness }) => liveness.marketSilentMs <= Math.max(liveness.muteMs, liveness.aloneDoubtMs),
    message: ({ liveness }) =>
      `silence without a witness counts as a dead feed after ${liveness.marketSilentMs} ms, sooner than it counts as doubtful`,
    remedy: 'Set it well above the mute window, 30 s or more.',
  },
  {
    field: 'failover.failbackStableMs',
    isBroken: ({ failover }) => failover.failbackStableMs <= failover.holdDownMs,
    message: ({ failover }) =>
      `failback after ${failover.failbackStableMs} ms of stability comes within the hold-down of ${failover.holdDownMs} ms`,
    remedy: 'Raise the time of stability or lower the hold-down.',
  },
  {
    field: 'failover.flapLimit',
    isBroken: ({ failover }) => !(Number.isInteger(failover.flapLimit) && failover.flapLimit >= 2),
    message: ({ failover }) => `the flap limit is ${failover.flapLimit}, expected a whole number from 2`,
    remedy: 'Set it to 2 or more; 1 would latch at the first failover.',
  },
  {
    field: 'failover.flapWindowMs',
    isBroken: ({ failover }) => failover.flapWindowMs <= failover.holdDownMs * failover.flapLimit,
    message: ({ failover }) =>
      `${failover.flapLimit} switches held down for ${failover.holdDownMs} ms each do not fit the flap window of ${failover.flapWindowMs} ms, so the limit would not be reached`,
    remedy: 'Widen the flap window, or lower the flap limit or the hold-down.',
  },
  {
    field: 'failover.latchRescueMs',
    isBroken: ({ failover }) => failover.latchRescueMs <= failover.holdDownMs,
    message: ({ failover }) =>
      `a flap-latched dead line is left after ${failover.latchRescueMs} ms, no later than the hold-down of ${failover.holdDownMs} ms`,
    remedy: 'Raise it above the hold-down, or flapping goes on under the latch.',
  },
  {
    field: 'failover.sharedConfirmMs',
    isBroken: ({ failover, stepMs, objectiveMs }) => failover.sharedConfirmMs + stepMs >= objectiveMs,
    message: ({ failover, stepMs, objectiveMs }) =>
      `confirming an outage takes ${failover.sharedConfirmMs + stepMs} ms, which leaves nothing of the recovery objective of ${objectiveMs} ms`,
    remedy: 'Lower the time of confirmation or raise the recovery objective.',
  },
]

/** Every broken rule, and every limit that is no positive number; empty when the timings fit together. */
export function timingProblems(timing: FailoverTiming): Problem[] {
  const unusable = [...unusableFields('liveness', timing.liveness), ...unusableFields('failover', timing.failover)]
  // Sums over nonsense would only repeat it.
  if (unusable.length > 0) return unusable
  return RULES.filter((rule) => rule.isBroken(timing)).map((rule) => ({
    name: rule.field,
    message: rule.message(timing),
    remedy: rule.remedy,
  }))
}

function unusableFields(section: string, policy: FailoverPolicy | LivenessPolicy): Problem[] {
  return Object.entries(policy)
    .filter(([, value]) => !(Number.isFinite(value) && value > 0))
    .map(([field, value]) => ({
      name: `${section}.${field}`,
      message: `expected a number above 0, got ${value}`,
      remedy: 'Leave it out to get the default.',
    }))
}
