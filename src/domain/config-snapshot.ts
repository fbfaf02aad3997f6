/**
 * Configurations that worked: which of them is the one to go back to, and which may be forgotten. A snapshot holds what was asked for, so
 * that the same can be asked for again; secrets are in it as references, or left out and only fingerprinted.
 */
import type { ConfigFacts } from './config-change.ts'

export interface ConfigSnapshot extends ConfigFacts {
  schema: 'feed-supervisor/snapshot/2'
  /** Sorts by time. */
  id: string
  at: string
  image_tag: string | null
  profile: string
  /** Where relative paths among the settings start. */
  cwd: string
  /** Every setting that was given, as it was written. */
  settings: Readonly<Record<string, string>>
  /** Secrets and accounts that were given as text: they are not kept, and come from the present environment. */
  left_out: readonly string[]
  health: Readonly<Record<string, unknown>>
  /** Why it is no longer known as good; null while it is. */
  withdrawn: { at: string; reason: string } | null
}

interface Wish {
  profile: string
  /** A configuration that is not to be gone back to: the one that runs, or that has just failed. */
  otherThan: string | null
}

/** The newest that still counts as good. */
export function lastKnownGood(snapshots: readonly ConfigSnapshot[], wish: Wish): ConfigSnapshot | null {
  const good = snapshots.filter(
    ({ profile, withdrawn, config_fingerprint: fingerprint }) =>
      profile === wish.profile && withdrawn === null && fingerprint !== wish.otherThan,
  )
  return newest(good)
}

/** Of what ran before, whether it still counts as good or not. */
export function snapshotOf(snapshots: readonly ConfigSnapshot[], fingerprint: string): ConfigSnapshot | null {
  return newest(snapshots.filter((snapshot) => snapshot.config_fingerprint === fingerprint))
}

/**
 * Ids of those that are too many. Of each profile the last known good stays, and the last good one that differs from it: the two that
 * somebody may want to go back to.
 */
export function superfluous(snapshots: readonly ConfigSnapshot[], keptMax: number): string[] {
  const needed = new Set<string>()
  for (const profile of new Set(snapshots.map((snapshot) => snapshot.profile))) {
    const good = lastKnownGood(snapshots, { profile, otherThan: null })
    const before = good && lastKnownGood(snapshots, { profile, otherThan: good.config_fingerprint })
    for (const snapshot of [good, before]) if (snapshot) needed.add(snapshot.id)
  }
  const byAge = [...snapshots].sort((a, b) => (a.id < b.id ? 1 : -1))
  return byAge
    .slice(keptMax)
    .map(({ id }) => id)
    .filter((id) => !needed.has(id))
}

function newest(snapshots: readonly ConfigSnapshot[]): ConfigSnapshot | null {
  return snapshots.reduce<ConfigSnapshot | null>(
    (best, each) => (best === null || each.id > best.id ? each : best),
    null,
  )
}
