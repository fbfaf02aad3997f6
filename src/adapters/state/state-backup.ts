/**
 * What a state directory must not lose, in one archive: latches, the epoch and the reserved sequence numbers, the login budget, contract
 * lists, drills, configuration snapshots and the calendar's own files. Ticks, logs and the audit log are not in it: they have their own
 * retention and are copied as files.
 *
 * Putting a backup back never takes a safety away: latches that are set stay set, and numbers go on behind everything that the backup, or
 * whoever ran after it was made, can have used.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Clock } from '#clock.ts'
import { Failure } from '#domain/failure.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import { systemFiles } from '../journal/file-operations.ts'
import { readReservation, writeReservation } from '../journal/sequence-file.ts'
import { type ArchiveEntry, readArchive, writeArchive } from './archive-file.ts'
import { createPath } from './create-path.ts'
import { readIfPresent, writeDurably } from './durable-file.ts'
import { EpochFile } from './epoch-file.ts'
import { readLatches } from './latches.ts'

const SCHEMA = 'feed-supervisor/backup/1'
const MANIFEST = 'manifest.json'
const FILES = ['catalogue.json', 'login-budget.json', 'login-refusals.json', 'automation-paused.json'] as const
const DIRECTORIES = {
  latches: /\.json$/,
  catalogue: /\.json$/,
  drills: /\.(json|md)$/,
  snapshots: /\.json$/,
  plans: /\.json$/,
}
const CALENDAR = 'calendar'

/**
 * Far more ticks and switches than can have happened since a backup was made: whoever ran on meanwhile used numbers that it does not know.
 */
const SEQUENCES_SKIPPED = 10_000_000_000
const EPOCHS_SKIPPED = 10_000

export interface BackupParts {
  stateDir: string
  /** The calendar in use, when it is not the package's own. */
  calendarDir: string | null
  profile: string
  version: string
  clock: Pick<Clock, 'wallMs'>
}

export interface BackupSummary {
  at: string
  profile: string
  version: string
  files: number
  epoch: number
  /** No sequence number from here on was given when the backup was made. */
  nextSequence: number
}

interface Manifest extends BackupSummary {
  schema: string
  /** SHA-256 in hex by file name. */
  digests: Record<string, string>
}

/** @throws Failure of the archive, or of a latch directory that can't be read */
export async function writeBackup(path: string, parts: BackupParts): Promise<BackupSummary & { bytes: number }> {
  const { stateDir, clock, profile, version } = parts
  const atMs = clock.wallMs()
  const { epoch } = await new EpochFile(stateDir).read()
  const reading = await readReservation(systemFiles, join(stateDir, 'journal'))
  const nextSequence = reading.kind === 'good' ? reading.reservation.next : 0
  const entries = await collect(parts)
  const summary = { at: isoShanghai(atMs), profile, version, files: entries.length, epoch, nextSequence }
  const digests = Object.fromEntries(entries.map(({ name, content }) => [name, digest(content)]))
  const manifest: Manifest = { schema: SCHEMA, ...summary, digests }
  const all = [{ name: MANIFEST, content: Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`) }, ...entries]
  const bytes = await writeArchive(path, all, atMs)
  return { ...summary, bytes }
}

async function collect({ stateDir, calendarDir }: BackupParts): Promise<ArchiveEntry[]> {
  const entries: ArchiveEntry[] = []
  for (const name of FILES) {
    const text = await readIfPresent(join(stateDir, name))
    if (text !== null) entries.push({ name, content: Buffer.from(text) })
  }
  for (const [directory, pattern] of Object.entries(DIRECTORIES)) {
    entries.push(...(await filesOf(join(stateDir, directory), directory, pattern)))
  }
  if (calendarDir !== null) entries.push(...(await filesOf(calendarDir, CALENDAR, /\.json$/)))
  return entries
}

async function filesOf(path: string, prefix: string, pattern: RegExp): Promise<ArchiveEntry[]> {
  const names = await readdir(path).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  })
  const wanted = names.filter((name) => pattern.test(name)).sort()
  return Promise.all(
    wanted.map(async (name) => ({ name: `${prefix}/${name}`, content: await readFile(join(path, name)) })),
  )
}

export interface Backup {
  summary: BackupSummary
  entries: readonly ArchiveEntry[]
}

/** Reads a backup and proves it whole, without touching anything. @throws Failure `archive-unreadable` or `backup-invalid` */
export async function readBackup(path: string): Promise<Backup> {
  const [first, ...entries] = await readArchive(path)
  const manifest = first?.name === MANIFEST ? parseManifest(first.content) : null
  if (manifest === null) throw invalid(path, 'it has no manifest of this version')
  const expected = new Set(Object.keys(manifest.digests))
  for (const { name, content } of entries) {
    if (!expected.delete(name)) throw invalid(path, `${name} is not in its manifest`)
    if (manifest.digests[name] !== digest(content)) throw invalid(path, `${name} was changed`)
    if (!isKnown(name)) throw invalid(path, `${name} does not belong into a state directory`)
  }
  const [missing] = expected
  if (missing !== undefined) throw invalid(path, `${missing} is missing`)
  const { schema: _, digests: __, ...summary } = manifest
  return { summary, entries }
}

export interface Restored {
  /** Files written, by their names in the state directory. */
  written: string[]
  /** Files that were there already and stay. */
  kept: string[]
  epoch: number
  nextSequence: number
  latches: number
}

/**
 * Puts a backup into a state directory that no daemon uses, and reads it back. Latches that are there stay; contract lists are replaced;
 * of everything else, what is there already stays. @throws Failure `restore-unproven` when what was written does not read back
 */
export async function restoreBackup(
  { entries, summary }: Backup,
  { stateDir, calendarDir }: Pick<BackupParts, 'stateDir' | 'calendarDir'>,
): Promise<Restored> {
  const written: string[] = []
  const kept: string[] = []
  for (const { name, content } of entries) {
    const path = name.startsWith(`${CALENDAR}/`)
      ? join(calendarDir ?? join(stateDir, CALENDAR), basename(name))
      : join(stateDir, name)
    const isThere = (await readIfPresent(path)) !== null
    if (isThere && name !== 'catalogue.json') {
      kept.push(name)
      continue
    }
    await createPath(dirname(path))
    await writeDurably(path, content)
    written.push(name)
  }
  const epoch = await restoreEpoch(stateDir, summary.epoch)
  const nextSequence = await restoreNumbers(stateDir, summary.nextSequence)
  const latches = await readLatches(stateDir)
  await prove(stateDir, { epoch, nextSequence })
  return { written, kept, epoch, nextSequence, latches: latches.length }
}

async function restoreEpoch(stateDir: string, saved: number): Promise<number> {
  const file = new EpochFile(stateDir)
  const present = await file.read()
  if (!present.damaged && present.epoch > saved) return present.epoch
  const epoch = saved + EPOCHS_SKIPPED
  await file.write(epoch)
  return epoch
}

async function restoreNumbers(stateDir: string, saved: number): Promise<number> {
  const directory = join(stateDir, 'journal')
  await systemFiles.makeDirectory(directory)
  const present = await readReservation(systemFiles, directory)
  if (present.kind === 'good' && present.reservation.next > saved) return present.reservation.next
  const last = present.kind === 'good' ? present.reservation.last : 0
  const next = saved + SEQUENCES_SKIPPED
  await writeReservation(systemFiles, directory, { next, last, clean: false })
  return next
}

async function prove(stateDir: string, expected: { epoch: number; nextSequence: number }): Promise<void> {
  const { epoch } = await new EpochFile(stateDir).read()
  const reading = await readReservation(systemFiles, join(stateDir, 'journal'))
  const next = reading.kind === 'good' ? reading.reservation.next : 0
  if (epoch === expected.epoch && next === expected.nextSequence) return
  throw new Failure(
    'restore-unproven',
    `${stateDir} does not read back what was restored: epoch ${epoch}, next sequence ${next}`,
    'Restore into another state directory, on a disk that works.',
  )
}

function isKnown(name: string): boolean {
  if (FILES.some((file) => file === name)) return true
  const [directory = '', file = '', ...more] = name.split('/')
  if (more.length > 0) return false
  if (directory === CALENDAR) return file.endsWith('.json')
  const pattern = Object.entries(DIRECTORIES).find(([known]) => known === directory)?.[1]
  return pattern?.test(file) === true
}

function parseManifest(content: Buffer): Manifest | null {
  try {
    const manifest: Manifest = JSON.parse(content.toString('utf8'))
    const { schema, epoch, nextSequence, digests } = manifest
    const isWhole = Number.isSafeInteger(epoch) && Number.isSafeInteger(nextSequence) && typeof digests === 'object'
    return schema === SCHEMA && isWhole && digests !== null ? manifest : null
  } catch {
    return null
  }
}

function digest(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex')
}

function invalid(path: string, why: string): Failure {
  return new Failure('backup-invalid', `${path} is no sound backup: ${why}`, 'Use a backup that was not changed.')
}
