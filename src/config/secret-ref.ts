/**
 * Reads the text form of a secret reference: `file:PATH`, `env:NAME`, `vault:PATH#FIELD`, `aws-sm:ID#FIELD`. Anything else is the secret
 * itself; `literal:TEXT` is for one that happens to begin like a reference.
 */
import { HiddenText, type SecretRef } from '#domain/secret-ref.ts'

export const SECRET_EXPECTED =
  'a secret, or a reference to one: file:PATH, env:NAME, vault:PATH#FIELD or aws-sm:ID#FIELD'

/** @returns null for a reference that says too little, such as `vault:` without a field. */
export function parseSecretRef(text: string): SecretRef | null {
  const colon = text.indexOf(':')
  const scheme = colon < 0 ? '' : text.slice(0, colon)
  const rest = text.slice(colon + 1)
  switch (scheme) {
    case 'literal':
      return rest === '' ? null : { source: 'literal', value: new HiddenText(rest) }
    case 'file':
      return rest === '' ? null : { source: 'file', path: rest }
    case 'env':
      return /^[A-Za-z_][A-Za-z0-9_]*$/.test(rest) ? { source: 'env', name: rest } : null
    case 'vault': {
      const { before, after } = splitAtLast(rest, '#')
      return before === '' || after === null || after === '' ? null : { source: 'vault', path: before, field: after }
    }
    case 'aws-sm': {
      const { before, after } = splitAtLast(rest, '#')
      return before === '' || after === '' ? null : { source: 'aws-sm', id: before, field: after }
    }
    default:
      return { source: 'literal', value: new HiddenText(text) }
  }
}

/** True where the text would be taken as a reference: a plain value that looks so is more likely a misunderstanding. */
export function looksLikeSecretRef(text: string): boolean {
  return /^(file|env|vault|aws-sm):/.test(text)
}

function splitAtLast(text: string, separator: string): { before: string; after: string | null } {
  const at = text.lastIndexOf(separator)
  return at < 0 ? { before: text, after: null } : { before: text.slice(0, at), after: text.slice(at + 1) }
}
