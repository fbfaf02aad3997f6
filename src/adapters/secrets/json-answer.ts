/** JSON of a secret store, looked into step by step: what is not as documented is `undefined`, never an exception. */
import { Failure } from '#domain/failure.ts'
import type { SecretFailure } from './secret-source.ts'

export type JsonObject = Readonly<Record<string, unknown>>

/** @throws Failure<'secret-store-garbled'>, without any of the text: it may hold half a secret */
export function parseObject(text: string, store: string): JsonObject {
  const value = objectOf(parsedOrNull(text))
  if (value !== undefined) return value
  const remedy = `Check that the address is ${store}'s own and no proxy's or login page's.`
  throw new Failure<SecretFailure>(
    'secret-store-garbled',
    `${store} answered with no JSON object, or half of one`,
    remedy,
  )
}

export function objectOf(value: unknown): JsonObject | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  return Object.fromEntries(Object.entries(value))
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

export function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

function parsedOrNull(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
