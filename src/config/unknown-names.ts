/**
 * Names that look like ours and are not: a misspelt name silently leaves the default in force. In an env file any name that begins like
 * one of ours is told; in the process environment, which is full of other programs' names, only our own prefixes and near misses.
 */
import type { Problem } from '#domain/failure.ts'
import { SETTING_NAMES } from './schema.ts'

const OWN_PREFIXES = ['FEED_', 'CTP_', 'SIM_', 'REPLAY_']
const FIRST_WORDS = new Set(SETTING_NAMES.map((name) => name.slice(0, name.indexOf('_') + 1)))
/** Two slips of the finger; more would offer strangers. */
const DISTANCE_MAX = 2
const WARNINGS_MAX = 20

export function unknownNames(names: Iterable<string>, where: 'env-file' | 'environment'): Problem[] {
  const known = new Set<string>(SETTING_NAMES)
  const warnings: Problem[] = []
  for (const name of names) {
    if (known.has(name) || warnings.length >= WARNINGS_MAX) continue
    const near = nearestName(name)
    const prefixes = where === 'env-file' ? [...FIRST_WORDS] : OWN_PREFIXES
    if (near === null && !prefixes.some((prefix) => name.startsWith(prefix))) continue
    warnings.push({
      name,
      message: near === null ? 'no such setting; it has no effect' : `no such setting; did you mean ${near}?`,
      remedy: near === null ? 'Remove it, or look the name up in .env.example.' : `Rename it to ${near}, or remove it.`,
    })
  }
  return warnings
}

function nearestName(name: string): string | null {
  let nearest: string | null = null
  let best = DISTANCE_MAX + 1
  for (const candidate of SETTING_NAMES) {
    const distance = editDistance(name.toUpperCase(), candidate, best)
    if (distance < best) [nearest, best] = [candidate, distance]
  }
  return nearest
}

/** Levenshtein distance, or `limit` as soon as it can't be below. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const substituted = (previous[j - 1] ?? limit) + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(substituted, (previous[j] ?? limit) + 1, (row[j - 1] ?? limit) + 1))
    }
    if (Math.min(...row) >= limit) return limit
    previous = row
  }
  return Math.min(previous[b.length] ?? limit, limit)
}
