/**
 * `bundle FILE`: what a postmortem needs of this environment in one archive: masked configuration, status and health, metrics, logs,
 * audit, drill and health reports, and the last ticks of the journal. Works without a daemon, and beside one that hangs.
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { exportJournal } from '#adapters/journal/export-journal.ts'
import { verifyJournal } from '#adapters/journal/verify-journal.ts'
import { redactLine } from '#adapters/log/redaction.ts'
import { type ArchiveEntry, writeArchive } from '#adapters/state/archive-file.ts'
import { maskedConfig } from '#config/masked-config.ts'
import { problemOf } from '#domain/failure.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import { EXIT } from '../exit-codes.ts'
import { VERSION } from '../version.ts'
import type { ModeEnd, Run } from './run.ts'
import { readSnapshots } from './snapshot.ts'

/** Of each kind the newest files, as far as these go. */
const LOG_BYTES_MAX = 64 * 1024 * 1024
const RECORD_BYTES_MAX = 32 * 1024 * 1024
/** A few seconds of the busiest market, minutes of a quiet one. */
const TICKS_MAX = 100_000
const METRICS_DEADLINE_MS = 3_000

export async function bundle(run: Run): Promise<ModeEnd> {
  const path = resolve(run.options.operand ?? '')
  const left: string[] = []
  const { files, bytes } = await run.steps.take('bundle', async () => {
    const names: string[] = []
    const bytes = await writeArchive(path, named(parts(run, left), names), run.clock.wallMs())
    return {
      detail: `${names.length} files, ${(bytes / 1024).toFixed(0)} KiB in ${path}`,
      value: { files: names, bytes },
    }
  })
  run.warnings.push(...left)
  return { outcome: 'bundled', exitCode: EXIT.done, further: { bundle: { file: path, bytes, files } } }
}

async function* named(entries: AsyncIterable<ArchiveEntry>, names: string[]): AsyncGenerator<ArchiveEntry> {
  for await (const entry of entries) {
    names.push(entry.name)
    yield entry
  }
}

/** What can't be had is told in `left` and stops nothing: a bundle is made when something is wrong. */
async function* parts(run: Run, left: string[]): AsyncGenerator<ArchiveEntry> {
  const { config, clock, control, window } = run
  const { stateDir } = config
  const about = { at: isoShanghai(clock.wallMs()), version: VERSION, node: process.version, host: hostname() }
  yield json('about.json', { schema: 'feed-supervisor/bundle/1', ...about, profile: config.profile, ...window })
  yield json('config.json', maskedConfig(config))
  const sources: [string, () => Promise<ArchiveEntry[]>][] = [
    ['status', async () => [json('status.json', await control.status())]],
    ['health', async () => [json('health.json', await control.health({ mode: 'dry-run' }))]],
    ['metrics', () => metrics(run)],
    ['logs', () => newestFiles(join(stateDir, 'logs'), 'logs', LOG_BYTES_MAX)],
    ['audit log', () => newestFiles(join(stateDir, 'audit'), 'audit', RECORD_BYTES_MAX)],
    ['drills', () => newestFiles(join(stateDir, 'drills'), 'drills', RECORD_BYTES_MAX)],
    ['health reports', () => newestFiles(join(stateDir, 'reports'), 'reports', RECORD_BYTES_MAX)],
    ['snapshots', () => snapshots(run)],
    ['plans', () => newestFiles(join(stateDir, 'plans'), 'plans', RECORD_BYTES_MAX)],
    ['latches', () => newestFiles(join(stateDir, 'latches'), 'latches', RECORD_BYTES_MAX)],
    ['journal', () => journal(join(stateDir, 'journal'))],
  ]
  for (const [what, source] of sources) {
    try {
      yield* await source()
    } catch (error) {
      const { message } = problemOf(error)
      left.push(`Without ${what}: ${message}.`)
      yield json(`missing/${what.replaceAll(' ', '-')}.json`, { what, message })
    }
  }
}

async function metrics({ config }: Run): Promise<ArchiveEntry[]> {
  const { metricsHost: host, metricsPort: port } = config.monitoring
  if (port === 0) throw new Error('METRICS_PORT is 0, any free port')
  const answer = await fetch(`http://${host.includes(':') ? `[${host}]` : host}:${port}/metrics`, {
    signal: AbortSignal.timeout(METRICS_DEADLINE_MS),
  })
  return [{ name: 'metrics.txt', content: Buffer.from(await answer.text()) }]
}

/** Not the env files beside them, which say the same again. */
async function snapshots({ config }: Run): Promise<ArchiveEntry[]> {
  return (await readSnapshots(config)).map((snapshot) => {
    const settings = Object.entries(snapshot.settings).map(([name, text]) => [name, redacted(text)])
    return json(`snapshots/${snapshot.id}.json`, { ...snapshot, settings: Object.fromEntries(settings) })
  })
}

/** Newest first up to the bound; every line redacted once more, since a daemon's console is not ours alone. */
async function newestFiles(directory: string, prefix: string, bytesMax: number): Promise<ArchiveEntry[]> {
  const names = await readdir(directory).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  })
  const found = await Promise.all(
    names.map(async (name) => {
      const { size, mtimeMs } = await stat(join(directory, name))
      return { name, size, mtimeMs }
    }),
  )
  const entries: ArchiveEntry[] = []
  let left = bytesMax
  for (const { name, size } of found.sort((a, b) => b.mtimeMs - a.mtimeMs)) {
    if (size > left) break
    left -= size
    const text = await readFile(join(directory, name), 'utf8')
    entries.push({ name: `${prefix}/${name}`, content: Buffer.from(text.split('\n').map(redacted).join('\n')) })
  }
  return entries
}

function redacted(line: string): string {
  return redactLine(line).trimEnd()
}

async function journal(directory: string): Promise<ArchiveEntry[]> {
  const verdict = await verifyJournal(directory)
  const problems: string[] = []
  const from = Math.max(0, verdict.lastSequence - TICKS_MAX + 1)
  const texts: string[] = []
  const onProblem = ({ message }: { message: string }) => problems.push(message)
  for await (const text of exportJournal({ directory, format: 'ndjson', offSession: true, from, onProblem })) {
    texts.push(text)
  }
  return [
    json('journal/verdict.json', {
      ...verdict,
      problems: [...verdict.problems.map(({ message }) => message), ...problems],
    }),
    { name: 'journal/last-ticks.ndjson', content: Buffer.from(texts.join('')) },
  ]
}

function json(name: string, value: unknown): ArchiveEntry {
  return { name, content: Buffer.from(`${JSON.stringify(value, null, 2)}\n`) }
}
