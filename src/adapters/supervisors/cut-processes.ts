/**
 * The kill switch's last resort: the daemon of a state directory and all of its bridges, ended by SIGKILL at once, found by the kernel's
 * books alone because a daemon that hangs answers nobody.
 */
import { sleep } from '#clock.ts'
import { lockOwnerPid } from '../state/run-lock.ts'
import { familyOf, identify, isAlive, signalProcess } from './process-identity.ts'

export interface CutReport {
  /** Null when no daemon of this user was found. */
  daemonPid: number | null
  /** How many processes were ended. */
  ended: number
  /** Pids of those that are still there. */
  left: number[]
}

const LOOK_EVERY_MS = 20
const GONE_WITHIN_MS = 1_000

export async function cutProcesses(stateDir: string): Promise<CutReport> {
  const daemonPid = await lockOwnerPid(stateDir, 'daemon')
  const daemon = daemonPid === null ? null : identify(daemonPid)
  if (daemon === null) return { daemonPid: null, ended: 0, left: [] }
  // The daemon first: alive, it would start new bridges in the place of those that end.
  const bridges = familyOf(daemon)
  const all = [daemon, ...bridges]
  for (const each of all) signalProcess(each, 'SIGKILL')
  for (let waited = 0; waited < GONE_WITHIN_MS && all.some(isAlive); waited += LOOK_EVERY_MS) await sleep(LOOK_EVERY_MS)
  const late = familyOf(daemon).filter(isAlive)
  for (const each of late) signalProcess(each, 'SIGKILL')
  const left = all.filter(isAlive).map(({ pid }) => pid)
  return { daemonPid: daemon.pid, ended: all.length + late.length - left.length, left }
}
