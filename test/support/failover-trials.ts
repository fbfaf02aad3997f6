/**
 * The primary line dies, again and again, in a real daemon with real bridges: how long until the other one serves, and whether a single
 * tick went missing. What there was to lose is told by the market itself, a function of seed and time that is computed here a second time.
 * Shared by the short form in the tests and the long one of the benchmarks. Runs from the repository's root.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ControlClient, controlClient } from '#adapters/control/control-client.ts'
import { JOURNAL_AT, JOURNAL_F64, TICK_FLAG } from '#adapters/journal/journal-format.ts'
import { readJournal } from '#adapters/journal/journal-reader.ts'
import { scanRange } from '#adapters/journal/scan-range.ts'
import { loadCalendar } from '#config/parse-calendar.ts'
import type { Line } from '#domain/line.ts'
import { createMarketCalendar } from '#domain/session-calendar.ts'
import type { FailoverRecord, FeedStatus } from '#domain/status.ts'
import { TICK_AT, TICK_F64, updateSecondOfDay } from '#domain/tick.ts'
import { SimLine } from './sim-line.ts'

export type Fault = 'kill' | 'stop' | 'mute' | 'disconnect'

export interface TrialOptions {
  fault: Fault
  standby: 'hot' | 'warm' | 'cold'
  repetitions: number
  instruments: number
  ticksPerSecond: number
}

export interface TrialFigures {
  switches: FailoverRecord[]
  /** Ticks of the market from the first fault to the last return, and those of them that the journal does not hold. */
  due: number
  missing: number
  /** Those missing that a line had brought all the same. */
  lost: number
  /** The first of the missing ones, lost ones before others, each with the moments of the exchange and of the front. */
  examples: string[]
  duplicates: number
  /** What bridges could not hand over. */
  dropped: number
}

/** A morning without a break for 44 minutes. */
const STARTS = '2026-11-19T09:31:00+08:00'
const SEED = '42'
const PATIENCE_MS = 60_000
/** A line that just came up bears no witness for three seconds. */
const SETTLE_MS = 3_500
/** Until the longest gap after a switch is known. */
const RECORD_MS = 2_500
const FIRST_FAULT_MS = 9_000
const FAULT_EVERY_MS = 15_000
const SPARE_FAULTS = 3
const DAY_MS = 86_400_000
const EXAMPLES = 20
const SHANGHAI_MS = 8 * 3_600_000

export async function runTrials(options: TrialOptions): Promise<TrialFigures> {
  const directory = mkdtempSync('/tmp/fst-')
  const stateDir = `${directory}/s`
  const rig = startDaemon(directory, stateDir, options)
  try {
    await rig.until('both lines are up', (status) => status.ready && standsBy(status, options))
    await sleep(SETTLE_MS)
    const first = await rig.client.status()
    const switches: FailoverRecord[] = []
    for (let i = 0; i < options.repetitions; i++) switches.push(await oneTrial(rig, options))
    const last = await rig.client.status()
    await sleep(1_500)
    const { lines, journal } = await rig.client.status()
    await rig.stop()
    const bounds = { fromMs: Date.parse(first.market_time), toMs: Date.parse(last.market_time) }
    const compared = await compareWithMarket(stateDir, options, bounds)
    const { duplicates } = await scanRange(stateDir, 1, journal.last_sequence)
    return {
      switches,
      ...compared,
      duplicates,
      dropped: lines.primary.dropped + (lines.backup?.dropped ?? 0),
    }
  } finally {
    await rig.kill()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function oneTrial(rig: Rig, options: TrialOptions): Promise<FailoverRecord> {
  const before = await rig.until('the primary serves, the backup stands by', (status) => {
    const { primary } = status.lines
    return status.serving_line === 'primary' && primary.pulse === 'green' && standsBy(status, options)
  })
  const signal = { kill: 'SIGKILL', stop: 'SIGSTOP', mute: null, disconnect: null } as const
  const name = signal[options.fault]
  if (name !== null && before.lines.primary.bridge_pid !== null) process.kill(before.lines.primary.bridge_pid, name)
  await rig.until(
    'the backup serves',
    ({ serving_line: serving, failover: { last } }) => serving === 'backup' && last?.coverage_restored_ms !== null,
  )
  await sleep(RECORD_MS)
  const { failover } = await rig.client.status()
  if (failover.last === null) throw new Error('a switch leaves a record')
  await rig.until(
    'the primary is back',
    ({ lines }) => lines.primary.state === 'streaming' && lines.primary.pulse === 'green',
  )
  await rig.client.servingLine({ command: 'failback', line: 'primary', reason: 'the next trial' })
  await rig.until('the primary serves', ({ serving_line: serving }) => serving === 'primary')
  await sleep(SETTLE_MS)
  return failover.last
}

function standsBy({ lines: { backup } }: FeedStatus, { standby }: TrialOptions): boolean {
  if (standby === 'hot') return backup?.state === 'streaming' && backup.pulse === 'green'
  return backup?.state === (standby === 'warm' ? 'logged-in' : 'off')
}

interface Rig {
  client: ControlClient
  until(what: string, wanted: (status: FeedStatus) => boolean): Promise<FeedStatus>
  stop(): Promise<void>
  kill(): Promise<void>
}

function startDaemon(directory: string, stateDir: string, options: TrialOptions): Rig {
  const scenarioFile = `${directory}/scenario.json`
  writeFileSync(scenarioFile, JSON.stringify(scenarioOf(options)))
  const daemon = spawn(
    'bin/full-feed-subscription',
    ['run', '--state-dir', stateDir, '--metrics-port', '0', '--quiet'],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: {
        PATH: process.env['PATH'],
        SIM_INSTRUMENTS: String(options.instruments),
        SIM_TICKS_PER_SECOND: String(options.ticksPerSecond),
        SIM_SEED: SEED,
        SIM_MARKET_CLOCK: STARTS,
        SIM_SCENARIO: scenarioFile,
        STANDBY_MODE: options.standby,
        SUBSCRIBE_RATE_LIMIT_MAX_REQUESTS: '0',
        // Twenty deaths in a row are more logins than anybody's front would see in a day.
        RATE_LIMIT_LOGIN_PER_MINUTE: '60',
      },
    },
  )
  const client = controlClient({ socketPath: `${stateDir}/control.sock`, timeoutMs: 10_000 })
  return {
    client,
    until: async (what, wanted) => {
      const deadlineMs = performance.now() + PATIENCE_MS
      let status: FeedStatus | null = null
      while (performance.now() < deadlineMs && daemon.exitCode === null) {
        status = await client.status().catch(() => null)
        if (status !== null && wanted(status)) return status
        await sleep(50)
      }
      const { lines, serving_line, failover } = status ?? {}
      throw new Error(`not in ${PATIENCE_MS} ms: ${what}; ${JSON.stringify({ serving_line, failover, lines })}`)
    },
    stop: () => ended(daemon, 'SIGTERM'),
    kill: () => ended(daemon, 'SIGKILL'),
  }
}

async function ended(daemon: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return
  const end = new Promise((resolve) => daemon.once('exit', resolve))
  daemon.kill(signal)
  await end
}

/** Signals are sent when the lines are ready for them; faults of a scenario come by the clock, so there are some to spare. */
function scenarioOf({ fault, repetitions }: TrialOptions): object[] {
  if (fault !== 'mute' && fault !== 'disconnect') return []
  return Array.from({ length: repetitions + SPARE_FAULTS }, (_, i) => ({
    at_ms: FIRST_FAULT_MS + i * FAULT_EVERY_MS,
    line: 'primary',
    fault,
    for_ms: fault === 'mute' ? 6_000 : 1_000,
  }))
}

/** Computes the market anew and looks every one of its ticks up in the journal. */
async function compareWithMarket(
  stateDir: string,
  { instruments, ticksPerSecond }: TrialOptions,
  { fromMs, toMs }: { fromMs: number; toMs: number },
): Promise<Pick<TrialFigures, 'due' | 'missing' | 'lost' | 'examples'>> {
  const journalled = await journalledTicks(stateDir)
  const calendar = loadCalendar('calendar')
  if (!calendar.ok) throw new Error('the calendar is damaged')
  const originMs = Date.parse(STARTS)
  const market = createMarketCalendar(calendar.data)
  const line = new SimLine({ instruments, ticksPerSecond, seed: SEED, originMs, calendar: market })
  const { ids } = line
  line.onTick = () => undefined
  await line.subscribe()
  const missing = new MissingTicks()
  let due = 0
  line.onTick = ({ u8, i32, f64 }, at) => {
    const marketMs = f64[(at + TICK_AT.receivedWallMs) >> 3] ?? 0
    if (marketMs < fromMs) return
    due++
    const id = ids[(i32[(at + TICK_AT.instrument) >> 2] ?? 0) - 1] ?? ''
    const timeMs = updateSecondOfDay(u8, at) * 1_000 + (i32[(at + TICK_AT.updateMillisec) >> 2] ?? 0)
    const identity = identityOf(
      timeMs,
      i32[(at + TICK_AT.volume) >> 2] ?? 0,
      i32[(at + TICK_AT.bidVolumes) >> 2] ?? 0,
      f64[(at >> 3) + TICK_F64.LastPrice] ?? 0,
      f64[(at >> 3) + TICK_F64.BidPrice1] ?? 0,
      f64[(at >> 3) + TICK_F64.AskPrice1] ?? 0,
    )
    const broughtBy = journalled.get(id)?.get(identity)
    if (broughtBy !== undefined) missing.found(id, due, broughtBy)
    else missing.add(id, due, `${id} ${clockTime(timeMs)} (${clockTime(marketMs + SHANGHAI_MS)})`)
  }
  await line.runUntil(toMs, 5)
  return { due, ...missing.end() }
}

/**
 * Missing ticks, and which of them a line had brought. A bridge writes in the market's order, so a tick that is missing was never written
 * by the primary if nothing later came from it either, and never by the backup if its contract begins anew there only later.
 */
class MissingTicks {
  #count = 0
  readonly #lost: string[] = []
  readonly #unwritten: string[] = []
  readonly #open = new Map<string, { number: number; what: string }[]>()
  /** Number of the last tick that is in the journal as the primary's. */
  #lastOfPrimary = 0

  add(id: string, number: number, what: string): void {
    this.#count++
    const open = this.#open.get(id)
    if (open === undefined) this.#open.set(id, [{ number, what }])
    else open.push({ number, what })
  }

  found(id: string, number: number, by: Line): void {
    for (const each of this.#open.get(id) ?? []) this.#judge(each, by)
    this.#open.delete(id)
    if (by === 'primary') this.#lastOfPrimary = number
  }

  end(): Pick<TrialFigures, 'missing' | 'lost' | 'examples'> {
    for (const each of [...this.#open.values()].flat()) this.#judge(each, 'backup')
    return {
      missing: this.#count,
      lost: this.#lost.length,
      examples: [...this.#lost.map((what) => `lost ${what}`), ...this.#unwritten].slice(0, EXAMPLES),
    }
  }

  #judge({ number, what }: { number: number; what: string }, nextBy: Line): void {
    const wasWritten = nextBy === 'primary' || this.#lastOfPrimary > number
    if (wasWritten) this.#lost.push(what)
    else this.#unwritten.push(what)
  }
}

function clockTime(ms: number): string {
  return new Date(ms).toISOString().slice(11, 23)
}

/** Which line brought each tick, by instrument and identity. */
async function journalledTicks(stateDir: string): Promise<Map<string, Map<number, Line>>> {
  const ticks = new Map<string, Map<number, Line>>()
  const blocks = readJournal({ directory: `${stateDir}/journal`, from: 0, onProblem: () => undefined })
  for await (const { views, offsets, count, instruments } of blocks) {
    const { i32, u32, f64 } = views
    for (let i = 0; i < count; i++) {
      const at = offsets[i] ?? 0
      const symbol = instruments.get(u32[(at + JOURNAL_AT.instrument) >> 2] ?? 0)?.symbol ?? ''
      let of = ticks.get(symbol)
      if (of === undefined) {
        of = new Map()
        ticks.set(symbol, of)
      }
      const identity = identityOf(
        ((f64[(at + JOURNAL_AT.eventMs) >> 3] ?? 0) + SHANGHAI_MS) % DAY_MS,
        i32[(at + JOURNAL_AT.volume) >> 2] ?? 0,
        i32[(at + JOURNAL_AT.bidVolume1) >> 2] ?? 0,
        f64[(at >> 3) + JOURNAL_F64.LastPrice] ?? 0,
        f64[(at >> 3) + JOURNAL_F64.BidPrice1] ?? 0,
        f64[(at >> 3) + JOURNAL_F64.AskPrice1] ?? 0,
      )
      const flags = (u32[(at + JOURNAL_AT.kind) >> 2] ?? 0) >>> 16
      of.set(identity, (flags & TICK_FLAG.line) === 0 ? 'primary' : 'backup')
    }
  }
  return ticks
}

const scratch = new Float64Array(6)
const words = new Uint32Array(scratch.buffer)

/** A number for what the exchange said: the text of millions of ticks would not fit into memory. */
function identityOf(...values: [number, number, number, number, number, number]): number {
  let [a, b] = [0x811c9dc5, 0x9e3779b9]
  // A price that is not given has many bit patterns.
  values.forEach((value, i) => {
    scratch[i] = Number.isNaN(value) ? -1 : value
  })
  for (const word of words) {
    a = Math.imul(a ^ word, 0x01000193)
    a ^= a >>> 15
    b = Math.imul(b ^ word, 0x85ebca6b)
    b ^= b >>> 13
  }
  return (a >>> 0) * 2 ** 20 + ((b >>> 0) & 0xfffff)
}
