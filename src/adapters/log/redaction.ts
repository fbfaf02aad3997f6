/**
 * What must never reach a log, whatever a caller hands over: fields by name at any depth, and in free text the values of what looks like
 * a secret and passwords inside URLs. The second net is for messages of libraries, which know nothing of our field names.
 */
export const REDACTED = '[redacted]'

const SECRET_NAME = '(?:password|passwd|secret|token|auth_?code|authorization)'
const SECRET_FIELD = new RegExp(`${SECRET_NAME}$`, 'i')
const IN_URL = /(\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@]*):[^\s/@]+@/gi
/** A name, a separator, and a value: quoted up to its closing quote, else up to the next blank or delimiter. */
const IN_TEXT = new RegExp(
  `\\b(\\w*${SECRET_NAME}\\w*["']?\\s*[=:]\\s*)(?:"(?:[^"\\\\]|\\\\.)*"|'[^']*'|[^\\s,;&"']+)`,
  'gi',
)

/** The text without passwords in URLs and without the values of `PASSWORD=...`, `"token": "..."` and their like. */
export function redactText(text: string): string {
  return text.replace(IN_URL, `$1:${REDACTED}@`).replace(IN_TEXT, `$1${REDACTED}`)
}

/** A line of JSON with every text in it redacted; a line of anything else, as text. */
export function redactLine(line: string): string {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return redactText(line)
  }
  return `${JSON.stringify(redactValue(value))}\n`
}

function redactValue(value: unknown): unknown {
  if (typeof value === 'string') return redactText(value)
  if (Array.isArray(value)) return value.map(redactValue)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, SECRET_FIELD.test(name) ? REDACTED : redactValue(inner)]),
  )
}
