/**
 * What reading the journal yields: one block of tick records at a time, as bytes with typed views over them, so that the publishing
 * path makes no object per record.
 */
import type { InstrumentName, RecordViews } from './journal-format.ts'

/** Valid until the next block is asked for: the bytes are reused. */
export interface JournalBlock {
  readonly views: RecordViews
  /** Number of ticks, in sequence order. */
  readonly count: number
  /** Byte offset in `views` of each tick record; only the first `count` entries mean anything. See JOURNAL_AT and JOURNAL_F64. */
  readonly offsets: Uint32Array
  readonly firstSequence: number
  readonly lastSequence: number
  /** Names by the instrument number of the records. Belongs to the segment: numbers mean something else in the next one. */
  readonly instruments: ReadonlyMap<number, InstrumentName>
  /** Host that wrote the segment; empty when the segment's header is damaged. */
  readonly host: string
  /** First sequence in the segment's name. Changes when reading goes on to the next segment. */
  readonly segmentSequence: number
  readonly writtenWallMs: number
}
