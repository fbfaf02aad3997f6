/**
 * Entries of the audit log on their way to where the host keeps its records, out of reach of whoever may write the state directory. Node
 * has no unix datagrams, so the host's own programs do it.
 */
import { spawn } from 'node:child_process'

export interface AuditForward {
  to: 'syslog' | 'journald'
  /** Where programs are; nothing else of an environment is handed on. */
  path: string | undefined
}

const DEADLINE_MS = 3_000
const PROGRAMS = {
  // Longer messages are cut at 1 KiB by default.
  syslog: ['logger', '--tag', 'feed-supervisor', '--priority', 'auth.notice', '--size', '32768'],
  journald: ['systemd-cat', '--identifier=feed-supervisor', '--priority=notice'],
} as const

/** Null when it went out, else why not. Never rejects; the entry is in the log itself either way. */
export function forwardAudit(line: string, { to, path }: AuditForward): Promise<string | null> {
  const [program, ...args] = PROGRAMS[to]
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      stdio: ['pipe', 'ignore', 'ignore'],
      env: { PATH: path ?? '/usr/local/bin:/usr/bin:/bin' },
      timeout: DEADLINE_MS,
      killSignal: 'SIGKILL',
    })
    child.on('error', (error) => resolve(`the audit log could not be forwarded to ${to}: ${error.message}`))
    child.on('close', (code) => {
      resolve(
        code === 0
          ? null
          : `the audit log could not be forwarded to ${to}: ${program} ended with ${code ?? 'a signal'}`,
      )
    })
    child.stdin.on('error', () => undefined)
    child.stdin.end(line)
  })
}
