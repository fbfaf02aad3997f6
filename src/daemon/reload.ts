/** What an operator's reload does: reads latches and contract list again, and tells the lines what came and went. */
import { inSentences, problemOf } from '#domain/failure.ts'
import type { ContractList, LineSessions } from './contract-list.ts'
import type { DaemonOptions } from './daemon-options.ts'
import type { LoginPermits } from './login-permits.ts'

/** A damaged list changes nothing: false. Never rejects. */
export async function reload(
  { clock, log, notifier, readContracts }: DaemonOptions,
  parts: { permits: LoginPermits; list: ContractList; sessions: LineSessions; tradingDay(): number },
): Promise<boolean> {
  const { permits, list, sessions, tradingDay } = parts
  let isReloaded = false
  notifier.reloading(BigInt(Math.round(clock.monotonicMs() * 1_000)))
  try {
    await permits.refresh()
    if (readContracts === null) {
      log('info', 'reloaded: latches; the contract list comes from the feed itself')
    } else {
      const { added, removed } = list.replace(await readContracts(), sessions, tradingDay())
      log('info', `reloaded: latches and contract list, ${added} contracts came and ${removed} went`)
    }
    isReloaded = true
  } catch (error) {
    log('error', `not reloaded: ${inSentences(problemOf(error))}`)
  }
  notifier.ready('reloaded')
  return isReloaded
}
