import { expect, test } from 'vitest'
import { splitWords } from '../../src/apps/check-feed-health/command-words.ts'
import { csvOf, summaryLine, unknownReport } from '../../src/apps/check-feed-health/report.ts'
import {
  formatBar,
  formatDuration,
  formatRatio,
  formatTable,
  openTerminal,
  type TerminalOptions,
  wantsColor,
} from '../../src/apps/terminal.ts'
import { healthOf } from '../support/fake-daemon.ts'

function openOn(options: Partial<TerminalOptions>) {
  let text = ''
  const output = { isTTY: true, columns: 70, write: (part: string) => (text += part) }
  let nowMs = 0
  const clock = { wallMs: () => Date.parse('2026-03-03T08:55:00+08:00'), monotonicMs: () => nowMs }
  const terminal = openTerminal({ form: 'table', output, quiet: false, color: false, clock, ...options })
  return {
    terminal,
    text: () => text,
    pass: (ms: number) => {
      nowMs += ms
    },
  }
}

const STEP = { name: 'preflight', outcome: 'ok', duration_ms: 1_200, detail: '14 checks passed' } as const
const BARS = [{ label: 'primary', done: 250, total: 500, etaMs: 250 }]

test('a person sees steps with their mark and time, and bars that give way to them', () => {
  const { terminal, text } = openOn({})
  terminal.progress('subscribing', BARS)
  terminal.step(STEP)
  terminal.result({ never: 'shown' })
  expect(text()).toBe(
    '  subscribing\n  primary  ████████████░░░░░░░░░░░░  50%  250/500  0.3 s left\n\x1b[2A\x1b[0J✔ preflight              14 checks passed  1.2 s\n',
  )
})

test('a bar is never wider than the terminal, or erasing it would miss a row', () => {
  const { terminal, text } = openOn({})
  terminal.progress('x'.repeat(200), [{ label: 'primary', done: 1, total: 10 ** 30, etaMs: 10 ** 9 }])
  for (const line of text().split('\n')) expect(line.length).toBeLessThan(70)
})

test('on a narrow terminal a bar gives way to its figures', () => {
  const bar = { label: 'primary', done: 12_345, total: 17_999, etaMs: 75_000 }
  expect(formatBar(bar, 48)).toBe('primary  ████░░  68%  12345/17999  1 m 15 s left')
  expect(formatBar(bar, 30)).toBe('primary   68%  12345/17999  1 m 15 s left')
})

test('a program sees one JSON object per line, its bars at most once a second, the result last', () => {
  const { terminal, text, pass } = openOn({ form: 'json-lines' })
  terminal.step(STEP)
  for (let i = 0; i < 25; i++) {
    terminal.progress('subscribing', BARS)
    pass(100)
  }
  terminal.say('for people')
  terminal.result({ outcome: 'ready' })
  const events: { event: string; at: string }[] = text()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(events.map(({ event }) => event)).toEqual(['step', 'progress', 'progress', 'progress', 'result'])
  expect(events[0]).toEqual({ event: 'step', at: '2026-03-03T08:55:00.000+08:00', ...STEP })
})

test('with --json there is exactly one document', () => {
  const { terminal, text } = openOn({ form: 'json' })
  terminal.step(STEP)
  terminal.progress('subscribing', BARS)
  terminal.say('for people')
  terminal.result({ outcome: 'ready' })
  expect(JSON.parse(text())).toEqual({ outcome: 'ready' })
})

test('--quiet tells a person of failures only', () => {
  const { terminal, text } = openOn({ quiet: true })
  terminal.step(STEP)
  terminal.progress('subscribing', BARS)
  terminal.step({ ...STEP, outcome: 'failed', detail: 'disk full' })
  expect(text()).toBe('✘ preflight              disk full  1.2 s\n')
})

test('columns line up, coloured cells included', () => {
  const columns = [{ title: 'line' }, { title: 'subscribed', align: 'right' as const }]
  const rows = [
    ['primary', '500/500'],
    ['\x1b[32mbackup\x1b[39m', '9/500'],
  ]
  expect(formatTable(columns, rows)).toEqual([
    'line     subscribed',
    '───────  ──────────',
    'primary     500/500',
    '\x1b[32mbackup\x1b[39m        9/500',
  ])
})

test.each([
  [15, '15 ms'],
  [870, '0.9 s'],
  [9_949, '9.9 s'],
  [9_951, '10 s'],
  [75_000, '1 m 15 s'],
  [7_500_000, '2 h 05 m'],
])('%d ms is told as %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text)
})

test('a share is rounded down, so that 100 % means all of them', () => {
  expect([1, 0.99999, 0.995, 0].map(formatRatio)).toEqual(['100.00%', '99.99%', '99.50%', '0.00%'])
  expect(formatBar({ label: 'backup', done: 499, total: 500, etaMs: 0 })).toContain(' 99%  499/500')
})

test.each([
  [{}, true, true],
  [{}, false, false],
  [{ NO_COLOR: '1' }, true, false],
  [{ FORCE_COLOR: '1' }, false, true],
])('colour for environment %j on a terminal %s: %s', (env, isTTY, wanted) => {
  expect(wantsColor(env, { isTTY, write: () => undefined })).toBe(wanted)
})

test('the plugin line carries the verdict, the facts and the performance data', () => {
  expect(summaryLine(healthOf())).toBe(
    'FEED OK - coverage 100.00% (3/3), ticking 100.00%, serving primary, session open | coverage=1;;;0;1 ticking=1;;;0;1 missing=0 stalled=0 throughput=10 latency_p99=1ms',
  )
  const problems = [{ name: 'not-running', message: 'no daemon listens', remedy: 'Start it.' }]
  expect(summaryLine(unknownReport({ mode: 'dry-run', profile: 'sim', nowMs: 0, problems }))).toBe(
    'FEED UNKNOWN - no daemon listens. Start it.',
  )
})

test('CSV quotes what would break a row', () => {
  const evidence = 'silent, "alone"'
  const stalled = {
    symbol: 'rb2605',
    exchange: 'SHFE',
    line: 'primary',
    lag_seconds: null,
    severity: 'warning',
    evidence,
  }
  const report = Object.assign(healthOf(), { stalled_contracts: [stalled] })
  expect(csvOf(report).split('\n')[1]).toBe('rb2605,SHFE,primary,stalled,warning,,"silent, ""alone"""')
})

test.each([
  ['page me', ['page', 'me']],
  ['page \'me now\' "and him"', ['page', 'me now', 'and him']],
  ["page '' a''b", ['page', '', 'ab']],
  ['page a\\ b "c\\"d" \'e\\f\'', ['page', 'a b', 'c"d', 'e\\f']],
  ['  ', []],
  ['page "me', null],
])('the words of %s', (text, words) => {
  expect(splitWords(text)).toEqual(words)
})
