/** Checks of what the feed is given: secrets, market calendar, catalogue, vendor library, recordings, scenario. */
import { readFile, stat } from 'node:fs/promises'
import { type CtpInstallation, type InspectedLibrary, inspectLibrary } from '#adapters/feeds/ctp/build-record.ts'
import { parseScenario } from '#adapters/feeds/scenario.ts'
import { resolveSecret, type SecretStores } from '#adapters/secrets/resolve-secret.ts'
import { Failure, type Problem, problemOf } from '#domain/failure.ts'
import type { SecretRef } from '#domain/secret-ref.ts'
import { isSecretOld } from '#domain/secret-rotation.ts'
import type { CalendarCoverage, MarketCalendar } from '#domain/session-calendar.ts'
import { type Finding, failed, ok, type PreflightCheck, skipped, warning } from './run-preflight.ts'

export interface NamedSecret {
  /** The environment name that refers to it. */
  readonly name: string
  readonly ref: SecretRef
}

interface SecretsCheck {
  readonly secrets: readonly NamedSecret[]
  readonly stores: SecretStores
  readonly maxAgeMs: number
  /** Wall clock. */
  readonly nowMs: number
  /** Stores on the network are not asked. */
  readonly offline: boolean
}

export function secretsCheck({ secrets, stores, maxAgeMs, nowMs, offline }: SecretsCheck): PreflightCheck {
  return {
    name: 'secrets',
    async run(signal) {
      const asked = secrets.filter(({ ref }) => !offline || !isOnNetwork(ref))
      const left = secrets.length - asked.length
      if (asked.length === 0) return skipped(left === 0 ? 'no secret is configured' : `${left} in stores, --offline`)
      const answers = await Promise.all(
        asked.map(async ({ name, ref }) => {
          try {
            const { warning: unwise, changedAtMs } = await resolveSecret(ref, stores, signal)
            const isOld = isSecretOld(changedAtMs, nowMs, maxAgeMs)
            const ageDays = changedAtMs === null ? null : Math.floor((nowMs - changedAtMs) / DAY_MS)
            const age = isOld ? [`${name}: ${ageDays} days old, more than SECRET_MAX_AGE_DAYS`] : []
            return { name, ageDays, unwise: unwise === null ? [] : [`${name}: ${unwise}`], age, problem: null }
          } catch (error) {
            signal.throwIfAborted()
            return { name, ageDays: null, unwise: [], age: [], problem: problemOf(error) }
          }
        }),
      )
      const broken = answers.flatMap(({ name, problem }) => (problem === null ? [] : [{ name, problem }]))
      if (broken.length > 0) {
        const remedies = [...new Set(broken.map(({ problem }) => problem.remedy))]
        return failed(broken.map(({ name, problem }) => `${name}: ${problem.message}`).join('; '), remedies.join(' '))
      }
      const unwise = answers.flatMap((answer) => answer.unwise)
      const old = answers.flatMap((answer) => answer.age)
      const remedies = [
        ...(unwise.length > 0 ? ['Make the files readable by their owner alone.'] : []),
        ...(old.length > 0 ? ['Change old secrets with the broker and then at their source: the daemon notices.'] : []),
      ]
      if (remedies.length > 0) return warning([...unwise, ...old].join('; '), remedies.join(' '))
      return ok(
        `${asked.length} resolved${agesOf(answers)}${left > 0 ? `, ${left} in stores not asked (--offline)` : ''}`,
      )
    },
  }
}

const DAY_MS = 86_400_000

function isOnNetwork({ source }: SecretRef): boolean {
  return source === 'vault' || source === 'aws-sm'
}

function agesOf(answers: readonly { ageDays: number | null }[]): string {
  const known = answers.flatMap(({ ageDays }) => (ageDays === null ? [] : [ageDays]))
  return known.length === 0 ? '' : `, the oldest ${Math.max(...known)} days old`
}

export type CalendarAnswer = { ok: true; calendar: MarketCalendar } | { ok: false; problems: readonly Problem[] }

const DAYS_LEFT_MIN = 30

/** @param atMs the market's own time: a simulation's start, otherwise now. */
export function calendarCheck(load: () => CalendarAnswer, atMs: number): PreflightCheck {
  return {
    name: 'calendar',
    async run() {
      const answer = load()
      if (!answer.ok) {
        const remedies = [...new Set(answer.problems.map(({ remedy }) => remedy))]
        return failed(answer.problems.map(({ name, message }) => `${name} ${message}`).join('; '), remedies.join(' '))
      }
      return coverageFinding(answer.calendar.coverage(atMs))
    },
  }
}

function coverageFinding({ covered, coveredUntil, daysLeft }: CalendarCoverage): Finding {
  const remedy = "Add the exchanges' notice of next year's closures to holidays.json in the calendar directory."
  if (!covered) return failed(`today is not covered, the calendar ends with ${coveredUntil}`, remedy)
  const detail = `covered until ${coveredUntil}, ${daysLeft} days ahead`
  return daysLeft < DAYS_LEFT_MIN ? warning(detail, remedy) : ok(detail)
}

interface CatalogueFacts {
  readonly contracts: number
  readonly duplicates: readonly string[]
  readonly modifiedMs: number
}

interface CatalogueCheck {
  readonly read: () => Promise<CatalogueFacts>
  readonly maxAgeHours: number
  readonly nowMs: number
}

export function catalogueCheck({ read, maxAgeHours, nowMs }: CatalogueCheck): PreflightCheck {
  return {
    name: 'catalogue',
    async run() {
      const facts = await read().catch(missingCatalogue)
      if ('result' in facts) return facts
      const { contracts, duplicates, modifiedMs } = facts
      const ageHours = Math.max(0, (nowMs - modifiedMs) / 3_600_000)
      const detail = `${contracts} contracts, ${ageHours.toFixed(1)} hours old`
      if (ageHours > maxAgeHours) {
        const remedy = 'Refresh it (full-feed-subscription catalogue refresh), or raise CATALOGUE_MAX_AGE_HOURS.'
        return warning(`${detail}, expected at most ${maxAgeHours}: new listings are missing from it`, remedy)
      }
      if (duplicates.length === 0) return ok(detail)
      return warning(
        `${detail}; listed twice: ${duplicates.slice(0, 5).join(', ')}`,
        'Remove the duplicates at the source.',
      )
    },
  }
}

function missingCatalogue(error: unknown): Finding {
  if (!(error instanceof Failure) || error.kind !== 'contract-file-missing') throw error
  const remedy = 'Make one with full-feed-subscription catalogue refresh, or name one with CATALOGUE_FILE.'
  return failed(error.message, remedy)
}

interface CtpCheck {
  readonly installation: CtpInstallation
  readonly env: Readonly<Record<string, string | undefined>>
  /** What a trading session is for here: nothing, only the catalogue refresh, or every login. */
  readonly trading: 'none' | 'catalogue' | 'logins'
}

/** Loads what the feed will load, once, in the bridge's own process. */
export function ctpLibraryCheck({ installation, env, trading }: CtpCheck): PreflightCheck {
  return {
    name: 'ctp-library',
    async run(signal) {
      const told = ({ library, apiVersion }: InspectedLibrary) => `${library}, version ${apiVersion}`
      const md = told(await inspectLibrary('md', installation, env, signal))
      if (trading === 'none') return ok(`${md}; as built`)
      try {
        return ok(`${md}; ${told(await inspectLibrary('td', installation, env, signal))}; as built`)
      } catch (error) {
        if (!(error instanceof Failure)) throw error
        const detail = `${md}; no trading session: ${error.message}`
        return trading === 'logins' ? failed(detail, error.remedy) : warning(detail, error.remedy)
      }
    },
  }
}

interface RecordingsCheck {
  readonly files: readonly string[]
  /** Throws a Failure for a recording that can't be replayed; answers with one sentence about it otherwise. */
  readonly inspect: (path: string) => Promise<string>
}

export function recordingsCheck({ files, inspect }: RecordingsCheck): PreflightCheck {
  return {
    name: 'replay-files',
    async run() {
      const answers = await Promise.allSettled(
        files.map(async (path) => {
          await checkRegular(path)
          return inspect(path)
        }),
      )
      const problems = answers.flatMap((answer) => (answer.status === 'rejected' ? [problemOf(answer.reason)] : []))
      if (problems.length > 0) {
        const remedies = [...new Set(problems.map(({ remedy }) => remedy))]
        return failed(problems.map(({ message }) => message).join('; '), remedies.join(' '))
      }
      return ok(answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : [])).join('; '))
    },
  }
}

async function checkRegular(path: string): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    throw new Failure('recording-missing', `there is no recording ${path}`, 'Correct REPLAY_FILES.', error)
  })
  if (!found.isFile()) throw new Failure('recording-missing', `${path} is not a file`, 'Correct REPLAY_FILES.')
}

const SCENARIO_BYTES_MAX = 4 * 1024 * 1024

export function scenarioCheck(path: string): PreflightCheck {
  return {
    name: 'scenario',
    async run() {
      const remedy = 'Correct SIM_SCENARIO, or remove it to run without faults.'
      const found = await stat(path).catch(() => null) // Missing or forbidden is told the same way.
      if (found === null || !found.isFile()) return failed(`there is no scenario file ${path}`, remedy)
      if (found.size > SCENARIO_BYTES_MAX) return failed(`${path} is over ${SCENARIO_BYTES_MAX} bytes`, remedy)
      const { faults } = parseScenario(await readFile(path, 'utf8'))
      return ok(`${faults.length} faults`)
    },
  }
}
