/**
 * What would change if a command were obeyed: the configuration that runs beside the one that is wanted. Values are compared as they may
 * be shown; what is hidden, secrets and accounts, by fingerprints that say "another one" and nothing else.
 */

/** One side of the comparison: what a daemon runs with, or what a command would start. */
export interface ConfigFacts {
  version: string
  /** Fingerprint of the whole configuration, secrets by reference. */
  config_fingerprint: string
  /** Masked. */
  config: unknown
  secrets: Readonly<Record<string, SecretMark>>
  /** Fingerprint of the contract list; null where the feed lists its contracts itself, or the list could not be read. */
  catalogue: string | null
}

export interface SecretMark {
  /** Where it is, never what it is. */
  source: string
  /** Null where it could not be read. */
  fingerprint: string | null
}

export interface ConfigChange {
  kind: 'setting' | 'secret' | 'catalogue' | 'version'
  /** Dotted path in the configuration, the name of a secret, or the kind itself. */
  path: string
  /** As they may be shown; null: not there. */
  from: unknown
  to: unknown
}

/** @param from null: nothing runs, so that everything is a change */
export function configChanges(from: ConfigFacts | null, to: ConfigFacts): ConfigChange[] {
  const changes = treeChanges(from?.config, to.config, '')
  for (const name of namesOf(from?.secrets, to.secrets)) {
    const before = from?.secrets[name]
    const after = to.secrets[name]
    // A secret that could not be read, now or then, says nothing about a change; that it can't be read is preflight's to tell.
    const isSame = before?.fingerprint === after?.fingerprint || (before?.fingerprint === null && after !== undefined)
    if (isSame || (after?.fingerprint === null && before !== undefined)) continue
    changes.push({ kind: 'secret', path: name, from: markText(before), to: markText(after) })
  }
  const catalogue = from?.catalogue ?? null
  if (catalogue !== to.catalogue) {
    changes.push({ kind: 'catalogue', path: 'catalogue', from: shortened(catalogue), to: shortened(to.catalogue) })
  }
  if (from?.version !== to.version) {
    changes.push({ kind: 'version', path: 'version', from: from?.version ?? null, to: to.version })
  }
  return changes
}

/** Fields of two trees that differ, by path; a list counts as one value, and so does a slice of which nothing is set. */
function treeChanges(from: unknown, to: unknown, path: string): ConfigChange[] {
  if (isTree(to) && (isTree(from) || isNothing(from))) {
    const before = isTree(from) ? from : {}
    const inner = namesOf(before, to).flatMap((name) =>
      treeChanges(before[name], to[name], path === '' ? name : `${path}.${name}`),
    )
    if (isTree(from) || inner.length > 0) return inner
    return path === '' ? [] : [{ kind: 'setting', path, from: null, to }]
  }
  if (JSON.stringify(from ?? null) === JSON.stringify(to ?? null)) return []
  return [{ kind: 'setting', path, from: from ?? null, to: to ?? null }]
}

function isNothing(value: unknown): boolean {
  return value === undefined || value === null
}

function isTree(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function namesOf(...trees: readonly (object | undefined)[]): string[] {
  return [...new Set(trees.flatMap((tree) => Object.keys(tree ?? {})))].sort()
}

function markText(mark: SecretMark | undefined): string | null {
  return mark === undefined ? null : `${mark.source} (${mark.fingerprint ?? 'not read'})`
}

const SHOWN_DIGITS = 12

function shortened(fingerprint: string | null): string | null {
  return fingerprint === null ? null : fingerprint.slice(0, SHOWN_DIGITS)
}

/** Everything that a plan was made from. */
export interface PlanBasis {
  profile: string
  state_dir: string
  running: ConfigFacts | null
  wanted: ConfigFacts
}

/** What of a plan's basis is not so any more, one sentence each. */
export function basisChanges(planned: PlanBasis, now: PlanBasis): string[] {
  const said: string[] = []
  if (planned.profile !== now.profile) said.push(`the profile is ${now.profile}, the plan is for ${planned.profile}`)
  if (planned.state_dir !== now.state_dir)
    said.push(`the state directory is ${now.state_dir}, the plan is for ${planned.state_dir}`)
  said.push(...factChanges('what runs', planned.running, now.running))
  said.push(...factChanges('what is wanted', planned.wanted, now.wanted))
  return said
}

function factChanges(what: string, planned: ConfigFacts | null, now: ConfigFacts | null): string[] {
  if (planned === null || now === null) {
    if (planned === now) return []
    return [
      planned === null ? `${what}: nothing ran then, now a daemon does` : `${what}: a daemon ran then, none does now`,
    ]
  }
  const said: string[] = []
  if (planned.config_fingerprint !== now.config_fingerprint) said.push(`${what}: the configuration changed`)
  for (const name of namesOf(planned.secrets, now.secrets)) {
    const same =
      planned.secrets[name]?.fingerprint === now.secrets[name]?.fingerprint &&
      planned.secrets[name]?.source === now.secrets[name]?.source
    if (!same) said.push(`${what}: ${name} changed`)
  }
  if (planned.catalogue !== now.catalogue) said.push(`${what}: the contract list changed`)
  if (planned.version !== now.version) said.push(`${what}: version ${now.version} instead of ${planned.version}`)
  return said
}
