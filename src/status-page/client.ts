/**
 * The page in the browser: asks for /status.json every two seconds and draws it anew. Everything that comes from the daemon is put in as
 * text, never as markup. When no answer comes, the page says so and since when, and greys what it shows.
 */
import type { Overview } from '#domain/overview.ts'
import type { LineStatus } from '#domain/status.ts'
import { LANGUAGES, type Language, WORDS, type Words } from './words.ts'

const EVERY_MS = 2_000
const DEADLINE_MS = 4_000

type Tone = 'good' | 'caution' | 'bad' | 'none'
type Child = Node | string

let language = chosenLanguage()
let shown: Overview | null = null

function chosenLanguage(): Language {
  const asked = new URLSearchParams(location.search).get('lang') ?? navigator.language.slice(0, 2)
  return LANGUAGES.find((each) => each === asked) ?? 'en'
}

function byId(id: string): HTMLElement {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no ${id}`)
  return found
}

function element(
  name: string,
  attributes: Readonly<Record<string, string>>,
  ...children: readonly Child[]
): HTMLElement {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  made.append(...children)
  return made
}

async function look(): Promise<void> {
  try {
    const answer = await fetch('/status.json', { signal: AbortSignal.timeout(DEADLINE_MS), cache: 'no-store' })
    if (!answer.ok) throw new Error(`status ${answer.status}`)
    shown = await answer.json()
    byId('lost').hidden = true
    draw()
  } catch {
    tellLost()
  }
  setTimeout(look, EVERY_MS)
}

function tellLost(): void {
  const lost = byId('lost')
  lost.textContent = `${WORDS[language].lost} ${shown === null ? '-' : timeOf(shown.generated_at)}`
  lost.hidden = false
  byId('page').classList.add('stale')
}

function draw(): void {
  if (shown === null) return
  const words = WORDS[language]
  const { status } = shown
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en'
  document.title = `${shown.verdict} - ${status.profile} - Feed Supervisor`
  byId('environment').textContent = `${status.profile} / ${status.host} / ${status.version}`
  byId('clock').textContent = timeOf(shown.generated_at)
  byId('language').textContent = words.otherLanguage
  const page = byId('page')
  page.classList.remove('stale')
  page.setAttribute('aria-busy', 'false')
  page.replaceChildren(
    verdict(shown, words),
    lines(shown, words),
    sparkline(words.throughput, words.perSecond, shown.history.throughput_mps, words),
    sparkline(words.latency, 'ms', shown.history.latency_ms_p99, words),
    products(shown, words),
    failovers(shown, words),
    journal(shown, words),
    drills(shown, words),
    reports(shown, words),
  )
}

function section(kind: string, title: string, ...children: readonly Child[]): HTMLElement {
  return element('section', { class: kind, 'aria-label': title }, element('h2', {}, title), ...children)
}

const TONE_OF_VERDICT = { OK: 'good', WARNING: 'caution', CRITICAL: 'bad', UNKNOWN: 'bad' } as const
const TONE_OF_PULSE: Readonly<Record<string, Tone>> = { green: 'good', yellow: 'caution', red: 'bad' }

function verdict({ verdict: word, findings, status, stalled_total: stalled }: Overview, words: Words): HTMLElement {
  const facts: [string, string][] = [
    [words.feed, status.feed_state],
    [words.serving, words[status.serving_line]],
    [words.market, status.session_state],
    [words.tradingDay, status.trading_day],
    [words.coverage, `${percent(status.coverage_ratio)} (${status.subscribed_total}/${status.expected_total})`],
    [words.ticking, percent(status.tick_coverage_ratio)],
    [words.stalled, String(stalled)],
    [words.throughput, `${count(status.throughput_mps)} ${words.perSecond}`],
    [words.latency, status.latency_ms_p99 === null ? '-' : `${status.latency_ms_p99} ms`],
    [words.epoch, String(status.epoch)],
  ]
  const notes = [...findings, ...status.warnings]
  return element(
    'section',
    { class: 'wide verdict', 'aria-label': word },
    element('strong', { class: TONE_OF_VERDICT[word], id: 'verdict' }, word),
    ...facts.map(([name, value]) =>
      element('div', { class: 'fact' }, element('span', {}, name), element('b', {}, value)),
    ),
    ...(notes.length === 0
      ? []
      : [element('ul', { class: 'findings' }, ...notes.map((note) => element('li', {}, note)))]),
  )
}

function lines({ status }: Overview, words: Words): HTMLElement {
  const titles = [
    words.line,
    words.state,
    words.pulse,
    words.subscribed,
    words.lastTick,
    words.first,
    words.dropped,
    words.account,
    words.why,
  ]
  const rows = (['primary', 'backup'] as const).flatMap((line) => {
    const facts = status.lines[line]
    return facts === null ? [] : [lineRow(line === status.serving_line, words[line], facts, words)]
  })
  const cells = rows.map((row) =>
    element(
      'tr',
      {},
      ...row.map((cell, i) =>
        element(i === 0 ? 'th' : 'td', { 'data-title': titles[i] ?? '', ...(i === 0 && { scope: 'row' }) }, cell),
      ),
    ),
  )
  return section('wide', words.lines, table('lines', titles, cells))
}

function lineRow(isServing: boolean, name: string, line: LineStatus, words: Words): Child[] {
  const refused = line.refused > 0 ? `, ${line.refused} ${words.refused}` : ''
  return [
    isServing ? `▶ ${name}` : name,
    line.state,
    tag(TONE_OF_PULSE[line.pulse] ?? 'none', line.pulse),
    `${line.subscribed}/${line.expected}${refused}`,
    line.last_tick_age_ms === null ? '-' : `${(line.last_tick_age_ms / 1000).toFixed(1)} s`,
    count(line.first_arrivals),
    count(line.dropped),
    line.account ?? '-',
    line.pulse_reason,
  ]
}

function table(kind: string, titles: readonly string[], rows: readonly HTMLElement[]): HTMLElement {
  const head = element('tr', {}, ...titles.map((title) => element('th', { scope: 'col' }, title)))
  return element('table', { class: kind }, element('thead', {}, head), element('tbody', {}, ...rows))
}

function plainTable(titles: readonly string[], rows: readonly (readonly Child[])[], words: Words): HTMLElement {
  if (rows.length === 0) return element('p', { class: 'empty' }, words.none)
  return table(
    '',
    titles,
    rows.map((row) => element('tr', {}, ...row.map((cell) => element('td', {}, cell)))),
  )
}

const SVG = 'http://www.w3.org/2000/svg'
const WIDTH = 300
const HEIGHT = 60

function sparkline(title: string, unit: string, values: readonly (number | null)[], words: Words): HTMLElement {
  const known = values.filter((value) => value !== null)
  const top = Math.max(1, ...known)
  const now = values.at(-1)
  const caption = `${now === null || now === undefined ? '-' : count(now)} ${unit}`
  const svg = document.createElementNS(SVG, 'svg')
  svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`)
  svg.setAttribute('preserveAspectRatio', 'none')
  svg.setAttribute('role', 'img')
  svg.setAttribute('aria-label', `${title}: ${caption}, ${words.most} ${count(top)}`)
  const path = document.createElementNS(SVG, 'path')
  path.setAttribute('d', pathOf(values, top))
  svg.append(path)
  const feet = element(
    'div',
    { class: 'spark' },
    element('span', {}, words.lastMinutes),
    element('span', {}, `${words.most} ${count(top)} ${unit}`),
  )
  return section('', `${title}: ${caption}`, svg, feet)
}

/** A gap in the values is a gap in the line. */
function pathOf(values: readonly (number | null)[], top: number): string {
  const stepWidth = WIDTH / Math.max(1, values.length - 1)
  let isDown = false
  return values
    .map((value, i) => {
      if (value === null) {
        isDown = false
        return ''
      }
      const point = `${(i * stepWidth).toFixed(1)} ${(HEIGHT - 2 - (value / top) * (HEIGHT - 4)).toFixed(1)}`
      const drawn = `${isDown ? 'L' : 'M'}${point}`
      isDown = true
      return drawn
    })
    .join('')
}

function products({ products: all, status }: Overview, words: Words): HTMLElement {
  const exchanges = [...new Set(all.map(({ exchange }) => exchange))].sort()
  const groups = exchanges.flatMap((exchange) => {
    const state = status.exchanges.find((each) => each.exchange === exchange)?.session_state ?? ''
    const cells = all
      .filter((product) => product.exchange === exchange)
      .sort((a, b) => a.subscribed / a.expected - b.subscribed / b.expected || a.product.localeCompare(b.product))
      .map(({ product, expected, subscribed, refused }) => {
        const ratio = subscribed / expected
        const tone = ratio >= 0.995 ? 'good' : ratio >= 0.9 ? 'caution' : 'bad'
        const title = `${product}: ${subscribed}/${expected}${refused > 0 ? `, ${refused} ${words.refused}` : ''}`
        return element('li', { class: tone, title }, element('b', {}, product), `${percent(ratio)} · ${expected}`)
      })
    return [element('h3', {}, `${exchange} · ${state}`), element('ul', { class: 'cells' }, ...cells)]
  })
  return section('wide', words.products, ...groups)
}

function failovers({ failovers: all }: Overview, words: Words): HTMLElement {
  const rows = all.map(({ at, from, to, reason, gap_ms: gap, lost }) => [
    timeOf(at),
    `${words[from]} → ${words[to]}`,
    reason,
    milliseconds(gap),
    lost === null ? '-' : count(lost),
  ])
  const titles = [words.when, `${words.from} → ${words.to}`, words.reason, words.gap, words.lostTicks]
  return section('', words.failovers, plainTable(titles, rows, words))
}

function journal({ status }: Overview, words: Words): HTMLElement {
  const { journal: log, bus } = status
  const unsynced = log.last_sequence - log.synced_sequence
  const rows: Child[][] = [
    [words.journalState, tag(log.state === 'writing' ? 'good' : 'bad', log.trouble?.message ?? log.state)],
    [words.records, count(log.records)],
    [words.unsynced, count(Math.max(0, unsynced))],
    [words.lostTicks, tag(log.lost === 0 ? 'good' : 'bad', count(log.lost))],
    [
      words.bus,
      bus.kind === 'none'
        ? words.noBus
        : tag(bus.connected ? 'good' : 'bad', bus.connected ? words.connected : words.disconnected),
    ],
    ...(bus.kind === 'none' ? [] : [[words.backlog, count(bus.backlog)]]),
  ]
  const body = rows.map(([name = '', value = '']) =>
    element('tr', {}, element('th', { scope: 'row' }, name), element('td', {}, value)),
  )
  return section('', words.journal, element('table', {}, element('tbody', {}, ...body)))
}

function drills({ drills: all }: Overview, words: Words): HTMLElement {
  const rows = all.map(({ finished_at: at, kind, outcome, recovery_ms: took, objective_ms: objective, lost }) => [
    timeOf(at),
    kind,
    tag(outcome === 'passed' ? 'good' : 'bad', words[outcome]),
    `${milliseconds(took)} / ${milliseconds(objective)}`,
    lost === null ? '-' : count(lost),
  ])
  return section(
    '',
    words.drills,
    plainTable([words.when, words.why, words.result, words.recovery, words.lostTicks], rows, words),
  )
}

function reports({ reports: all }: Overview, words: Words): HTMLElement {
  const rows = all.map(({ generated_at: at, verdict: word, coverage_ratio: ratio }) => [
    timeOf(at),
    tag(TONE_OF_VERDICT[word], word),
    ratio === null ? '-' : percent(ratio),
  ])
  return section('', words.reports, plainTable([words.when, words.result, words.coverage], rows, words))
}

function tag(tone: Tone, text: string): HTMLElement {
  return element('span', { class: `tag ${tone}` }, text)
}

/** Rounded down, so that 100 % means all of them. */
function percent(ratio: number): string {
  const shown = Math.floor(ratio * 1000) / 10
  return `${shown === 100 ? '100' : shown.toFixed(1)} %`
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en')
}

function milliseconds(value: number | null): string {
  if (value === null) return '-'
  return value < 1_000 ? `${Math.round(value)} ms` : `${(value / 1_000).toFixed(1)} s`
}

/** As the daemon says it, in the market's time. */
function timeOf(iso: string): string {
  return iso.slice(0, 19).replace('T', ' ')
}

byId('language').addEventListener('click', () => {
  language = language === 'en' ? 'zh' : 'en'
  draw()
})
byId('language').textContent = WORDS[language].otherLanguage
void look()
