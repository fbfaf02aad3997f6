/** Watches a changed configuration through its first minutes, and shows it. */
import { sleep } from '#clock.ts'
import { type GuardBreach, type GuardLook, type GuardState, guardStep, UNGUARDED } from '#domain/rollback-guards.ts'
import type { FeedStatus } from '#domain/status.ts'
import type { Run } from './run.ts'

const LOOK_EVERY_MS = 250
/** One bad look is noise; in a short watch half of it must do. */
const LASTING_MS = 10_000

/** Null when all of the time went well, or an interrupt ended it. */
export async function watchGuards(run: Run): Promise<GuardBreach | null> {
  const { config, clock, terminal, interrupted, steps } = run
  const { watchMs } = config.rollback
  const startedMs = clock.monotonicMs()
  const limits = {
    invalidRatioMax: config.liveness.invalidRatioMax,
    receivedMin: config.liveness.invalidReceivedMin,
    delayP95MaxMs: config.liveness.delayP95MaxMs,
    lastingMs: Math.min(LASTING_MS, watchMs / 2),
  }
  let state: GuardState = UNGUARDED
  while (clock.monotonicMs() - startedMs < watchMs && !interrupted.aborted) {
    state = guardStep(state, await look(run), limits)
    if (state.breach !== null) {
      steps.record('watch', 'failed', state.breach.detail, startedMs)
      return state.breach
    }
    const leftS = Math.ceil((watchMs - (clock.monotonicMs() - startedMs)) / 1000)
    terminal.progress(`watching the changed configuration, ${leftS} s left`, [])
    await sleep(LOOK_EVERY_MS)
  }
  const wholeMs = clock.monotonicMs() - startedMs
  const detail = `the changed configuration did well for ${Math.round(wholeMs / 1000)} s`
  steps.record('watch', interrupted.aborted ? 'warning' : 'ok', detail, startedMs)
  if (interrupted.aborted) run.warnings.push('The watch over the changed configuration was interrupted; it runs on.')
  return null
}

async function look({ control, clock }: Run): Promise<GuardLook> {
  const status = await control.status().catch(() => null)
  return { atMs: clock.monotonicMs(), feed: status === null ? null : feedOf(status) }
}

function feedOf({ ticks, latency_ms_p95: delayP95Ms = null, feed_state: state, session_state: session }: FeedStatus) {
  const received = ticks.accepted + ticks.duplicate + ticks.stale + ticks.invalid + ticks.off_session
  const marketIsOpen = session === 'open' || session === 'auction'
  return { received, invalid: ticks.invalid, delayP95Ms, state, marketIsOpen }
}
