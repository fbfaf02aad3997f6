/** A drill's report for people: what was done, how long it took, and whether that is good enough. */
import type { DrillReport } from '#domain/drill.ts'
import { formatDuration } from '../terminal.ts'

const MARK = { ok: 'ok', skipped: 'skipped', failed: '**failed**' } as const

export function drillPage(report: DrillReport): string {
  const { id, kind, outcome, exit_code: code, reason, recovery_ms: recovery, objective_ms: objective } = report
  const verdict = outcome === 'passed' ? 'passed' : `FAILED in ${report.failed_phase} (exit code ${code})`
  const lines = [
    `# Drill ${id}: ${kind}, ${verdict}`,
    '',
    `${report.started_at} to ${report.finished_at}, profile ${report.profile}, version ${report.version}.`,
    ...(reason === null ? [] : [`Reason: ${reason}.`]),
    `Began on ${report.began_on ?? 'no line'}, ended on ${report.ended_on ?? 'no line'}.`,
    '',
    `| | result | objective |`,
    `|---|---|---|`,
    `| recovery time | ${durationOf(recovery)} | ${formatDuration(objective)} |`,
    `| longest gap between accepted ticks | ${durationOf(report.gap_ms)} | |`,
    `| ticks lost | ${countOf(report.lost)} | 0 |`,
    `| duplicates in the journal | ${countOf(report.duplicates)} | 0 |`,
    '',
    '## Phases',
    '',
    '| phase | outcome | took | |',
    '|---|---|---|---|',
    ...report.phases.map(
      ({ phase, outcome: each, duration_ms: ms, detail }) =>
        `| ${phase} | ${MARK[each]} | ${formatDuration(ms)} | ${cell(detail)} |`,
    ),
    ...switchesOf(report),
    ...deliveriesOf(report),
    ...listOf(
      'Problems',
      report.problems.map(({ message, remedy }) => `${message} ${remedy}`),
    ),
    ...listOf('Warnings', report.warnings),
  ]
  return `${lines.join('\n')}\n`
}

function switchesOf({ switches }: DrillReport): string[] {
  if (switches.length === 0) return []
  return [
    '',
    '## Switches',
    '',
    '| from | to | detect | decide | first tick | coverage restored | gap | lost |',
    '|---|---|---|---|---|---|---|---|',
    ...switches.map(
      (each) =>
        `| ${each.from} | ${each.to} | ${durationOf(each.detect_ms)} | ${durationOf(each.decide_ms)} | ` +
        `${durationOf(each.first_tick_ms)} | ${durationOf(each.coverage_restored_ms)} | ${durationOf(each.gap_ms)} | ${countOf(each.lost)} |`,
    ),
    '',
    'Detect: from the order to the daemon. Decide: from there to the decision. First tick and coverage: from the decision.',
  ]
}

function deliveriesOf({ lines, journal }: DrillReport): string[] {
  if (journal === null) return []
  return [
    '',
    `## Delivered against the journal (sequence ${journal.from} to ${journal.to})`,
    '',
    '| line | delivered | acceptable | in the journal | dropped by its bridge |',
    '|---|---|---|---|---|',
    ...Object.entries(lines).map(
      ([line, { delivered, acceptable, journalled, dropped }]) =>
        `| ${line} | ${delivered} | ${acceptable} | ${journalled} | ${dropped} |`,
    ),
  ]
}

function listOf(title: string, items: readonly string[]): string[] {
  return items.length === 0 ? [] : ['', `## ${title}`, '', ...items.map((item) => `- ${item}`)]
}

function durationOf(ms: number | null): string {
  return ms === null ? 'not measured' : formatDuration(ms)
}

function countOf(count: number | null): string {
  return count === null ? 'not known' : String(count)
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}
