/** When the simulated market takes its next step: about once a millisecond while ticks are due, less often when there are none. */
import type { BridgeWriter } from '../bridge-writer.ts'
import type { EmbeddedFront } from '../embedded-front.ts'
import type { SimFeed } from './sim-feed.ts'

/** Bounds how late an event of the scenario or a first tick can be when nothing else is going on. */
const IDLE_MS = 20

/** Steps the feed for the rest of the process's life. */
export function paceSimFeed(feed: SimFeed, front: EmbeddedFront, writer: BridgeWriter): void {
  const step = () => {
    const isUpToDate = feed.step()
    if (!isUpToDate && writer.room > 0) {
      setImmediate(step)
      return
    }
    const nextMs = front.owesSnapshots ? 0 : Math.min(feed.nextDueMs, front.nextEventMs())
    setTimeout(step, Math.min(IDLE_MS, Math.max(1, Math.ceil(nextMs - feed.marketNowMs()))))
  }
  step()
}
