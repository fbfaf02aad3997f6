// The clock check against a time server of the test's own, which can be off, wrong, silent or rude.
import { createSocket, type Socket } from 'node:dgram'
import { afterEach, describe, expect, test } from 'vitest'
import { clockCheck } from '#adapters/preflight/clock-check.ts'
import { systemClock } from '#clock.ts'

const sockets: Socket[] = []
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.close()
})

const NTP_TO_UNIX_SECONDS = 2_208_988_800

interface Manners {
  aheadMs?: number
  change?: (packet: Buffer) => Buffer | null
  ignore?: number
}

async function timeServer({ aheadMs = 0, change = (packet) => packet, ignore = 0 }: Manners) {
  const socket = createSocket('udp4')
  sockets.push(socket)
  let left = ignore
  socket.on('message', (question, from) => {
    if (left-- > 0) return
    const answer = Buffer.alloc(48)
    answer[0] = 0x24
    answer[1] = 2
    question.copy(answer, 24, 40, 48)
    for (const at of [32, 40]) {
      const seconds = (Date.now() + aheadMs) / 1000 + NTP_TO_UNIX_SECONDS
      answer.writeUInt32BE(Math.floor(seconds) % 2 ** 32, at)
      answer.writeUInt32BE(Math.floor((seconds % 1) * 2 ** 32), at + 4)
    }
    const changed = change(answer)
    if (changed !== null) socket.send(changed, from.port, from.address)
  })
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  return { host: '127.0.0.1', port: socket.address().port }
}

const look = async (manners: Manners) => {
  const check = clockCheck({ ntpServer: await timeServer(manners), clock: systemClock })
  return check.run(new AbortController().signal)
}

describe('a server that answers', () => {
  test.each([
    ['agrees', 0, 'ok', /127\.0\.0\.1/],
    ['is two minutes ahead of us', 120_000, 'failed', /(11999\d|1200\d\d) ms behind/],
    ['is two minutes behind us', -120_000, 'failed', /(11999\d|1200\d\d|1199\d\d) ms ahead of/],
  ])('%s', async (_title, aheadMs, result, detail) => {
    const finding = await look({ aheadMs })
    expect(finding.result).toBe(result)
    expect(finding.detail).toMatch(detail)
    if (result === 'failed') expect(finding.remedy).toContain('chrony')
  })

  test('after a packet was lost', async () => {
    expect((await look({ ignore: 1 })).result).toBe('ok')
  }, 10_000)
})

describe('a server that is of no use is a warning with the reason: it says nothing about our clock', () => {
  const set = (at: number, value: number) => (packet: Buffer) => {
    packet[at] = value
    return packet
  }
  test.each<[string, (packet: Buffer) => Buffer | null, RegExp]>([
    [
      'refuses',
      (packet) => Buffer.concat([set(1, 0)(packet).subarray(0, 12), Buffer.from('RATE'), packet.subarray(16)]),
      /refuses \(RATE\)/,
    ],
    ['is not synchronised', set(0, 0xe4), /not synchronised/],
    ['answers somebody else', set(25, 0xff), /another question/],
    ['is cut short', (packet) => packet.subarray(0, 20), /cut short/],
    ['is another client', set(0, 0x23), /no server answer/],
    ['does not answer', () => null, /does not answer/],
  ])(
    '%s',
    async (_title, change, message) => {
      const finding = await look({ change })
      expect(finding).toMatchObject({ result: 'warning', detail: expect.stringMatching(message) })
      expect(finding.remedy).toContain('NTP_SERVER')
    },
    10_000,
  )
})

test('without a server the mark of systemd-timesyncd counts, and its absence proves nothing', async () => {
  const run = (syncedMark: string) =>
    clockCheck({ ntpServer: null, clock: systemClock, syncedMark }).run(new AbortController().signal)
  expect((await run('/nonexistent/synchronized')).result).toBe('skipped')
  expect((await run('/dev/null')).result).toBe('ok')
})
