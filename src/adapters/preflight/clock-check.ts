/**
 * How far this machine's clock is off, by one SNTP question (RFC 4330) to the configured server. Tick times are judged against this clock
 * to the second, so a clock that is off makes good ticks look late or early. Without a server, what systemd-timesyncd leaves behind is
 * evidence; its absence is none, since other time services leave nothing.
 */
import { createSocket } from 'node:dgram'
import { stat } from 'node:fs/promises'
import type { Clock } from '#clock.ts'
import { Failure } from '#domain/failure.ts'
import { failed, ok, type PreflightCheck, skipped, warning } from './run-preflight.ts'
import type { Endpoint } from './tcp-reach.ts'

interface ClockCheckParts {
  /** Null: not asked. */
  ntpServer: Endpoint | null
  clock: Clock
  syncedMark?: string
}

const WARNING_MS = 100
const FAILED_MS = 1_000
const ANSWER_DEADLINE_MS = 1_500
/** A packet may be lost on its way. */
const ATTEMPTS = 2

export function clockCheck({ ntpServer, clock, syncedMark }: ClockCheckParts): PreflightCheck {
  return {
    name: 'clock',
    async run(signal) {
      if (ntpServer === null) return syncMark(syncedMark)
      const measured = await clockOffset(ntpServer, clock, signal)
      // A time server that is away says nothing about our clock, and must not stop a start.
      if (measured instanceof Failure) return warning(measured.message, measured.remedy)
      const { offsetMs, errorMs } = measured
      const name = `${ntpServer.host}:${ntpServer.port}`
      const detail = `${describeOffset(offsetMs)} ${name} (to within ${errorMs.toFixed(0)} ms)`
      const remedy = 'Start a time service (systemd-timesyncd, chrony) on this machine and let it settle.'
      // What the way there and back may explain is not held against the clock.
      const surely = Math.abs(offsetMs) - errorMs
      if (surely >= FAILED_MS) return failed(detail, remedy)
      return surely >= WARNING_MS ? warning(detail, remedy) : ok(detail)
    },
  }
}

async function syncMark(path = '/run/systemd/timesync/synchronized') {
  const synced = await stat(path).catch(() => null)
  return synced === null
    ? skipped('no reference time is known here; NTP_SERVER names one')
    : ok('synchronised by systemd-timesyncd')
}

function describeOffset(offsetMs: number): string {
  const size = `${Math.abs(offsetMs).toFixed(0)} ms`
  return offsetMs >= 0 ? `${size} behind` : `${size} ahead of`
}

interface ClockOffset {
  /** Positive: this clock is behind the server's. */
  offsetMs: number
  /** Half of the time that the question and the answer took. */
  errorMs: number
}

/** A Failure `ntp` when no usable answer comes in time. */
async function clockOffset(server: Endpoint, clock: Clock, signal: AbortSignal): Promise<ClockOffset | Failure> {
  let reason = 'it does not answer'
  for (let attempt = 0; attempt < ATTEMPTS && !signal.aborted; attempt++) {
    const answer = await ask(server, clock, AbortSignal.any([signal, AbortSignal.timeout(ANSWER_DEADLINE_MS)]))
    if (typeof answer !== 'string') return answer
    reason = answer
  }
  return new Failure(
    'ntp',
    `the time server ${server.host}:${server.port} cannot be used: ${reason}`,
    'Correct NTP_SERVER, or let UDP to it through the firewall.',
  )
}

function ask(server: Endpoint, clock: Clock, signal: AbortSignal): Promise<ClockOffset | string> {
  return new Promise((resolve) => {
    const socket = createSocket(server.host.includes(':') ? 'udp6' : 'udp4')
    const sentWallMs = clock.wallMs()
    const sentMonotonicMs = clock.monotonicMs()
    const question = encodeQuestion(sentWallMs)
    const end = (result: ClockOffset | string) => {
      signal.removeEventListener('abort', onAbort)
      socket.close()
      resolve(result)
    }
    const onAbort = () => end('it does not answer')
    signal.addEventListener('abort', onAbort, { once: true })
    socket.on('error', (error) => end(error.message))
    socket.on('message', (packet) => {
      const answer = parseAnswer(packet, question)
      if (typeof answer === 'string') return end(answer)
      const tookMs = clock.monotonicMs() - sentMonotonicMs
      const { receivedMs, transmittedMs } = answer
      const offsetMs = (receivedMs - sentWallMs + (transmittedMs - (sentWallMs + tookMs))) / 2
      end({ offsetMs, errorMs: Math.max(0, tookMs - (transmittedMs - receivedMs)) / 2 })
    })
    socket.send(question, server.port, server.host)
  })
}

const PACKET_BYTES = 48
/** No leap warning, version 4, client. */
const CLIENT_V4 = 0x23
const MODE_SERVER = 4
const AT = { flags: 0, stratum: 1, originate: 24, receive: 32, transmit: 40 } as const
/** Seconds from 1900, NTP's epoch, to 1970. */
const NTP_TO_UNIX_SECONDS = 2_208_988_800
/** NTP counts seconds in 32 bits: from 7 February 2036 on, small numbers are of the next era. */
const ERA_SECONDS = 2 ** 32

/** The transmit time doubles as a nonce: an answer repeats it. */
function encodeQuestion(wallMs: number): Buffer {
  const packet = Buffer.alloc(PACKET_BYTES)
  packet[AT.flags] = CLIENT_V4
  const seconds = wallMs / 1000 + NTP_TO_UNIX_SECONDS
  packet.writeUInt32BE(Math.floor(seconds) % ERA_SECONDS, AT.transmit)
  packet.writeUInt32BE(Math.floor((seconds % 1) * ERA_SECONDS), AT.transmit + 4)
  return packet
}

/** Server times as Unix milliseconds, or why the answer is of no use. */
function parseAnswer(packet: Buffer, question: Buffer): { receivedMs: number; transmittedMs: number } | string {
  if (packet.length < PACKET_BYTES) return 'its answer is cut short'
  if (((packet[AT.flags] ?? 0) & 7) !== MODE_SERVER) return 'its answer is no server answer'
  if (!packet.subarray(AT.originate, AT.receive).equals(question.subarray(AT.transmit, PACKET_BYTES)))
    return 'it answered another question'
  const stratum = packet[AT.stratum] ?? 0
  if (stratum === 0) return `it refuses (${packet.toString('latin1', 12, 16)})`
  if (stratum > 15 || (packet[AT.flags] ?? 0) >> 6 === 3) return 'its own clock is not synchronised'
  return { receivedMs: unixMs(packet, AT.receive), transmittedMs: unixMs(packet, AT.transmit) }
}

function unixMs(packet: Buffer, at: number): number {
  const seconds = packet.readUInt32BE(at)
  const fraction = packet.readUInt32BE(at + 4) / ERA_SECONDS
  const era = seconds < ERA_SECONDS / 2 ? ERA_SECONDS : 0
  return (seconds + era + fraction - NTP_TO_UNIX_SECONDS) * 1000
}
