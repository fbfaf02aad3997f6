/** How each subcommand can end, and two command lines of it that work: printed below its options. */
interface SubcommandText {
  exitCodes: readonly string[]
  examples: readonly [string, string]
}

const USAGE = '64  wrong usage'
const FAULT = '1   unexpected fault'
const CONFIGURATION = '78  configuration'
const NO_DAEMON = '69  no daemon runs'

export const SUBCOMMAND_TEXTS: Readonly<Record<string, SubcommandText>> = {
  run: {
    exitCodes: [
      '0   stopped in order; with --until-end: the replay is over and all of it is on disk',
      '1   unexpected fault, or ticks that the disk did not take',
      USAGE,
      '75  another daemon holds the state directory',
      '77  refused for safety: the kill latch is set, or no line may log in',
      '78  configuration, or a damaged recording',
    ],
    examples: [
      'full-feed-subscription run --profile sim --state-dir ./sim',
      'FEED_ADAPTER=replay REPLAY_FILES=ticks.csv.gz REPLAY_SPEED=0 full-feed-subscription run --until-end --state-dir ./replay',
    ],
  },
  probe: {
    exitCodes: ['0   it lives, or is ready', FAULT, USAGE, '69  it does not answer, or is not ready', CONFIGURATION],
    examples: ['full-feed-subscription probe', 'full-feed-subscription probe --ready --quiet'],
  },
  subscribe: {
    exitCodes: ['0   asked for', FAULT, USAGE, NO_DAEMON, CONFIGURATION],
    examples: ['full-feed-subscription subscribe', 'full-feed-subscription subscribe --contracts missing.csv'],
  },
  catalogue: {
    exitCodes: [
      '0   done',
      FAULT,
      USAGE,
      '69  the front is not ready, or the new list is too short',
      '75  another refresh is under way',
      '77  refused for safety, or by the front',
      CONFIGURATION,
    ],
    examples: ['full-feed-subscription catalogue refresh --profile live', 'full-feed-subscription catalogue diff'],
  },
  tail: {
    exitCodes: ['0   the reader or the daemon went away', FAULT, USAGE, NO_DAEMON, CONFIGURATION],
    examples: ["full-feed-subscription tail 'rb*.SHFE'", 'full-feed-subscription tail | head -1'],
  },
  export: {
    exitCodes: ['0   done', FAULT, USAGE, CONFIGURATION],
    examples: [
      'full-feed-subscription export --format csv > ticks.csv',
      'full-feed-subscription export --off-session | tail -5',
    ],
  },
  verify: {
    exitCodes: ['0   intact', '1   damaged, or an unexpected fault', USAGE, CONFIGURATION],
    examples: ['full-feed-subscription verify', 'full-feed-subscription verify --state-dir /srv/feed --json'],
  },
  publish: {
    exitCodes: [
      '0   all of it is in the stream',
      FAULT,
      USAGE,
      '69  the bus is out of reach, holds those ticks already, or left some to the next start of the daemon',
      '75  another daemon holds the state directory',
      CONFIGURATION,
    ],
    examples: [
      'full-feed-subscription publish --from 1',
      'full-feed-subscription publish --from 1200345 --again --profile live',
    ],
  },
}
