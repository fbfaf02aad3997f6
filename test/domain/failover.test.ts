import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type FailoverCommand,
  type FailoverState,
  type FailoverStep,
  failoverStep,
  DEFAULT_FAILOVER_POLICY as POLICY,
  startFailover,
} from '#domain/failover.ts'
import { type FailoverTiming, timingProblems } from '#domain/failover-timing.ts'
import { LINES, type Line, otherLine } from '#domain/line.ts'
import type { LineView, Readiness } from '#domain/line-fitness.ts'
import { DEFAULT_LIVENESS_POLICY, FAULT_OF_REASON, type PulseReason, pulseOf } from '#domain/liveness.ts'
import { linesWanted } from '#domain/standby.ts'

/** A day in front of the machine: lines change, the clock is pushed, and what it said is kept. */
class Day {
  nowMs = 1_000_000
  lastTickMs: number | null = 1_000_000
  marketIsOpen = true
  linesShareFront = false
  readonly lines: Record<Line, LineView | null> = { primary: view('ticking'), backup: view('ticking') }
  readonly told: FailoverStep[] = []
  state: FailoverState
  step: FailoverStep

  constructor(start: { serving?: Line } = {}) {
    this.state = startFailover({
      serving: start.serving ?? 'primary',
      nowMs: this.nowMs,
      paused: false,
    })
    this.step = this.take(null)
  }

  take(command: FailoverCommand | null): FailoverStep {
    const { lines, marketIsOpen, linesShareFront, lastTickMs, nowMs } = this
    this.step = failoverStep(this.state, { lines, marketIsOpen, linesShareFront, lastTickMs, nowMs, command }, POLICY)
    this.state = this.step.state
    if (this.step.changed) this.told.push(this.step)
    return this.step
  }

  /** The line's pulse changes, and a step is taken. */
  see(line: Line, reason: PulseReason, readiness?: Readiness): FailoverStep {
    this.lines[line] = view(reason, readiness)
    return this.take(null)
  }

  /** Time passes in steps of 100 ms; ticks come while a line delivers. */
  pass(ms: number): FailoverStep {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; ) {
      this.nowMs = Math.min(endMs, this.nowMs + 100)
      if (LINES.some((line) => this.lines[line]?.reason === 'ticking')) this.lastTickMs = this.nowMs
      this.take(null)
    }
    return this.step
  }

  reasonsSince(count: number): string[] {
    return this.told.slice(count).map(({ reason }) => reason)
  }
}

function view(reason: PulseReason, readiness?: Readiness): LineView {
  const isUp = FAULT_OF_REASON[reason] !== 'dead' && reason !== 'subscribing' && reason !== 'coverage-low'
  const usual = reason === 'standing-by' ? 'can-be-raised' : isUp ? 'ready' : 'unable'
  return { pulse: pulseOf(reason), reason, readiness: readiness ?? usual }
}

const says = (step: FailoverStep) => [step.serve, step.feedState, step.reason]

describe('with both lines well', () => {
  it('the configured line serves', () => {
    expect(says(new Day().step)).toEqual(['primary', 'ACTIVE', 'came-up'])
    expect(says(new Day({ serving: 'backup' }).step)).toEqual(['backup', 'ACTIVE', 'came-up'])
  })

  it('nothing is decided for hours', () => {
    const day = new Day()
    day.pass(2 * 3_600_000)
    expect(day.told).toHaveLength(1)
    expect(day.step.reason).toBe('steady')
  })
})

describe('the serving line is left at once when it is', () => {
  it.each<PulseReason>([
    'not-connected',
    'line-mute',
    'bridge-silent',
    'latched',
    'failed',
    'login-failing',
    'connect-failing',
    'market-silent',
    'exchange-mute',
    'coverage-low',
    'invalid-ticks',
    'lagging',
  ])('%s', (reason) => {
    const day = new Day()
    expect(says(day.see('primary', reason))).toEqual(['backup', 'SWITCHED', reason])
    expect(day.step).toMatchObject({ epochBump: true, changed: true, cause: reason })
    expect(says(day.pass(100))).toEqual(['backup', 'ACTIVE', 'target-confirmed'])
    expect(day.step.epochBump).toBe(false)
  })
})

describe('the serving line is kept when it is', () => {
  it.each<PulseReason>(['silent-alone', 'mute-suspected', 'subscribing', 'coverage-low-on-both'])('%s', (reason) => {
    const day = new Day()
    expect(says(day.see('primary', reason))).toEqual(['primary', 'SUSPECT', 'in-doubt'])
    expect(says(day.pass(60_000))).toEqual(['primary', 'SUSPECT', 'still-in-doubt'])
    expect(says(day.see('primary', 'ticking'))).toEqual(['primary', 'ACTIVE', 'recovered'])
  })

  it.each<PulseReason>(['exchange-silent-on-both', 'too-quiet-to-judge', 'market-quiet'])('%s', (reason) => {
    expect(says(new Day().see('primary', reason))).toEqual(['primary', 'ACTIVE', 'steady'])
  })

  it('impaired, and the other line is no better', () => {
    const day = new Day()
    day.see('backup', 'invalid-ticks')
    expect(says(day.see('primary', 'invalid-ticks'))).toEqual(['primary', 'SUSPECT', 'no-better-line'])
  })

  it.each<[PulseReason, string]>([
    ['market-silent-on-both', 'no-better-line'],
    ['standing-by', 'both-lines-dead'],
  ])('silent like the whole market, and the other line is %s', (reason, told) => {
    const day = new Day()
    day.see('backup', reason)
    expect(day.see('primary', 'market-silent')).toMatchObject({ serve: 'primary', reason: told })
  })

  it('red, and the other line is still subscribing', () => {
    const day = new Day()
    day.see('backup', 'subscribing')
    expect(says(day.see('primary', 'lagging'))).toEqual(['primary', 'SUSPECT', 'no-better-line'])
  })
})

describe('after a switch', () => {
  it('a soft fault is held down, and left when the hold-down is over', () => {
    const day = new Day()
    day.see('primary', 'line-mute')
    day.see('primary', 'ticking')
    day.pass(5_000)
    expect(says(day.see('backup', 'lagging'))).toEqual(['backup', 'SUSPECT', 'held-down'])
    day.pass(4_900)
    expect(day.step.serve).toBe('backup')
    expect(says(day.pass(100))).toEqual(['primary', 'SWITCHED', 'lagging'])
  })

  it('a hard fault is not held down', () => {
    const day = new Day()
    day.see('primary', 'line-mute')
    day.see('primary', 'ticking')
    day.pass(200)
    expect(says(day.see('backup', 'not-connected'))).toEqual(['primary', 'SWITCHED', 'not-connected'])
  })

  it('the machine goes home once the home line has been well for five minutes on end', () => {
    const day = new Day()
    day.see('primary', 'not-connected')
    day.pass(60_000)
    day.see('primary', 'ticking')
    day.pass(200_000)
    day.see('primary', 'mute-suspected')
    day.see('primary', 'ticking')
    day.pass(POLICY.failbackStableMs - 100)
    expect(day.step.serve).toBe('backup')
    expect(says(day.pass(100))).toEqual(['primary', 'SWITCHED', 'home-proved-stable'])
  })

  it('time in which no exchange trades proves nothing of the home line', () => {
    const day = new Day()
    day.see('primary', 'not-connected')
    day.see('primary', 'market-quiet')
    day.marketIsOpen = false
    day.pass(3_600_000)
    day.marketIsOpen = true
    day.see('primary', 'ticking')
    expect(day.pass(POLICY.failbackStableMs - 200).serve).toBe('backup')
    expect(day.pass(200).serve).toBe('primary')
  })

  it("an operator's choice is the new home, so nothing undoes it", () => {
    const day = new Day()
    day.take('serve-backup')
    expect(day.pass(3 * POLICY.failbackStableMs).serve).toBe('backup')
    expect(day.told.at(-1)?.reason).toBe('target-confirmed')
  })
})

describe('flapping', () => {
  /** Lets the serving line drop and come back until something stops the switching. */
  function flap(day: Day, times: number): void {
    for (let i = 0; i < times; i++) {
      const { serving } = day.state
      day.see(serving, 'not-connected')
      day.pass(1_000)
      day.see(serving, 'ticking')
      day.pass(1_000)
    }
  }

  it('latches with the third automatic switch in ten minutes, on the better line, and says so', () => {
    const day = new Day()
    flap(day, 20)
    const switches = day.told.filter(({ epochBump }) => epochBump)
    expect(switches.map(({ reason }) => reason)).toEqual(['not-connected', 'not-connected', 'flap-latched'])
    expect(day.state.automation.kind).toBe('flap-latched')
    expect(day.state.serving).toBe('backup')
  })

  it('does not latch when the switches are further apart', () => {
    const day = new Day()
    for (let i = 0; i < 6; i++) {
      flap(day, 1)
      day.pass(POLICY.flapWindowMs)
    }
    expect(day.state.automation.kind).toBe('automatic')
  })

  it('under the latch a dead line is left only when it stays dead, and the latch remains', () => {
    const day = new Day()
    flap(day, 20)
    const { serving } = day.state
    expect(says(day.see(serving, 'not-connected'))).toEqual([serving, 'SUSPECT', 'flap-latch-holds'])
    day.pass(POLICY.latchRescueMs - 100)
    expect(day.step.serve).toBe(serving)
    expect(says(day.pass(100))).toEqual([otherLine(serving), 'SWITCHED', 'latched-line-dead'])
    expect(day.state.automation.kind).toBe('flap-latched')
  })

  it.each<FailoverCommand>(['resume', 'serve-primary'])("ends with the operator's %s", (command) => {
    const day = new Day()
    flap(day, 20)
    day.take(command)
    expect(day.state.automation.kind).toBe('automatic')
    expect(day.state.automaticSwitchesMs).toEqual([])
  })
})

describe('with neither line delivering', () => {
  it('there is a gap with bounds, the serving line stays, and it ends where it began', () => {
    const day = new Day()
    day.pass(1_000)
    const lastTickMs = day.nowMs
    day.see('backup', 'not-connected')
    expect(says(day.see('primary', 'not-connected'))).toEqual(['primary', 'GAP', 'both-lines-dead'])
    day.pass(30_000)
    expect(says(day.step)).toEqual(['primary', 'GAP', 'neither-line-delivers'])
    day.nowMs += 50
    const returnedMs = day.nowMs - 20
    day.lastTickMs = returnedMs
    expect(says(day.see('primary', 'ticking'))).toEqual(['primary', 'ACTIVE', 'gap-ended'])
    expect(day.step.gap).toEqual({ fromMs: lastTickMs, toMs: returnedMs })
    expect(day.told.some(({ epochBump }) => epochBump)).toBe(false)
  })

  it('the line that returns first serves', () => {
    const day = new Day()
    day.see('backup', 'not-connected')
    day.see('primary', 'not-connected')
    day.pass(5_000)
    expect(says(day.see('backup', 'subscribing'))).toEqual(['primary', 'GAP', 'neither-line-delivers'])
    expect(says(day.see('backup', 'ticking'))).toEqual(['backup', 'SWITCHED', 'line-returned'])
    expect(day.step.gap).not.toBeNull()
  })

  it('the serving line goes on serving when it returns a moment after the other one', () => {
    const day = new Day()
    for (const line of ['backup', 'primary'] as const) day.see(line, 'market-silent')
    expect(says(day.pass(1_000))).toEqual(['primary', 'GAP', 'neither-line-delivers'])
    expect(says(day.see('backup', 'ticking'))).toEqual(['primary', 'SUSPECT', 'other-line-delivers'])
    expect(says(day.pass(400))).toEqual(['primary', 'SUSPECT', 'may-return-together'])
    expect(says(day.see('primary', 'ticking'))).toEqual(['primary', 'ACTIVE', 'recovered'])
    for (const line of ['backup', 'primary'] as const) day.see(line, 'market-silent')
    day.see('primary', 'awaiting-first-tick')
    day.see('backup', 'ticking')
    expect(says(day.pass(600))).toEqual(['backup', 'ACTIVE', 'target-confirmed'])
    expect(day.reasonsSince(0)).toContain('line-returned')
  })

  it('lines that share a front fail together without a switch, although one drops a moment earlier', () => {
    const day = new Day()
    day.linesShareFront = true
    expect(says(day.see('primary', 'not-connected'))).toEqual(['primary', 'SUSPECT', 'confirming'])
    day.pass(300)
    expect(says(day.see('backup', 'not-connected'))).toEqual(['primary', 'GAP', 'shared-outage'])
    day.pass(60_000)
    day.see('primary', 'ticking')
    expect(day.told.some(({ epochBump }) => epochBump)).toBe(false)
  })

  it('one of two lines on a shared front that stays dead alone is left within a second', () => {
    const day = new Day()
    day.linesShareFront = true
    day.see('primary', 'not-connected')
    expect(says(day.pass(500))).toEqual(['backup', 'SWITCHED', 'not-connected'])
  })

  it('a single configured line has gaps and nothing else', () => {
    const day = new Day()
    day.lines.backup = null
    expect(says(day.see('primary', 'not-connected'))).toEqual(['primary', 'GAP', 'both-lines-dead'])
    expect(says(day.take('serve-backup'))).toEqual(['primary', 'GAP', 'target-not-configured'])
    expect(says(day.see('primary', 'ticking'))).toEqual(['primary', 'ACTIVE', 'gap-ended'])
  })

  it('a market that closes during a gap ends it', () => {
    const day = new Day()
    day.see('backup', 'not-connected')
    day.see('primary', 'not-connected')
    day.pass(1_000)
    day.marketIsOpen = false
    expect(says(day.pass(100))).toEqual(['primary', 'CLOSED', 'market-closed'])
    expect(day.step.gap).not.toBeNull()
  })
})

describe('while no exchange trades', () => {
  it('fronts restart and lines drop without a decision; at the opening the serving line is judged', () => {
    const day = new Day()
    day.marketIsOpen = false
    expect(says(day.pass(100))).toEqual(['primary', 'CLOSED', 'market-closed'])
    for (const reason of ['off-hours', 'market-quiet', 'off-hours'] as const) {
      for (const line of LINES) day.see(line, reason)
      day.pass(60_000)
    }
    day.see('backup', 'ticking')
    day.marketIsOpen = true
    expect(says(day.see('primary', 'ticking'))).toEqual(['primary', 'ACTIVE', 'market-opened'])
    expect(day.reasonsSince(1)).toEqual(['market-closed', 'market-opened'])
  })

  it('a line that did not come back is left at the opening', () => {
    const day = new Day()
    day.marketIsOpen = false
    day.pass(100)
    day.marketIsOpen = true
    expect(says(day.see('primary', 'login-failing'))).toEqual(['backup', 'SWITCHED', 'login-failing'])
  })

  it('an operator may still choose the line', () => {
    const day = new Day()
    day.marketIsOpen = false
    for (const line of LINES) day.see(line, 'market-quiet')
    expect(says(day.take('serve-backup'))).toEqual(['backup', 'CLOSED', 'operator-chose-line'])
  })
})

describe('at the start', () => {
  function starting(primary: PulseReason, backup: PulseReason, marketIsOpen = true): Day {
    const day = new Day()
    day.marketIsOpen = marketIsOpen
    day.state = startFailover({ serving: 'primary', nowMs: day.nowMs, paused: false })
    day.lines.primary = view(primary)
    day.lines.backup = view(backup)
    day.take(null)
    return day
  }

  it('the configured line is waited for while the other is up already', () => {
    const day = starting('not-connected', 'ticking')
    expect(says(day.pass(POLICY.startGraceMs - 100))).toEqual(['primary', 'SUSPECT', 'coming-up'])
    expect(says(day.see('primary', 'subscribing'))).toEqual(['primary', 'SUSPECT', 'coming-up'])
    expect(says(day.see('backup', 'not-connected'))).toEqual(['primary', 'GAP', 'coming-up'])
    day.pass(40_000)
    expect(says(day.see('primary', 'ticking'))).toEqual(['primary', 'ACTIVE', 'came-up'])
  })

  it('a flap latch on a line that cannot rise is left for the line that still ticks', () => {
    const day = new Day()
    // Switched twice of late, so that the next switch is the last.
    day.state = { ...day.state, automaticSwitchesMs: [day.nowMs, day.nowMs] }
    day.lines.backup = view('standing-by')
    expect(says(day.see('primary', 'invalid-ticks'))).toEqual(['backup', 'SWITCHED', 'flap-latched'])
    expect(says(day.see('backup', 'subscribing'))).toEqual(['backup', 'SWITCHED', 'raising-target'])
    day.pass(POLICY.raiseGraceMs + 200)
    expect(day.step.serve).toBe('primary')
    expect(day.reasonsSince(0)).toContain('latched-line-dead')
    expect(day.state.automation.kind).toBe('flap-latched')
  })

  it.each(['pause', null] as const)('a line raised in vain is in doubt when its time is up, after %s', (command) => {
    const day = new Day()
    day.lines.backup = view('standing-by')
    day.see('primary', 'invalid-ticks')
    day.see('backup', 'subscribing')
    if (command === null) day.lines.primary = view('coverage-low')
    else day.take(command)
    expect(day.pass(POLICY.raiseGraceMs - 200).feedState).toBe('SWITCHED')
    expect(says(day.pass(300))).toEqual([
      'backup',
      'SUSPECT',
      command === null ? 'no-better-line' : 'automation-paused',
    ])
    expect(day.told.at(-1)?.reason).toBe('other-line-delivers')
    expect(linesWanted(day.state, 'cold')).toEqual({ primary: 'streaming', backup: 'streaming' })
  })

  it('a line raised in vain is not raised again for a while, and trying never ends in the flap latch', () => {
    const day = new Day()
    day.lines.backup = view('standing-by')
    day.see('primary', 'invalid-ticks')
    const raisedAtMs: number[] = [day.nowMs]
    for (const endMs = day.nowMs + 4 * POLICY.flapWindowMs; day.nowMs < endMs; ) {
      day.see('backup', day.state.serving === 'backup' ? 'login-failing' : 'standing-by')
      day.pass(100)
      if (day.told.at(-1)?.reason === 'invalid-ticks' && day.step.epochBump) raisedAtMs.push(day.nowMs)
    }
    const betweenMs = raisedAtMs.slice(1).map((ms, i) => ms - (raisedAtMs[i] ?? 0))
    expect(betweenMs.length).toBeGreaterThan(1)
    for (const ms of betweenMs) expect(ms).toBeGreaterThanOrEqual(POLICY.flapWindowMs)
    expect(day.state.automation.kind).toBe('automatic')
  })

  it('automation paused, the other line is called upon beside a configured one that does not come up', () => {
    const day = new Day()
    day.state = startFailover({ serving: 'primary', nowMs: day.nowMs, paused: true })
    day.lines.primary = view('not-connected')
    day.see('backup', 'standing-by')
    expect(says(day.pass(POLICY.startGraceMs))).toEqual(['primary', 'GAP', 'other-line-called'])
    expect(linesWanted(day.state, 'cold')).toEqual({ primary: 'streaming', backup: 'streaming' })
    expect(says(day.see('backup', 'ticking'))).toEqual(['primary', 'SUSPECT', 'other-line-delivers'])
    expect(linesWanted(day.state, 'cold').backup).toBe('streaming')
  })

  it('the other line serves when the configured one is down for too long', () => {
    expect(says(starting('not-connected', 'ticking').pass(POLICY.startGraceMs))).toEqual([
      'backup',
      'SWITCHED',
      'configured-line-late',
    ])
  })

  it.each<PulseReason>(['latched', 'failed', 'login-failing', 'connect-failing'])(
    'the other line serves at once when the configured one is %s',
    (reason) => {
      expect(says(starting(reason, 'ticking').step)).toEqual(['backup', 'SWITCHED', reason])
    },
  )

  it('in closed hours nobody is hurried', () => {
    const day = starting('off-hours', 'market-quiet', false)
    expect(says(day.pass(3_600_000))).toEqual(['primary', 'CLOSED', 'coming-up'])
    expect(says(day.see('primary', 'market-quiet'))).toEqual(['primary', 'CLOSED', 'came-up'])
  })
})

describe('an operator', () => {
  it("is refused a target that can't serve, and nothing changes", () => {
    const day = new Day()
    day.see('backup', 'coverage-low', 'unable')
    const before = day.state
    expect(says(day.take('serve-backup'))).toEqual(['primary', 'ACTIVE', 'target-cannot-serve'])
    expect(day.step).toMatchObject({ changed: false, cause: 'coverage-low' })
    expect(day.state).toEqual(before)
  })

  it('may take an impaired line, even within the hold-down', () => {
    const day = new Day()
    day.see('primary', 'line-mute')
    day.see('primary', 'lagging', 'ready')
    expect(says(day.take('serve-primary'))).toEqual(['primary', 'SWITCHED', 'operator-chose-line'])
  })

  it('pauses automation: nothing is switched, data from the other line is no gap, commands still work', () => {
    const day = new Day()
    expect(day.take('pause').reason).toBe('operator-paused')
    expect(says(day.see('primary', 'not-connected'))).toEqual(['primary', 'SUSPECT', 'automation-paused'])
    expect(says(day.see('backup', 'not-connected'))).toEqual(['primary', 'GAP', 'both-lines-dead'])
    expect(says(day.see('backup', 'ticking'))).toEqual(['primary', 'SUSPECT', 'other-line-delivers'])
    expect(day.pass(100).reason).toBe('automation-paused')
    expect(says(day.take('serve-backup'))).toEqual(['backup', 'SWITCHED', 'operator-chose-line'])
    expect(day.state.automation.kind).toBe('paused')
    expect(day.take('resume').reason).toBe('operator-resumed')
    expect(day.state.automation.kind).toBe('automatic')
  })

  it('kills for good', () => {
    const day = new Day()
    expect(says(day.take('kill'))).toEqual(['primary', 'KILLED', 'operator-killed'])
    for (const command of ['resume', 'serve-backup', 'pause', 'kill', null] as const) {
      expect(says(day.take(command))).toEqual(['primary', 'KILLED', 'killed-stays-killed'])
    }
    expect(linesWanted(day.state, 'hot')).toEqual({ primary: 'off', backup: 'off' })
  })
})

describe('with a warm or cold backup', () => {
  it('the dead primary is left, the backup raised, and what consumers miss is a gap', () => {
    const day = new Day()
    day.see('backup', 'standing-by')
    expect(says(day.see('primary', 'not-connected'))).toEqual(['backup', 'SWITCHED', 'not-connected'])
    expect(linesWanted(day.state, 'cold')).toEqual({ primary: 'streaming', backup: 'streaming' })
    expect(says(day.see('backup', 'not-connected', 'unable'))).toEqual(['backup', 'GAP', 'both-lines-dead'])
    expect(says(day.see('backup', 'subscribing'))).toEqual(['backup', 'GAP', 'neither-line-delivers'])
    expect(says(day.see('backup', 'ticking'))).toEqual(['backup', 'ACTIVE', 'gap-ended'])
  })

  it("an operator's failover keeps the old line up until the new one has risen", () => {
    const day = new Day()
    day.see('backup', 'standing-by')
    expect(says(day.take('serve-backup'))).toEqual(['backup', 'SWITCHED', 'operator-chose-line'])
    for (const reason of ['not-connected', 'subscribing'] as const) {
      expect(says(day.see('backup', reason))).toEqual(['backup', 'SWITCHED', 'raising-target'])
      expect(linesWanted(day.state, 'warm')).toEqual({ primary: 'streaming', backup: 'streaming' })
    }
    expect(says(day.see('backup', 'ticking'))).toEqual(['backup', 'ACTIVE', 'target-confirmed'])
    expect(linesWanted(day.state, 'warm')).toEqual({ primary: 'logged-in', backup: 'streaming' })
    expect(linesWanted(day.state, 'cold')).toEqual({ primary: 'off', backup: 'streaming' })
  })

  it('a target that does not rise in time, or gives up, is left again', () => {
    for (const giveUp of [true, false]) {
      const day = new Day()
      day.see('backup', 'standing-by')
      day.take('serve-backup')
      day.see('backup', giveUp ? 'latched' : 'not-connected')
      if (!giveUp) day.pass(POLICY.raiseGraceMs)
      expect(says(day.step)).toEqual(['primary', 'SWITCHED', 'target-did-not-rise'])
    }
  })

  it('the home line streams while it does not serve, to prove itself', () => {
    const day = new Day()
    day.see('backup', 'standing-by')
    day.see('primary', 'not-connected')
    day.see('backup', 'ticking')
    expect(day.state.phase.kind).toBe('active')
    expect(linesWanted(day.state, 'cold')).toEqual({ primary: 'streaming', backup: 'streaming' })
  })

  it('a dead primary while automation is paused is a gap: what stands by delivers nothing', () => {
    const day = new Day()
    day.take('pause')
    day.see('backup', 'standing-by')
    expect(says(day.see('primary', 'not-connected'))).toEqual(['primary', 'GAP', 'both-lines-dead'])
  })

  it.each<[string, Partial<FailoverState>, PulseReason]>([
    ['automation paused', { automation: { kind: 'paused' } }, 'ticking'],
    ['the flap latch set', { automation: { kind: 'flap-latched', deadSinceMs: null } }, 'ticking'],
    ['automation on, and the other line too poor to serve', {}, 'coverage-low'],
  ])(
    'with %s, the line that alone delivers is raised once and kept until the serving line is well',
    (_, told, comes) => {
      for (const standby of ['warm', 'cold'] as const) {
        const day = new Day()
        day.state = { ...day.state, ...told }
        if (comes !== 'ticking') day.state = { ...day.state, unraised: { line: 'backup', sinceMs: day.nowMs } }
        day.see('backup', 'standing-by')
        let raised = 0
        let upForMs = 0
        // The machine and what it asks for, together: a line that is wanted comes up within half a second, and goes at once.
        const live = (ms: number) => {
          for (const endMs = day.nowMs + ms; day.nowMs < endMs; ) {
            const isWanted = linesWanted(day.state, standby).backup === 'streaming'
            if (isWanted && upForMs === 0) raised++
            upForMs = isWanted ? upForMs + 100 : 0
            day.lines.backup = view(!isWanted ? 'standing-by' : upForMs < 500 ? 'subscribing' : comes)
            day.pass(100)
          }
        }
        live(5_000)
        day.see('primary', 'not-connected')
        live(50_000)
        expect(raised).toBe(1)
        expect(day.step).toMatchObject({ serve: 'primary', feedState: 'SUSPECT' })
        day.see('primary', 'subscribing')
        live(5_000)
        expect(raised).toBe(1)
        day.see('primary', 'ticking')
        live(1_000)
        expect(linesWanted(day.state, standby).backup).not.toBe('streaming')
        const reasons = day.reasonsSince(1)
        expect(reasons.slice(0, 2)).toEqual(['both-lines-dead', 'other-line-delivers'])
        expect(reasons.slice(3)).toEqual(['recovered'])
      }
    },
  )

  it('only the serving line streams while all is well, and every line does when hot', () => {
    const { state } = new Day()
    expect(linesWanted(state, 'warm')).toEqual({ primary: 'streaming', backup: 'logged-in' })
    expect(linesWanted(state, 'cold')).toEqual({ primary: 'streaming', backup: 'off' })
    expect(linesWanted(state, 'hot')).toEqual({ primary: 'streaming', backup: 'streaming' })
  })
})

describe('over random days', () => {
  const event = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        line: fc.constantFrom(...LINES),
        reason: fc.constantFrom(...(Object.keys(FAULT_OF_REASON) as PulseReason[])),
      }),
    },
    { weight: 6, arbitrary: fc.record({ passMs: fc.constantFrom(100, 1_000, 12_000, 70_000) }) },
    { weight: 1, arbitrary: fc.record({ marketIsOpen: fc.boolean() }) },
    {
      weight: 1,
      arbitrary: fc.record({
        command: fc.constantFrom<FailoverCommand>('serve-primary', 'serve-backup', 'pause', 'resume'),
      }),
    },
  )

  it('the epoch counts the switches, automation makes no more than its limit, and a healed feed recovers', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), fc.boolean(), (events, linesShareFront) => {
        const day = new Day()
        day.linesShareFront = linesShareFront
        for (const each of events) {
          if ('line' in each) day.see(each.line, each.reason)
          else if ('passMs' in each) day.pass(each.passMs)
          else if ('command' in each) day.take(each.command)
          else day.marketIsOpen = each.marketIsOpen
        }
        let serving: Line = 'primary'
        for (const { serve, epochBump } of day.told) {
          expect(epochBump).toBe(serve !== serving)
          serving = serve
        }
        expect(day.state.serving).toBe(serving)
        const automatic = day.told.filter(({ epochBump, reason }) => epochBump && reason !== 'operator-chose-line')
        const commands = events.filter((each) => 'command' in each).length
        expect(automatic.length).toBeLessThanOrEqual((commands + 1) * POLICY.flapLimit + rescues(day) + windows(day))

        day.marketIsOpen = true
        for (const line of LINES) day.see(line, 'ticking')
        expect(day.pass(1_000).feedState).toBe('ACTIVE')
      }),
      { numRuns: 300 },
    )
  })

  const rescues = (day: Day) => day.told.filter(({ reason }) => reason === 'latched-line-dead').length
  /** Each further flap window allows a few more, short of the limit. */
  const windows = (day: Day) => Math.floor((day.nowMs - 1_000_000) / POLICY.flapWindowMs) * POLICY.flapLimit
})

describe('timings', () => {
  const sound: FailoverTiming = {
    liveness: DEFAULT_LIVENESS_POLICY,
    failover: POLICY,
    objectiveMs: 5_000,
    stepMs: 100,
  }

  it('fit together by default', () => {
    expect(timingProblems(sound)).toEqual([])
  })

  it.each<[string, Partial<FailoverTiming['liveness']>, Partial<FailoverTiming['failover']>, Partial<FailoverTiming>]>([
    ['stepMs', {}, {}, { stepMs: 2_000, objectiveMs: 60_000 }],
    ['liveness.muteMs', { muteMs: 5_000 }, {}, {}],
    ['liveness.muteMs', { delayP95MaxMs: 700 }, {}, {}],
    ['liveness.exchangeMuteMs', { exchangeMuteMs: 4_900 }, {}, {}],
    ['liveness.bridgeSilentMs', { bridgeSilentMs: 10_000 }, {}, {}],
    ['liveness.bridgeSilentMs', { bridgeSilentMs: 1_500 }, {}, {}],
    ['liveness.floodMuteMs', { floodMuteMs: 2_500 }, {}, {}],
    ['liveness.marketSilentMs', { marketSilentMs: 4_000 }, {}, {}],
    ['failover.failbackStableMs', {}, { failbackStableMs: 10_000 }, {}],
    ['failover.flapLimit', {}, { flapLimit: 1 }, {}],
    ['failover.flapLimit', {}, { flapLimit: 2.5 }, {}],
    ['failover.flapWindowMs', {}, { flapWindowMs: 30_000 }, {}],
    ['failover.latchRescueMs', {}, { latchRescueMs: 10_000 }, {}],
    ['failover.sharedConfirmMs', {}, { sharedConfirmMs: 5_000 }, {}],
    ['liveness.muteMs', { muteMs: Number.NaN }, {}, {}],
    ['failover.holdDownMs', {}, { holdDownMs: -1 }, {}],
  ])('that cannot work are told under %s', (name, liveness, failover, rest) => {
    const timing = {
      ...sound,
      liveness: { ...sound.liveness, ...liveness },
      failover: { ...sound.failover, ...failover },
      ...rest,
    }
    const problems = timingProblems(timing)
    expect(problems.map((problem) => problem.name)).toEqual([name])
    for (const problem of problems) expect(problem.remedy).toMatch(/^[A-Z].*\.$/)
  })

  it('are told all at once', () => {
    const problems = timingProblems({ ...sound, objectiveMs: 1_000 })
    expect(problems.map(({ name }) => name)).toEqual([
      'liveness.muteMs',
      'liveness.exchangeMuteMs',
      'liveness.bridgeSilentMs',
    ])
  })
})
