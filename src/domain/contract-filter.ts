/**
 * Which contracts an operator wants: globs over `rb2605.SHFE` or the bare `rb2605`, `*` for any run of characters and `?` for one.
 * A contract passes when some include glob matches it (or there is none) and no exclude glob does.
 */
export interface ContractFilter {
  readonly include: readonly string[]
  readonly exclude: readonly string[]
}

export const EVERY_CONTRACT: ContractFilter = { include: [], exclude: [] }

/** Splits a comma-separated list of globs; blanks around a glob and empty entries don't count. */
export function parseGlobs(text: string): string[] {
  return text
    .split(',')
    .map((glob) => glob.trim())
    .filter((glob) => glob !== '')
}

/** Compiles the globs once; the predicate is for thousands of contracts. */
export function contractFilter(filter: ContractFilter): (contract: { symbol: string; exchange: string }) => boolean {
  const include = filter.include.map(globMatcher)
  const exclude = filter.exclude.map(globMatcher)
  return ({ symbol, exchange }) => {
    const vtSymbol = `${symbol}.${exchange}`
    const matches = (glob: (text: string) => boolean) => glob(vtSymbol) || glob(symbol)
    return (include.length === 0 || include.some(matches)) && !exclude.some(matches)
  }
}

/** Steps through the text with one place to return to, so that no glob takes more than glob length x text length. */
function globMatcher(glob: string): (text: string) => boolean {
  return (text) => {
    let textAt = 0
    let globAt = 0
    let starAt = -1
    let starText = 0
    while (textAt < text.length) {
      const wanted = glob[globAt]
      if (wanted === '*') {
        starAt = globAt++
        starText = textAt
      } else if (wanted === '?' || wanted === text[textAt]) {
        globAt++
        textAt++
      } else if (starAt >= 0) {
        globAt = starAt + 1
        textAt = ++starText
      } else {
        return false
      }
    }
    while (glob[globAt] === '*') globAt++
    return globAt === glob.length
  }
}
