/** Every dashboard as the file that Grafana is given. `npm run dashboards` writes them; a test holds the committed ones equal. */
import { BUS } from './bus.ts'
import { COVERAGE } from './coverage.ts'
import { FAILOVERS } from './failovers.ts'
import { JOURNAL } from './journal.ts'
import { LINES } from './lines.ts'
import { OVERVIEW } from './overview.ts'
import { dashboardOf } from './panels.ts'
import { RATE_LIMITS } from './rate-limits.ts'
import { RUNBOOKS } from './runbooks.ts'

const PAGES = [OVERVIEW, COVERAGE, LINES, FAILOVERS, RATE_LIMITS, RUNBOOKS, BUS, JOURNAL]

/** Text by file name. */
export function dashboardFiles(): ReadonlyMap<string, string> {
  return new Map(PAGES.map((page) => [`${page.uid}.json`, `${JSON.stringify(dashboardOf(page), null, 2)}\n`]))
}
