/** What the package ships for Prometheus and Grafana, as tests look at it, and every metric name that queries may speak of. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DAEMON_METRICS, LATENCY_METRIC } from '#adapters/metrics/daemon-metrics.ts'
import { PUSHED_NAMES } from '#adapters/metrics/pushed-metrics.ts'

export const PACKAGE = fileURLToPath(new URL('../..', import.meta.url))
export const RULE_FILES = ['alerts.yml', 'recording.yml'].map((name) => join(PACKAGE, 'prometheus/rules', name))
export const RULE_TESTS = readdirSync(join(PACKAGE, 'prometheus/tests')).map((name) =>
  join(PACKAGE, 'prometheus/tests', name),
)

export interface Rule {
  name: string
  expr: string
  /** The rule's own lines. */
  text: string
}

/** Reads no more of YAML than our own rule files use. */
export function rulesIn(file: string, kind: 'alert' | 'record'): Rule[] {
  const blocks = readFileSync(file, 'utf8').split(/^ {6}(?:#.*\n {6})*- (?=alert:|record:)/m)
  return blocks
    .filter((block) => block.startsWith(`${kind}: `))
    .map((text) => {
      const [, name = ''] = /^\w+: (\S+)/.exec(text) ?? []
      const [, inline = '', folded = ''] = /^ {8}expr:(?: ([^>|\n].*)| [>|]-\n((?: {10}.*\n)+))/m.exec(text) ?? []
      return { name, expr: inline + folded, text }
    })
}

export const ALERTS = rulesIn(RULE_FILES[0] ?? '', 'alert')
export const RECORDED = rulesIn(RULE_FILES[1] ?? '', 'record')

/** Of others: the servers themselves. */
const FOREIGN = ['up', 'ALERTS', 'push_time_seconds', 'push_failure_time_seconds']
const HISTOGRAM = ['_bucket', '_sum', '_count'].map((suffix) => `${LATENCY_METRIC}${suffix}`)
/** Every metric that our programs export. */
export const EXPORTED: readonly string[] = [...DAEMON_METRICS.map(({ name }) => name), LATENCY_METRIC, ...PUSHED_NAMES]
export const KNOWN_METRICS: ReadonlySet<string> = new Set([
  ...EXPORTED,
  ...HISTOGRAM,
  ...FOREIGN,
  ...RECORDED.map(({ name }) => name),
])

const WORDS = new Set(
  `and or unless on ignoring by without group_left group_right bool sum max min count avg rate increase deriv changes time vector
  predict_linear histogram_quantile last_over_time max_over_time label_values`.split(/\s+/),
)

/** Names of metrics in a query: what is neither a word of the language nor a label, its value or a range. */
export function metricsIn(expr: string): string[] {
  const bare = expr
    .replaceAll(/"[^"]*"/g, '')
    .replaceAll(/\{[^}]*\}/g, '')
    .replaceAll(/\[[^\]]*\]/g, '')
    .replaceAll(/\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, ' ')
  const names = bare.match(/[A-Za-z_][A-Za-z0-9_:]*/g) ?? []
  return [...new Set(names.filter((name) => !WORDS.has(name)))]
}
