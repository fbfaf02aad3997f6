/**
 * Is the feed READY, and if not, is it worth waiting? READY is coverage of the serving line at or above the threshold; a contract that the
 * front refuses stays expected. Once every contract is answered nothing more will come by itself, and only an operator can help.
 */

/** How far a line is with the contracts of its own list. */
export interface ListProgress {
  expected: number
  subscribed: number
  refused: number
}

export type Coming =
  | 'ready'
  /** Contracts are still to be answered, on this line or on one that may take its place. */
  | 'coming'
  /** Every contract is answered, and too many are refused. */
  | 'refused'

/** @param other the line that could serve instead; null when there is none, or none that will come up by itself */
export function judgeReadiness(serving: ListProgress, other: ListProgress | null, threshold: number): Coming {
  if (isCovered(serving, threshold)) return 'ready'
  const isOver = isAnswered(serving) && (other === null || (isAnswered(other) && !isCovered(other, threshold)))
  return isOver ? 'refused' : 'coming'
}

function isCovered({ expected, subscribed }: ListProgress, threshold: number): boolean {
  return expected > 0 && subscribed / expected >= threshold
}

function isAnswered({ expected, subscribed, refused }: ListProgress): boolean {
  return expected > 0 && subscribed + refused >= expected
}
