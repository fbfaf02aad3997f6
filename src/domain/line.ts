/** The two feed lines. Arrays kept per line are indexed by `lineIndex`, so the hot path never compares strings. */
export const LINES = ['primary', 'backup'] as const
export type Line = (typeof LINES)[number]
export type LineIndex = 0 | 1

export function lineIndex(line: Line): LineIndex {
  return line === 'primary' ? 0 : 1
}

export function otherLine(line: Line): Line {
  return line === 'primary' ? 'backup' : 'primary'
}
