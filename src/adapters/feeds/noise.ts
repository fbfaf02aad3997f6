/** Numbers that look random and are a function of their inputs alone, so that two processes draw the same ones. */

/** 32 well mixed bits of two integers. */
export function mix(a: number, b: number): number {
  let h = Math.imul(a ^ Math.imul(b, 0x9e3779b1), 0x85ebca6b)
  h ^= h >>> 15
  h = Math.imul(h, 0xc2b2ae35)
  h ^= h >>> 13
  h = Math.imul(h, 0x27d4eb2f)
  return h ^ (h >>> 16)
}

/** The same as a fraction in [0, 1). */
export function lot(a: number, b: number): number {
  return (mix(a, b) >>> 0) / 4_294_967_296
}

/** A seed may be any text. */
export function seedOf(text: string): number {
  let seed = text.length
  for (let i = 0; i < text.length; i++) seed = mix(seed, text.charCodeAt(i))
  return seed
}
