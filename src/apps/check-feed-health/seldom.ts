/**
 * Everything a check needs only now and then, behind one door: each further file that is loaded costs the minute timer half a millisecond,
 * and each further door makes the bundler cut more files.
 */
import { sample } from '#adapters/metrics/pushed-metrics.ts'

export { pushRun } from '../push-run.ts'
export { marketCalendarOf, marketTimeOf, tradesOnDateOf } from '../trading-window.ts'
export { escalate } from './escalate.ts'
export { judgeByCatalogue, judgeOffline } from './offline.ts'
export { remediate } from './remediate.ts'
export { writeReport } from './report-file.ts'
export { sample }
