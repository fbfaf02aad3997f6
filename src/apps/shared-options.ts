/**
 * What the four commands have in common on the command line: the shared options, one way to end on bad usage, one way to choose
 * between a table for a person and JSON for a program. Nothing here reads the environment; it is handed in.
 */
import { Command, CommanderError, Help } from 'commander'
import { EXIT } from './exit-codes.ts'
import { VERSION } from './version.ts'

export interface SharedOptions {
  profile?: string
  envFile?: string
  stateDir?: string
  json: boolean
  quiet: boolean
  verbose: boolean
}

/** `table` for a person at a terminal, `json-lines` for a pipe, `json` for exactly one document. */
export type OutputForm = 'table' | 'json-lines' | 'json'

interface CommandText {
  name: string
  description: string
  /** Lines of "code  meaning", printed under the options. */
  exitCodes: readonly string[]
  /** Two command lines that work. */
  examples: readonly string[]
}

/** A command with version, help text and shared options; its usage errors are thrown, see `parseCommandLine`. */
export function newCommand(text: CommandText): Command {
  const command = new Command(text.name)
    .description(text.description)
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .showHelpAfterError(`(see ${text.name} --help)`)
    .configureHelp({ showGlobalOptions: true, boxWrap: wrapIndented })
    .exitOverride()
  return addSharedOptions(describeEnds(command, text))
}

/** What every command and subcommand tells below its options. */
export function describeEnds(
  command: Command,
  { exitCodes, examples }: Pick<CommandText, 'exitCodes' | 'examples'>,
): Command {
  return command.addHelpText(
    'after',
    `\nExit codes:\n${indented(exitCodes)}\n\nExamples:\n${indented(examples.map((line) => `$ ${line}`))}`,
  )
}

const plainHelp = new Help()

/** A line that begins with blanks is a row of a list: what does not fit goes on below its second column. */
function wrapIndented(text: string, width: number): string {
  return text
    .split('\n')
    .map((line) => {
      const lead = /^ +\S+ +/.exec(line)?.[0] ?? ''
      const rest = plainHelp.boxWrap(line.slice(lead.length), width - lead.length)
      return lead + rest.replaceAll('\n', `\n${' '.repeat(lead.length)}`)
    })
    .join('\n')
}

function addSharedOptions(command: Command): Command {
  return command
    .option('--profile <name>', 'sim, paper, staging or live (default: FEED_PROFILE, else "sim")')
    .option('--env-file <file>', 'environment file (default: .env.<profile>)')
    .option('--state-dir <dir>', 'state directory (default: FEED_STATE_DIR, else STATE_DIRECTORY, else "./var")')
    .option('--json', 'exactly one JSON document on stdout', false)
    .option('--quiet', 'only results and errors', false)
    .option('--verbose', 'more detail', false)
}

/** The shared options of a parsed command, also where they were given before a subcommand. */
export function sharedOptionsOf(command: Command): SharedOptions {
  const given: Record<string, unknown> = command.optsWithGlobals()
  const options: SharedOptions = {
    json: given['json'] === true,
    quiet: given['quiet'] === true,
    verbose: given['verbose'] === true,
  }
  if (typeof given['profile'] === 'string') options.profile = given['profile']
  if (typeof given['envFile'] === 'string') options.envFile = given['envFile']
  if (typeof given['stateDir'] === 'string') options.stateDir = given['stateDir']
  return options
}

export function outputFormOf(options: Pick<SharedOptions, 'json'>, isTerminal: boolean): OutputForm {
  if (options.json) return 'json'
  return isTerminal ? 'table' : 'json-lines'
}

/**
 * Parses `argv` (without node and script) and runs the action chosen.
 * @returns null when an action ran, and its own result counts; otherwise the exit code: 0 after help or version, else `usageExitCode`.
 * With `--json` a usage error is a JSON document on stdout too. What an action throws is passed on.
 */
export async function parseCommandLine(
  command: Command,
  argv: readonly string[],
  usageExitCode: number = EXIT.usage,
): Promise<number | null> {
  takeBrokenPipes()
  throwInSubcommandsToo(command)
  try {
    await command.parseAsync([...argv], { from: 'user' })
    return null
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return EXIT.done
    if (argv.includes('--json')) process.stdout.write(`${JSON.stringify(usageReport(command, error, usageExitCode))}\n`)
    return usageExitCode
  }
}

/** A reader that goes away (`| head`) changes neither what a command does nor its exit code; a disk that is full is worth a word. */
function takeBrokenPipes(): void {
  process.stdout.off('error', onStdoutFault).on('error', onStdoutFault)
  process.stderr.off('error', ignore).on('error', ignore)
}

function onStdoutFault(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') process.stderr.write(`stdout can't be written: ${error.message}\n`)
}

/** Whoever reads neither stream can't be told. */
function ignore(): void {}

function usageReport(command: Command, error: CommanderError, exitCode: number): object {
  const message = error.message.replace(/^error: /, '')
  return {
    schema: 'feed-supervisor/usage/1',
    command: command.name(),
    outcome: 'usage',
    exit_code: exitCode,
    problems: [{ name: 'usage', message, remedy: `See ${command.name()} --help.` }],
    warnings: [],
  }
}

/** A subcommand made before `exitOverride` would end the process by itself. */
function throwInSubcommandsToo(command: Command): void {
  command.exitOverride()
  for (const subcommand of command.commands) throwInSubcommandsToo(subcommand)
}

function indented(lines: readonly string[]): string {
  return lines.map((line) => `  ${line}`).join('\n')
}
