/** `status`: what runs and how well, for a person as tables; and the clearing of latches, which is an operator's decision about it. */
import { isNotRunning } from '#adapters/control/control-client.ts'
import { readDrills } from '#adapters/state/drill-reports.ts'
import { clearLatches, describeLatch, type Latch, readLatches } from '#adapters/state/latches.ts'
import { unreachable } from '#domain/assert.ts'
import { type DrillKind, type DrillTrend, trendOf } from '#domain/drill.ts'
import { inSentences, problemOf } from '#domain/failure.ts'
import { LINES, type Line } from '#domain/line.ts'
import type { FeedStatus, LineStatus } from '#domain/status.ts'
import { EXIT } from '../exit-codes.ts'
import { type Column, formatDuration, formatRatio, type Terminal, type Tone } from '../terminal.ts'
import type { ModeEnd, Run } from './run.ts'
import { latchKeyOf } from './safety.ts'

export async function status(run: Run): Promise<ModeEnd> {
  const { config, options, control, terminal } = run
  if (options.clearLatch !== null) return clearLatch(run, options.clearLatch)
  const set = await readLatches(config.stateDir).catch((error: unknown) => {
    // What can't be read is told, and keeps nobody from seeing the rest.
    run.warnings.push(inSentences(problemOf(error)))
    return []
  })
  const latches = set.map(describeLatch)
  run.warnings.push(...set.map(adviceOnLatch))
  const drills = await drillTrends(config.stateDir)
  let found: FeedStatus
  try {
    found = await control.status()
  } catch (error) {
    if (!isNotRunning(error)) throw error
    const message = `no daemon runs on ${config.stateDir}`
    const remedy = 'Start it with start-live-env, or name its directory with --state-dir.'
    return {
      outcome: 'not-running',
      exitCode: EXIT.notReady,
      problems: [{ name: 'not-running', message, remedy }],
      further: { latches, drills },
    }
  }
  sayStatus(terminal, found)
  sayDrills(terminal, drills)
  run.warnings.push(...adviceOnAutomation(found), ...found.warnings)
  const end = { status: found, further: { latches, drills, daemon: found } }
  if (found.ready) return { outcome: 'ready', exitCode: EXIT.done, ...end }
  const problem = {
    name: 'not-ready',
    message:
      found.feed_state === 'KILLED' ? found.ready_detail : (found.journal.trouble?.message ?? found.ready_detail),
    remedy: remedyOf(found),
  }
  return { outcome: 'not-ready', exitCode: EXIT.notReady, problems: [problem], ...end }
}

function remedyOf({ feed_state: state, journal, ready_remedy: remedy }: FeedStatus): string {
  if (state === 'KILLED') return 'When the feed may run again, clear the latch and start: see the warnings.'
  return journal.trouble?.remedy ?? remedy ?? 'The daemon keeps trying; see its log for the reason.'
}

function adviceOnLatch(latch: Latch): string {
  const clear = (which: string) => `start-live-env status --clear-latch ${which} --reason TEXT`
  const words = describeLatch(latch)
  switch (latch.kind) {
    case 'kill':
      return `${words}. Every start is refused; when the feed may run again: ${clear('kill')}, then start-live-env.`
    case 'credential':
      return `${words}. It is not logged in again: prove the credentials elsewhere, then ${clear(latch.line)}.`
    case 'unreadable':
      return `${words}. Look at the file; then ${clear(latch.stands === 'kill' ? 'kill' : 'primary or backup')}.`
    default:
      return unreachable(latch)
  }
}

/** What an operator has to decide, in words that tell how. */
function adviceOnAutomation({ failover, feed_state: state, serving_line: serving }: FeedStatus): string[] {
  if (state === 'KILLED') {
    return [
      'The feed was cut by the kill switch and this daemon stays cut: clear the latch if it is set, then start-live-env.',
    ]
  }
  switch (failover.automation) {
    case 'automatic':
      return []
    case 'paused': {
      const since = failover.paused === null ? 'by configuration' : `since ${failover.paused.since}`
      const why = failover.paused === null ? 'FAILOVER_AUTOMATIC is off' : failover.paused.reason
      return [
        `Automatic failover is paused ${since} (${why}), also after a restart: a dead ${serving} line will not be left. ` +
          'start-live-env resume switches it on; start-live-env failover moves by hand.',
      ]
    }
    case 'flap-latched':
      return [
        `Too many automatic switches: failover is latched on ${serving}. See why the lines flap, then start-live-env resume, ` +
          'or choose a line with start-live-env failover.',
      ]
    default:
      return unreachable(failover.automation)
  }
}

const DRILL_KINDS: readonly DrillKind[] = ['failover', 'kill-switch']
const DRILLS_COMPARED = 20

type DrillTrends = Partial<Record<DrillKind, DrillTrend>>

async function drillTrends(stateDir: string): Promise<DrillTrends> {
  const reports = await readDrills(stateDir, DRILLS_COMPARED)
  const kinds = DRILL_KINDS.map((kind) => [kind, reports.filter((report) => report.kind === kind)] as const)
  return Object.fromEntries(kinds.filter(([, of]) => of.length > 0).map(([kind, of]) => [kind, trendOf(of)]))
}

function sayDrills(terminal: Terminal, trends: DrillTrends): void {
  for (const kind of DRILL_KINDS) {
    const trend = trends[kind]
    if (trend?.last === null || trend === undefined) continue
    const { count, passed, last, recovery_ms: recovery, direction } = trend
    const result =
      last.outcome === 'passed'
        ? terminal.paint('good', 'passed')
        : terminal.paint('bad', `failed with ${last.exit_code}`)
    const took = last.recovery_ms === null ? '' : ` in ${formatDuration(last.recovery_ms)}`
    const times =
      recovery === null ? '' : `, median ${formatDuration(recovery.median)}, worst ${formatDuration(recovery.worst)}`
    const trending = direction === null ? '' : `, ${direction}`
    terminal.say(
      `drills    ${kind}: ${passed} of the last ${count} passed${times}${trending}; last ${last.at.slice(0, 16).replace('T', ' ')} ${result}${took}`,
    )
  }
}

async function clearLatch(
  { config, options, control, steps, clock, warnings }: Run,
  which: 'primary' | 'backup' | 'kill',
): Promise<ModeEnd> {
  const startedMs = clock.monotonicMs()
  const line = which === 'kill' ? null : config.feed[which]
  const cleared = await clearLatches(config.stateDir, which, line === null ? null : latchKeyOf(line))
  const names = cleared.map(describeLatch)
  const detail =
    names.length === 0 ? `no latch was set for ${which}` : `cleared: ${names.join('; ')} (${options.reason})`
  steps.record('clear-latch', 'ok', detail, startedMs)
  const running = await control.status().catch(() => null)
  if (names.length > 0 && running !== null)
    warnings.push('The running daemon does not know of it: start-live-env restart.')
  return {
    outcome: names.length === 0 ? 'nothing-to-clear' : 'cleared',
    exitCode: EXIT.done,
    further: { cleared: names },
  }
}

const FEED_TONE: Record<FeedStatus['feed_state'], Tone> = {
  ACTIVE: 'good',
  SWITCHED: 'good',
  CLOSED: 'faint',
  SUSPECT: 'caution',
  GAP: 'bad',
  KILLED: 'bad',
}
const PULSE_TONE: Record<LineStatus['pulse'], Tone> = { green: 'good', yellow: 'caution', red: 'bad' }

export function sayStatus(terminal: Terminal, status: FeedStatus): void {
  const { paint } = terminal
  const readiness = status.ready ? paint('good', 'READY') : paint('bad', `NOT READY: ${status.ready_detail}`)
  terminal.say(
    `${readiness}  profile ${status.profile} (${status.adapter}), pid ${status.pid}, up ${formatDuration(status.uptime_ms)}`,
  )
  terminal.say(
    `feed ${paint(FEED_TONE[status.feed_state], status.feed_state)}, epoch ${status.epoch}, serving ${paint('strong', status.serving_line)}, ` +
      `${status.window} window of ${status.trading_day}, market ${status.session_state}\n`,
  )
  terminal.table(LINE_COLUMNS, lineRows(terminal, status))
  terminal.say('')
  sayCoverage(terminal, status)
  terminal.say('')
  sayFigures(terminal, status)
}

const LINE_COLUMNS: readonly Column[] = [
  { title: 'line' },
  { title: 'state' },
  { title: 'subscribed', align: 'right' },
  { title: 'pulse' },
  { title: 'last tick', align: 'right' },
  { title: 'account' },
  { title: 'first', align: 'right' },
  { title: 'detail' },
]

function lineRows({ paint }: Terminal, status: FeedStatus): string[][] {
  return LINES.flatMap((name) => {
    const line = status.lines[name]
    if (line === null) return []
    const { subscribed, expected, refused, last_tick_age_ms: age } = line
    return [
      [
        name === status.serving_line ? paint('strong', `${name} *`) : name,
        line.state,
        `${subscribed}/${expected}${refused > 0 ? ` (${refused} refused)` : ''}`,
        paint(PULSE_TONE[line.pulse], line.pulse),
        age === null ? 'none' : formatDuration(age),
        line.account ?? '',
        String(line.first_arrivals),
        line.detail,
      ],
    ]
  })
}

export function sayCoverage(terminal: Terminal, status: FeedStatus): void {
  const columns: Column[] = [
    { title: 'exchange' },
    { title: 'session' },
    { title: 'expected', align: 'right' },
    { title: 'subscribed', align: 'right' },
    { title: 'refused', align: 'right' },
    { title: 'ticking', align: 'right' },
    { title: 'coverage', align: 'right' },
  ]
  const rows = status.exchanges.map(({ exchange, session_state, expected, subscribed, refused, ticked }) => [
    exchange,
    session_state,
    String(expected),
    String(subscribed),
    String(refused),
    String(ticked),
    expected === 0 ? '' : formatRatio(subscribed / expected),
  ])
  terminal.table(columns, rows)
}

const PLAIN_SECRET_STATES: ReadonlySet<string> = new Set(['unread', 'in-use'])

function saySecret(terminal: Terminal, name: Line, line: LineStatus | null): void {
  const secret = line?.secret
  if (!secret) return
  const state = PLAIN_SECRET_STATES.has(secret.state)
    ? secret.state
    : terminal.paint('caution', secret.state.toUpperCase())
  const age = secret.age_days === null ? '' : `, ${secret.age_days} days old`
  terminal.say(`secret    ${name}: ${state} from ${secret.source}${age}; ${secret.detail}`)
}

function sayFigures(terminal: Terminal, status: FeedStatus): void {
  const { ticks, journal, bus, failover } = status
  const rejected = `${ticks.duplicate} duplicate, ${ticks.stale} stale, ${ticks.invalid} invalid, ${ticks.off_session} off session`
  terminal.say(`ticks     ${ticks.accepted} accepted (${rejected}), ${Math.round(status.throughput_mps)}/s`)
  const unsynced = journal.last_sequence - journal.synced_sequence
  terminal.say(
    `journal   ${journal.state}, ${journal.records} records, last sequence ${journal.last_sequence}, ${unsynced} not yet synced, ${journal.lost} lost` +
      (journal.recovery === null ? '' : `; recovered: ${journal.recovery}`),
  )
  if (journal.trouble) terminal.say(`          ${terminal.paint('bad', inSentences(journal.trouble))}`)
  if (bus.kind !== 'none')
    terminal.say(`bus       ${bus.connected ? 'connected' : 'not connected'}, backlog ${bus.backlog}`)
  const last =
    failover.last === null
      ? ''
      : `; last ${failover.last.at}: ${failover.last.from} to ${failover.last.to}, ${failover.last.reason}`
  const automation =
    failover.automation === 'automatic' ? 'automatic' : terminal.paint('caution', failover.automation.toUpperCase())
  terminal.say(`failover  ${automation}, ${failover.state}: ${failover.detail}${last}`)
  for (const line of LINES) saySecret(terminal, line, status.lines[line])
}
