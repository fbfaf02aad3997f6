/**
 * What must never reach a log, whatever a caller hands over: fields by name, and in free text the values of fields that look like
 * secrets and passwords inside URLs. The second net is for messages of libraries, which know nothing of our field names.
 */

/** pino's `redact.paths`: these names on the first three levels of a logged object. */
export const REDACTED_PATHS: readonly string[] = [
  'password',
  'passwd',
  'secret',
  'token',
  'authCode',
  'auth_code',
  'Password',
  'AuthCode',
  'authorization',
  'Authorization',
  'credentials',
].flatMap((name) => [name, `*.${name}`, `*.*.${name}`])

export const REDACTED = '[redacted]'

const IN_URL = /(\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@]*):[^\s/@]+@/gi
// Also within JSON, where quotes are escaped and a line feed is a backslash and an n: the quotes around a value stay.
const IN_TEXT =
  /\b([A-Za-z0-9_]*(?:password|passwd|secret|token|auth_?code)[A-Za-z0-9_]*(?:\\?["'])?\s*[=:]\s*)(?:(\\?["'])(?:[^"'\\]|\\[^"'n])*|(?:[^\s,;&"'\\]|\\[^"'n])+)/gi

/** The text without passwords in URLs and without the values of `PASSWORD=...`, `"token": "..."` and their like. */
export function redactText(text: string): string {
  return text.replace(IN_URL, `$1:${REDACTED}@`).replace(IN_TEXT, `$1$2${REDACTED}`)
}
