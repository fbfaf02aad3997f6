/** The market calendar of a bridge, loaded only when asked for: an always-open market must not wait for the parser at start. */
import { Failure } from '#domain/failure.ts'
import type { MarketCalendar } from '#domain/session-calendar.ts'

/**
 * @param location JSON: the calendar's directory, or a list that begins with it; '' for none
 * @throws Failure 'calendar-invalid'
 */
export async function readMarketCalendar(location: string): Promise<MarketCalendar | undefined> {
  if (location === '') return undefined
  const [{ loadCalendar }, { createMarketCalendar }] = await Promise.all([
    import('#config/parse-calendar.ts'),
    import('#domain/session-calendar.ts'),
  ])
  const paths: unknown = JSON.parse(location)
  const calendar = loadCalendar(String(Array.isArray(paths) ? paths[0] : paths))
  if (calendar.ok) return createMarketCalendar(calendar.data)
  const [problem] = calendar.problems
  throw new Failure(
    'calendar-invalid',
    `${problem?.name}: ${problem?.message}`,
    problem?.remedy ?? 'Correct the calendar files.',
  )
}
