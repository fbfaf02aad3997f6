/** Checks of what is reached over the network: fronts, bus, Pushgateway. */
import type { Line } from '#domain/line.ts'
import { failed, ok, type PreflightCheck, skipped, warning } from './run-preflight.ts'
import { type Endpoint, reach } from './tcp-reach.ts'

interface LineFronts {
  readonly line: Line
  readonly fronts: readonly Endpoint[]
}

interface FrontsCheck {
  /** Market-data and trading fronts are judged apart: the one that answers says nothing of the other. */
  readonly name: 'fronts' | 'trading-fronts'
  readonly lines: readonly LineFronts[]
  /** Not required: unreachable is a warning. */
  readonly required: boolean
  marketIsClosed(): boolean
}

/**
 * One check for the fronts of all lines, because what matters is whether any line can serve. Outside sessions fronts are down for hours
 * every day, so an unreachable front is then no reason not to start.
 */
export function frontsCheck({ name, lines, required, marketIsClosed }: FrontsCheck): PreflightCheck {
  return {
    name,
    async run(signal) {
      const configured = lines.filter(({ fronts }) => fronts.length > 0)
      if (configured.length === 0) return skipped('no front is configured')
      const reports = await Promise.all(
        configured.map(async ({ line, fronts }) => {
          const answers = await Promise.all(fronts.map((front) => reach(front, signal)))
          const reached = answers.filter((why) => why === null).length
          const reasons = [...new Set(answers.filter((why) => why !== null))]
          const because = reasons.length > 0 ? ` (${reasons.join(', ')})` : ''
          return { line, reached, all: fronts.length, text: `${line} ${reached} of ${fronts.length} fronts${because}` }
        }),
      )
      const detail = `reachable: ${reports.map(({ text }) => text).join('; ')}`
      const remedy = 'Check addresses, firewall and routes; ask the broker whether the front is up.'
      if (reports.every(({ reached, all }) => reached === all)) return ok(detail)
      if (reports.some(({ reached }) => reached > 0)) return warning(detail, remedy)
      if (!required) return warning(detail, remedy)
      return marketIsClosed() ? warning(`${detail}; the market is closed`, remedy) : failed(detail, remedy)
    },
  }
}

interface ServerCheck {
  readonly name: string
  readonly servers: readonly Endpoint[]
  /** Not required: unreachable is a warning. */
  readonly required: boolean
  readonly remedy: string
}

/** One server of a cluster is enough. */
export function serverCheck({ name, servers, required, remedy }: ServerCheck): PreflightCheck {
  return {
    name,
    async run(signal) {
      const answers = await Promise.all(
        servers.map(async (server) => ({ place: `${server.host}:${server.port}`, why: await reach(server, signal) })),
      )
      const down = answers.filter(({ why }) => why !== null).map(({ place, why }) => `${place} ${why}`)
      const up = answers.filter(({ why }) => why === null).map(({ place }) => place)
      if (down.length === 0) return ok(`reachable: ${up.join(', ')}`)
      if (up.length > 0) return warning(`reachable: ${up.join(', ')}; not: ${down.join(', ')}`, remedy)
      return required
        ? failed(`not reachable: ${down.join(', ')}`, remedy)
        : warning(`not reachable: ${down.join(', ')}`, remedy)
    },
  }
}
