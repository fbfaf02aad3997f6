/**
 * The world failing: made at the border where it is understood, with what the operator should do about it. Decisions read `kind`,
 * never the message.
 */
export class Failure<Kind extends string = string> extends Error {
  override readonly name = 'Failure'
  readonly kind: Kind
  /** One imperative sentence for the operator. */
  readonly remedy: string

  constructor(kind: Kind, message: string, remedy: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.kind = kind
    this.remedy = remedy
  }
}

/** A problem as the commands print it: in `problems` of the JSON output and in readable form on a terminal. */
export interface Problem {
  name: string
  message: string
  remedy: string
}

/** Message and remedy as they follow each other in running text. */
export function inSentences({ message, remedy }: Pick<Problem, 'message' | 'remedy'>): string {
  return `${message}${/[.!?]$/.test(message) ? '' : '.'} ${remedy}`.trimEnd()
}

export function problemOf(error: unknown, name = 'unexpected'): Problem {
  if (error instanceof Failure) return { name: error.kind, message: error.message, remedy: error.remedy }
  const message = error instanceof Error ? error.message : String(error)
  return { name, message, remedy: 'Look at the log; if it happens again, make an incident bundle and report it.' }
}
