/** What each mode does, and what it needs for it. The texts of the modes are in options.ts. */
import { audit } from './audit.ts'
import { backup, restore } from './backup.ts'
import { bundle } from './bundle.ts'
import { drill } from './drill.ts'
import type { ModeName } from './options.ts'
import { plan } from './plan.ts'
import { rollback } from './rollback.ts'
import type { ModeEnd, Run } from './run.ts'
import { kill, moveServingLine, setAutomation } from './serving-line.ts'
import { restart, start } from './start.ts'
import { status } from './status.ts'
import { stop } from './stop.ts'

export interface Mode {
  run(run: Run): Promise<ModeEnd>
  /** One such run at a time per state directory. Not the kill switch: nothing may be in its way. */
  locks: boolean
  /** Creates the state directory, writes the log, pushes metrics, goes into the audit log. */
  changes: boolean
}

export const MODES: Readonly<Record<ModeName, Mode>> = {
  start: { run: start, locks: true, changes: true },
  restart: { run: restart, locks: true, changes: true },
  stop: { run: stop, locks: true, changes: true },
  status: { run: status, locks: false, changes: false },
  failover: { run: moveServingLine('failover'), locks: true, changes: true },
  failback: { run: moveServingLine('failback'), locks: true, changes: true },
  drill: { run: drill, locks: true, changes: true },
  pause: { run: setAutomation('pause'), locks: false, changes: true },
  resume: { run: setAutomation('resume'), locks: false, changes: true },
  plan: { run: plan, locks: true, changes: true },
  rollback: { run: rollback, locks: true, changes: true },
  kill: { run: kill, locks: false, changes: true },
  backup: { run: backup, locks: true, changes: true },
  restore: { run: restore, locks: true, changes: true },
  bundle: { run: bundle, locks: false, changes: true },
  audit: { run: audit, locks: false, changes: false },
}
