/** Opens the journal under the configured policy, and tells operators what it has to say. */
import { join } from 'node:path'
import type { JournalEvent } from '#adapters/journal/journal-trouble.ts'
import { openJournal } from '#adapters/journal/open-journal.ts'
import type { Config } from '#config/config.ts'
import type { IntervalHistogram, RecentHistogram } from '#domain/interval-histogram.ts'
import type { Closers } from './closers.ts'
import type { DaemonOptions } from './daemon-options.ts'

/** From a vendor's callback to where the tick is safe: the bus where there is one, else the journal. */
export interface Latency {
  /** Of the last half minute. */
  recent: RecentHistogram
  total: IntervalHistogram
}

export type TickJournal = Awaited<ReturnType<typeof openTickJournal>>

export function journalDirectory({ stateDir }: Config): string {
  return join(stateDir, 'journal')
}

/** @throws Failure when the journal can't be opened */
export async function openTickJournal(
  { config, clock, host, log, cut }: DaemonOptions,
  closers: Closers,
  { latency, warnings }: { latency: Latency; warnings: Set<string> },
) {
  const journal = await openJournal({
    directory: journalDirectory(config),
    host,
    clock,
    policy: {
      segmentBytesMax: config.journal.segmentBytes,
      syncIntervalMs: config.journal.syncIntervalMs,
      keepDays: config.journal.retentionDays,
      keepBytes: config.journal.maxBytes,
      minFreeBytes: config.journal.minFreeBytes,
    },
    onTrouble: ({ kind, message, remedy }) => log('error', `${message} ${remedy}`, { component: 'journal', kind }),
    onEvent: (event) =>
      log(levelOf(event), `journal: ${event.kind}`, {
        ...event,
        component: 'journal',
      }),
    onWritten: (_lastSequence, nowMs, receivedMs, count) => {
      if (config.bus !== null) return
      for (let i = 0; i < count; i++) {
        const tookMs = nowMs - (receivedMs[i] ?? nowMs)
        latency.recent.observe(tookMs)
        latency.total.observe(tookMs)
      }
    },
  })
  const { writer, recovery } = journal
  closers.add({
    name: 'journal',
    deadlineMs: config.timeouts.stopMs,
    close: () => writer.close({ cut: cut.aborted }),
  })
  // Asked again during a close, it hurries.
  cut.addEventListener('abort', () => void writer.close({ cut: true }), { once: true })
  if (recovery.message !== null) {
    warnings.add(recovery.message)
    log('warn', recovery.message, { component: 'journal' })
  }
  return journal
}

/** What the bus has not got yet and never will is an error; that the journal sheds old segments is how it is meant to be. */
function levelOf(event: JournalEvent): 'debug' | 'warn' | 'error' {
  switch (event.kind) {
    case 'segment-started':
      return 'debug'
    case 'unpublished-at-risk':
      return 'error'
    case 'segment-removed':
      return event.unpublished > 0 ? 'error' : 'warn'
    case 'recovered':
      return 'warn'
  }
}
