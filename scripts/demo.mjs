// The product in half a minute, on a simulated market: bring the feed up, kill the primary line's process, and prove that nothing was
// lost. Every sentence printed with a tick is checked; one that does not hold makes the demo fail.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const color = process.stdout.isTTY && !process.env.NO_COLOR
const style = (code, text) => (color ? `\x1b[${code}m${text}\x1b[0m` : text)
const say = (text = '') => console.log(text)
const chapter = (text) => say(`\n${style(1, text)}`)

const stateDir = await mkdtemp(join(tmpdir(), 'feed-demo-'))
const env = { ...process.env, FEED_PROFILE: 'sim', METRICS_PORT: '0', PUSHGATEWAY_URL: '', SIM_SCENARIO: '' }
const startedAt = performance.now()
let failures = 0

function claim(holds, text) {
  if (!holds) failures++
  say(`${holds ? style(32, '✔') : style(31, '✘ NOT TRUE:')} ${text}`)
}

/** Runs one of the four commands; with --json its document comes back parsed. */
async function run(command, ...args) {
  const program = fileURLToPath(new URL(`../bin/${command}`, import.meta.url))
  const child = spawn(process.execPath, [program, ...args, '--state-dir', stateDir, '--json'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    text += chunk
  })
  const code = await new Promise((resolve) => child.on('close', resolve))
  return { code, document: text === '' ? null : JSON.parse(text) }
}

/** The journal's ticks, one at a time: a demo need not hold them all. */
async function* journalTicks() {
  const program = fileURLToPath(new URL('../bin/full-feed-subscription', import.meta.url))
  const child = spawn(process.execPath, [program, 'export', '--state-dir', stateDir], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for await (const line of createInterface({ input: child.stdout })) yield JSON.parse(line)
}

function table(rows) {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => String(row[i]).length)))
  for (const [n, row] of rows.entries()) {
    const cells = row.map((cell, i) => (i === 0 ? String(cell).padEnd(widths[i]) : String(cell).padStart(widths[i])))
    say(`  ${n === 0 ? style(2, cells.join('  ')) : cells.join('  ')}`)
  }
}

function showLines(lines, serving) {
  table([
    ['line', 'state', 'subscribed', 'pulse', 'bridge pid'],
    ...Object.entries(lines).map(([name, line]) => [
      name === serving ? `${name} *` : name,
      line.state,
      `${line.subscribed}/${line.expected}`,
      line.pulse,
      line.bridge_pid ?? '-',
    ]),
  ])
}

async function status() {
  return (await run('start-live-env', 'status')).document
}

async function waitFor(what, withinMs, holds) {
  const deadline = performance.now() + withinMs
  for (;;) {
    const now = await status()
    if (holds(now)) return now
    if (performance.now() > deadline) {
      claim(false, `${what} within ${withinMs / 1000} s`)
      return now
    }
    await sleep(50)
  }
}

async function bringUp() {
  chapter('1. start-live-env: two lines, 500 contracts, a simulated market that never closes')
  const { code, document } = await run('start-live-env', 'start')
  for (const { name, detail, duration_ms: ms } of document?.steps ?? []) {
    say(
      `  ${name.padEnd(14)} ${detail.replace(stateDir, '<state-dir>')}${ms >= 100 ? style(2, `  ${(ms / 1000).toFixed(1)} s`) : ''}`,
    )
  }
  claim(code === 0 && document.outcome === 'ready', `READY after ${(document.duration_ms / 1000).toFixed(1)} s`)
  const now = await waitFor('ticks from every exchange', 5_000, ({ daemon }) =>
    daemon.exchanges.every((exchange) => exchange.ticked === exchange.expected),
  )
  table([
    ['exchange', 'expected', 'subscribed', 'ticking', 'coverage'],
    ...now.daemon.exchanges.map(({ exchange, expected, subscribed, ticked }) => [
      exchange,
      expected,
      subscribed,
      ticked,
      `${((subscribed / expected) * 100).toFixed(2)}%`,
    ]),
  ])
  claim(now.daemon.coverage_ratio === 1, `every one of ${now.daemon.expected_total} contracts is subscribed`)
  return now
}

async function killPrimary(before) {
  chapter('2. kill -9 of the process that holds the primary line')
  const victim = before.lines.primary.bridge_pid
  const killedAt = Date.now()
  process.kill(victim, 'SIGKILL')
  const after = await waitFor('the backup to serve', 5_000, (now) => now.serving_line === 'backup')
  say(`  killed process ${victim}`)
  showLines(after.lines, after.serving_line)
  const last = after.daemon.failover.last
  claim(after.serving_line === 'backup', `the backup serves, epoch ${before.daemon.epoch} became ${after.daemon.epoch}`)
  claim(last?.lost === 0, `ticks lost: ${last?.lost ?? 'unknown'} (${last?.reason ?? 'no reason given'})`)
  await sleep(1_000)
  const later = await status()
  const accepted = later.daemon.ticks.accepted - before.daemon.ticks.accepted
  claim(accepted > 0, `${accepted} ticks accepted since the kill, ${later.daemon.throughput_mps} a second now`)
  return { killedAt, victim }
}

async function heal(victim) {
  chapter('3. the primary line comes back by itself')
  const healed = await waitFor(
    'the primary line to heal',
    10_000,
    ({ lines: { primary } }) =>
      primary.state === 'streaming' && primary.subscribed === primary.expected && primary.bridge_pid !== victim,
  )
  showLines(healed.lines, healed.serving_line)
  const { primary } = healed.lines
  claim(
    primary.logged_in && primary.bridge_pid !== victim,
    `a new process ${primary.bridge_pid} carries the primary line`,
  )
}

async function proveHealth() {
  chapter('4. check-feed-health')
  const { code, document } = await run('check-feed-health')
  for (const warning of document.warnings) say(`  ${warning}`)
  claim(code <= 1 && document.errors.length === 0, document.summary.split(' | ')[0])
}

async function proveJournal({ killedAt }) {
  chapter('6. the journal: what consumers got')
  const { code, document } = await run('full-feed-subscription', 'verify')
  claim(code === 0, `journal intact: ${document.records} records in ${document.segments} segment(s)`)
  let [count, gaps, longestMs, previousSeq, previousMs] = [0, 0, 0, 0, 0]
  const newest = new Map()
  let backwards = 0
  for await (const tick of journalTicks()) {
    count++
    if (tick.seq !== previousSeq + 1) gaps++
    previousSeq = tick.seq
    const receivedMs = Date.parse(tick.localtime)
    if (previousMs > 0 && Math.abs(receivedMs - killedAt) < 3_000)
      longestMs = Math.max(longestMs, receivedMs - previousMs)
    previousMs = receivedMs
    if (tick.volume < (newest.get(tick.vt_symbol) ?? 0)) backwards++
    newest.set(tick.vt_symbol, tick.volume)
  }
  claim(gaps === 0, `${count} ticks numbered without a gap`)
  claim(backwards === 0, `in order on each of ${newest.size} contracts`)
  claim(longestMs < 1_000, `longest pause between ticks around the kill: ${longestMs} ms`)
}

async function takeDown(pids) {
  chapter('5. start-live-env stop')
  const { code, document } = await run('start-live-env', 'stop')
  claim(code === 0, document.steps.map(({ detail }) => detail).join('; '))
  claim(
    pids.every((pid) => !isAlive(pid)),
    'no process is left behind',
  )
}

/** Where nobody reaps the dead, as in many containers, a process that has ended keeps its number for a while. */
function isAlive(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
  } catch {
    return false
  }
}

try {
  const before = await bringUp()
  const kill = await killPrimary(before)
  await heal(kill.victim)
  await proveHealth()
  const { pid, lines } = await status()
  await takeDown([pid, lines.primary.bridge_pid, lines.backup.bridge_pid])
  await proveJournal(kill)
} catch (error) {
  failures++
  console.error(error)
} finally {
  await run('start-live-env', 'stop').catch(() => null)
  await rm(stateDir, { recursive: true, force: true })
}
const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
say(
  failures === 0 ? style(32, `\nAll of it held, in ${seconds} s.`) : style(31, `\n${failures} claim(s) did not hold.`),
)
process.exitCode = failures === 0 ? 0 : 1
