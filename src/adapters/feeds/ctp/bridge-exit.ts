/** What the exit codes of the CTP bridge mean (native/ctp-bridge/exit-code.hpp) in the words that decisions are made in. */
import type { FeedErrorKind } from '#domain/feed-error.ts'

export type BridgeExitKind = Extract<
  FeedErrorKind,
  | 'bridge-crashed'
  | 'bridge-unavailable'
  | 'flow-directory-busy'
  | 'host-exhausted'
  | 'input-unusable'
  | 'protocol-fault'
>

/** `code` is null after a signal. The bridge has told the story in a `frontError` frame before: its text and remedy are for people. */
export function kindOfBridgeExit(code: number | null): BridgeExitKind {
  switch (code) {
    // Started without its pipes, stdin spoke another protocol.
    case 64:
    case 76:
      return 'protocol-fault'
    // The library is missing or another one, a front address is malformed, the flow directory unusable: all need an operator.
    case 69:
    case 78:
      return 'bridge-unavailable'
    // Of the embedded bridges alone: a recording that is damaged or can't be read.
    case 65:
    case 66:
      return 'input-unusable'
    case 71:
      return 'host-exhausted'
    case 75:
      return 'flow-directory-busy'
    // Also 70 (the vendor library threw) and 74 (nobody read the frames): another process may well succeed.
    default:
      return 'bridge-crashed'
  }
}
