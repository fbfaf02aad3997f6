/**
 * `full-feed-subscription publish`: history into the stream, by hand. A running daemon is asked, since a stream has one writer; without
 * one this process takes the daemon's lock for as long as it publishes, so that none starts meanwhile.
 */
import { hostname } from 'node:os'
import { join } from 'node:path'
import { CURSOR_FILE } from '#adapters/bus/cursor-file.ts'
import { natsTickBus } from '#adapters/bus/nats/nats-tick-bus.ts'
import { controlClient } from '#adapters/control/control-client.ts'
import { systemFiles } from '#adapters/journal/file-operations.ts'
import { listSegments, readJournal } from '#adapters/journal/journal-reader.ts'
import { openSecretStores, resolveSecret } from '#adapters/secrets/resolve-secret.ts'
import { takeLock } from '#adapters/state/run-lock.ts'
import { controlSocketPath } from '#adapters/state/state-dir.ts'
import { sleep, systemClock } from '#clock.ts'
import type { Config } from '#config/config.ts'
import { Publisher, type Republication } from '#daemon/publish-ticks.ts'
import { Failure, type Problem, problemOf } from '#domain/failure.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import { EXIT } from '../exit-codes.ts'
import { loadAppConfig } from '../load-app-config.ts'
import type { SharedOptions } from '../shared-options.ts'

interface PublishOptions {
  from: number
  again: boolean
}

/** `begun`: the daemon does it; `published`: the stream has all of it; `unfinished`: the next start of the daemon goes on. */
type Outcome = { outcome: 'begun' | 'published' | 'unfinished' } & Republication

const LOOK_EVERY_MS = 20

export async function publish(shared: SharedOptions, env: NodeJS.ProcessEnv, options: PublishOptions): Promise<number> {
  const parsed = await loadAppConfig(shared, env)
  if (!parsed.ok) return refuse(shared, parsed.problems, EXIT.configuration)
  const { config } = parsed
  if (config.bus === null) {
    const remedy = 'Set NATS_URL in the env file.'
    return refuse(shared, [{ name: 'no-bus', message: 'no bus is configured', remedy }], EXIT.configuration)
  }
  try {
    const attempt = await takeLock(config.stateDir, 'daemon', {
      pid: process.pid,
      command: 'full-feed-subscription publish',
      since: isoShanghai(systemClock.wallMs()),
    })
    if (attempt.kind === 'taken') {
      const answer = await controlClient({ socketPath: controlSocketPath(config.stateDir) }).publishAgain(options)
      if (answer.kind === 'refused') return refuse(shared, [answer.problem], EXIT.notReady)
      return report(shared, { outcome: 'begun', ...answer.body })
    }
    try {
      return report(shared, await publishAlone({ ...config, bus: config.bus }, env, options))
    } finally {
      await attempt.lock.release()
    }
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return refuse(shared, [problemOf(error)], EXIT.notReady)
  }
}

/** @throws Failure */
async function publishAlone(
  { bus, stateDir, secretStores, timeouts }: Config & { bus: NonNullable<Config['bus']> },
  env: NodeJS.ProcessEnv,
  { from, again }: PublishOptions,
): Promise<Outcome> {
  const host = hostname()
  const journalDirectory = join(stateDir, 'journal')
  const lastSequence = await lastTick(journalDirectory)
  const stores = openSecretStores(secretStores, env, systemClock)
  const publisher = await Publisher.open({
    bus: natsTickBus({
      options: bus,
      name: `feed-supervisor publish on ${host}`,
      resolveSecret: async (ref, signal) => (await resolveSecret(ref, stores, signal)).text,
    }),
    host,
    subjectPrefix: bus.subjectPrefix,
    journalDirectory,
    numbering: { last: lastSequence, next: lastSequence + 1 },
    written: () => lastSequence,
    cursorPath: join(stateDir, CURSOR_FILE),
    clock: systemClock,
    log: (level, message) => {
      if (level !== 'info') process.stderr.write(`${message}\n`)
    },
    jitter: Math.random,
  })
  try {
    const deadlineMs = systemClock.monotonicMs() + timeouts.connectMs
    while (!publisher.connected && systemClock.monotonicMs() < deadlineMs) await sleep(LOOK_EVERY_MS)
    const range = await publisher.republish(from, again)
    await publisher.close(Number.POSITIVE_INFINITY)
    return { outcome: publisher.publishedSequence >= range.to ? 'published' : 'unfinished', ...range }
  } finally {
    await publisher.close(0)
  }
}

/** Only the last segment is read: they are named after their first ticks. */
async function lastTick(directory: string): Promise<number> {
  const segment = (await listSegments(systemFiles, directory)).at(-1) ?? 1
  let last = segment - 1
  for await (const block of readJournal({ directory, from: segment, onProblem: () => undefined }))
    last = block.lastSequence
  return last
}

function report(shared: SharedOptions, { outcome, from, to }: Outcome): number {
  const exitCode = outcome === 'unfinished' ? EXIT.notReady : EXIT.done
  if (shared.json || !process.stdout.isTTY) {
    const document = { schema: SCHEMA, command: 'publish', outcome, exit_code: exitCode, from, to }
    process.stdout.write(`${JSON.stringify(document)}\n`)
  } else {
    process.stdout.write(`ticks ${from} to ${to}: ${SENTENCES[outcome]}\n`)
  }
  return exitCode
}

const SCHEMA = 'feed-supervisor/publish/1'
const SENTENCES: Record<Outcome['outcome'], string> = {
  begun: 'the daemon publishes them again; live ticks wait behind them, see the backlog in start-live-env status',
  published: 'the stream has them',
  unfinished: 'the bus went away; the next start of the daemon goes on where it ended',
}

function refuse(shared: SharedOptions, problems: readonly Problem[], exitCode: number): number {
  for (const { name, message, remedy } of problems) process.stderr.write(`${name}: ${message}\n  -> ${remedy}\n`)
  if (shared.json) {
    const outcome = problems[0]?.name ?? 'refused'
    const document = { schema: SCHEMA, command: 'publish', outcome, exit_code: exitCode, problems }
    process.stdout.write(`${JSON.stringify(document)}\n`)
  }
  return exitCode
}
