import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  EXCHANGES,
  formatVtSymbol,
  isExchange,
  parseVtSymbol,
  productOfInstrument,
  subjectToken,
  tickSubject,
} from '#domain/instrument.ts'

describe('the product of an instrument id', () => {
  test.each([
    ['a future', 'rb2605', 'rb'],
    ['a future of a one-letter product', 'm2401', 'm'],
    ['a CZCE future, whose year has one digit', 'AP309', 'AP'],
    ['a DCE option', 'm2401-C-3000', 'm'],
    ['a DCE short-term option', 'm2401-MS-C-3000', 'm'],
    ['a CZCE option, whose type follows the month', 'AP309C8000', 'AP'],
    ['a SHFE option', 'cu2406P68000', 'cu'],
    ['an index option', 'IO2401-C-4000', 'IO'],
    ['a CZCE spread within a product', 'SPD CF501&CF505', 'CF'],
    ['a CZCE spread across products, by its first leg', 'IPS CF501&CY501', 'CF'],
    ['a DCE spread', 'SP a2501&a2505', 'a'],
    ['a settlement-price contract', 'sc2406TAS', 'sc'],
    ['a monthly average contract', 'l2602F', 'l'],
    ['a stock', '600000', ''],
    ['nothing', '', ''],
  ])('of %s', (_sentence, instrument, product) => {
    expect(productOfInstrument(instrument)).toBe(product)
  })
})

describe('vt symbols', () => {
  test('the exchange stands behind the last dot', () => {
    expect(parseVtSymbol('rb2605.SHFE')).toEqual({ instrument: 'rb2605', exchange: 'SHFE' })
    expect(parseVtSymbol('SP a2501&a2505.DCE')).toEqual({ instrument: 'SP a2501&a2505', exchange: 'DCE' })
    expect(parseVtSymbol('odd.name.INE')).toEqual({ instrument: 'odd.name', exchange: 'INE' })
  })

  test.each(['rb2605', '.SHFE', 'rb2605.', 'rb2605.shfe', 'rb2605.SSE', ''])('%j is none', (text) => {
    expect(parseVtSymbol(text)).toBeUndefined()
  })

  test('what is formatted is parsed again', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.constantFrom(...EXCHANGES), (instrument, exchange) => {
        expect(parseVtSymbol(formatVtSymbol(instrument, exchange))).toEqual({ instrument, exchange })
      }),
    )
  })

  test('exchanges are a closed set, spelled in capitals', () => {
    expect(['CFFEX', 'GFEX', 'shfe', 'SSE', ''].map(isExchange)).toEqual([true, true, false, false, false])
  })
})

describe('bus subjects', () => {
  test('an ordinary id stays readable', () => {
    expect(tickSubject('market', 'SHFE', 'rb2605')).toBe('market.tick.SHFE.rb2605')
    expect(tickSubject('market', 'DCE', 'm2401-C-3000')).toBe('market.tick.DCE.m2401-C-3000')
  })

  test('a combination keeps to one token', () => {
    expect(tickSubject('market', 'DCE', 'SP a2501&a2505')).toBe('market.tick.DCE.SP%20a2501%26a2505')
  })

  test('wildcards, dots and bytes beyond ASCII are spelled out, so that tokens differ when ids do', () => {
    expect(subjectToken('a.*>%')).toBe('a%2E%2A%3E%25')
    expect(subjectToken('螺')).toBe('%E8%9E%BA')
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(subjectToken(text)).toMatch(/^(?:[A-Za-z0-9_-]|%[0-9A-F]{2})*$/)
        expect(decodeURIComponent(subjectToken(text))).toBe(text)
      }),
    )
  })
})
