/** A drill asks how far consumers are behind: a real durable consumer of a real nats-server, the real daemon, the real command. */
import { type ConsumerMessages, jetstream, jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { DrillReport } from '#domain/drill.ts'
import { lacksNats, NatsServer } from '../support/nats-server.ts'
import { DaemonHome } from '../support/real-daemon.ts'
import { runCommand } from '../support/run-command.ts'

const STREAM = 'MARKET_TICKS'
const CONSUMER = 'archiver'

describe.skipIf(lacksNats)('a drill with a durable consumer', { timeout: 120_000 }, () => {
  let server: NatsServer
  let connection: NatsConnection
  let home: DaemonHome
  let env: Record<string, string>
  /** The consumer's program, as long as it runs. */
  let program: ConsumerMessages

  beforeEach(async () => {
    server = await NatsServer.start()
    connection = await server.connect()
    home = new DaemonHome()
    env = {
      NATS_URL: server.url,
      NATS_DURABLES: CONSUMER,
      // Half a second of ticks: what stands still after a switch is over it before the drill looks.
      NATS_CONSUMER_BACKLOG_MAX: '1000',
      SIM_INSTRUMENTS: '50',
      SIM_TICKS_PER_SECOND: '2000',
    }
    home.start({ env })
    await home.untilReady()
    await home.until('the consumer is there', ({ bus }) => typeof bus.consumers?.[0]?.messages === 'number')
    const consumer = await jetstream(connection).consumers.get(STREAM, CONSUMER)
    program = await consumer.consume({ callback: (message) => message.ack(), max_messages: 5_000 })
    await home.until('the consumer keeps up', ({ bus }) => (bus.consumers?.[0]?.messages ?? Infinity) < 500)
  })
  afterEach(async () => {
    program.stop()
    await home.dispose()
    await connection.close()
    await server.remove()
  })

  async function drill(timeoutSeconds: number): Promise<{ code: number | null; report: DrillReport }> {
    const args = ['drill', '--state-dir', home.stateDir, '--json', '--timeout', String(timeoutSeconds)]
    const { code, stdout } = await runCommand('start-live-env', args, { cwd: home.directory, env })
    return { code, report: JSON.parse(stdout).drill }
  }
  const details = ({ phases }: DrillReport) =>
    phases.filter(({ phase }) => phase.startsWith('backlog')).map(({ outcome, detail }) => `${outcome} ${detail}`)

  test('that keeps up passes, and says how far it may be behind', async () => {
    const { code, report } = await drill(60)
    expect([code, report.problems]).toEqual([0, []])
    expect(details(report)).toHaveLength(3)
    for (const detail of details(report)) expect(detail).toMatch(/^ok .*1 durable consumers are within 1000 messages/)
  })

  test('that stands still before it fails with 42, and nothing is switched', async () => {
    program.stop()
    await home.until('it is behind', ({ bus }) => (bus.consumers?.[0]?.messages ?? 0) > 1_000)
    const { code, report } = await drill(3)
    expect([code, report.failed_phase, report.switches]).toEqual([42, 'backlog-before', []])
    expect(details(report).at(-1)).toMatch(/failed .*archiver by \d+ messages, 1000 are allowed/)
  })

  test('that does not survive the failover fails with 43, one that does not survive the failback with 45', async () => {
    const afterFailover = drill(8)
    await home.until('the failover', ({ serving_line: line }) => line === 'backup')
    program.stop()
    const first = await afterFailover
    expect([first.code, first.report.failed_phase, first.report.ended_on]).toEqual([
      43,
      'backlog-after-failover',
      'primary',
    ])

    const consumer = await jetstream(connection).consumers.get(STREAM, CONSUMER)
    program = await consumer.consume({ callback: (message) => message.ack(), max_messages: 5_000 })
    await home.until('it has caught up', ({ bus }) => (bus.consumers?.[0]?.messages ?? Infinity) < 500)
    const afterFailback = drill(8)
    await home.until('the failover', ({ serving_line: line }) => line === 'backup')
    await home.until('the failback', ({ serving_line: line }) => line === 'primary')
    program.stop()
    const second = await afterFailback
    expect([second.code, second.report.failed_phase]).toEqual([45, 'backlog-after-failback'])
  })

  test('that somebody deleted is no consumer that keeps up', async () => {
    program.stop()
    await (await jetstreamManager(connection)).consumers.delete(STREAM, CONSUMER)
    await home.until('its absence', ({ bus }) => bus.consumers?.[0]?.messages === null)
    const { code, report } = await drill(3)
    expect(code).toBe(42)
    expect(details(report).at(-1)).toContain('archiver is not there')
  })
})
