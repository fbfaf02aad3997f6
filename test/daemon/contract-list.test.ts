// Which contracts a line is asked to carry: the list, its days, the filters, and what a new trading day makes of them.
import { afterEach, beforeEach, expect, test } from 'vitest'
import { parseConfig } from '#config/parse-config.ts'
import { ContractList, type DatedContract } from '#daemon/contract-list.ts'
import { InstrumentSlots } from '#daemon/instrument-slots.ts'
import { TickPath } from '#daemon/tick-path.ts'
import { Arbiter } from '#domain/arbitration.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { ScriptedLine } from '../support/scripted-line.ts'
import { shippedCalendar } from '../support/shipped-calendar.ts'

const THURSDAY = 20261119
const FRIDAY = 20261120
const ALWAYS: DatedContract = { symbol: 'rb2605', exchange: 'SHFE', openDay: null, expiryDay: null }
const LAST_DAY: DatedContract = { symbol: 'au2611', exchange: 'SHFE', openDay: 20251118, expiryDay: THURSDAY }
const NEW: DatedContract = { symbol: 'm2711', exchange: 'DCE', openDay: FRIDAY, expiryDay: 20271115 }
const OTHER: DatedContract = { symbol: 'SR701', exchange: 'CZCE', openDay: null, expiryDay: null }

const clock = new ManualClock()
let line: ScriptedLine
beforeEach(() => {
  line = new ScriptedLine(clock, { wanted: 'off' })
})
afterEach(() => line.end())

function listFor(settings: Record<string, string> = {}) {
  const parsed = parseConfig({ env: settings, envFile: null, cwd: '/srv', packageDir: '/opt' })
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  const slots = new InstrumentSlots(shippedCalendar())
  const path = new TickPath({ arbiter: new Arbiter(slots.live), table: slots.table, log: { append: () => 0 } })
  const list = new ContractList({ config: parsed.config, slots, path })
  const sessions = { primary: line.session, backup: null }
  return {
    replace: (contracts: readonly DatedContract[], day: number) => list.replace(contracts, sessions, day),
    turnTo: (day: number) => list.turnTo(day, sessions),
    add: (contract: DatedContract) => list.add(line.session, contract),
    listed: () => line.session.book.listed().map((slot) => slots.table.name(slot).symbol),
    resting: () => [...list.resting].map((slot) => slots.table.name(slot).symbol),
    told: () => slots.table.names.filter((_, slot) => path.listedOn[slot] === 1).map(({ symbol }) => symbol),
  }
}

test('with a new trading day the newly listed come and the expired go', () => {
  const list = listFor()
  expect(list.replace([ALWAYS, LAST_DAY, NEW], THURSDAY)).toEqual({ added: 2, removed: 0 })
  expect(list.listed()).toEqual(['rb2605', 'au2611'])
  expect(list.resting()).toEqual(['m2711'])
  expect(list.turnTo(FRIDAY)).toEqual({ added: 1, removed: 1 })
  expect(list.listed()).toEqual(['rb2605', 'm2711'])
  expect(list.told()).toEqual(['rb2605', 'm2711'])
  expect(list.resting()).toEqual(['au2611'])
  expect(list.turnTo(FRIDAY)).toEqual({ added: 0, removed: 0 })
})

test('a new list takes the place of the old one', () => {
  const list = listFor()
  list.replace([ALWAYS, NEW], THURSDAY)
  expect(list.replace([OTHER], THURSDAY)).toEqual({ added: 1, removed: 1 })
  expect(list.listed()).toEqual(['SR701'])
  expect(list.resting()).toEqual([])
})

test('what the filters leave out neither is asked for nor rests', () => {
  const list = listFor({ CONTRACTS_EXCLUDE: 'm*,SR*' })
  list.replace([ALWAYS, NEW, OTHER], THURSDAY)
  expect(list.listed()).toEqual(['rb2605'])
  expect(list.resting()).toEqual([])
})

test('where the bridges list, a new trading day takes nothing away', () => {
  const list = listFor({ CONTRACTS_LIMIT: '2' })
  for (const contract of [ALWAYS, OTHER, NEW]) list.add(contract)
  expect(list.listed()).toEqual(['rb2605', 'SR701'])
  expect(list.turnTo(FRIDAY)).toEqual({ added: 0, removed: 0 })
  expect(list.listed()).toEqual(['rb2605', 'SR701'])
})
