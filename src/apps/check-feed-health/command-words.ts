/** A command line to its words, as a shell would group them, without a shell. */

/** Splits at blanks outside quotes; a backslash takes the next character as it is, but not within '...'. Null: an open quote. */
export function splitWords(text: string): string[] | null {
  const words: string[] = []
  let word: string | null = null
  let quote: string | null = null
  for (let i = 0; i < text.length; i++) {
    const char = text[i] ?? ''
    if (char === '\\' && quote !== "'" && i + 1 < text.length) {
      word = (word ?? '') + text[++i]
    } else if (quote !== null) {
      if (char === quote) quote = null
      else word = (word ?? '') + char
    } else if (char === '"' || char === "'") {
      quote = char
      word ??= ''
    } else if (/\s/.test(char)) {
      if (word !== null) words.push(word)
      word = null
    } else {
      word = (word ?? '') + char
    }
  }
  if (quote !== null) return null
  return word === null ? words : [...words, word]
}
