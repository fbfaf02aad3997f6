import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type CatalogueEntry,
  type ContractEvidence,
  type ContractOnLine,
  joinContracts,
} from '#domain/contract-facts.ts'
import { GAP_UNKNOWN, nextExpectedGap } from '#domain/expected-gap.ts'
import {
  type DaemonFacts,
  DEFAULT_HEALTH_THRESHOLDS,
  EXIT_CODE_OF_VERDICT,
  type HealthInput,
  type HealthVerdict,
  judgeHealth,
  type LineFacts,
  type Verdict,
} from '#domain/health.ts'
import type { SessionState } from '#domain/session-calendar.ts'
import type { FeedState } from '#domain/status.ts'

const TODAY = 20260515
const SECOND = 1_000
const HOUR = 3_600_000

const WELL: LineFacts = { state: 'streaming', pulseReason: 'ticking' }
const SILENT: LineFacts = { ...WELL, pulseReason: 'market-silent-on-both' }
const HALTED: LineFacts = { ...WELL, pulseReason: 'exchange-silent-on-both' }
const TICKING: ContractOnLine = { listed: true, subscribed: true, refused: false, lastTickAgeMs: 300, missedTicks: 0 }

function daemon(change: Partial<DaemonFacts> = {}): DaemonFacts {
  return {
    journal: 'writing',
    bus: { kind: 'nats', connected: true },
    lines: { primary: WELL, backup: WELL },
    serving: 'primary',
    preferred: 'primary',
    feedState: 'ACTIVE',
    automation: 'automatic',
    ...change,
  }
}

function contract(symbol: string, change: Partial<ContractEvidence> = {}): ContractEvidence {
  return {
    symbol,
    exchange: 'SHFE',
    lines: { primary: TICKING, backup: TICKING },
    sessionState: 'open',
    inStateForMs: HOUR,
    expectedGapMs: 500,
    tickEvidence: 'full',
    ...change,
  }
}

/** As `contract`, with something changed on the primary line. */
function onPrimary(
  symbol: string,
  change: Partial<ContractOnLine>,
  rest: Partial<ContractEvidence> = {},
): ContractEvidence {
  return contract(symbol, { lines: { primary: { ...TICKING, ...change }, backup: TICKING }, ...rest })
}

function entry(symbol: string, change: Partial<CatalogueEntry> = {}): CatalogueEntry {
  return { symbol, exchange: 'SHFE', openDay: 20250101, expiryDay: 20270101, ...change }
}

/** A thousand contracts in order, and the ones given, each in the catalogue. */
function health(
  contracts: readonly ContractEvidence[],
  { catalogue, ...change }: Partial<HealthInput> & { catalogue?: CatalogueEntry[] } = {},
): HealthVerdict {
  const crowd = Array.from({ length: 1_000 }, (_, i) => contract(`crowd${i}`))
  const all = [...crowd, ...contracts]
  return judgeHealth({
    sessionState: 'open',
    tradingDay: TODAY,
    contracts: joinContracts(catalogue ?? all.map(({ symbol }) => entry(symbol)), all),
    daemon: daemon(),
    failures: [],
    thresholds: DEFAULT_HEALTH_THRESHOLDS,
    ...change,
  })
}

function withDaemon(change: Partial<DaemonFacts>, sessionState: SessionState = 'open'): HealthVerdict {
  return health([], { daemon: daemon(change), sessionState })
}

describe('the verdict is', () => {
  it.each<[Verdict, string, HealthVerdict]>([
    ['OK', 'with everything in order', health([])],
    ['OK', 'without a bus', withDaemon({ bus: { kind: 'none', connected: false } })],
    ['OK', 'with one line by configuration', withDaemon({ lines: { primary: WELL, backup: null } })],
    ['UNKNOWN', 'with no daemon', health([], { daemon: 'absent' })],
    ['UNKNOWN', 'with an empty catalogue', health([], { catalogue: [] })],
    ['UNKNOWN', 'with an empty catalogue in closed hours', health([], { catalogue: [], sessionState: 'closed' })],
    ['UNKNOWN', 'when evidence could not be had', health([], { failures: ['The active file cannot be read.'] })],
    [
      'CRITICAL',
      'when evidence could not be had, but what there is proves a fault',
      health([], {
        failures: ['The active file cannot be read.'],
        daemon: daemon({ journal: 'failing' }),
      }),
    ],
    [
      'UNKNOWN',
      'when every contract of the catalogue has expired',
      health([], { catalogue: [entry('rb2505', { expiryDay: 20250515 })] }),
    ],
    ['CRITICAL', 'when the journal fails', withDaemon({ journal: 'failing' })],
    [
      'WARNING',
      'when the bus is away, for the journal keeps the ticks',
      withDaemon({ bus: { kind: 'nats', connected: false } }),
    ],
    ['WARNING', 'on the backup line', withDaemon({ serving: 'backup' })],
    ['OK', 'on the backup line that the configuration prefers', withDaemon({ serving: 'backup', preferred: 'backup' })],
    ['WARNING', 'while automation is paused', withDaemon({ automation: 'paused' })],
    ['WARNING', 'while automation is flap-latched', withDaemon({ automation: 'flap-latched' })],
    ['WARNING', 'while the serving line is in doubt', withDaemon({ feedState: 'SUSPECT' })],
    ['CRITICAL', 'in a gap', withDaemon({ feedState: 'GAP' })],
    [
      'WARNING',
      'while all exchanges are silent on both lines',
      withDaemon({ lines: { primary: SILENT, backup: SILENT } }),
    ],
    ['OK', 'while one exchange is silent on both lines', withDaemon({ lines: { primary: HALTED, backup: HALTED } })],
    [
      'WARNING',
      'after ticks were dropped just now',
      withDaemon({ lines: { primary: { ...WELL, dropped: { ticks: 7, agoMs: 5_000 } }, backup: WELL } }),
    ],
    [
      'OK',
      'when ticks were dropped an hour ago',
      withDaemon({ lines: { primary: { ...WELL, dropped: { ticks: 7, agoMs: HOUR } }, backup: WELL } }),
    ],
    ['CRITICAL', 'after the kill switch', withDaemon({ feedState: 'KILLED' }, 'closed')],
    [
      'WARNING',
      'with one line down',
      withDaemon({ lines: { primary: WELL, backup: { state: 'connecting', pulseReason: 'not-connected' } } }),
    ],
    [
      'WARNING',
      'with one line lagging',
      withDaemon({ lines: { primary: { ...WELL, pulseReason: 'lagging' }, backup: WELL } }),
    ],
    [
      'WARNING',
      'with one account latched while the other line serves',
      withDaemon({ serving: 'backup', lines: { primary: { state: 'latched', pulseReason: 'latched' }, backup: WELL } }),
    ],
    [
      'CRITICAL',
      'with the account of the only line latched',
      withDaemon({ lines: { primary: { state: 'latched', pulseReason: 'latched' }, backup: null } }),
    ],
    [
      'CRITICAL',
      'with both lines down',
      withDaemon({
        lines: {
          primary: { state: 'latched', pulseReason: 'latched' },
          backup: { state: 'waiting', pulseReason: 'login-failing' },
        },
      }),
    ],
    [
      'WARNING',
      'with both lines impaired, since they deliver',
      withDaemon({
        lines: {
          primary: { ...WELL, pulseReason: 'invalid-ticks' },
          backup: { ...WELL, pulseReason: 'invalid-ticks' },
        },
      }),
    ],
    [
      'OK',
      'with a cold backup that stands by',
      withDaemon({ lines: { primary: WELL, backup: { state: 'off', pulseReason: 'standing-by' } } }),
    ],
  ])('%s %s', (verdict, _, report) => {
    expect(report.verdict).toBe(verdict)
    expect(report.exit_code).toBe(EXIT_CODE_OF_VERDICT[verdict])
  })
})

describe('in closed hours', () => {
  const resting = { state: 'waiting', pulseReason: 'off-hours' } as const

  it.each<SessionState>(['closed', 'holiday'])(
    '(%s) missing contracts, missing ticks and resting lines are no fault',
    (sessionState) => {
      const report = health([onPrimary('rb', { subscribed: false, lastTickAgeMs: null })], {
        sessionState,
        daemon: daemon({ feedState: 'CLOSED', lines: { primary: resting, backup: resting } }),
      })
      expect(report).toMatchObject({ verdict: 'OK', session_state: sessionState, missing_contracts: ['rb.SHFE'] })
    },
  )

  it.each<[Verdict, Partial<DaemonFacts>]>([
    ['CRITICAL', { journal: 'failing' }],
    ['WARNING', { lines: { primary: { state: 'latched', pulseReason: 'latched' }, backup: resting } }],
    [
      'CRITICAL',
      {
        lines: {
          primary: { state: 'latched', pulseReason: 'latched' },
          backup: { state: 'failed', pulseReason: 'failed' },
        },
      },
    ],
    ['WARNING', { lines: { primary: { state: 'streaming', pulseReason: 'bridge-silent' }, backup: resting } }],
    ['WARNING', { automation: 'paused' }],
  ])('the verdict is %s for %j', (verdict, change) => {
    expect(withDaemon({ feedState: 'CLOSED', ...change }, 'closed').verdict).toBe(verdict)
  })

  it('a break in which fronts restart warns of missing subscriptions, no more', () => {
    const dropped = Array.from({ length: 500 }, (_, i) => onPrimary(`dropped${i}`, { subscribed: false }))
    expect(health(dropped, { sessionState: 'break' }).verdict).toBe('WARNING')
    expect(health(dropped, { sessionState: 'auction' }).verdict).toBe('CRITICAL')
    expect(health(dropped, { sessionState: 'open' }).verdict).toBe('CRITICAL')
  })
})

describe('coverage', () => {
  it('keeps a refused contract in what is expected, and lists it', () => {
    const refused = Array.from({ length: 250 }, (_, i) =>
      onPrimary(`refused${i}`, { subscribed: false, refused: true }),
    )
    const report = health(refused)
    expect(report).toMatchObject({
      expected_total: 1_250,
      subscribed_total: 1_000,
      coverage_ratio: 0.8,
      verdict: 'CRITICAL',
    })
    expect(report.refused_contracts).toHaveLength(250)
    expect(report.missing_contracts).toEqual([])
  })

  it('within the threshold, a refused contract is listed and a missing one warns', () => {
    expect(health([onPrimary('x', { subscribed: false, refused: true })])).toMatchObject({
      verdict: 'OK',
      refused_contracts: ['x.SHFE'],
    })
    expect(health([onPrimary('x', { subscribed: false })])).toMatchObject({
      verdict: 'WARNING',
      missing_contracts: ['x.SHFE'],
    })
  })

  it('counts a contract of the catalogue that nobody knows as missing', () => {
    const report = health([], { catalogue: [entry('crowd0'), entry('ghost')] })
    expect(report).toMatchObject({
      expected_total: 2,
      coverage_ratio: 0.5,
      missing_contracts: ['ghost.SHFE'],
      verdict: 'CRITICAL',
    })
  })

  it('a contract listed today warns until it is subscribed, and does not make the verdict critical', () => {
    const crowd = Array.from({ length: 900 }, (_, i) => entry(`crowd${i}`))
    const newcomers = Array.from({ length: 100 }, (_, i) => entry(`new${i}`, { openDay: TODAY }))
    const report = health([], { catalogue: [...crowd, ...newcomers] })
    expect(report).toMatchObject({ verdict: 'WARNING', coverage_ratio: 0.9 })
    expect(report.warnings).toEqual(['100 contracts listed today are not subscribed yet.'])
  })

  it('newcomers do not dilute what else is missing', () => {
    const crowd = Array.from({ length: 895 }, (_, i) => entry(`crowd${i}`))
    const ghosts = Array.from({ length: 5 }, (_, i) => entry(`ghost${i}`))
    const newcomers = Array.from({ length: 100 }, (_, i) => entry(`new${i}`, { openDay: TODAY }))
    expect(health([], { catalogue: [...crowd, ...ghosts, ...newcomers] }).verdict).toBe('CRITICAL')
  })

  it.each<[string, Partial<CatalogueEntry>, 'expected' | 'ignored']>([
    ['listed since yesterday', { openDay: 20260514 }, 'expected'],
    ['listed today', { openDay: TODAY }, 'expected'],
    ['listed tomorrow', { openDay: 20260516 }, 'ignored'],
    ['listed on a day that nobody knows', { openDay: null }, 'expected'],
    ['expired yesterday', { expiryDay: 20260514 }, 'ignored'],
    ['that may have left on its last day', { expiryDay: TODAY }, 'ignored'],
    ['that expires tomorrow', { expiryDay: 20260516 }, 'expected'],
    ['that expires nobody knows when', { expiryDay: null }, 'expected'],
  ])('a contract %s and not subscribed is so: %j, %s', (_, days, where) => {
    const report = health([onPrimary('x', { subscribed: false })], {
      catalogue: [entry('crowd0'), entry('x', days)],
    })
    expect(report.missing_contracts).toEqual(where === 'expected' ? ['x.SHFE'] : [])
    expect(report.ignored_contracts).toEqual(where === 'ignored' ? ['x.SHFE'] : [])
    expect(report.coverage_ratio).toBe(where === 'expected' ? 0.5 : 1)
  })

  it('an expired contract is ignored; on its last day it counts while it is subscribed', () => {
    const catalogue = [
      entry('crowd0'),
      entry('old', { expiryDay: 20260514 }),
      entry('last-day-gone', { expiryDay: TODAY }),
      entry('last-day', { expiryDay: TODAY }),
    ]
    const report = health(
      [contract('last-day', { lines: { primary: { ...TICKING, lastTickAgeMs: HOUR }, backup: null } })],
      { catalogue },
    )
    expect(report.ignored_contracts).toEqual(['old.SHFE', 'last-day-gone.SHFE'])
    expect(report).toMatchObject({ expected_total: 2, coverage_ratio: 1, stalled_contracts: [], verdict: 'OK' })
  })

  it("is measured on the serving line's own list, and tells single-line contracts", () => {
    const elsewhere = { ...TICKING, listed: false, subscribed: false, lastTickAgeMs: null }
    const report = health([contract('b-only', { lines: { primary: elsewhere, backup: TICKING } })])
    expect(report).toMatchObject({ expected_total: 1_000, verdict: 'OK', single_line_contracts: ['b-only.SHFE'] })
  })

  it('names what is subscribed without being in the catalogue', () => {
    const report = health([contract('stray')], { catalogue: [entry('crowd0')] })
    expect(report.unexpected_contracts).toContain('stray.SHFE')
  })

  it('counts a contract once, however often the catalogue names it', () => {
    expect(health([], { catalogue: [entry('crowd0'), entry('crowd0')] }).expected_total).toBe(1)
  })
})

describe('a contract that has been silent', () => {
  const stalledOf = (report: HealthVerdict) =>
    report.stalled_contracts.map(({ line, severity, evidence }) => [line, severity, evidence])
  const alone = (lastTickAgeMs: number | null, rest: Partial<ContractEvidence> = {}) =>
    contract('x', { lines: { primary: { ...TICKING, lastTickAgeMs, missedTicks: null }, backup: null }, ...rest })

  it.each<[string, ContractEvidence, unknown[], Verdict]>([
    [
      'on this line while the other line brought news',
      onPrimary('x', { lastTickAgeMs: 70 * SECOND, missedTicks: 3 }),
      [['primary', 'warning', 'other-line']],
      'WARNING',
    ],
    [
      'for long on this line, liquid, while the other line brought news',
      onPrimary('x', { lastTickAgeMs: 301 * SECOND, missedTicks: 90 }),
      [['primary', 'critical', 'other-line']],
      'CRITICAL',
    ],
    [
      'for long on this line, illiquid, while the other line brought news',
      onPrimary('x', { lastTickAgeMs: HOUR, missedTicks: 4 }, { expectedGapMs: 600 * SECOND }),
      [['primary', 'warning', 'other-line']],
      'WARNING',
    ],
    [
      'because a single tick was lost',
      onPrimary('x', { lastTickAgeMs: HOUR, missedTicks: 1 }, { expectedGapMs: 600 * SECOND }),
      [],
      'OK',
    ],
    ['for less than the lag that warns', onPrimary('x', { lastTickAgeMs: 59 * SECOND, missedTicks: 90 }), [], 'OK'],
    ['alone, beyond its gap', alone(61 * SECOND), [['primary', 'warning', 'expected-gap']], 'WARNING'],
    ['alone, beyond the critical lag', alone(301 * SECOND), [['primary', 'critical', 'expected-gap']], 'CRITICAL'],
    ['alone, but is illiquid', alone(HOUR, { expectedGapMs: 60 * SECOND }), [], 'OK'],
    ['alone, but nobody knows how liquid it is', alone(HOUR, { expectedGapMs: null }), [], 'OK'],
    ['alone, for less than twenty gaps', alone(90 * SECOND, { expectedGapMs: 5 * SECOND }), [], 'OK'],
    ['since before its product opened', alone(20 * HOUR, { inStateForMs: 59 * SECOND }), [], 'OK'],
    ['ever, in an open market', alone(null), [['primary', 'critical', 'expected-gap']], 'CRITICAL'],
    ['because its product has a break', alone(HOUR, { sessionState: 'break' }), [], 'OK'],
    ['because its product is closed while others trade', alone(HOUR, { sessionState: 'closed' }), [], 'OK'],
    ['because it is a bare name in a file', alone(null, { tickEvidence: 'none' }), [], 'OK'],
    [
      "by the file's own time, for a minute",
      alone(61 * SECOND, { tickEvidence: 'age', expectedGapMs: null }),
      [['primary', 'warning', 'last-tick-age']],
      'WARNING',
    ],
    [
      "by the file's own time, for long",
      alone(HOUR, { tickEvidence: 'age', expectedGapMs: null }),
      [['primary', 'critical', 'last-tick-age']],
      'CRITICAL',
    ],
  ])('%s is judged so', (_, evidence, stalled, verdict) => {
    const report = health([evidence])
    expect(stalledOf(report)).toEqual(stalled)
    expect(report.verdict).toBe(verdict)
  })

  it("on both lines is the exchange's doing: listed for both, but never critical", () => {
    const silent = { ...TICKING, lastTickAgeMs: HOUR }
    const report = health([contract('x', { lines: { primary: silent, backup: silent } })])
    expect(stalledOf(report)).toEqual([
      ['primary', 'warning', 'expected-gap'],
      ['backup', 'warning', 'expected-gap'],
    ])
    expect(report.verdict).toBe('WARNING')
  })

  it('on the line that does not serve reaches consumers all the same, so it only warns', () => {
    const lines = { primary: TICKING, backup: { ...TICKING, lastTickAgeMs: HOUR, missedTicks: 9_999 } }
    expect(stalledOf(health([contract('x', { lines })]))).toEqual([['backup', 'warning', 'other-line']])
  })

  it('tells its lag in seconds, null when it never ticked', () => {
    expect(health([alone(90_500)]).stalled_contracts[0]).toMatchObject({
      symbol: 'x',
      exchange: 'SHFE',
      lag_seconds: 90.5,
    })
    expect(health([alone(null)]).stalled_contracts[0]?.lag_seconds).toBeNull()
  })
})

it('an offline check judges files without asking for a daemon', () => {
  const report = health([], { daemon: 'offline' })
  expect(report).toMatchObject({ verdict: 'OK', serving_line: null, coverage_ratio: 1 })
})

describe('whatever the evidence', () => {
  const onLine = fc.option(
    fc.record({
      listed: fc.boolean(),
      subscribed: fc.boolean(),
      refused: fc.boolean(),
      lastTickAgeMs: fc.option(fc.nat({ max: HOUR }), { nil: null }),
      missedTicks: fc.option(fc.nat({ max: 100 }), { nil: null }),
    }),
    { nil: null },
  )
  const symbol = fc.integer({ min: 0, max: 20 }).map((i) => `c${i}`)
  const sessionState = fc.constantFrom<SessionState>('open', 'auction', 'break', 'closed', 'holiday')
  const anyContract = fc.record({
    symbol,
    exchange: fc.constant('SHFE'),
    lines: fc.record({ primary: onLine, backup: onLine }),
    sessionState,
    inStateForMs: fc.nat({ max: HOUR }),
    expectedGapMs: fc.option(fc.nat({ max: 10_000 }), { nil: null }),
    tickEvidence: fc.constantFrom('full' as const, 'age' as const, 'none' as const),
  })
  const day = fc.option(fc.constantFrom(20260514, TODAY, 20260516), { nil: null })
  const input: fc.Arbitrary<HealthInput> = fc.record({
    sessionState,
    tradingDay: fc.constant(TODAY),
    contracts: fc
      .tuple(
        fc.array(fc.record({ symbol, exchange: fc.constant('SHFE'), openDay: day, expiryDay: day }), { maxLength: 20 }),
        fc.uniqueArray(anyContract, { maxLength: 20, selector: (each) => each.symbol }),
      )
      .map(([catalogue, evidence]) => joinContracts(catalogue, evidence)),
    daemon: fc.oneof(
      fc.constantFrom('offline' as const, 'absent' as const),
      fc
        .record({
          feedState: fc.constantFrom<FeedState>('ACTIVE', 'SUSPECT', 'SWITCHED', 'GAP', 'CLOSED', 'KILLED'),
          journal: fc.constantFrom('writing' as const, 'failing' as const),
        })
        .map(daemon),
    ),
    failures: fc.array(fc.constant('Something could not be read.'), { maxLength: 1 }),
    thresholds: fc.constant(DEFAULT_HEALTH_THRESHOLDS),
  })

  it('the report adds up, ratios stay in [0, 1], and OK means no complaint and some evidence', () => {
    fc.assert(
      fc.property(input, (each) => {
        const report = judgeHealth(each)
        const { expected_total: expectedTotal } = report
        expect(report.subscribed_total + report.missing_contracts.length + report.refused_contracts.length).toBe(
          expectedTotal,
        )
        for (const ratio of [report.coverage_ratio, report.tick_coverage_ratio]) {
          if (ratio === null) expect(expectedTotal).toBe(0)
          else expect(ratio >= 0 && ratio <= 1).toBe(true)
        }
        expect(report.verdict === 'OK').toBe(report.warnings.length + report.errors.length === 0)
        if (report.verdict === 'OK') {
          expect(expectedTotal).toBeGreaterThan(0)
          expect(each.daemon).not.toBe('absent')
        }
        if (each.sessionState !== 'open') expect(report.stalled_contracts).toEqual([])
      }),
      { numRuns: 500 },
    )
  })
})

describe('the expected gap', () => {
  it('begins with the first gap and follows the rest', () => {
    let gapMs = nextExpectedGap(GAP_UNKNOWN, 500)
    expect(gapMs).toBe(500)
    for (let i = 0; i < 100; i++) gapMs = nextExpectedGap(gapMs, 2_000)
    expect(gapMs).toBeCloseTo(2_000, -1)
  })

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY])('learns nothing from a gap of %d', (gapMs) => {
    expect(nextExpectedGap(500, gapMs)).toBe(500)
    expect(nextExpectedGap(GAP_UNKNOWN, gapMs)).toBeNaN()
  })

  it('stays within the gaps it was given', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 100_000 }), { minLength: 1 }), (gaps) => {
        const mean = gaps.reduce(nextExpectedGap, GAP_UNKNOWN)
        expect(mean).toBeGreaterThanOrEqual(Math.min(...gaps) - 1e-6)
        expect(mean).toBeLessThanOrEqual(Math.max(...gaps) + 1e-6)
      }),
    )
  })
})

describe('a contract that was subscribed a moment ago', () => {
  it.each([
    ['is not stalled, though it brought no tick yet', 300, 0],
    ['is not stalled as long as its usual gap explains it', 59_000, 0],
    ['is stalled when it stays silent beyond that', 90_000, 1],
  ])('%s', (_, watchedForMs, stalls) => {
    const silent = { ...TICKING, lastTickAgeMs: null, watchedForMs }
    const report = health([contract('rb', { lines: { primary: silent, backup: silent } })])
    expect(report.stalled_contracts).toHaveLength(2 * stalls)
    expect(report.ticked_total).toBe(report.expected_total - 1)
  })
})

describe('what ticks', () => {
  const old = (lastTickAgeMs: number, rest: Partial<ContractEvidence> = {}) =>
    health([contract('rb', { lines: { primary: { ...TICKING, lastTickAgeMs }, backup: TICKING }, ...rest })])

  it.each<[string, HealthVerdict, number]>([
    ['a contract whose last tick is fresh', old(1_000), 1_001],
    ['not one that is silent for much longer than usual', old(HOUR), 1_000],
    ['one that is quiet, and ticked today', old(HOUR, { expectedGapMs: HOUR }), 1_001],
    ['one whose usual gap nobody knows, and that ticked today', old(HOUR, { expectedGapMs: null }), 1_001],
    ['one that rests in a break', old(HOUR, { sessionState: 'break' }), 1_001],
    ['nothing in a gap', withDaemon({ feedState: 'GAP' }), 0],
    ['nothing while all is silent on both lines', withDaemon({ lines: { primary: SILENT, backup: SILENT } }), 0],
  ])('is %s', (_, report, ticked) => {
    expect(report.ticked_total).toBe(ticked)
  })
})
