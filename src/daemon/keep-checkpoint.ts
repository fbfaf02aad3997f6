/** What the daemon knows of every instrument, over restarts: put back before anything is opened, saved at intervals and at the end. */
import { checkpointPath } from '#adapters/state/checkpoint-file.ts'
import type { Arbiter } from '#domain/arbitration.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import type { DaemonOptions } from './daemon-options.ts'
import type { InstrumentSlots } from './instrument-slots.ts'
import { journalDirectory } from './open-tick-journal.ts'
import { type Restored, restoreSlots, saveSlots } from './restore-slots.ts'

/** What is told of the damage goes into the log and to `warnings`. */
export async function restoreInstruments(
  { config, cold, log }: DaemonOptions,
  parts: { slots: InstrumentSlots; arbiter: Arbiter; lastSequence: number; warnings: Set<string> },
): Promise<Restored> {
  const { slots, arbiter, lastSequence } = parts
  const restored = await restoreSlots({
    checkpointPath: checkpointPath(config.stateDir),
    journalDirectory: journalDirectory(config),
    lastSequence,
    arbiter,
    table: slots.table,
    slotOf: (symbol, exchange) => slots.slotOf(symbol, exchange),
    cold,
  })
  for (const warning of restored.warnings) {
    parts.warnings.add(warning)
    log('warn', warning, { component: 'checkpoint' })
  }
  if (restored.lastReceivedMs !== null) {
    const since = isoShanghai(restored.lastReceivedMs)
    log('info', `restored ${restored.instruments} instruments; nothing was received since ${since}`, {
      gap_from: since,
    })
  }
  return restored
}

interface CheckpointFacts {
  arbiter: Arbiter
  slots: InstrumentSlots
  epoch(): number
  writtenSequence(): number
}

export class CheckpointKeeper {
  readonly #options: DaemonOptions
  readonly #facts: CheckpointFacts
  #saving: Promise<void> | null = null

  constructor(options: DaemonOptions, facts: CheckpointFacts) {
    this.#options = options
    this.#facts = facts
  }

  /** Unless one is being saved: a disk that takes longer than the interval must not collect a queue of them. */
  saveIfIdle(): void {
    if (this.#saving === null) void this.save()
  }

  /** After the one that is being saved, if any. A disk that refuses is told in the log. */
  async save(): Promise<void> {
    await this.#saving
    this.#saving = this.#write()
    await this.#saving
    this.#saving = null
  }

  async #write(): Promise<void> {
    const { config, clock, log } = this.#options
    const { arbiter, slots, epoch, writtenSequence } = this.#facts
    try {
      await saveSlots({
        checkpointPath: checkpointPath(config.stateDir),
        arbiter,
        table: slots.table,
        sequence: writtenSequence(),
        epoch: epoch(),
        nowMs: clock.wallMs(),
      })
    } catch (error) {
      log('warn', `the checkpoint could not be written: ${String(error)}`, { component: 'checkpoint' })
    }
  }
}
