/** Who acted, and from where, as far as this machine can tell: for the audit log. The environment's word on sudo and ssh is hearsay. */
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname, userInfo } from 'node:os'

export interface AuditActor {
  who: {
    user: string
    uid: number
    /** The user before sudo, by sudo's own word; null without it. */
    sudo_user: string | null
    /** The user who logged in, by the kernel's word; null for services. */
    login_uid: number | null
  }
  from: {
    host: string
    pid: number
    /** Null when nobody sits at a terminal: timers, services, pipes. */
    tty: string | null
    /** Address of the ssh client, by sshd's word. */
    ssh_client: string | null
  }
}

export function auditActor(env: Readonly<Record<string, string | undefined>>): AuditActor {
  const uid = process.getuid?.() ?? -1
  return {
    who: { user: userName(uid), uid, sudo_user: env['SUDO_USER'] || null, login_uid: loginUid() },
    from: { host: hostname(), pid: process.pid, tty: terminalName(), ssh_client: sshClient(env) },
  }
}

/** Containers run under numbers that no password file knows. */
function userName(uid: number): string {
  try {
    return userInfo().username
  } catch {
    return `uid ${uid}`
  }
}

const NO_LOGIN = 0xffff_ffff

function loginUid(): number | null {
  try {
    const uid = Number(readFileSync('/proc/self/loginuid', 'utf8'))
    return Number.isInteger(uid) && uid !== NO_LOGIN ? uid : null
  } catch {
    return null // A kernel without auditing.
  }
}

function terminalName(): string | null {
  for (const fd of [0, 1, 2]) {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`)
      if (/^\/dev\/(pts\/|tty)/.test(target)) return target
    } catch {
      // Closed by whoever started us.
    }
  }
  return null
}

function sshClient(env: Readonly<Record<string, string | undefined>>): string | null {
  return (env['SSH_CONNECTION'] ?? env['SSH_CLIENT'])?.split(' ', 1)[0] || null
}
