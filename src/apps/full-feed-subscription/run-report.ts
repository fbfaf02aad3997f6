/** How a run of the daemon ends, in words and as a document: what became of the ticks, and what to do about those that are missing. */
import type { DaemonReport } from '#daemon/daemon-options.ts'
import { unreachable } from '#domain/assert.ts'
import { inSentences, type Problem } from '#domain/failure.ts'
import { FEED_ERROR_TEXTS } from '#domain/feed-error.ts'
import { EXIT } from '../exit-codes.ts'
import type { Terminal } from '../terminal.ts'

export interface RunReport {
  command: 'run'
  outcome: string
  exit_code: number
  problems: readonly Problem[]
  [more: string]: unknown
}

export function runReport(end: DaemonReport): RunReport {
  const problems = problemsOf(end)
  const report = { command: 'run' as const, outcome: end.kind, exit_code: exitCodeOf(end, problems), problems }
  const { lostAtClose } = end
  switch (end.kind) {
    case 'stopped':
      return { ...report, reason: end.reason, lost: lostAtClose }
    case 'replay-over':
      return { ...report, ticks: end.ticks, lost: end.lost + lostAtClose, on_disk: end.isOnDisk }
    case 'input-unusable':
      return { ...report, ticks: end.ticks, lost: lostAtClose }
    default:
      return unreachable(end)
  }
}

function exitCodeOf(end: DaemonReport, problems: readonly Problem[]): number {
  if (end.kind === 'input-unusable') return EXIT.configuration
  return problems.length === 0 ? EXIT.done : EXIT.fault
}

function problemsOf(end: DaemonReport): Problem[] {
  const problems: Problem[] = []
  if (end.kind === 'input-unusable') {
    const { remedy } = FEED_ERROR_TEXTS['input-unusable']
    problems.push({ name: 'input-unusable', message: end.message, remedy })
  }
  const refused = end.kind === 'replay-over' ? end.lost : 0
  if (refused + end.lostAtClose > 0 || (end.kind === 'replay-over' && !end.isOnDisk)) {
    const what = end.kind === 'replay-over' ? 'not every tick of the replay is on disk' : 'the disk did not take all'
    problems.push({
      name: 'ticks-lost',
      message: `${what}: ${refused + end.lostAtClose} ticks are lost`,
      remedy: `Free disk space${end.kind === 'replay-over' ? ' and replay again' : ' before the next start'}.`,
    })
  }
  return problems
}

const SENTENCES: Record<DaemonReport['kind'], string> = {
  stopped: 'stopped in order',
  'replay-over': 'the replay is over',
  'input-unusable': 'the replay ended early',
}

/** For a person; programs find the same in the report. */
export function sayRun(terminal: Terminal, end: DaemonReport): void {
  const { exit_code: exitCode, problems } = runReport(end)
  if (end.kind !== 'stopped') {
    const { accepted, duplicate, stale, invalid, off_session: offSession } = end.ticks
    const lost = end.lostAtClose + (end.kind === 'replay-over' ? end.lost : 0)
    const rows = Object.entries({ accepted, duplicate, stale, invalid, 'off session': offSession, lost })
    terminal.table(
      [{ title: 'ticks of both lines' }, { title: 'count', align: 'right' }],
      rows.map(([name, count]) => [name, String(count)]),
    )
    if (accepted === 0 && stale > 0) {
      terminal.say(
        `${terminal.paint('caution', '!')} Nothing was new: this state directory has seen these ticks. ` +
          'Replay with --cold, or into another --state-dir.',
      )
    }
  }
  for (const problem of problems) terminal.say(`${terminal.paint('bad', '✘')} ${inSentences(problem)}`)
  const where = end.kind === 'replay-over' && exitCode === EXIT.done ? ', all of it is on disk' : ''
  const code = exitCode === EXIT.done ? '' : ` (exit code ${exitCode})`
  terminal.say(terminal.paint(exitCode === EXIT.done ? 'good' : 'bad', `run: ${SENTENCES[end.kind]}${where}${code}`))
}
