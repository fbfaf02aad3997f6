/** What a rule about the configuration has to say. */
import type { Problem } from '#domain/failure.ts'
import type { SettingName } from './schema.ts'

export interface Finding {
  readonly severity: 'problem' | 'warning'
  /** The settings it speaks of; when one of these is malformed the finding is dropped, being an echo. */
  readonly about: readonly SettingName[]
  readonly problem: Problem
}

export function problem(about: readonly SettingName[], message: string, remedy: string, name?: string): Finding {
  return { severity: 'problem', about, problem: { name: name ?? about[0] ?? 'configuration', message, remedy } }
}

export function warning(about: readonly SettingName[], message: string, remedy: string, name?: string): Finding {
  return { severity: 'warning', about, problem: { name: name ?? about[0] ?? 'configuration', message, remedy } }
}
