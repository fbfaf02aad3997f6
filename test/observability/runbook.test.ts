import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkCommand } from '#apps/check-feed-health/options.ts'
import { environmentCommand, MODE_TEXTS } from '#apps/start-live-env/options.ts'
import { ALERTS, PACKAGE } from '../support/shipped-monitoring.ts'

const RUNBOOK = readFileSync(join(PACKAGE, 'docs/ops/production-runbook.md'), 'utf8')
const IN_RUNBOOK = [
  ...RUNBOOK.replaceAll(/\n(?! *\n)/g, ' ').matchAll(/(?:`|sh )((?:start-live-env|check-feed-health) [^`#]*)/g),
]
const IN_ALERTS = ALERTS.flatMap(({ text }) => /^ {10}command: '(.*)'$/m.exec(text)?.[1]?.split('; ') ?? [])
const COMMANDS = [...new Set([...IN_RUNBOOK.map(([, command = '']) => command.trim()), ...IN_ALERTS])].filter(
  (command) => /^(start-live-env|check-feed-health) /.test(command),
)

test('the commands were found', () => {
  expect(COMMANDS.length).toBeGreaterThan(15)
})

test.each(COMMANDS)('%s can be typed today', (command) => {
  const [program, word = ''] = command.replace('{{ $labels.command }}', 'start').split(/\s+/)
  const known = program === 'start-live-env' ? environmentCommand() : checkCommand()
  if (program === 'start-live-env' && !word.startsWith('-')) expect(Object.keys(MODE_TEXTS)).toContain(word)
  const help = known.helpInformation()
  for (const [option] of command.matchAll(/--[a-z-]+/g)) expect(help, option).toContain(option)
})

test('a link within the runbook leads to a section', () => {
  const sections = new Set([...RUNBOOK.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) => title.toLowerCase()))
  const links = [...RUNBOOK.matchAll(/\]\(#([a-z-]+)\)/g)].map(([, anchor = '']) => anchor)
  expect(links.filter((anchor) => !sections.has(anchor))).toEqual([])
})
