import { describe, expect, test } from 'vitest'
import { parseFronts } from '#config/front-address.ts'
import { MALFORMED, WELL_FORMED } from '../support/front-addresses.ts'

describe('a front address', () => {
  test.each(WELL_FORMED)('%s is taken as it is', (text) => {
    expect(parseFronts(text)?.map(({ url }) => url)).toEqual([text])
  })

  test.each(MALFORMED)('%j is refused', (text) => {
    expect(parseFronts(text)).toBeNull()
  })

  test.each([' ', 'tcp://192.0.2.1:41213,', Array.from({ length: 17 }, (_, i) => `tcp://192.0.2.${i}:1`).join(',')])(
    'the list %j is refused',
    (text) => {
      expect(parseFronts(text)).toBeNull()
    },
  )

  test('a list is split at commas, and a front that is listed twice counts once', () => {
    const fronts = parseFronts('tcp://192.0.2.1:1, tcp://192.0.2.2:2,tcp://192.0.2.1:1')
    expect(fronts?.map(({ host, port }) => `${host} ${port}`)).toEqual(['192.0.2.1 1', '192.0.2.2 2'])
  })

  test('behind a proxy the proxy is what is dialled', () => {
    const [front] = parseFronts('tcp://192.0.2.1:41213 socks5://proxy:1080') ?? []
    expect(front?.dial).toEqual({ host: 'proxy', port: 1080 })
    expect(front?.host).toBe('192.0.2.1')
  })
})
