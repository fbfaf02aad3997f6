/** Connects the watch over secrets to the parts of the daemon that it needs. Starts nothing. */

import type { Clock } from '#clock.ts'
import type { Config } from '#config/config.ts'
import { type Line, otherLine } from '#domain/line.ts'
import type { RotationSituation } from '#domain/secret-rotation.ts'
import type { LineSessions } from './contract-list.ts'
import type { DecisionAudit } from './decision-audit.ts'
import type { FeedSupervisor } from './feed-supervisor.ts'
import type { LoginPermits } from './login-permits.ts'
import type { OpenFeed } from './open-feed.ts'

import { SecretWatch } from './secret-watch.ts'

interface WatchParts {
  feed: OpenFeed
  permits: LoginPermits
  sessions: LineSessions
  supervisor: FeedSupervisor
  audit: DecisionAudit
  /** Tells everybody who must know that an account is latched. */
  latched(line: Line, message: string): void
}

export function openSecretWatch(
  options: {
    config: Config
    clock: Clock
    log(level: 'info' | 'warn' | 'error', message: string, details?: Record<string, unknown>): void
  },
  parts: WatchParts,
): SecretWatch {
  const { config, clock, log } = options
  const { feed, permits, sessions, supervisor, audit } = parts
  return new SecretWatch({
    lines: feed.secrets,
    clock,
    checkMs: config.secrets.checkMs,
    maxAgeMs: config.secrets.maxAgeMs,
    isLatched: (account) => permits.isLatched(account),
    requestLogin: (account) => permits.request(account),
    latch: async (line, account, message) => {
      await permits.latch(account, line, sessions[line]?.adapter.account ?? '***', message)
      parts.latched(line, message)
    },
    isServing: (line) => supervisor.serving === line,
    otherLine: (line) => readinessOf(otherLine(line), parts),
    stepAside: (line) => {
      const takenAtMs = clock.monotonicMs()
      // It is no choice of line: automation returns to the line it had before.
      const manner = { keepsHome: true, givenAtMs: null, takenAtMs }
      return supervisor.round(`serve-${otherLine(line)}`, manner).serve !== line
    },
    audit: ({ line, outcome, reason }) =>
      audit.add({ event: 'secret', command: null, reason, outcome, details: { line } }),
    log,
    random: Math.random,
  })
}

/** An operator who paused automation wants the lines to stay as they are. */
function readinessOf(line: Line, { sessions, supervisor }: WatchParts): RotationSituation['otherLine'] {
  const session = sessions[line]
  if (session === null) return 'none'
  const isPaused = supervisor.state.automation.kind === 'paused'
  const isWell = session.state === 'streaming' && supervisor.pulses[line]?.pulse !== 'red'
  return isWell && !isPaused ? 'ready' : 'not-ready'
}
