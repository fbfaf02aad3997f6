/** Counts what is logged as a warning or an error, by component, for the metrics. */
import type { Log } from './daemon-options.ts'

export type FaultCounts = ReadonlyMap<string, { component: string; severity: string; count: number }>

/** A log that counts, and its counts. */
export function countingLog(log: Log): { log: Log; faults: FaultCounts } {
  const faults = new Map<string, { component: string; severity: string; count: number }>()
  return {
    faults,
    log(level, message, details) {
      if (level === 'warn' || level === 'error') {
        const component = typeof details?.['component'] === 'string' ? details['component'] : 'daemon'
        const severity = level === 'warn' ? 'warning' : 'error'
        const key = `${component} ${severity}`
        faults.set(key, { component, severity, count: (faults.get(key)?.count ?? 0) + 1 })
      }
      log(level, message, details)
    },
  }
}
