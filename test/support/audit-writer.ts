/** A process that writes to the audit log and tells nothing else: several at once must not spoil the chain. */
import { auditActor } from '#adapters/state/audit-actor.ts'
import { appendAudit } from '#adapters/state/audit-log.ts'
import { systemClock } from '#clock.ts'

const [stateDir = '', count = '0'] = process.argv.slice(2)
for (let i = 0; i < Number(count); i++) {
  const result = await appendAudit(
    { stateDir, clock: systemClock, retentionDays: 90 },
    {
      event: 'command',
      actor: auditActor({}),
      command: 'pause',
      reason: `${process.pid}`,
      outcome: 'done',
      exit_code: 0,
      duration_ms: i,
    },
  )
  if (result.kind === 'failed') throw new Error(result.warning)
}
