/** Rules of the supervisor broken on purpose, each as a mistake that somebody could make: what the simulation has to notice. */
import { sleep } from '#clock.ts'
import type { InstrumentSlots } from '#daemon/instrument-slots.ts'
import { Arbiter, Outcome } from '#domain/arbitration.ts'
import type { BrokenRules } from './daemon-life.ts'
import type { Rule } from './oracle.ts'

type Classify = Parameters<Arbiter['classify']>

/** Takes every further tick of a moment for a repetition, as if time and volume said all. */
class TwinBlindArbiter extends Arbiter {
  override classify(...tick: Classify): Outcome {
    const [, slot] = tick
    const [day, eventMs, volume] = [this.day[slot], this.eventMs[slot], this.volume[slot]]
    const outcome = super.classify(...tick)
    const isTwin = this.day[slot] === day && this.eventMs[slot] === eventMs && this.volume[slot] === volume
    return outcome === Outcome.accepted && isTwin ? Outcome.duplicate : outcome
  }
}

/** Forgets the books of a moment, so that the slower line's copy is news again. */
class ForgetfulArbiter extends Arbiter {
  override classify(...tick: Classify): Outcome {
    const outcome = super.classify(...tick)
    return outcome === Outcome.duplicate ? Outcome.accepted : outcome
  }
}

/** Lets time and volume go backwards. */
class BackwardArbiter extends Arbiter {
  override classify(...tick: Classify): Outcome {
    const outcome = super.classify(...tick)
    return outcome === Outcome.stale ? Outcome.accepted : outcome
  }
}

const arbiter = (make: new (sessions: InstrumentSlots['live']) => Arbiter): BrokenRules => ({
  arbiter: (slots) => new make(slots.live),
})

/** Title, rules of the oracle that may notice it, what is broken, and seeds within which it has to be noticed. */
export const BROKEN_RULES: readonly [title: string, noticedBy: readonly Rule[], broken: BrokenRules, seeds: number][] =
  [
    ['twins of one moment are taken for duplicates', ['tick-lost'], arbiter(TwinBlindArbiter), 5],
    ['the books of a moment are forgotten', ['tick-twice'], arbiter(ForgetfulArbiter), 5],
    [
      'older ticks are let through',
      ['tick-backwards', 'tick-twice', 'off-session-accepted'],
      arbiter(BackwardArbiter),
      40,
    ],
    [
      'a line that returns does not wait behind the other one',
      ['tick-overtaken'],
      { returnHold: ({ path }) => ({ take: path.take, releaseIfDue: () => undefined, end: () => undefined }) },
      200,
    ],
    ['the hold-down is ignored', ['hold-down'], { failover: { holdDownMs: 1 } }, 60],
    ['the flap limit is ignored', ['flap-limit'], { failover: { flapLimit: 1_000 } }, 60],
    [
      'failback does not wait',
      ['failback-too-soon', 'failover-without-cause'],
      { failover: { failbackStableMs: 500 } },
      40,
    ],
    ['the latch is ignored', ['latched-login'], { isLatched: () => false }, 60],
    [
      'logins are not counted',
      ['login-budget'],
      {
        requestLogin: async () => {
          await sleep(1)
          return 0
        },
      },
      100,
    ],
    [
      'a moment of silence condemns a line',
      ['failover-without-cause'],
      { liveness: { muteMs: 1, muteTicksMin: 1, settleMs: 1 } },
      40,
    ],
    [
      'silence is never noticed',
      ['late-failover', 'missed-gap', 'no-recovery'],
      { liveness: { muteMs: 1e9, floodMuteMs: 1e9, marketSilentMs: 1e9 } },
      60,
    ],
  ]
