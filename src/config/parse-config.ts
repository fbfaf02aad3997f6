/**
 * Environment text to Config, or to every problem at once. Precedence: flag, process environment, env file, default. Pure but for relative
 * paths: reading files is load-config.ts, resolving secrets happens just before use.
 */
import type { Problem } from '#domain/failure.ts'
import { maskAccount } from '#domain/secret-ref.ts'
import { type Config, configOf, type Surroundings } from './config.ts'
import { applyRules } from './config-rules.ts'
import type { EnvFile } from './env-file.ts'
import type { Finding } from './finding.ts'
import {
  ACCOUNT_SETTINGS,
  isSettingName,
  mayBeReference,
  SECRET_SETTINGS,
  SETTING_NAMES,
  type SettingName,
  type Settings,
  settingsSchema,
} from './schema.ts'
import { looksLikeSecretRef, parseSecretRef } from './secret-ref.ts'
import type { Reference } from './secret-store-rules.ts'
import { unknownNames } from './unknown-names.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export interface ConfigInputs {
  /** From --profile. */
  readonly profile?: string | undefined
  /** What other flags override, by the name they override: `{METRICS_PORT: '0'}`. */
  readonly flags?: Readonly<Partial<Record<SettingName, string | undefined>>> | undefined
  readonly env: Environment
  readonly envFile: EnvFile | null
  readonly cwd: string
  readonly packageDir: string
  /** A missing backup line is a problem. */
  readonly requireBackup?: boolean | undefined
  /** What stands behind the references of `referencesIn`. Without it a reference in a plain setting is malformed. */
  readonly behind?: ReadonlyMap<SettingName, ValueBehind> | undefined
}

export type ValueBehind = { readonly text: string } | { readonly problem: Problem }

/** Every setting that was given, by flag, environment or env file, as it was written: references unfollowed, secrets in the clear. */
export type GivenSettings = ReadonlyMap<SettingName, string>

export type ParsedConfig =
  | { readonly ok: true; readonly config: Config; readonly warnings: readonly Problem[]; readonly given: GivenSettings }
  | {
      readonly ok: false
      readonly given: GivenSettings
      readonly exitCode: 78
      /** The profile as asked for, valid or not: for the report. */
      readonly profile: string
      readonly problems: readonly Problem[]
      readonly warnings: readonly Problem[]
      /** Good enough to check the rest of the world with in the same run; null where nothing sensible can be said. */
      readonly draft: Draft | null
    }

interface Draft {
  /** With defaults in place of what is malformed or missing. */
  readonly config: Config
  /** Settings that some problem speaks of; a check that depends on one would only tell about the default. */
  readonly doubtful: ReadonlySet<SettingName>
}

export function parseConfig(inputs: ConfigInputs): ParsedConfig {
  const given = layeredTexts(inputs)
  const { texts, lost } = dereferenced(given, inputs.behind)
  const profile = texts.get('FEED_PROFILE')?.text ?? 'sim'
  const { settings, malformed } = readSettings(texts)
  for (const [name, problem] of lost) malformed.set(name, problem)

  const broken = inputs.envFile?.damaged ?? new Set<string>()
  const isLost = (name: SettingName) => malformed.has(name) || broken === 'all' || broken.has(name)
  // Without the file's values, or without knowing what for, the rules would only report echoes.
  const blind = broken === 'all' || isLost('FEED_PROFILE') || isLost('FEED_ADAPTER')
  const findings = blind
    ? []
    : applyRules({
        settings,
        references: allReferences(given),
        envFile: inputs.envFile,
        requireBackup: inputs.requireBackup ?? false,
      }).filter(({ about }) => !about.some(isLost))
  const unsaid = withoutSecrets(given)
  const problems = [
    ...(inputs.envFile?.problems ?? []),
    ...malformed.values(),
    ...findings.filter(isProblem).map((finding) => finding.problem),
  ].map(unsaid)
  const warnings = [
    ...findings.filter(isWarning).map((finding) => finding.problem),
    ...unknownNames(inputs.envFile?.values.keys() ?? [], 'env-file'),
    ...unknownNames(namesSet(inputs.env), 'environment'),
  ].map(unsaid)
  const config = configOf(settings, surroundings(inputs, allReferences(given)))
  const asWritten: GivenSettings = new Map([...given].map(([name, { text }]) => [name, text]))
  if (problems.length === 0) return { ok: true, config, warnings, given: asWritten }
  const disputed = findings.filter(isProblem).flatMap(({ about }) => about)
  const doubtful = new Set([...SETTING_NAMES.filter(isLost), ...disputed])
  const draft = blind ? null : { config, doubtful }
  return { ok: false, exitCode: 78, profile, problems, warnings, draft, given: asWritten }
}

/** References in settings that are no secrets: to be followed before parsing, with the stores that the same texts name. */
export function referencesIn(inputs: ConfigInputs): { references: Reference[]; stores: Config['secretStores'] } {
  const texts = layeredTexts(inputs)
  const references = allReferences(texts).filter(({ name }) => mayBeReference(name))
  for (const { name } of references) texts.delete(name)
  return { references, stores: configOf(readSettings(texts).settings, surroundings(inputs, [])).secretStores }
}

function allReferences(texts: ReadonlyMap<SettingName, Text>): Reference[] {
  return [...texts].flatMap(([name, { text }]) => {
    const ref = looksLikeSecretRef(text) ? parseSecretRef(text) : null
    return ref === null ? [] : [{ name, ref }]
  })
}

/** Whatever is malformed is replaced by its default, so that the rules can speak about the rest in the same run. */
function readSettings(texts: ReadonlyMap<SettingName, Text>): {
  settings: Settings
  malformed: Map<SettingName, Problem>
} {
  const malformed = new Map<SettingName, Problem>()
  const first = settingsSchema.safeParse(rawOf(texts))
  if (first.success) return { settings: first.data, malformed }
  for (const issue of first.error.issues) {
    const name = String(issue.path[0])
    if (isSettingName(name)) malformed.set(name, malformedProblem(name, issue.message, texts.get(name)))
  }
  const sound = new Map([...texts].filter(([name]) => !malformed.has(name)))
  return { settings: settingsSchema.parse(rawOf(sound)), malformed }
}

function dereferenced(
  given: ReadonlyMap<SettingName, Text>,
  behind: ConfigInputs['behind'],
): { texts: Map<SettingName, Text>; lost: Map<SettingName, Problem> } {
  const texts = new Map(given)
  const lost = new Map<SettingName, Problem>()
  for (const [name, found] of behind ?? []) {
    const reference = given.get(name)
    if (reference === undefined) continue
    if ('problem' in found) {
      lost.set(name, found.problem)
      texts.delete(name)
    } else if (found.text === '') {
      texts.delete(name)
    } else {
      texts.set(name, { text: found.text, origin: reference.text, isHidden: true })
    }
  }
  return { texts, lost }
}

/** Shorter texts would be found in every other word. */
const SECRET_TOLD_APART = 6

/** A password that went into the wrong line is quoted by no problem of that line. */
function withoutSecrets(given: ReadonlyMap<SettingName, Text>): (problem: Problem) => Problem {
  const secrets = [...given].flatMap(([name, { text }]) =>
    SECRET_SETTINGS.has(name) && !looksLikeSecretRef(text) && text.length >= SECRET_TOLD_APART ? [text] : [],
  )
  return (problem) => ({
    ...problem,
    message: secrets.reduce((message, secret) => message.replaceAll(secret, '[set]'), problem.message),
  })
}

function isProblem(finding: Finding): boolean {
  return finding.severity === 'problem'
}

function isWarning(finding: Finding): boolean {
  return finding.severity === 'warning'
}

interface Text {
  readonly text: string
  readonly origin: string
  /** It came out of a place for secrets, so that it is not shown. */
  readonly isHidden?: boolean
}

/** An empty value is an absent one: docker-compose and CI systems pass unset variables so. */
function layeredTexts(inputs: ConfigInputs): Map<SettingName, Text> {
  const flags: Readonly<Partial<Record<SettingName, string | undefined>>> = {
    FEED_PROFILE: inputs.profile,
    ...inputs.flags,
  }
  const texts = new Map<SettingName, Text>()
  for (const name of SETTING_NAMES) {
    const inFile = inputs.envFile?.values.get(name)
    const inEnvironment = inputs.env[name]
    const flag = flags[name]
    if (flag !== undefined) texts.set(name, { text: flag, origin: 'the command line' })
    else if (inEnvironment) texts.set(name, { text: inEnvironment, origin: 'the environment' })
    else if (inFile) texts.set(name, { text: inFile, origin: inputs.envFile?.path ?? 'the env file' })
  }
  const stateDirectory = firstOf(inputs.env['STATE_DIRECTORY'])
  if (!texts.has('FEED_STATE_DIR') && stateDirectory !== null) {
    texts.set('FEED_STATE_DIR', { text: stateDirectory, origin: 'STATE_DIRECTORY' })
  }
  return texts
}

function rawOf(texts: ReadonlyMap<SettingName, Text>): Record<string, string> {
  return Object.fromEntries([...texts].map(([name, { text }]) => [name, text]))
}

function malformedProblem(name: SettingName, expected: string, given: Text | undefined): Problem {
  const got =
    given === undefined
      ? '[missing]'
      : `${given.isHidden ? '[set]' : shownValue(name, given.text)} from ${given.origin}`
  return {
    name,
    message: `expected ${expected}, got ${got}`,
    remedy: `Correct ${name}; .env.example says what it means.`,
  }
}

const SHOWN_LENGTH_MAX = 60

/** A value as a problem may quote it. */
export function shownValue(name: string, text: string): string {
  if (SECRET_SETTINGS.has(name)) return '[set]'
  // A lost line end glues the next line on, and that one may be a secret's.
  if ([...SECRET_SETTINGS].some((secret) => text.includes(secret))) return '[set]'
  if (ACCOUNT_SETTINGS.has(name)) return maskAccount(text)
  const withoutLogins = text.replace(/\/\/[^/@\s]*@/g, '//***@')
  const cut = withoutLogins.length > SHOWN_LENGTH_MAX ? `${withoutLogins.slice(0, SHOWN_LENGTH_MAX)}...` : withoutLogins
  return JSON.stringify(cut)
}

function namesSet(env: Environment): string[] {
  return Object.keys(env).filter((name) => env[name] !== undefined && env[name] !== '')
}

function surroundings(inputs: ConfigInputs, references: readonly Reference[]): Surroundings {
  return {
    cwd: inputs.cwd,
    packageDir: inputs.packageDir,
    credentialsDirectory: inputs.env['CREDENTIALS_DIRECTORY'] || null,
    envFile: inputs.envFile?.path ?? null,
    referredVariables: references.flatMap(({ ref }) => (ref.source === 'env' ? [ref.name] : [])),
  }
}

/** systemd lists several directories with colons. */
function firstOf(list: string | undefined): string | null {
  return list?.split(':')[0] || null
}
