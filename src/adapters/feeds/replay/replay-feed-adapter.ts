/** The recorded feed: one recording for both lines, played by a bridge process of ours in steps that the daemon permits. */
import type { FeedAdapter } from '../feed-adapter.ts'
import { type EmbeddedBridgeOptions, embeddedBridgeCommand, embeddedStartPairs } from '../sim/sim-feed-adapter.ts'

export interface ReplayOptions extends EmbeddedBridgeOptions {
  files: readonly string[]
}

export function replayFeedAdapter(options: ReplayOptions): FeedAdapter {
  return {
    kind: 'replay',
    account: options.account.masked,
    accountKey: options.account.key,
    front: 'recording',
    listing: 'bridge',
    command: () => embeddedBridgeCommand(options.script),
    startPairs: () => [...embeddedStartPairs(options), ...['files', options.files.join('\n')]],
    loginPairs: async () => ['user_id', options.account.userId],
  }
}
