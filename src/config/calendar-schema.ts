/**
 * The form of the calendar's two files, as docs/calendar.md describes them. Dates become yyyymmdd numbers and times minutes of the day;
 * what entries mean together is parse-calendar.ts's business. Unknown entries are refused, since a misspelled one would go unnoticed.
 */
import { z } from 'zod'
import { EXCHANGES, type Exchange } from '#domain/instrument.ts'
import { fromYyyymmdd, toYyyymmdd } from '#domain/trading-day.ts'

const DATE = /^(\d{4})-(\d{2})-(\d{2})$/
const TIME = /^([01]\d|2[0-3]):([0-5]\d)$/

const dateSchema = z
  .string()
  .regex(DATE, 'expected a date such as 2026-10-01')
  .transform((text) => Number(text.replaceAll('-', '')))
  .refine((date) => toYyyymmdd(fromYyyymmdd(date)) === date, 'expected a date that exists')
const timeSchema = z.string().regex(TIME, 'expected a time such as 21:00').transform(minuteOf)
/** An exchange that opens late does so in the evening or in the small hours. */
const lateOpeningSchema = timeSchema.transform((minute) => (minute < 720 ? minute + 1440 : minute))
const sectionSchema = z
  .string()
  .regex(/^\S{5}-\S{5}$/, 'expected a section such as 21:00-23:00')
  .refine((text) => text.split('-').every((time) => TIME.test(time)), 'expected two times such as 21:00-23:00')
  .transform((text) => text.split('-').map(minuteOf))
const exchangeSchema = z.enum(EXCHANGES)
const noteSchema = z.string().optional()

export const holidaysSchema = z.strictObject({
  about: noteSchema,
  covered_from: dateSchema,
  covered_until: dateSchema,
  closures: z.array(z.strictObject({ from: dateSchema, to: dateSchema, name: noteSchema })),
  night_exceptions: z
    .array(
      z.strictObject({
        from: dateSchema,
        to: dateSchema,
        exchanges: z.array(exchangeSchema).min(1),
        night: z.union(
          [z.literal('none'), z.literal('held'), lateOpeningSchema],
          'expected "none", "held" or a time such as "22:30"',
        ),
        note: noteSchema,
      }),
    )
    .default([]),
})

const planSchema = z.strictObject({
  auction: timeSchema,
  match: timeSchema,
  sections: z.array(sectionSchema).min(1),
  closing_auction: timeSchema.optional(),
})
const productCodeSchema = z.string().regex(/^[A-Za-z]{1,8}$/, 'expected a product code such as rb')
export const sessionsSchema = z.strictObject({
  about: noteSchema,
  trading_day_rolls_at: timeSchema,
  templates: z.record(z.string(), z.strictObject({ night: planSchema.optional(), day: planSchema, note: noteSchema })),
  exchanges: z.partialRecord(
    exchangeSchema,
    z.strictObject({
      default_template: z.string(),
      day_auction_after_night_from: dateSchema.optional(),
      products: z.array(
        z.strictObject({
          products: z.array(productCodeSchema).min(1),
          template: z.string(),
          from: dateSchema.optional(),
          to: dateSchema.optional(),
          note: noteSchema,
        }),
      ),
    }),
  ),
})

export type PlanInFile = z.infer<typeof planSchema>
export type ExchangeInFile = NonNullable<z.infer<typeof sessionsSchema>['exchanges'][Exchange]>

function minuteOf(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3, 5))
}
