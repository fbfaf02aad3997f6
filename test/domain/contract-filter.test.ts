import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { contractFilter, EVERY_CONTRACT, parseGlobs } from '#domain/contract-filter.ts'

const rb = { symbol: 'rb2605', exchange: 'SHFE' }
const spread = { symbol: 'SP a2605&a2609', exchange: 'DCE' }

describe('a glob', () => {
  test.each([
    ['rb2605.SHFE', true],
    ['rb2605', true],
    ['rb*', true],
    ['*.SHFE', true],
    ['rb????', true],
    ['rb????.SH?E', true],
    ['*26*', true],
    ['*', true],
    ['RB2605', false],
    ['rb', false],
    ['rb?', false],
    ['rb2605.DCE', false],
    ['b2605', false],
    ['rb2605.SHFE*x', false],
  ])('%s matches rb2605.SHFE: %s', (glob, matches) => {
    expect(contractFilter({ include: [glob], exclude: [] })(rb)).toBe(matches)
  })

  test('takes the special characters of regular expressions literally', () => {
    expect(contractFilter({ include: ['rb2605(SHFE'], exclude: [] })(rb)).toBe(false)
    expect(contractFilter({ include: ['SP a2605&*'], exclude: [] })(spread)).toBe(true)
  })

  test('agrees with the obvious recursive definition on every small pattern and text', () => {
    const letters = fc.stringMatching(/^[ab.]{0,8}$/)
    const globs = fc.stringMatching(/^[ab.*?]{1,8}$/)
    fc.assert(
      fc.property(globs, letters, (glob, symbol) => {
        const passes = contractFilter({ include: [glob], exclude: [] })({ symbol, exchange: 'X' })
        expect(passes).toBe(obviousMatch(glob, symbol) || obviousMatch(glob, `${symbol}.X`))
      }),
    )
  })

  test('stays fast on a pattern made to backtrack', () => {
    const contract = { symbol: 'a'.repeat(80), exchange: 'SHFE' }
    expect(contractFilter({ include: [`${'*a'.repeat(40)}b`], exclude: [] })(contract)).toBe(false)
  })
})

describe('include and exclude', () => {
  test.each([
    { include: [], exclude: [], passes: true, name: 'nothing named: everything passes' },
    { include: ['au*', 'rb*'], exclude: [], passes: true, name: 'one include of several is enough' },
    { include: ['au*'], exclude: [], passes: false, name: 'no include matches' },
    { include: ['rb*'], exclude: ['*2605'], passes: false, name: 'exclude wins over include' },
    { include: [], exclude: ['au*'], passes: true, name: 'an exclude of others' },
  ])('$name', ({ include, exclude, passes }) => {
    expect(contractFilter({ include, exclude })(rb)).toBe(passes)
  })

  test('the empty filter lets everything through', () => {
    expect(contractFilter(EVERY_CONTRACT)(spread)).toBe(true)
  })
})

test('a list of globs is split at commas, blanks and empty entries dropped', () => {
  expect(parseGlobs(' rb*.SHFE, ,au???? ,')).toEqual(['rb*.SHFE', 'au????'])
  expect(parseGlobs('')).toEqual([])
})

function obviousMatch(glob: string, text: string): boolean {
  if (glob === '') return text === ''
  if (glob[0] === '*') return obviousMatch(glob.slice(1), text) || (text !== '' && obviousMatch(glob, text.slice(1)))
  return text !== '' && (glob[0] === '?' || glob[0] === text[0]) && obviousMatch(glob.slice(1), text.slice(1))
}
