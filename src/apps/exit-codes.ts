/** What a command's exit code says, shared by every command but check-feed-health, which follows the monitoring-plugin convention. */
export const EXIT = {
  done: 0,
  /** `plan` only: there are changes. */
  changes: 2,
  /** An unexpected fault of ours, and `verify`: damaged. */
  fault: 1,
  usage: 64,
  /** Not ready in time, or the target line can't serve. */
  notReady: 69,
  /** Another run holds the lock. */
  locked: 75,
  /** Refused for safety: the kill latch is set, or no line may log in. */
  refused: 77,
  /** Configuration or preflight. */
  configuration: 78,
} as const
