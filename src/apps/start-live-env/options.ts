/** The command line of start-live-env: one table of modes, from which help, checks of usage and the dispatch all follow. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { DrillKind } from '#domain/drill.ts'
import { newCommand, type SharedOptions, sharedOptionsOf } from '../shared-options.ts'

export type ModeName =
  | 'start'
  | 'restart'
  | 'stop'
  | 'status'
  | 'failover'
  | 'failback'
  | 'drill'
  | 'pause'
  | 'resume'
  | 'kill'
  | 'plan'
  | 'rollback'
  | 'backup'
  | 'restore'
  | 'bundle'
  | 'audit'

/** Options that only some modes know, by their names on the command line. */
export type ModeOption =
  | 'window'
  | 'config'
  | 'timeout'
  | 'reason'
  | 'dry-run'
  | 'strict'
  | 'if-trading-day'
  | 'clear-latch'
  | 'kind'
  | 'decommission'
  | 'plan'
  | 'out'
  | 'no-publish'
  | 'cold'

export interface ModeText {
  summary: string
  options: readonly ModeOption[]
  /** What may follow the mode: one of these words, or the file that it needs. */
  operands?: readonly string[] | 'file'
}

const STARTING = [
  ...(['window', 'config', 'timeout', 'reason', 'dry-run', 'strict', 'if-trading-day'] as const),
  ...(['plan', 'no-publish', 'cold'] as const),
]

export const MODE_TEXTS: Readonly<Record<ModeName, ModeText>> = {
  start: { summary: 'bring the environment up and prove it (default)', options: STARTING },
  restart: {
    summary: 'stop and start under one lock; goes back to the old one if the new one fails',
    options: STARTING,
  },
  stop: {
    summary: 'drain, sync the journal, end every process',
    options: ['timeout', 'reason', 'dry-run', 'decommission'],
  },
  status: { summary: 'what runs, and how well; clears latches', options: ['clear-latch', 'reason'] },
  failover: { summary: 'let the other line serve, and prove it by ticks', options: ['timeout', 'reason'] },
  failback: { summary: 'let the primary line serve again', options: ['timeout', 'reason'] },
  drill: {
    summary: 'rehearse failover and failback, or the kill switch; ends on the line it began with',
    options: ['kind', 'timeout', 'reason'],
  },
  pause: { summary: 'automatic failover off; operator commands still work', options: ['reason'] },
  resume: { summary: 'automatic failover on', options: ['reason'] },
  kill: { summary: 'cut both lines at once and refuse every start until the latch is cleared', options: ['reason'] },
  plan: {
    summary: 'what start or restart would change against what runs now (drift)',
    options: ['window', 'config', 'out', 'reason', 'no-publish', 'cold'],
  },
  rollback: {
    summary: 'back to the configuration that worked last; shows first what that changes',
    options: ['timeout', 'reason', 'dry-run', 'strict'],
  },
  backup: { summary: 'write what the state directory must not lose to FILE', options: ['reason'], operands: 'file' },
  restore: {
    summary: 'put a backup FILE into a state directory that nothing uses',
    options: ['reason', 'dry-run'],
    operands: 'file',
  },
  bundle: { summary: 'all that a postmortem needs, masked, in FILE', options: ['reason'], operands: 'file' },
  audit: { summary: 'who did what; "audit verify" proves that nobody changed it', options: [], operands: ['verify'] },
}

export interface RunOptions {
  mode: ModeName
  /** The word after the mode; null where none was given. */
  operand: string | null
  shared: SharedOptions
  window: string | null
  config: 'primary' | 'backup' | null
  supervisor: string | null
  /** Null: the configuration's, plus what pacing needs. */
  timeoutMs: number | null
  reason: string | null
  dryRun: boolean
  strict: boolean
  ifTradingDay: boolean
  clearLatch: 'primary' | 'backup' | 'kill' | null
  /** The environment is given up: what it pushed is deleted. */
  decommission: boolean
  drillKind: DrillKind
  /** The reviewed plan to apply. */
  plan: string | null
  /** Where a plan goes; null: the state directory. */
  out: string | null
  noPublish: boolean
  cold: boolean
}

export function environmentCommand(): Command {
  return newCommand({
    name: 'start-live-env',
    description: `Runs the day of the feed: brings it up, proves it, moves it between lines, takes it down.\n\nModes:\n${modeList()}`,
    exitCodes: [
      '0   done; plan: no change',
      '1   unexpected fault; audit verify: damaged',
      '2   plan: changes',
      '64  bad usage',
      "69  not ready in time, or the target line can't serve",
      '75  another run holds the lock',
      '77  refused for safety: kill latch set, or no line may log in',
      '78  configuration or preflight; a plan that the world has left behind, or none where one is required',
      'drill, by the phase that failed:',
      '41  health before                 42  consumer backlog before',
      '43  backlog after failover        44  failover, or health after it',
      '45  backlog after failback        46  failback, or health after it',
      '47  recovery time over objective',
    ],
    examples: ['start-live-env --profile live --if-trading-day', 'start-live-env failover --reason "front 2 is slow"'],
  })
    .argument('[mode]', 'what to do', modeOf, 'start')
    .argument('[word]', 'for audit: verify; for backup, restore, bundle: the file')
    .addOption(
      new Option('--window <window>', 'trading window (default: by the market calendar)').choices([
        'day',
        'night',
        'auto',
      ]),
    )
    .addOption(new Option('--config <line>', 'line to serve first').choices(['primary', 'backup']))
    .addOption(
      new Option('--supervisor <kind>', 'who keeps the daemon (default: FEED_SUPERVISOR, else "local")').choices([
        'local',
      ]),
    )
    .option(
      '--timeout <seconds>',
      'how long to wait (default: of the configuration, plus the time that pacing takes)',
      secondsOf,
    )
    .option('--reason <text>', 'why, for the record', reasonOf)
    .option('--dry-run', 'check and show the steps, change nothing', false)
    .option('--strict', 'stop again when not ready in time', false)
    .option('--plan <file>', 'start or restart exactly as the reviewed plan says, or not at all')
    .option('--out <file>', 'with plan: where it goes (default: plans/ in the state directory)')
    .option('--no-publish', 'everything but the bus, to see that all is in order before consumers hear of it')
    .option('--cold', 'ignore checkpoint and journal of earlier runs')
    .option('--if-trading-day', 'on a day without that window: exit 0, outcome skipped', false)
    .option(
      '--decommission',
      'with stop: the environment is given up; deletes what it pushed to the Pushgateway',
      false,
    )
    .addOption(
      new Option('--kind <kind>', 'with drill: what to rehearse')
        .choices(['failover', 'kill-switch'])
        .default('failover'),
    )
    .addOption(
      new Option(
        '--clear-latch <which>',
        'with status: clear the latch of a line or of the kill switch; needs --reason',
      ).choices(['primary', 'backup', 'kill']),
    )
}

function modeList(): string {
  return Object.entries(MODE_TEXTS)
    .map(([name, { summary }]) => `  ${name.padEnd(10)} ${summary}`)
    .join('\n')
}

/** Throws what commander throws on bad usage. */
export function runOptionsOf(command: Command): RunOptions {
  const given = command.opts<ParsedOptions>()
  const [mode = 'start', operand] = command.processedArgs as [ModeName | undefined, string | undefined]
  refuseForeignOptions(command, mode)
  refuseForeignOperand(command, mode, operand)
  if (given.clearLatch !== undefined && given.reason === undefined) {
    command.error('error: --clear-latch needs --reason: say what was done about the cause')
  }
  return {
    mode,
    operand: operand ?? null,
    shared: sharedOptionsOf(command),
    window: given.window ?? null,
    config: given.config ?? null,
    supervisor: given.supervisor ?? null,
    timeoutMs: given.timeout === undefined ? null : given.timeout * 1000,
    reason: given.reason ?? null,
    dryRun: given.dryRun,
    strict: given.strict,
    ifTradingDay: given.ifTradingDay,
    clearLatch: given.clearLatch ?? null,
    decommission: given.decommission,
    drillKind: given.kind,
    plan: given.plan ?? null,
    out: given.out ?? null,
    noPublish: !given.publish,
    cold: given.cold === true,
  }
}

interface ParsedOptions {
  window?: string
  config?: 'primary' | 'backup'
  supervisor?: string
  timeout?: number
  reason?: string
  dryRun: boolean
  strict: boolean
  ifTradingDay: boolean
  clearLatch?: 'primary' | 'backup' | 'kill'
  kind: DrillKind
  decommission: boolean
  plan?: string
  out?: string
  publish: boolean
  cold?: boolean
}

/** An option that a mode would silently ignore is a misunderstanding that the operator should hear of. */
function refuseForeignOptions(command: Command, mode: ModeName): void {
  const foreign = MODE_OPTIONS.find(
    (option) => command.getOptionValueSource(valueName(option)) === 'cli' && !MODE_TEXTS[mode].options.includes(option),
  )
  if (foreign !== undefined) command.error(`error: ${mode} takes no --${foreign}`)
}

function refuseForeignOperand(command: Command, mode: ModeName, operand: string | undefined): void {
  const { operands = [] } = MODE_TEXTS[mode]
  if (operands === 'file') {
    if (operand === undefined || operand === '')
      command.error(`error: ${mode} needs a file: start-live-env ${mode} FILE`)
    return
  }
  if (operand === undefined || operands.includes(operand)) return
  const takes = operands.length === 0 ? 'nothing' : `only ${operands.join(', ')}`
  command.error(`error: ${mode} is followed by ${takes}, not by ${operand}`)
}

const MODE_OPTIONS = [...new Set(Object.values(MODE_TEXTS).flatMap((text) => text.options))]

/** As commander calls it: a `--no-x` is the value x. */
function valueName(option: string): string {
  return option.replace(/^no-/, '').replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

function modeOf(text: string): ModeName {
  const mode = Object.keys(MODE_TEXTS).find((name): name is ModeName => name === text)
  if (mode === undefined) throw new InvalidArgumentError(`Expected one of ${Object.keys(MODE_TEXTS).join(', ')}.`)
  return mode
}

function secondsOf(text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (!(value > 0 && value <= 86_400)) throw new InvalidArgumentError('Expected seconds above 0, up to 86400.')
  return value
}

const REASON_MAX = 500

function reasonOf(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('Expected a sentence.')
  if (text.length > REASON_MAX) throw new InvalidArgumentError(`Expected at most ${REASON_MAX} characters.`)
  return text.trim()
}
