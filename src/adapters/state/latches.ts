/**
 * What must outlive every restart until an operator says otherwise: the kill switch, and accounts whose trading login was refused.
 * One small file each under <state-dir>/latches/, synced before it counts. A latch that cannot be read still holds, because the
 * safe mistake is to stay out of the market.
 */
import { createHash } from 'node:crypto'
import { link, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { unreachable } from '#domain/assert.ts'
import { Failure } from '#domain/failure.ts'
import type { Line } from '#domain/line.ts'
import { createPath } from './create-path.ts'
import { syncDirectory, writeDurably } from './durable-file.ts'

export interface KillLatch {
  kind: 'kill'
  since: string
  reason: string
  /** The drill that rehearses it and clears it again; null for one that is meant. */
  drill: string | null
}

export interface CredentialLatch {
  kind: 'credential'
  since: string
  reason: string
  /** accountKey of the account; the account itself is not written down. */
  account: string
  /** Masked to the last three characters. */
  masked: string
  /** The line under which the account was configured when it was refused. */
  line: Line
  errorId: number | null
}

/** A file in the directory that is not one of ours any more, by damage or by a newer version. */
export interface UnreadableLatch {
  kind: 'unreadable'
  file: string
  /** What it stands for, as far as its name says. */
  stands: 'kill' | 'credential'
}

export type Latch = KillLatch | CredentialLatch | UnreadableLatch

/** Tells accounts (broker/user, as the configuration names them) apart without writing them down. */
export function accountKey(account: string): string {
  return createHash('sha256').update(account).digest('hex').slice(0, 24)
}

const KILL_FILE = 'kill.json'
const ACCOUNT_FILE = /^account-([0-9a-f]{24})\.json$/

/** Every latch set. No directory means none. Throws a Failure when the directory is there and cannot be read. */
export async function readLatches(stateDir: string): Promise<Latch[]> {
  const directory = latchDirectory(stateDir)
  let files: string[]
  try {
    files = await readdir(directory)
  } catch (cause) {
    if (isMissing(cause)) return []
    throw unreadable(directory, cause)
  }
  const latches = files.filter((file) => file.endsWith('.json')).sort()
  return Promise.all(latches.map((file) => readLatch(directory, file)))
}

export function isKilled(latches: readonly Latch[]): boolean {
  return latches.some((latch) => latch.kind === 'kill' || (latch.kind === 'unreadable' && latch.stands === 'kill'))
}

/** The latch that forbids this account to log in, or null. A damaged file whose name tells no account forbids it to all. */
export function latchOf(latches: readonly Latch[], account: string): Latch | null {
  const forbids = (latch: Latch) => {
    if (latch.kind === 'credential') return latch.account === account
    if (latch.kind === 'kill' || latch.stands === 'kill') return false
    const named = ACCOUNT_FILE.exec(latch.file)?.[1]
    return named === undefined || named === account
  }
  return latches.find(forbids) ?? null
}

/** `without-reason`: the disk was too full for more than the file's name, which holds all the same. */
export type LatchKept = 'whole' | 'without-reason'

/**
 * Durable when it resolves. Setting a latch again keeps the first one, whose reason is the true one; only a drill's gives way to one that
 * is meant.
 */
export async function setKillLatch(
  stateDir: string,
  latch: { since: string; reason: string; drill?: string | null },
): Promise<LatchKept> {
  return writeLatch(stateDir, KILL_FILE, { kind: 'kill', drill: null, ...latch })
}

/** Clears the kill latch if it is still this drill's; false when it is another one, or gone. */
export async function clearDrillLatch(stateDir: string, drill: string): Promise<boolean> {
  const directory = latchDirectory(stateDir)
  const path = join(directory, KILL_FILE)
  const aside = `${path}.of-a-drill`
  try {
    // Moved out of the way before it is looked at: one that is set meanwhile stands, whatever this one turns out to be.
    await rename(path, aside)
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
  const latch = parseLatch(parsedOrNull(await readFile(aside, 'utf8')))
  const isOurs = latch?.kind === 'kill' && latch.drill === drill
  // A link does not replace what stands there.
  if (!isOurs) await link(aside, path).catch(() => undefined)
  await rm(aside, { force: true })
  await syncDirectory(directory)
  return isOurs
}

function parsedOrNull(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** Durable when it resolves. */
export async function setCredentialLatch(stateDir: string, latch: Omit<CredentialLatch, 'kind'>): Promise<void> {
  await writeLatch(stateDir, `account-${latch.account}.json`, { kind: 'credential', ...latch })
}

/**
 * Clears the kill latch, or those of a line: the account configured there now (`account`), and whatever was latched under that line
 * before. Unreadable ones of that sort go too. Tells what it cleared.
 */
export async function clearLatches(stateDir: string, which: 'kill' | Line, account: string | null): Promise<Latch[]> {
  const meant = (latch: Latch) => {
    if (which === 'kill') return latch.kind === 'kill' || (latch.kind === 'unreadable' && latch.stands === 'kill')
    if (latch.kind === 'unreadable') return latch.stands === 'credential'
    return latch.kind === 'credential' && (latch.line === which || latch.account === account)
  }
  const cleared = (await readLatches(stateDir)).filter(meant)
  for (const latch of cleared) await rm(join(latchDirectory(stateDir), fileOf(latch)), { force: true })
  if (cleared.length > 0) await syncDirectory(latchDirectory(stateDir))
  return cleared
}

/** One sentence for reports. */
export function describeLatch(latch: Latch): string {
  switch (latch.kind) {
    case 'kill':
      return `kill switch set ${latch.since}${latch.drill === null ? '' : ` by drill ${latch.drill}`}: ${latch.reason}`
    case 'credential':
      return `account ${latch.masked} (${latch.line}) latched ${latch.since}: ${latch.reason}`
    case 'unreadable':
      return `unreadable latch file ${latch.file}, which counts as set`
    default:
      return unreachable(latch)
  }
}

function latchDirectory(stateDir: string): string {
  return join(stateDir, 'latches')
}

function fileOf(latch: Latch): string {
  switch (latch.kind) {
    case 'kill':
      return KILL_FILE
    case 'credential':
      return `account-${latch.account}.json`
    case 'unreadable':
      return latch.file
    default:
      return unreachable(latch)
  }
}

async function readLatch(directory: string, file: string): Promise<Latch> {
  const stands = file === KILL_FILE ? 'kill' : 'credential'
  try {
    const value: unknown = JSON.parse(await readFile(join(directory, file), 'utf8'))
    return parseLatch(value) ?? { kind: 'unreadable', file, stands }
  } catch {
    return { kind: 'unreadable', file, stands } // Damaged or forbidden: it holds, see the head of this file.
  }
}

function parseLatch(value: unknown): Latch | null {
  if (typeof value !== 'object' || value === null) return null
  const fields = new Map<string, unknown>(Object.entries(value))
  const [kind, since, reason] = [fields.get('kind'), fields.get('since'), fields.get('reason')]
  if (typeof since !== 'string' || typeof reason !== 'string') return null
  if (kind === 'kill') {
    const drill = fields.get('drill')
    return { kind, since, reason, drill: typeof drill === 'string' ? drill : null }
  }
  const [account, masked, line, errorId] = ['account', 'masked', 'line', 'errorId'].map((name) => fields.get(name))
  if (kind !== 'credential' || typeof account !== 'string' || typeof masked !== 'string') return null
  if (line !== 'primary' && line !== 'backup') return null
  return { kind, since, reason, account, masked, line, errorId: typeof errorId === 'number' ? errorId : null }
}

async function writeLatch(stateDir: string, file: string, latch: Latch): Promise<LatchKept> {
  const directory = latchDirectory(stateDir)
  const path = join(directory, file)
  try {
    await createPath(directory)
    const before = (await readdir(directory)).includes(file) ? await readLatch(directory, file) : null
    const givesWay = before?.kind === 'kill' && before.drill !== null && latch.kind === 'kill' && latch.drill === null
    if (before !== null && before.kind !== 'unreadable' && !givesWay) return 'whole'
    await writeDurably(path, `${JSON.stringify(latch)}\n`)
    return 'whole'
  } catch (cause) {
    if (isDiskFull(cause) && (await leaveName(directory, path))) return 'without-reason'
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
    throw new Failure(
      'latch-write',
      `the latch ${path} cannot be written (${code})`,
      'Free disk space or mend the permissions, then repeat the command; until then the latch holds only in the running daemon.',
      cause,
    )
  }
}

/** An empty file needs no block of a full disk, and a latch that can't be read holds. */
async function leaveName(directory: string, path: string): Promise<boolean> {
  try {
    const file = await open(path, 'a', 0o600)
    await file.close()
    await syncDirectory(directory)
    return true
  } catch {
    return false // The first failure is the one to tell.
  }
}

function isDiskFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')
}

function unreadable(directory: string, cause: unknown): Failure {
  return new Failure(
    'latch-read',
    `the latches in ${directory} cannot be read, so none can be ruled out`,
    'Make the directory readable for this user.',
    cause,
  )
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
