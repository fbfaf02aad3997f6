/**
 * Which process a number means. Pids are reused, so a signal is only sent to a process whose start time is still the one that was
 * noted together with its pid. Read from /proc, which needs no permission for one's own processes.
 */
import { readdirSync, readFileSync } from 'node:fs'

export interface ProcessIdentity {
  pid: number
  /** Clock ticks between the boot of the machine and the start of the process. */
  startTicks: number
  /** The boot this belongs to: start ticks begin anew with each. */
  bootId: string
}

interface ProcStat {
  pid: number
  /** One character; Z is a process that has ended and waits to be reaped. */
  state: string
  parent: number
  session: number
  startTicks: number
}

/** Null when there is no such process, or only its unreaped remains. */
export function identify(pid: number): ProcessIdentity | null {
  const stat = readStat(pid)
  if (stat === null || stat.state === 'Z' || stat.state === 'X') return null
  return { pid, startTicks: stat.startTicks, bootId: bootId() }
}

export function isAlive(identity: ProcessIdentity): boolean {
  const now = identify(identity.pid)
  return now !== null && now.startTicks === identity.startTicks && now.bootId === identity.bootId
}

/** Sends the signal if the process is still the same one; false when it is gone. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false
  try {
    process.kill(identity.pid, signal)
    return true
  } catch {
    return false // It ended between the look and the signal, or belongs to somebody else: nothing was sent.
  }
}

/**
 * Every living descendant of the process, and everything else in the session that it leads (a child whose parent died is adopted by
 * init but keeps its session).
 */
export function familyOf(leader: ProcessIdentity): ProcessIdentity[] {
  const stats = allStats()
  // A reused pid that leads a session of its own would make strangers look like ours.
  const leaderNow = stats.get(leader.pid)
  const pidReused = leaderNow !== undefined && leaderNow.startTicks !== leader.startTicks
  const family = new Set<number>(pidReused ? [] : [leader.pid])
  for (let grown = true; grown; ) {
    grown = false
    for (const stat of stats.values()) {
      const belongs = family.has(stat.parent) || (!pidReused && stat.session === leader.pid)
      if (!belongs || family.has(stat.pid)) continue
      family.add(stat.pid)
      grown = true
    }
  }
  family.delete(leader.pid)
  return [...family].map(identify).filter((found) => found !== null)
}

/** The command line with its arguments separated by blanks; empty when the process is gone. */
export function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
  } catch {
    return ''
  }
}

function allStats(): Map<number, ProcStat> {
  const stats = new Map<number, ProcStat>()
  for (const entry of readdirSync('/proc')) {
    const stat = /^\d+$/.test(entry) ? readStat(Number(entry)) : null
    if (stat !== null) stats.set(stat.pid, stat)
  }
  return stats
}

function readStat(pid: number): ProcStat | null {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return null
  }
  // The program's name stands in parentheses and may itself hold blanks and parentheses: count from the last one.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [state, parent, , session] = fields
  return {
    pid,
    state: state ?? 'X',
    parent: Number(parent),
    session: Number(session),
    startTicks: Number(fields[19]),
  }
}

let cachedBootId: string | null = null
function bootId(): string {
  cachedBootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return cachedBootId
}
