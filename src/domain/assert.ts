/** Our own mistakes: a broken invariant crashes the process, and whoever supervises it starts a fresh one. */
export class BrokenInvariant extends Error {
  override readonly name = 'BrokenInvariant'
}

export function assert(holds: boolean, invariant: string): asserts holds {
  if (!holds) throw new BrokenInvariant(invariant)
}

/** The last arm of an exhaustive switch: a value that gets here was not foreseen by the types. */
export function unreachable(value: never): never {
  throw new BrokenInvariant(`unreachable: ${JSON.stringify(value)}`)
}
