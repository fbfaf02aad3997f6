/**
 * Where a secret is to be had. Configuration carries these and never a secret's text; whoever dials resolves one just before use.
 * The text itself, once there, sits in a HiddenText, so that no log line, error, JSON document or debugger print shows it by accident.
 */
export type SecretRef =
  | { readonly source: 'literal'; readonly value: HiddenText }
  | { readonly source: 'file'; readonly path: string }
  | { readonly source: 'env'; readonly name: string }
  | { readonly source: 'vault'; readonly path: string; readonly field: string }
  | { readonly source: 'aws-sm'; readonly id: string; readonly field: string | null }

export type SecretSourceName = SecretRef['source']

const SHOWN = '[set]'

export class HiddenText {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  /** The one way to the text: for the frame or request that carries it, and nothing else. */
  reveal(): string {
    return this.#text
  }

  toString(): string {
    return SHOWN
  }

  toJSON(): string {
    return SHOWN
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return SHOWN
  }
}

/** A reference as it may be shown: the place, never the text. */
export function describeSecretRef(ref: SecretRef): string {
  switch (ref.source) {
    case 'literal':
      return SHOWN
    case 'file':
      return `file:${ref.path}`
    case 'env':
      return `env:${ref.name}`
    case 'vault':
      return `vault:${ref.path}#${ref.field}`
    case 'aws-sm':
      return ref.field === null ? `aws-sm:${ref.id}` : `aws-sm:${ref.id}#${ref.field}`
  }
}

/** An account as outputs show it: its last three characters. One too short to hide anything is hidden whole. */
export function maskAccount(account: string): string {
  return account.length > 3 ? `***${account.slice(-3)}` : '***'
}
