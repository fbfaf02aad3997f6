/**
 * Front addresses, checked to the letter: the vendor library takes whatever it is given and dies of a malformed one with SIGSEGV inside
 * Init, long after the operator stopped looking.
 */
import { isIPv4, isIPv6 } from 'node:net'

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
const ADDRESS_LENGTH_MAX = 255
const FRONT = /^(tcp|ssl|tcp6):\/\/(.+):([1-9]\d{0,4})$/
const PROXY = /^socks(?:4|4a|5):\/\/(.+):([1-9]\d{0,4})$/
// Digits and dots alone are a mistyped IPv4 address, not a name.
const HOST_NAME =
  /^(?=.*[A-Za-z_-])[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?)*$/

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
  if (text.length > ADDRESS_LENGTH_MAX || more.length > 0) return null
  const [, scheme = '', host = '', port = ''] = FRONT.exec(address) ?? []
  const bareHost = scheme === 'tcp6' ? host.replace(/^\[(.*)\]$/, '$1') : host
  if (scheme === 'tcp6' ? !isIPv6(bareHost) || bareHost.includes('%') : !isHost(host)) return null
  if (!isPort(port)) return null
  const place = { host: bareHost, port: Number(port) }
  if (proxy === undefined) return { url: address, ...place, dial: place }
  const [, proxyHost = '', proxyPort = ''] = PROXY.exec(proxy) ?? []
  if (!isHost(proxyHost) || !isPort(proxyPort)) return null
  return { url: text, ...place, dial: { host: proxyHost, port: Number(proxyPort) } }
}

function isHost(text: string): boolean {
  return isIPv4(text) || HOST_NAME.test(text)
}

function isPort(text: string): boolean {
  return text !== '' && Number(text) <= 65_535
}
