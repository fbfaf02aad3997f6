/** `.env.example` documents the schema: every name, its default, a comment on what it means; and no name besides. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parseEnvText } from '#config/env-file.ts'
import { parseConfig } from '#config/parse-config.ts'
import { defaultText, SETTING_NAMES } from '#config/schema.ts'

const text = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8')
const lines = text.split('\n')
const documented = new Map<string, { commented: boolean; value: string; above: string }>()
for (const [index, line] of lines.entries()) {
  const [, mark, name, value = ''] = /^(#?)([A-Z][A-Z0-9_]*)=(.*)$/.exec(line) ?? []
  if (name !== undefined) documented.set(name, { commented: mark === '#', value, above: lines[index - 1] ?? '' })
}

test('names in .env.example and names in the schema are the same', () => {
  expect([...documented.keys()].sort()).toEqual([...SETTING_NAMES].sort())
})

test('each name appears once', () => {
  expect(text.match(/^#?[A-Z][A-Z0-9_]*=/gm)).toHaveLength(SETTING_NAMES.length)
})

test.each(SETTING_NAMES)('%s has a comment above it and shows its default', (name) => {
  const entry = documented.get(name)
  expect(entry?.above).toMatch(/^# [^-]/)
  if (entry?.commented) expect(entry.value).toBe(defaultText(name) ?? '')
  else expect(defaultText(name)).toBeNull()
})

test('copied as it is, it is refused for its placeholders and for nothing else', () => {
  const parsed = parseEnvText('.env.paper', Buffer.from(text))
  expect(parsed.problems).toEqual([])
  const result = parseConfig({
    profile: 'paper',
    env: {},
    envFile: { path: '.env.paper', mode: 0o600, ...parsed },
    cwd: '/',
    packageDir: '/package',
  })
  const problems = result.ok ? [] : result.problems
  expect(problems.map(({ name }) => name).sort()).toEqual([
    'CTP_PRIMARY_BROKER_ID',
    'CTP_PRIMARY_MD_ADDRESS',
    'CTP_PRIMARY_PASSWORD',
    'CTP_PRIMARY_USER_ID',
  ])
  expect(problems.every(({ message }) => message.includes('placeholder'))).toBe(true)
})
