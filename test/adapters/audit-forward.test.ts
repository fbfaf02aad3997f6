// Entries of the audit log go to the host's own records as well, by a program that stands in for the host's.
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { auditActor } from '#adapters/state/audit-actor.ts'
import { appendAudit } from '#adapters/state/audit-log.ts'
import { systemClock } from '#clock.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync('/tmp/fs-')
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

/** Writes down how it was called and what it was told. */
function program(name: string, end = 0): void {
  const path = join(directory, name)
  writeFileSync(
    path,
    `#!/bin/sh\necho "$@" > ${directory}/args\n/usr/bin/env > ${directory}/env\n/bin/cat > ${directory}/told\nexit ${end}\n`,
  )
  chmodSync(path, 0o755)
}

function append(to: 'syslog' | 'journald') {
  const forward = { to, path: directory }
  return appendAudit(
    { stateDir: join(directory, 's'), clock: systemClock, retentionDays: 90, forward },
    {
      event: 'command',
      actor: auditActor({}),
      command: 'stop',
      reason: null,
      outcome: 'done',
      exit_code: 0,
      duration_ms: 1,
    },
  )
}

test.each([
  ['syslog', 'logger', '--tag feed-supervisor --priority auth.notice --size 32768'],
  ['journald', 'systemd-cat', '--identifier=feed-supervisor --priority=notice'],
] as const)('to %s goes exactly the line of the log', async (to, name, args) => {
  program(name)
  expect(await append(to)).toEqual({ kind: 'written', n: 1, warning: null })
  expect(readFileSync(`${directory}/args`, 'utf8').trim()).toBe(args)
  const told = JSON.parse(readFileSync(`${directory}/told`, 'utf8'))
  expect(told).toMatchObject({ n: 1, command: 'stop', hash: expect.stringMatching(/^[0-9a-f]{64}$/) })
  expect(readFileSync(`${directory}/env`, 'utf8')).not.toMatch(/^(HOME|NODE_)/m)
})

test('a program that is not there, or fails, is a warning: the entry is in the log all the same', async () => {
  expect(await append('syslog')).toMatchObject({
    kind: 'written',
    n: 1,
    warning: expect.stringMatching(/forwarded to syslog: spawn logger ENOENT/),
  })
  program('systemd-cat', 3)
  expect(await append('journald')).toMatchObject({
    kind: 'written',
    n: 2,
    warning: expect.stringMatching(/systemd-cat ended with 3/),
  })
})
