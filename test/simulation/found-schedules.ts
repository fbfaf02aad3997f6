/** The smallest schedules that once went wrong, each with the sentence of what the supervisor did then. */
import { calmSchedule, marketHalt, type Schedule } from './schedule.ts'
import type { SimulationOptions } from './simulation.ts'

const ALL_GARBAGE = ['dbl-max', 'nan', 'negative-volume', 'malformed-time', 'far-future-time', 'absurd-volume'] as const

export const FOUND_SCHEDULES: readonly [string, Schedule, SimulationOptions?][] = [
  [
    'a feed state was published under an epoch that was not on disk yet',
    calmSchedule('2026-03-10 13:40', {
      seed: 4,
      standby: 'cold',
      durationMs: 60_000,
      acts: [20_000, 20_300, 30_000, 40_000, 50_000].map((atMs, i) => ({
        atMs,
        act: i % 2 === 0 ? 'serve-backup' : 'serve-primary',
        downMs: 0,
      })),
    }),
  ],
  [
    'a line that had stood by was accused of the ticks that the other one brought meanwhile',
    calmSchedule('2026-03-10 14:57:51.500', {
      seed: 18,
      standby: 'cold',
      faults: [
        { atMs: 29_943, line: 'both', forMs: 60_570, fault: 'exchange-halt', exchange: 'GFEX' },
        // No snapshots, so that only ticks of its own can excuse the line.
        { atMs: 64_000, line: 'backup', forMs: 720, fault: 'mute' },
        { atMs: 64_462, line: 'primary', forMs: 0, fault: 'crash' },
      ],
    }),
  ],
  [
    'a gap was told to be over by two lines that came up and brought no tick',
    calmSchedule('2026-03-10 10:02', {
      seed: 40,
      durationMs: 200_000,
      faults: [{ atMs: 60_000, line: 'both', forMs: 130_000, fault: 'mute' }],
    }),
  ],
  [
    'a cold line whose account is latched was raised again and again, until the flap latch held on it',
    calmSchedule('2026-03-10 13:40', {
      seed: 354,
      standby: 'cold',
      durationMs: 76_000,
      faults: [
        { atMs: 50_000, line: 'backup', forMs: 200_000, fault: 'login-error', id: 75, once: false },
        {
          atMs: 60_000,
          line: 'primary',
          forMs: 15_000,
          fault: 'garbage',
          kinds: [...ALL_GARBAGE],
          ratio: 0.5,
          replace: false,
        },
      ],
    }),
  ],
  [
    'a gap was told at a start although the other line delivered',
    calmSchedule('2026-03-10 14:50', {
      seed: 249,
      durationMs: 200_000,
      faults: [{ atMs: 35_874, line: 'primary', forMs: 89_208, fault: 'throttle', code: -3 }],
      acts: [{ atMs: 60_000, act: 'crash', downMs: 143 }],
    }),
  ],
  [
    'a line alone that lost its subscriptions unnoticed stayed silent for ever',
    calmSchedule('2026-03-10 10:28:18.746', {
      seed: 3_075,
      standby: 'warm',
      durationMs: 124_000,
      faults: [{ atMs: 104_937, line: 'both', forMs: 0, fault: 'drop-subscriptions' }],
    }),
  ],
  [
    'a mute line was taken for better because a cold one that came up proved that the market ticks',
    calmSchedule('2026-03-10 13:40', {
      seed: 4_952,
      standby: 'cold',
      durationMs: 200_000,
      faults: [{ atMs: 60_000, line: 'primary', forMs: 113_000, fault: 'mute' }],
    }),
  ],
  [
    'a latched line went on serving because the other one lacked a contract that its front refuses',
    calmSchedule('2026-03-10 09:20', {
      seed: 5_384,
      durationMs: 200_000,
      faults: [
        { atMs: 0, line: 'backup', forMs: 100_000, fault: 'refuse-contracts', count: 1, id: 16 },
        { atMs: 60_000, line: 'primary', forMs: 0, fault: 'crash' },
        { atMs: 60_000, line: 'primary', forMs: 16_000, fault: 'login-error', id: 75, once: true },
      ],
    }),
  ],
  [
    'twins of one moment were news again after a restart',
    calmSchedule('2026-03-10 14:57:35.545', {
      seed: 6_604,
      durationMs: 220_000,
      faults: [{ atMs: 196_358, line: 'backup', forMs: 0, fault: 'rewind', byMs: 101_988 }],
      acts: [{ atMs: 161_550, act: 'restart', downMs: 17_857 }],
    }),
  ],
  [
    'a line that came back at once was not waited for in a slow market, and outran what was not read yet',
    calmSchedule('2026-03-10 13:40:04', {
      seed: 171,
      startMs: 1_773_121_204_039.3303,
      durationMs: 292_836,
      failbackStableMs: 20_000,
      faults: [{ atMs: 212_597, line: 'primary', forMs: 0, fault: 'crash' }],
      readLate: [{ atMs: 212_385, line: 'backup', forMs: 2_834, byMs: 394 }],
    }),
  ],
  [
    'what a line brought while it waited behind a mute one was held until it was old',
    calmSchedule('2026-03-10 09:20:49', {
      seed: 219,
      startMs: 1_773_105_649_686.595,
      durationMs: 330_000,
      failbackStableMs: 300_000,
      reconnectMs: 100,
      faults: [
        {
          atMs: 99_657,
          line: 'backup',
          forMs: 106_186,
          fault: 'garbage',
          kinds: [...ALL_GARBAGE],
          ratio: 1,
          replace: true,
        },
        { atMs: 191_870, line: 'backup', forMs: 138_130, fault: 'disconnect', reason: 0 },
        { atMs: 310_974, line: 'both', forMs: 19_026, fault: 'mute' },
      ],
    }),
  ],
  [
    'a quiet contract stayed unsubscribed for ever, because it had brought nothing by which it was missed',
    calmSchedule('2026-03-10 13:40:02', {
      seed: 813,
      startMs: 1_773_121_202_042.8333,
      durationMs: 99_947.02119380236,
      faults: [
        { atMs: 10_551, line: 'backup', forMs: 89_396, fault: 'refuse-contracts', count: 2, id: 7 },
        { atMs: 16_855, line: 'primary', forMs: 323, fault: 'disconnect', reason: 4_097 },
        { atMs: 53_370, line: 'backup', forMs: 46_577, fault: 'hang' },
        { atMs: 61_470, line: 'both', forMs: 0, fault: 'drop-subscriptions' },
      ],
    }),
  ],
  [
    'a cold line was switched to whose account the other line had just got latched',
    calmSchedule('2026-04-03 14:56:22', {
      seed: 2_993,
      startMs: 1_775_199_382_465.8289,
      durationMs: 207_550.99223926663,
      standby: 'cold',
      linesShareAccount: true,
      failbackStableMs: 20_000,
      faults: [{ atMs: 49_995, line: 'primary', forMs: 3_564, fault: 'login-error', id: 75, once: true }],
      acts: [{ atMs: 204_934, act: 'restart', downMs: 1_999 }],
    }),
  ],
  ...(['warm', 'cold'] as const).map((standby): [string, Schedule] => [
    `with automation paused, the ${standby} line that alone delivered was taken down again and again`,
    calmSchedule('2026-03-10 13:40', {
      standby,
      durationMs: 200_000,
      acts: [{ atMs: 10_000, act: 'pause', downMs: 0 }],
      faults: [{ atMs: 20_000, line: 'primary', forMs: 150_000, fault: 'disconnect', reason: 4_097 }],
    }),
  ]),
  [
    'a restarted daemon told nobody of its epoch, because both fronts were gone',
    calmSchedule('2026-03-10 13:40', {
      durationMs: 400_000,
      acts: [{ atMs: 60_000, act: 'crash', downMs: 5_000 }],
      faults: [
        { atMs: 61_000, line: 'both', forMs: 300_000, fault: 'disconnect', reason: 4_097 },
        { atMs: 61_000, line: 'both', forMs: 300_000, fault: 'refuse-connect' },
      ],
    }),
  ],
  [
    'a halt of all exchanges switched lines, because the one that was dialled anew showed its last snapshots',
    calmSchedule('2026-03-10 13:40', { seed: 1, durationMs: 200_000, faults: marketHalt(60_013, 60_000) }),
  ],
  [
    'a halt of all exchanges switched lines, because one of them had been silent a moment longer',
    calmSchedule('2026-03-10 13:40', { seed: 32, durationMs: 200_000, faults: marketHalt(60_416, 60_000) }),
  ],
  [
    'both lines mute, the one that answered subscriptions first was taken for alive',
    calmSchedule('2026-03-10 13:40', {
      seed: 32,
      durationMs: 200_000,
      muteAnswers: true,
      faults: [{ atMs: 60_416, line: 'both', forMs: 60_000, fault: 'mute' }],
    }),
  ],
  [
    'a line whose raising failed was raised again until the flap latch held on it, for ever SWITCHED',
    calmSchedule('2026-03-10 13:40', {
      standby: 'cold',
      durationMs: 900_000,
      faults: [
        {
          atMs: 60_000,
          line: 'primary',
          forMs: 800_000,
          fault: 'garbage',
          kinds: ['nan', 'negative-volume', 'malformed-time'],
          ratio: 0.1,
          replace: false,
        },
        { atMs: 10_000, line: 'backup', forMs: 850_000, fault: 'login-error', id: 7, once: false },
      ],
    }),
  ],
  [
    'a gap at the opening after lunch was told to have begun before it',
    calmSchedule('2026-03-10 11:27', {
      durationMs: 5_700_000,
      faults: [{ atMs: 400_000, line: 'both', forMs: 5_250_000, fault: 'disconnect', reason: 4_097 }],
    }),
  ],
  [
    'the time between ticks around a switch reached back across the lunch break',
    calmSchedule('2026-03-10 11:28', {
      durationMs: 5_600_000,
      failbackStableMs: 300_000,
      faults: [{ atMs: 5_523_000, line: 'primary', forMs: 40_000, fault: 'disconnect', reason: 4_097 }],
    }),
  ],
  [
    'a gap was told to be over by lines that held not one subscription',
    calmSchedule('2026-03-10 13:40', {
      durationMs: 320_000,
      faults: [
        { atMs: 15_000, line: 'both', forMs: 280_000, fault: 'throttle', code: -2 },
        { atMs: 20_000, line: 'both', forMs: 1_000, fault: 'disconnect', reason: 4_097 },
      ],
    }),
  ],
]
