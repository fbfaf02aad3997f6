/** Sim and replay bridges as real processes, as the supervisor starts them. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { encodeMessage, type Message } from '#adapters/feeds/wire.ts'
import { systemClock } from '#clock.ts'
import { BridgeClient } from './ctp-bridge-client.ts'

export type EmbeddedBridge = 'sim' | 'replay'

/** @throws when the bridges have not been built: these tests run what is shipped */
export function startBridge(kind: EmbeddedBridge): BridgeClient {
  const script = fileURLToPath(new URL(`../../dist/${kind}-bridge.js`, import.meta.url))
  if (!existsSync(script)) throw new Error(`${script} is not there: run npm run build first`)
  return new BridgeClient(process.execPath, { args: [script] })
}

export interface SimStart {
  line?: 'primary' | 'backup'
  seed?: string
  instruments?: number
  ticksPerSecond?: number
  /** Market time of the scenario's zero. */
  originMs: number
  /** Market time now. */
  nowMs: number
  scenario?: readonly Record<string, unknown>[]
  calendarDirectory?: string
}

export function simPairs(start: SimStart): Record<string, string> {
  const { calendarDirectory } = start
  return {
    line: start.line ?? 'primary',
    seed: start.seed ?? '1',
    instruments: String(start.instruments ?? 60),
    ticks_per_second: String(start.ticksPerSecond ?? 1000),
    market_clock: calendarDirectory === undefined ? 'always-open' : 'calendar',
    market_start_ms: String(start.nowMs),
    market_start_monotonic_ms: String(systemClock.monotonicMs()),
    scenario: start.scenario === undefined ? '' : JSON.stringify(start.scenario),
    scenario_start_ms: String(start.originMs),
    ...(calendarDirectory === undefined ? {} : { calendar: JSON.stringify(calendarDirectory) }),
  }
}

let advances = 0

/** Permits rows up to a moment and waits until the bridge says that they are sent; resolves the time of the next row. */
export async function advance(client: BridgeClient, toMs: number): Promise<number> {
  const sequence = 1_000_000 + ++advances
  client.stdin.write(encodeMessage('advance', { sequence, wallMs: 0, monotonicMs: 0, numbers: [toMs] }))
  const answer = await client.until(
    () => client.of('reached').find((message) => message.request === sequence),
    `the answer to advance ${toMs}`,
  )
  return answer.numbers[1] ?? Number.NaN
}

/** Waits for the answers to the command with this sequence number. */
export async function answersTo(
  client: BridgeClient,
  sequence: number,
  type: Message['type'],
  count: number,
): Promise<Message[]> {
  const answers = () => client.of(type).filter((message) => message.request === sequence)
  return client.until(() => answers().length >= count && answers(), `${count} ${type} frames`)
}
