/**
 * Who did what to the feed, and what came of it: JSON lines under <state-dir>/audit/, one file a day, only ever appended to. Each entry
 * holds the hash of the one before, so that a changed, missing or moved entry shows; `head` names the last one, so that a cut end does.
 * Old files go after the retention; an entry that says so, with the hash at which the rest begins, keeps the chain whole.
 *
 * It shows meddling with the files; whoever may rewrite all of them can also rewrite the hashes. Several processes write: a lock of the
 * kernel's orders them.
 */
import { createHash } from 'node:crypto'
import { open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, sleep } from '#clock.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import type { AuditActor } from './audit-actor.ts'
import { type AuditForward, forwardAudit } from './audit-forward.ts'
import { createPath } from './create-path.ts'
import { type HeldLock, takeLock } from './run-lock.ts'

/** A command as it was given, an order as the daemon took it, a decision of the daemon's own, or the log's own pruning. */
export type AuditEvent = 'command' | 'order' | 'failover' | 'latch' | 'kill' | 'automation' | 'secret' | 'pruned'

export interface AuditFacts {
  event: AuditEvent
  actor: AuditActor
  command: string | null
  reason: string | null
  plan?: string | null
  drill?: string | null
  outcome: string
  exit_code: number | null
  duration_ms: number | null
  details?: Readonly<Record<string, unknown>>
}

export interface AuditEntry extends Omit<AuditFacts, 'actor'>, AuditActor {
  n: number
  at: string
  prev: string
  hash: string
}

export interface AuditLogOptions {
  stateDir: string
  clock: Clock
  retentionDays: number
  /** Null: entries stay here. */
  forward?: AuditForward | null
}

/** The warning of what was written: it was not forwarded. */
export type AuditResult = { kind: 'written'; n: number; warning: string | null } | { kind: 'failed'; warning: string }

const GENESIS = '0'.repeat(64)
const FILE_NAME = /^audit-(\d{8})\.jsonl$/
const DAY_MS = 86_400_000
const TAIL_BYTES = 256 * 1024
const ENTRY_BYTES_MAX = 32 * 1024
/** For one and the same writer; a queue of them on a slow disk may take longer. */
const LOCK_DEADLINE_MS = 2_000
const LOCK_QUEUE_DEADLINE_MS = 30_000
const LOCK_RETRY_MS = 10

/** Never throws: what can't be kept must not stop what is being done. The entry is synced when this resolves. */
export async function appendAudit(options: AuditLogOptions, facts: AuditFacts): Promise<AuditResult> {
  try {
    const { n, text } = await append(options, facts)
    const { forward = null } = options
    return { kind: 'written', n, warning: forward === null ? null : await forwardAudit(text, forward) }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return { kind: 'failed', warning: `the audit log could not be written: ${why}` }
  }
}

async function append(
  { stateDir, clock, retentionDays }: AuditLogOptions,
  facts: AuditFacts,
): Promise<{ n: number; text: string }> {
  const directory = auditDirectory(stateDir)
  await createPath(directory)
  const lock = await awaitLock(stateDir, clock)
  try {
    const files = await filesOf(directory)
    const newest = files.at(-1)
    // A clock that was set back must not put entries before those that are there.
    const today = `audit-${dayOf(clock.wallMs())}.jsonl`
    const file = newest !== undefined && newest > today ? newest : today
    let last = await lastEntry(directory, files)
    let text = ''
    const write = async (next: AuditFacts) => {
      const line = entryLine(last, next, clock)
      await appendLine(join(directory, file), line.text)
      last = { n: line.n, hash: line.hash }
      text = line.text
    }
    if (newest !== undefined && newest !== file) await prune(directory, files, { clock, retentionDays, write, facts })
    await write(facts)
    await writeHead(directory, last)
    return { n: last.n, text }
  } finally {
    await lock.release()
  }
}

interface Link {
  n: number
  hash: string
}

function entryLine(last: Link, { actor, ...facts }: AuditFacts, clock: Clock): Link & { text: string } {
  const n = last.n + 1
  const entry = { n, at: isoShanghai(clock.wallMs()), ...facts, ...actor, prev: last.hash }
  let body = JSON.stringify(entry)
  if (Buffer.byteLength(body) > ENTRY_BYTES_MAX) body = JSON.stringify({ ...entry, details: { left_out: 'too long' } })
  const hash = sha256(body)
  return { n, hash, text: `${body.slice(0, -1)},"hash":"${hash}"}\n` }
}

async function appendLine(path: string, line: string): Promise<void> {
  const file = await open(path, 'a+', 0o600)
  try {
    const { size } = await file.stat()
    const end = Buffer.alloc(1)
    if (size > 0) await file.read(end, 0, 1, size - 1)
    // What a crash left behind stays, for whoever wants to see it, on a line of its own.
    const isTorn = size > 0 && end[0] !== 0x0a
    await file.writeFile(isTorn ? `\n${line}` : line)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Not synced: a head that is behind is what a crash leaves, and is no fault. */
async function writeHead(directory: string, last: Link): Promise<void> {
  const draft = join(directory, `.head.${process.pid}`)
  await writeFile(draft, `${JSON.stringify(last)}\n`, { mode: 0o600 })
  await rename(draft, join(directory, 'head'))
}

interface Pruning {
  clock: Clock
  retentionDays: number
  write(facts: AuditFacts): Promise<void>
  facts: AuditFacts
}

/** The record of what goes is durable before anything does. */
async function prune(directory: string, files: readonly string[], pruning: Pruning): Promise<void> {
  const { clock, retentionDays, write, facts } = pruning
  const oldest = `audit-${dayOf(clock.wallMs() - retentionDays * DAY_MS)}.jsonl`
  const old = files.filter((file) => file < oldest)
  if (old.length === 0) return
  const through = await lastEntry(directory, old)
  await write({
    event: 'pruned',
    actor: facts.actor,
    command: null,
    reason: `older than ${retentionDays} days`,
    outcome: 'done',
    exit_code: null,
    duration_ms: null,
    details: { files: old.length, through: through.n, hash: through.hash },
  })
  for (const file of old) await rm(join(directory, file), { force: true })
}

/** The last whole entry of the files, or where a chain begins. */
async function lastEntry(directory: string, files: readonly string[]): Promise<Link> {
  for (const file of files.toReversed()) {
    const lines = (await tailOf(join(directory, file))).split('\n')
    for (const line of lines.toReversed()) {
      const entry = parseEntry(line)
      if (entry !== null) return { n: entry.n, hash: entry.hash }
    }
  }
  return { n: 0, hash: GENESIS }
}

async function tailOf(path: string): Promise<string> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    const tail = Buffer.alloc(Math.min(size, TAIL_BYTES))
    const { bytesRead } = await file.read(tail, 0, tail.length, size - tail.length)
    return tail.toString('utf8', 0, bytesRead)
  } finally {
    await file.close()
  }
}

/** Waits while one writer follows another: only one that does not let go, or a queue that does not end, is given up on. */
async function awaitLock(stateDir: string, clock: Clock): Promise<HeldLock> {
  const startedMs = clock.monotonicMs()
  const self = { pid: process.pid, command: 'audit', since: isoShanghai(clock.wallMs()) }
  let holder = ''
  let heldSinceMs = startedMs
  for (;;) {
    const attempt = await takeLock(stateDir, 'audit', self)
    if (attempt.kind === 'held') return attempt.lock
    const nowMs = clock.monotonicMs()
    if (attempt.by !== null && holder !== `${attempt.by.pid} ${attempt.by.since}`) {
      holder = `${attempt.by.pid} ${attempt.by.since}`
      heldSinceMs = nowMs
    }
    if (nowMs - heldSinceMs >= LOCK_DEADLINE_MS || nowMs - startedMs >= LOCK_QUEUE_DEADLINE_MS) {
      const by = attempt.by === null ? 'another process' : `process ${attempt.by.pid}`
      throw new Error(`${by} is writing to it and has not let go for ${((nowMs - heldSinceMs) / 1000).toFixed(0)} s`)
    }
    await sleep(LOCK_RETRY_MS)
  }
}

/** The last `limit` entries, oldest first. What is no entry is left out; `verifyAudit` tells of it. */
export async function readAudit(stateDir: string, limit: number): Promise<AuditEntry[]> {
  const directory = auditDirectory(stateDir)
  let entries: AuditEntry[] = []
  for (const file of (await filesOf(directory)).toReversed()) {
    const lines = (await readFile(join(directory, file), 'utf8')).split('\n')
    entries = [...lines.map(parseEntry).filter((entry) => entry !== null), ...entries]
    if (entries.length >= limit) break
  }
  return entries.slice(-limit)
}

export interface AuditFault {
  file: string
  /** From 1; 0 for the file or the log as a whole. */
  line: number
  message: string
}

export interface AuditVerification {
  intact: boolean
  entries: number
  files: number
  /** Of the oldest entry kept; null for an empty log. */
  first: { n: number; at: string } | null
  last: { n: number; at: string } | null
  faults: AuditFault[]
  /** What a crash explains: told, and no fault. */
  notes: AuditFault[]
}

/** Reads the whole log. Throws what the file system says when it can't be read. */
export async function verifyAudit(stateDir: string): Promise<AuditVerification> {
  const directory = auditDirectory(stateDir)
  const files = await filesOf(directory)
  const chain = new Chain()
  for (const file of files) {
    const lines = (await readFile(join(directory, file), 'utf8')).split('\n')
    // Behind the last line end there is nothing, or what a crash cut off.
    const rest = lines.pop() ?? ''
    lines.forEach((line, i) => {
      chain.take({ file, line: i + 1 }, line)
    })
    if (rest !== '') chain.takeTorn({ file, line: lines.length + 1 })
  }
  const head = await readFile(join(directory, 'head'), 'utf8').catch(() => null)
  chain.finish(head === null ? null : parseLink(head))
  const { faults, notes, entries, first, last } = chain
  return { intact: faults.length === 0, entries, files: files.length, first, last, faults, notes }
}

type Place = Omit<AuditFault, 'message'>

/** Follows the chain from entry to entry. */
class Chain {
  readonly faults: AuditFault[] = []
  readonly notes: AuditFault[] = []
  entries = 0
  first: AuditEntry | null = null
  last: AuditEntry | null = null
  readonly #hashes = new Map<number, string>()
  readonly #pruned: Link[] = []
  #firstPlace: Place = { file: '', line: 0 }
  /** Lines that are no entry, and no fault if the chain goes on behind them as if they weren't there. */
  #fragments: Place[] = []

  take(place: Place, text: string): void {
    const entry = parseEntry(text)
    if (entry === null) {
      this.#fragments.push(place)
      return
    }
    if (sha256(bodyOf(text)) !== entry.hash) this.#fault(place, `entry ${entry.n} was changed after it was written`)
    if (this.last === null) {
      this.first = entry
      this.#firstPlace = place
    } else this.#join(place, this.last, entry)
    this.#settleFragments()
    this.entries++
    this.last = entry
    this.#hashes.set(entry.n, entry.hash)
    const { through, hash } = entry.details ?? {}
    if (entry.event === 'pruned' && typeof through === 'number' && typeof hash === 'string') {
      this.#pruned.push({ n: through, hash })
    }
  }

  takeTorn(place: Place): void {
    this.notes.push({ ...place, message: 'the line is cut off, as by a crash while it was being written' })
  }

  finish(head: Link | null): void {
    this.#settleFragments()
    if (this.first !== null) this.#checkBeginning(this.first)
    const lastN = this.last?.n ?? 0
    const whole = { file: 'head', line: 0 }
    if (head === null) {
      if (lastN > 1) this.#fault(whole, 'the note of the last entry is missing or damaged')
    } else if (head.n > lastN) {
      this.#fault(whole, `entries ${lastN + 1} to ${head.n} are missing at the end`)
    } else if (this.#hashes.has(head.n) && this.#hashes.get(head.n) !== head.hash) {
      this.#fault(whole, `entry ${head.n} is not the one that was noted when it was written`)
    }
  }

  #join(place: Place, last: AuditEntry, entry: AuditEntry): void {
    if (entry.n === last.n + 1 && entry.prev === last.hash) return
    const missing = entry.n > last.n + 1 ? `entries ${last.n + 1} to ${entry.n - 1} are missing before it` : null
    this.#fault(place, missing ?? `entry ${entry.n} does not follow from entry ${last.n} before it`)
    // Whatever stood there is part of the damage that was just told.
    this.#fragments = []
  }

  #checkBeginning(first: AuditEntry): void {
    if (first.n === 1 && first.prev === GENESIS) return
    if (this.#pruned.some(({ n, hash }) => n === first.n - 1 && hash === first.prev)) return
    this.#fault(this.#firstPlace, `entries 1 to ${first.n - 1} are missing, and none says that they were pruned`)
  }

  #settleFragments(): void {
    for (const place of this.#fragments) this.takeTorn(place)
    this.#fragments = []
  }

  #fault(place: Place, message: string): void {
    this.faults.push({ ...place, message })
  }
}

function auditDirectory(stateDir: string): string {
  return join(stateDir, 'audit')
}

async function filesOf(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((file) => FILE_NAME.test(file)).sort()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}

function dayOf(wallMs: number): string {
  return isoShanghai(wallMs).slice(0, 10).replaceAll('-', '')
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

const HASH_FIELD = /,"hash":"[0-9a-f]{64}"\}$/

function bodyOf(line: string): string {
  return line.replace(HASH_FIELD, '}')
}

function parseEntry(line: string): AuditEntry | null {
  if (!HASH_FIELD.test(line)) return null
  try {
    const entry: AuditEntry = JSON.parse(line)
    return Number.isSafeInteger(entry.n) && typeof entry.prev === 'string' ? entry : null
  } catch {
    return null
  }
}

function parseLink(text: string): Link | null {
  try {
    const { n, hash }: Partial<Link> = JSON.parse(text)
    return typeof n === 'number' && typeof hash === 'string' ? { n, hash } : null
  } catch {
    return null
  }
}
