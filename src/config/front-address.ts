/**
 * Front addresses, checked to the letter: the vendor library takes whatever it is given and dies of a malformed one with SIGSEGV inside
 * Init, long after the operator stopped looking.
 */
export interface FrontAddress {
  /** Exactly what the vendor library is given. */
  readonly url: string
  readonly host: string
  readonly port: number
  /** Where a connection to it goes first: the front itself, or its proxy. */
  readonly dial: { readonly host: string; readonly port: number }
}

export const FRONTS_EXPECTED =
  'front addresses such as tcp://192.0.2.1:41213 or ssl://host:port or tcp6://[addr]:port, comma-separated, each optionally followed by a space and a SOCKS proxy without a password'

const FRONTS_MAX = 16
const FRONT = /^(tcp|ssl|tcp6):\/\/(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?):(\d{1,5})$/
// The 6.5.1 help writes IPv6 fronts without brackets.
const FRONT_BARE_V6 = /^(tcp6):\/\/([0-9a-fA-F:]*:[0-9a-fA-F:]*):(\d{1,5})$/
const PROXY = /^socks(?:4|4a|5):\/\/([A-Za-z0-9.-]+):(\d{1,5})$/

/** @returns null when any of the addresses is malformed, or there are none, or more than 16. */
export function parseFronts(text: string): FrontAddress[] | null {
  const parts = text.split(',').map((part) => part.trim())
  if (parts.length > FRONTS_MAX) return null
  const fronts = new Map<string, FrontAddress>()
  for (const part of parts) {
    const front = parseFront(part)
    if (front === null) return null
    fronts.set(front.url, front)
  }
  return [...fronts.values()]
}

function parseFront(text: string): FrontAddress | null {
  const [address = '', proxy, ...more] = text.split(/ +/)
  const match = FRONT.exec(address) ?? FRONT_BARE_V6.exec(address)
  if (match === null || more.length > 0) return null
  const [, scheme = '', host = '', port = ''] = match
  if (!isPort(port)) return null
  if (scheme !== 'tcp6' && /^[\d.]+$/.test(host) && !isIPv4(host)) return null
  const place = { host: host.replace(/^\[|\]$/g, ''), port: Number(port) }
  if (proxy === undefined) return { url: address, ...place, dial: place }
  const [, proxyHost = '', proxyPort = ''] = PROXY.exec(proxy) ?? []
  return isPort(proxyPort) ? { url: text, ...place, dial: { host: proxyHost, port: Number(proxyPort) } } : null
}

function isPort(text: string): boolean {
  const port = Number(text)
  return text !== '' && port >= 1 && port <= 65_535
}

function isIPv4(host: string): boolean {
  const parts = host.split('.')
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255)
}
