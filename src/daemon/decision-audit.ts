/** The daemon's own entries in the audit log: written one after the other behind its back, because no decision waits for a disk. */
import { auditActor } from '#adapters/state/audit-actor.ts'
import { type AuditFacts, type AuditLogOptions, appendAudit } from '#adapters/state/audit-log.ts'
import type { FailoverStep } from '#domain/failover.ts'
import { FAILOVER_SENTENCES } from '#domain/failover-reason.ts'
import type { FailoverRecord } from '#domain/status.ts'
import type { Closers } from './closers.ts'
import type { DaemonOptions } from './daemon-options.ts'

type DaemonFacts = Pick<AuditFacts, 'event' | 'command' | 'reason' | 'outcome'> & Partial<AuditFacts>

export function openAudit({ config, clock, env, log }: DaemonOptions, closers: Closers): DecisionAudit {
  const { stateDir, audit } = config
  const { retentionDays } = audit
  const forward = audit.forward === 'none' ? null : { to: audit.forward, path: env['PATH'] }
  const decisions = new DecisionAudit({ stateDir, clock, retentionDays, forward }, env, (message) =>
    log('warn', message, { component: 'audit' }),
  )
  closers.add({ name: 'audit log', deadlineMs: 2_000, close: () => decisions.settled() })
  return decisions
}

export class DecisionAudit {
  readonly #options: AuditLogOptions
  readonly #actor: AuditFacts['actor']
  readonly #warn: (message: string) => void
  #writes: Promise<void> = Promise.resolve()

  constructor(
    options: AuditLogOptions,
    env: Readonly<Record<string, string | undefined>>,
    warn: (message: string) => void,
  ) {
    this.#options = options
    this.#actor = auditActor(env)
    this.#warn = warn
  }

  add(facts: DaemonFacts): void {
    this.#writes = this.#writes.then(async () => {
      const result = await appendAudit(this.#options, {
        actor: this.#actor,
        exit_code: null,
        duration_ms: null,
        ...facts,
      })
      if (result.warning !== null) this.#warn(result.warning)
    })
  }

  decided(step: FailoverStep, record: FailoverRecord | null): void {
    const isSwitch = record !== null
    this.add({
      event: isSwitch ? 'failover' : step.reason === 'operator-killed' ? 'kill' : 'automation',
      command: null,
      reason: FAILOVER_SENTENCES[step.reason],
      outcome: step.reason,
      details: {
        serving_line: step.serve,
        feed_state: step.feedState,
        cause: step.cause,
        automation: step.state.automation.kind,
        ...(isSwitch && { from: record.from, to: record.to, detect_ms: record.detect_ms, decide_ms: record.decide_ms }),
      },
    })
  }

  /** Resolves when everything added so far is on disk, or has failed. */
  async settled(): Promise<void> {
    await this.#writes
  }
}
