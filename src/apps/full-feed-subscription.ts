/** The daemon and its companions on the command line: which subcommand, which configuration, which exit code. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { EXIT } from './exit-codes.ts'
import { SUBCOMMAND_TEXTS } from './full-feed-subscription/subcommand-texts.ts'
import { describeEnds, newCommand, parseCommandLine, type SharedOptions, sharedOptionsOf } from './shared-options.ts'

interface RunOptions {
  untilEnd: boolean
  cold: boolean
  publish: boolean
  handedSecrets?: string
  dryRun: boolean
  contracts?: string
  batchSize?: string
  rateLimitMax?: string
  rateLimitWindow?: string
  maxRetries?: string
  retryDelay?: string
  include?: string
  exclude?: string
  limit?: string
  metricsHost?: string
  metricsPort?: string
}

type Action = 'refresh' | 'show' | 'diff'

interface CatalogueOptions {
  line: 'primary' | 'backup'
  again: boolean
  force: boolean
  reload: boolean
}

/** Runs one command and returns the exit code. */
export async function main(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  let result: Promise<number> = Promise.resolve(EXIT.done)
  const command = newCommand({
    name: 'full-feed-subscription',
    description: 'Holds both feed lines, arbitrates them into one stream and keeps it in the journal.',
    exitCodes: [
      '0   done; for `run`: stopped in order',
      '1   unexpected fault; for `verify`: the journal is damaged',
      '64  wrong usage',
      '69  not ready, or no daemon runs',
      '75  another daemon holds the state directory',
      '77  refused for safety: the kill latch is set, or no line may log in',
      '78  configuration',
    ],
    examples: ['full-feed-subscription run --profile sim', "full-feed-subscription tail 'rb*.SHFE'"],
  })

  addRun(command, (shared, options) => {
    result = import('./full-feed-subscription/run.ts').then(({ runCommand }) => runCommand(shared, env, options))
  })
  command
    .command('probe')
    .description('ask the daemon whether it lives (default) or is ready: for container health checks')
    .addOption(new Option('--live', 'it runs and answers').conflicts('ready'))
    .option('--ready', 'coverage is at or above the threshold')
    .action((options: { ready?: boolean }, sub: Command) => {
      const shared = sharedOptionsOf(sub)
      result = import('./full-feed-subscription/probe.ts').then(({ probe }) =>
        probe(shared, env, options.ready === true),
      )
    })
  command
    .command('subscribe')
    .description('ask for missing contracts again, or for those of a file')
    .option('--contracts <file>', 'contract list (JSON or CSV)')
    .action((options: { contracts?: string }, sub: Command) => {
      const shared = sharedOptionsOf(sub)
      result = import('./full-feed-subscription/subscribe.ts').then(({ subscribe }) =>
        subscribe(shared, env, options.contracts),
      )
    })
  command
    .command('catalogue')
    .description('refresh, show or compare the contract list')
    .argument('<action>', 'refresh, show or diff', oneOf('refresh', 'show', 'diff'))
    .argument('[list]', 'show, diff: a contract list (JSON or CSV), or a trading day such as 20261119')
    .addOption(
      new Option('--line <line>', 'refresh: whose trading fronts to ask')
        .choices(['primary', 'backup'])
        .default('primary'),
    )
    .option('--again', 'refresh: also when this trading day has been refreshed already', false)
    .option('--force', 'refresh: take a list that is more than 5 % shorter than the one in use', false)
    .option('--reload', 'refresh: let the running daemon read the new list', false)
    .addHelpText(
      'after',
      `
refresh logs in to the trading front, once per trading day, within the login budget. Without a list, show tells the running
daemon's (or what it would read), diff what changed between the last two trading days; with one, what it has besides the list in use.

Exit codes of refresh: 69 also for a list that is more than 5 % shorter than the one in use: the front is taken for not ready, as
nothing of ours is wrong, and the old list stays; 77 also when the front refuses the credentials, which latches the account.`,
    )
    .action((action: Action, file: string | undefined, options: CatalogueOptions, sub: Command) => {
      const shared = sharedOptionsOf(sub)
      result = import('./full-feed-subscription/catalogue.ts').then(({ catalogue }) =>
        catalogue(shared, env, { ...options, action, file }),
      )
    })
  command
    .command('tail')
    .description('live ticks as NDJSON from the running daemon')
    .argument('[pattern]', 'glob over symbols, such as "rb*.SHFE"', '*')
    .action((pattern: string, _options: object, sub: Command) => {
      const shared = sharedOptionsOf(sub)
      result = import('./full-feed-subscription/tail.ts').then(({ tail }) => tail(shared, env, pattern))
    })
  command
    .command('export')
    .description('the journal as NDJSON or CSV on stdout, in journal order')
    .addOption(new Option('--format <format>', 'output format').choices(['ndjson', 'csv']).default('ndjson'))
    .option('--off-session', 'ticks outside sessions too', false)
    .action((options: { format: 'ndjson' | 'csv'; offSession: boolean }, sub: Command) => {
      const shared = sharedOptionsOf(sub)
      result = import('./full-feed-subscription/journal-commands.ts').then(({ exportTicks }) =>
        exportTicks(shared, env, options),
      )
    })
  command
    .command('verify')
    .description('check the journal: 0 intact, 1 damaged')
    .action((_options: object, sub: Command) => {
      const shared = sharedOptionsOf(sub)
      result = import('./full-feed-subscription/journal-commands.ts').then(({ verify }) => verify(shared, env))
    })
  command
    .command('publish')
    .description(
      'bring the journal into the stream again, from a tick on: through the daemon, or without one by itself',
    )
    .requiredOption('--from <seq>', "sequence of the first tick, as in `seq` of export's rows", wholeNumber)
    .option('--again', 'also ticks that the stream holds already: it then has them twice', false)
    .action((options: { from: number; again: boolean }, sub: Command) => {
      const shared = sharedOptionsOf(sub)
      result = import('./full-feed-subscription/publish.ts').then(({ publish }) => publish(shared, env, options))
    })

  for (const subcommand of command.commands) {
    const text = SUBCOMMAND_TEXTS[subcommand.name()]
    if (text !== undefined) describeEnds(subcommand, text)
  }
  const usage = await parseCommandLine(command, argv)
  return usage ?? (await result)
}

function addRun(command: Command, act: (shared: SharedOptions, options: RunOptions) => void): void {
  command
    .command('run', { isDefault: true })
    .description('the daemon, in the foreground (the default)')
    .option('--until-end', 'leave when a replay is over and all of it is on disk', false)
    .option('--cold', 'ignore checkpoint and journal of earlier runs', false)
    .option('--no-publish', 'everything but the bus')
    .addOption(new Option('--handed-secrets <names>', 'secrets that come over descriptor 3').hideHelp())
    .option('--dry-run', 'check the configuration and say what would run', false)
    .option('--contracts <file>', "contract list (JSON or CSV) instead of the front's own")
    .option('--batch-size <n>', 'contracts per subscribe request (default: 500)')
    .option('--rate-limit-max <n>', 'contracts per window, 0 = pacing off (default: 500)')
    .option('--rate-limit-window <seconds>', 'length of the window (default: 0.5)')
    .option(
      '--max-retries <n>',
      'requests repeated for a silent contract before the line counts as settled (default: 3)',
    )
    .option('--retry-delay <seconds>', 'first delay before a repetition (default: 1)')
    .option('--include <globs>', 'only these contracts, comma-separated globs')
    .option('--exclude <globs>', 'not these contracts')
    .option('--limit <n>', 'at most this many contracts')
    .option('--metrics-host <host>', 'address of the metrics port (default: 127.0.0.1)')
    .option('--metrics-port <port>', 'metrics port, 0 = any free one (default: 9101)')
    .action((options: RunOptions, sub: Command) => act(sharedOptionsOf(sub), options))
}

function oneOf<Choice extends string>(...choices: Choice[]): (value: string) => Choice {
  return (value) => {
    const choice = choices.find((each) => each === value)
    if (choice === undefined) throw new InvalidArgumentError(`Allowed choices are ${choices.join(', ')}.`)
    return choice
  }
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,15}$/.test(text)) throw new InvalidArgumentError('A whole number from 1 on is expected.')
  return Number(text)
}

export type { RunOptions }
