/** `--no-publish`: the whole feed but the bus, to see that everything is in order before consumers hear of it. */
import type { Config } from '#config/config.ts'

/** It is another configuration, so that plan, status and snapshots tell it from the real one. */
export function withoutBus(config: Config): Config {
  return { ...config, bus: null }
}

export const NOT_PUBLISHED =
  'Started with --no-publish: ticks are journalled and not published. start-live-env restart publishes them, and all that the journal kept meanwhile.'
