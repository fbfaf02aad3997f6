/**
 * One holder at a time per state directory and purpose. The lock is a Linux abstract unix socket named after the directory's real
 * path: the kernel frees it the moment its holder dies, so no crash leaves a stale lock behind. Whoever connects to it is told who
 * holds it, so that a refusal can name the other run.
 */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile, readlink, realpath } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { Failure } from '#domain/failure.ts'

/**
 * `run`: a start-live-env command that changes things. `daemon`: the feed daemon itself. `audit`: one append to the audit log. `logins`: one
 * grant of the login budget. `catalogue`: a refresh of the contract list.
 */
export type LockPurpose = 'run' | 'daemon' | 'audit' | 'logins' | 'catalogue'

export interface LockHolder {
  pid: number
  command: string
  /** ISO 8601. */
  since: string
}

export interface HeldLock {
  /** Safe to call twice. */
  release(): Promise<void>
}

/** `by` is null when the holder is alive but does not answer in time: stopped, or too busy. */
export type LockAttempt = { kind: 'held'; lock: HeldLock } | { kind: 'taken'; by: LockHolder | null }

const SOCKET_NAME_BYTES = 108
const ANSWER_DEADLINE_MS = 500
const ANSWER_BYTES_MAX = 4096

/**
 * Takes the lock of an existing state directory, or tells who has it. Never waits for the holder to let go. The lock alone does not
 * keep the process alive.
 */
export async function takeLock(stateDir: string, purpose: LockPurpose, holder: LockHolder): Promise<LockAttempt> {
  const name = await lockName(stateDir, purpose)
  // A holder that lets go between our two looks leaves neither lock nor answer; a second try then settles it.
  for (let attempt = 0; attempt < 3; attempt++) {
    const listening = await tryListen(name, holder)
    if (listening !== null) return { kind: 'held', lock: { release: () => close(listening) } }
    const answer = await askHolder(name)
    if (answer !== 'gone') return { kind: 'taken', by: answer }
  }
  return { kind: 'taken', by: null }
}

/** Who holds the lock now: null when nobody does, 'silent' when the holder does not answer in time. */
export async function lockHolder(stateDir: string, purpose: LockPurpose): Promise<LockHolder | 'silent' | null> {
  const answer = await askHolder(await lockName(stateDir, purpose))
  return answer === 'gone' ? null : (answer ?? 'silent')
}

/**
 * The process that holds the lock, by the kernel's own books: also for a holder that is stopped and cannot answer. Null when nobody
 * holds it or the holder belongs to another user.
 */
export async function lockOwnerPid(stateDir: string, purpose: LockPurpose): Promise<number | null> {
  // Nobody holds the lock of a directory that is not there.
  if (!existsSync(stateDir)) return null
  const name = (await lockName(stateDir, purpose)).replace('\0', '@')
  const sockets = await readFile('/proc/net/unix', 'utf8').catch(() => '')
  const inodes = sockets.split('\n').flatMap((line) => {
    const [, , , , , , inode, path] = line.split(/\s+/)
    return path === name && inode !== undefined ? [`socket:[${inode}]`] : []
  })
  if (inodes.length === 0) return null
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    // Processes end while we look, and those of other users may not be looked into.
    const descriptors = await readdir(`/proc/${entry}/fd`).catch(() => [])
    for (const descriptor of descriptors) {
      const target = await readlink(`/proc/${entry}/fd/${descriptor}`).catch(() => '')
      if (inodes.includes(target)) return Number(entry)
    }
  }
  return null
}

async function lockName(stateDir: string, purpose: LockPurpose): Promise<string> {
  const path = await realpath(stateDir).catch((cause: unknown) => {
    throw new Failure(
      'state-dir',
      `the state directory ${stateDir} cannot be reached`,
      'Create it, or name another one with --state-dir.',
      cause,
    )
  })
  // The leading NUL puts the name into the abstract namespace. Node 20 fills shorter names up with NULs and Node 24 does not, so that
  // the two would not see each other's locks: a name of full length is the same for both.
  return `\0feed-supervisor-${purpose}:${createHash('sha256').update(path).digest('hex')}`.padEnd(
    SOCKET_NAME_BYTES,
    '.',
  )
}

interface Listening {
  server: Server
  /** Callers that have not hung up yet. */
  callers: Set<Socket>
}

function tryListen(name: string, holder: LockHolder): Promise<Listening | null> {
  const answer = `${JSON.stringify(holder)}\n`
  const callers = new Set<Socket>()
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      callers.add(socket)
      socket.on('close', () => callers.delete(socket))
      socket.on('error', () => socket.destroy()) // A caller that hangs up early is no concern of the holder.
      socket.end(answer)
      socket.unref()
    })
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(null)
      else reject(new Failure('lock', `the lock cannot be taken: ${error.message}`, 'Run this on Linux.', error))
    })
    server.listen(name, () => resolve({ server: server.unref(), callers }))
  })
}

/** A caller that does not hang up is cut: nothing else may be left to keep the process alive until then, and it would end unfinished. */
function close({ server, callers }: Listening): Promise<void> {
  return new Promise((resolve) => {
    server.ref()
    server.close(() => resolve())
    for (const socket of callers) socket.destroy()
  })
}

function askHolder(name: string): Promise<LockHolder | null | 'gone'> {
  return new Promise((resolve) => {
    const socket = connect(name)
    let text = ''
    const settle = (answer: LockHolder | null | 'gone') => {
      clearTimeout(deadline)
      socket.destroy()
      resolve(answer)
    }
    const deadline = setTimeout(() => settle(null), ANSWER_DEADLINE_MS)
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      text += chunk
      if (text.length > ANSWER_BYTES_MAX) settle(null)
    })
    socket.on('end', () => settle(parseHolder(text)))
    socket.on('error', (error: NodeJS.ErrnoException) => settle(error.code === 'ECONNREFUSED' ? 'gone' : null))
  })
}

function parseHolder(text: string): LockHolder | null {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return null
    if (!('pid' in value && 'command' in value && 'since' in value)) return null
    const { pid, command, since } = value
    if (typeof pid !== 'number' || typeof command !== 'string' || typeof since !== 'string') return null
    return { pid, command, since }
  } catch {
    return null // Some other program's socket of the same name: held, by we do not know whom.
  }
}
