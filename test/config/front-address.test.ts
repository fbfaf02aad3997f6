import { describe, expect, test } from 'vitest'
import { parseFronts } from '#config/front-address.ts'

describe('a front address', () => {
  test.each([
    'tcp://192.0.2.1:41213',
    'tcp://front.broker.example:1',
    'ssl://front-2.broker.example:65535',
    'tcp6://[2001:db8::1]:41213',
    'tcp6://2001:db8::1:41213',
    'tcp://192.0.2.1:41213 socks5://127.0.0.1:1080',
    'tcp://192.0.2.1:41213 socks4a://proxy:1080',
  ])('%s is taken as it is', (text) => {
    expect(parseFronts(text)?.map(({ url }) => url)).toEqual([text])
  })

  // Each of these was seen to crash a vendor library, or is a slip that would.
  test.each([
    '',
    ' ',
    '192.0.2.1:41213',
    'tcp:/192.0.2.1:41213',
    'tcp//192.0.2.1:41213',
    'tcp://192.0.2.1',
    'tcp://192.0.2.1:',
    'tcp://:41213',
    'tcp://192.0.2.1:0',
    'tcp://192.0.2.1:041213',
    'tcp://192.0.2.1:65536',
    'tcp://192.0.2.1:4121x',
    'tcp://192.0.2:41213',
    'tcp://192.0.2.256:41213',
    'tcp://-front:41213',
    'tcp://fr ont:41213',
    'tcp://user:pass@192.0.2.1:41213',
    'tcp://192.0.2.1:41213/',
    'TCP://192.0.2.1:41213',
    'http://192.0.2.1:41213',
    'tcp6://192.0.2.1:41213',
    'tcp6://[fe80::1%eth0]:41213',
    'tcp://[2001:db8::1]:41213',
    'tcp://192.0.2.1:41213,',
    'tcp://192.0.2.1:41213;tcp://192.0.2.2:41213',
    'tcp://192.0.2.1:41213 http://127.0.0.1:1080',
    'tcp://192.0.2.1:41213 socks5://user:pass@127.0.0.1:1080',
    'tcp://192.0.2.1:41213 socks5://127.0.0.1:1080 more',
    `tcp://${'a'.repeat(260)}:1`,
    Array.from({ length: 17 }, (_, i) => `tcp://192.0.2.${i}:1`).join(','),
  ])('%j is refused', (text) => {
    expect(parseFronts(text)).toBeNull()
  })

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
