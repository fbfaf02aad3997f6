/**
 * Identity of what is traded: exchange, instrument id, and the three spellings other programs use for them (product code, vt symbol,
 * bus subject). Ids are compared case-sensitively, because `m` (soymeal) and `M` are different things to a front.
 */
export const EXCHANGES = ['CFFEX', 'SHFE', 'INE', 'DCE', 'CZCE', 'GFEX'] as const
export type Exchange = (typeof EXCHANGES)[number]

export function isExchange(text: string): text is Exchange {
  return (EXCHANGES as readonly string[]).includes(text)
}

// Combination names hold a space and an ampersand; CTP ids have at most 80 bytes.
const INSTRUMENT_ID = /^[A-Za-z0-9](?:[\x20-\x7e]{0,78}[\x21-\x7e])?$/

export function isInstrumentId(text: string): boolean {
  return INSTRUMENT_ID.test(text)
}

const PRODUCT = /^(?:[A-Za-z]+ )?([A-Za-z]+)/

/**
 * Product code of an instrument id; of an option its underlying's, of a combination its first leg's, of a CFFEX index option its own
 * (IO). An id that does not begin with letters has no product: the empty string.
 */
export function productOfInstrument(instrument: string): string {
  return PRODUCT.exec(instrument)?.[1] ?? ''
}

export interface VtSymbol {
  instrument: string
  exchange: Exchange
}

/** `rb2605.SHFE`; undefined without a known exchange behind the last dot. */
export function parseVtSymbol(text: string): VtSymbol | undefined {
  const dot = text.lastIndexOf('.')
  const exchange = text.slice(dot + 1)
  if (dot < 1 || !isExchange(exchange)) return undefined
  return { instrument: text.slice(0, dot), exchange }
}

export function formatVtSymbol(instrument: string, exchange: string): string {
  return `${instrument}.${exchange}`
}

const PLAIN = /^[A-Za-z0-9_-]+$/
const encoder = new TextEncoder()

/** One token of a NATS subject: every byte outside `[A-Za-z0-9_-]` as `%XX`, so that a combination's space cannot split the subject. */
export function subjectToken(text: string): string {
  if (PLAIN.test(text)) return text
  let token = ''
  for (const byte of encoder.encode(text)) {
    const character = String.fromCharCode(byte)
    token += PLAIN.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return token
}

/** `market.tick.DCE.SP%20a2501%26a2505`, with `market` standing for the configured prefix. */
export function tickSubject(prefix: string, exchange: string, instrument: string): string {
  return `${prefix}.tick.${subjectToken(exchange)}.${subjectToken(instrument)}`
}
