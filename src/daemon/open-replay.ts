/** The driver of a replay where the feed is a recording: it waits for the disk, and tells the daemon when all was taken. */
import type { JournalWriter } from '#adapters/journal/journal-writer.ts'
import type { LineSessions } from './contract-list.ts'
import type { DaemonOptions } from './daemon-options.ts'
import { ReplayDriver } from './drive-replay.ts'
import type { Ending } from './ending.ts'
import { tickTotals } from './feed-status.ts'
import type { OpenFeed } from './open-feed.ts'
import type { TickPath } from './tick-path.ts'

/** A replay at full speed waits for the disk from here on, far below what the journal holds at most. */
const HELD_BYTES_MAX = 8 << 20

/** Null where the feed is no recording. */
export function openReplay(
  { config, clock, log, untilEnd }: DaemonOptions,
  parts: { feed: OpenFeed; sessions: LineSessions; path: TickPath; ending: Ending; writer: JournalWriter },
): ReplayDriver | null {
  const { feed, sessions, path, ending, writer } = parts
  if (feed.recordingClock === null) return null
  const ended = () => {
    log('info', `the replay is over: ${path.accepted} ticks accepted`)
    if (!untilEnd) return
    void writer.sync().then((isOnDisk) => {
      ending.leave({ kind: 'replay-over', ticks: tickTotals(path), lost: path.refusedByLog, isOnDisk })
    })
  }
  return new ReplayDriver(
    {
      clock,
      marketClock: feed.recordingClock,
      calendar: feed.calendar,
      sessions,
      speed: config.replay.speed,
      take: (line, slot, views, at) => path.take(line, slot, views, at),
      isBacklogged: () => writer.heldBytes > HELD_BYTES_MAX,
      ended,
      damaged: (message) => {
        log('error', `the replay can't go on: ${message}`)
        ending.leave({ kind: 'input-unusable', ticks: tickTotals(path), message })
      },
    },
    // Just before the first row, so that the first permit does not already let it go.
    feed.recordingClock.nowMs() - 1,
  )
}
