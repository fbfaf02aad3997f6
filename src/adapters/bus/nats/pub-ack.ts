/** The server's answer to a stored or refused message, read without making objects where it is a plain acknowledgement. */

/** `{"stream":"MARKET_TICKS", "seq":123}`: what a plain one begins with, and an error's `{"error":...` does not. */
const STREAM_KEY_LETTER = 's'.charCodeAt(0)
const QUOTE = '"'.charCodeAt(0)
const COLON = ':'.charCodeAt(0)
const ZERO = '0'.charCodeAt(0)

/** The stream sequence of a plain acknowledgement, or 0. */
export function acknowledgedSequence(data: Uint8Array): number {
  if (data[2] !== STREAM_KEY_LETTER) return 0
  // The stream's name is no place for a quote, so the first `q":` ends the key.
  for (let i = 12; i < data.length; i++) {
    if (data[i] !== COLON || data[i - 1] !== QUOTE || data[i - 2] !== 113 || data[i - 3] !== 101) continue
    let sequence = 0
    for (let at = i + 1; at < data.length; at++) {
      const digit = (data[at] ?? 0) - ZERO
      if (digit >= 0 && digit <= 9) sequence = sequence * 10 + digit
      else if (digit !== 32 - ZERO) break
    }
    return sequence
  }
  return 0
}

export interface Refusal {
  code: number
  description: string
}

/** What an answer that is no plain acknowledgement says. */
export function refusalIn(data: Uint8Array): Refusal {
  const text = Buffer.from(data.buffer, data.byteOffset, data.length).toString('utf8')
  try {
    const answer: unknown = JSON.parse(text)
    const error = field(answer, 'error')
    const code = field(error, 'err_code')
    const description = field(error, 'description')
    return {
      code: typeof code === 'number' ? code : 0,
      description: typeof description === 'string' ? description : text.slice(0, 200),
    }
  } catch {
    // Not JSON: told as it came.
    return { code: 0, description: text.slice(0, 200) }
  }
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}
