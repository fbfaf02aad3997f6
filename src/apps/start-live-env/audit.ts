/** `audit`: who did what, newest last; `audit verify`: whether the record is as it was written. */
import { type AuditEntry, readAudit, verifyAudit } from '#adapters/state/audit-log.ts'
import { EXIT } from '../exit-codes.ts'
import { type Column, formatDuration } from '../terminal.ts'
import type { ModeEnd, Run } from './run.ts'

/** A terminal's worth, and more than a person reads; all of it is in the files. */
const SHOWN = 40
const SHOWN_TO_PROGRAMS = 1_000

export async function audit(run: Run): Promise<ModeEnd> {
  return run.options.operand === 'verify' ? verify(run) : show(run)
}

async function show({ config, terminal }: Run): Promise<ModeEnd> {
  const entries = await readAudit(config.stateDir, terminal.form === 'table' ? SHOWN : SHOWN_TO_PROGRAMS)
  if (entries.length === 0) terminal.say('nothing is on record')
  else terminal.table(COLUMNS, entries.map(rowOf))
  return { outcome: 'shown', exitCode: EXIT.done, further: { entries } }
}

const COLUMNS: readonly Column[] = [
  { title: 'n', align: 'right' },
  { title: 'at' },
  { title: 'who' },
  { title: 'from' },
  { title: 'what' },
  { title: 'outcome' },
  { title: 'exit', align: 'right' },
  { title: 'took', align: 'right' },
  { title: 'reason' },
]

function rowOf(entry: AuditEntry): string[] {
  const { who, from, event, command, drill, exit_code: code, duration_ms: took } = entry
  const isOwnDecision = event !== 'command' && event !== 'order'
  return [
    String(entry.n),
    entry.at.slice(0, 19).replace('T', ' '),
    isOwnDecision ? 'daemon' : who.sudo_user === null ? who.user : `${who.sudo_user} (sudo)`,
    from.ssh_client ?? from.tty ?? from.host,
    `${event === 'command' ? '' : `${event} `}${command ?? ''}${drill === null || drill === undefined ? '' : ` (drill ${drill})`}`.trim(),
    entry.outcome,
    code === null ? '' : String(code),
    took === null ? '' : formatDuration(took),
    entry.reason ?? '',
  ]
}

async function verify({ config, terminal, warnings }: Run): Promise<ModeEnd> {
  const found = await verifyAudit(config.stateDir)
  const { intact, entries, files, first, last, faults, notes } = found
  for (const { file, line, message } of notes) warnings.push(`${placeOf(file, line)}: ${message}`)
  const span = first === null || last === null ? '' : `, ${first.n} (${first.at}) to ${last.n} (${last.at})`
  terminal.say(`${entries} entries in ${files} files${span}`)
  const further = { audit: { ...found, first: placeIn(first), last: placeIn(last) } }
  if (intact) return { outcome: 'intact', exitCode: EXIT.done, further }
  const problems = faults.map(({ file, line, message }) => ({
    name: 'audit-damaged',
    message: `${placeOf(file, line)}: ${message}`,
    remedy: 'Compare with a backup of the audit directory; treat it as tampering until it is explained.',
  }))
  return { outcome: 'damaged', exitCode: EXIT.fault, problems, further }
}

function placeOf(file: string, line: number): string {
  return line === 0 ? file : `${file} line ${line}`
}

function placeIn(entry: { n: number; at: string } | null) {
  return entry === null ? null : { n: entry.n, at: entry.at }
}
