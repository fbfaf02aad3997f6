/**
 * Ordered shutdown: what was opened last is closed first, each with a deadline of its own, and one that fails or hangs never keeps the
 * others open.
 */
import { sleep } from '#clock.ts'

export interface Closer {
  name: string
  deadlineMs: number
  close(): Promise<void>
}

export interface CloseReport {
  name: string
  outcome: 'closed' | 'failed' | 'timed-out'
  message?: string
}

export class Closers {
  readonly #closers: Closer[] = []

  add(closer: Closer): void {
    this.#closers.push(closer)
  }

  /** Closes everything in reverse order. `cut` aborts all waiting: what is still open then is left to the process's end. */
  async closeAll(cut: AbortSignal): Promise<CloseReport[]> {
    const reports: CloseReport[] = []
    for (let closer = this.#closers.pop(); closer !== undefined; closer = this.#closers.pop()) {
      reports.push(await closeOne(closer, cut))
    }
    return reports
  }
}

async function closeOne(closer: Closer, cut: AbortSignal): Promise<CloseReport> {
  const { name } = closer
  const settled = new AbortController()
  const overdue = sleep(closer.deadlineMs, AbortSignal.any([cut, settled.signal])).then(
    () => 'timed-out' as const,
    () => 'timed-out' as const,
  )
  try {
    const outcome = await Promise.race([closer.close().then(() => 'closed' as const), overdue])
    return { name, outcome }
  } catch (error) {
    return { name, outcome: 'failed', message: error instanceof Error ? error.message : String(error) }
  } finally {
    settled.abort()
  }
}
