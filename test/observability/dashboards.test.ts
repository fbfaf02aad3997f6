import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { dashboardFiles } from '../../grafana/src/dashboards.ts'
import { GRID_COLUMNS } from '../../grafana/src/panels.ts'
import { ALERTS, EXPORTED, KNOWN_METRICS, metricsIn, PACKAGE, RECORDED } from '../support/shipped-monitoring.ts'

interface Target {
  expr: string
  refId: string
}

interface Panel {
  id: number
  title: string
  description: string
  gridPos: { x: number; y: number; w: number; h: number }
  targets: Target[]
}

interface Dashboard {
  uid: string
  title: string
  panels: Panel[]
  annotations: { list: { expr: string }[] }
}

const DIRECTORY = join(PACKAGE, 'grafana/dashboards')
const COMMITTED = readdirSync(DIRECTORY).map((name) => {
  const text = readFileSync(join(DIRECTORY, name), 'utf8')
  return { name, text, dashboard: JSON.parse(text) as Dashboard }
})

test('the committed dashboards are those that their source makes', () => {
  const generated = dashboardFiles()
  expect(COMMITTED.map(({ name }) => name).sort(), 'run npm run dashboards').toEqual([...generated.keys()].sort())
  for (const { name, text } of COMMITTED) expect(text, `${name}: run npm run dashboards`).toBe(generated.get(name))
})

test.each(COMMITTED)('$name: panels stay on the grid and do not overlap', ({ dashboard: { panels } }) => {
  const taken = new Map<string, string>()
  for (const { title, gridPos } of panels) {
    const { x, y, w, h } = gridPos
    expect(x >= 0 && x + w <= GRID_COLUMNS && h > 0 && w > 0, `${title} leaves the grid`).toBe(true)
    for (let column = x; column < x + w; column++) {
      for (let row = y; row < y + h; row++) {
        const cell = `${column}/${row}`
        expect(taken.get(cell), `${title} lies on another panel`).toBeUndefined()
        taken.set(cell, title)
      }
    }
  }
})

test.each(COMMITTED)(
  '$name: every query speaks of metrics that are exported, and of the chosen environment',
  ({ dashboard }) => {
    const { panels, annotations } = dashboard
    const queries = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
    expect(queries.length).toBeGreaterThan(4)
    for (const expr of [...queries, ...annotations.list.map((each) => each.expr)]) {
      expect(
        metricsIn(expr).filter((name) => !KNOWN_METRICS.has(name)),
        expr,
      ).toEqual([])
      expect(expr).toContain('profile=~"$profile"')
    }
  },
)

test('ids, titles and what to think of a panel are given, once each', () => {
  expect(new Set(COMMITTED.map(({ dashboard: { uid } }) => uid)).size).toBe(COMMITTED.length)
  for (const { dashboard } of COMMITTED) {
    const { panels } = dashboard
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    for (const { title, description, targets } of panels) {
      expect(title && description, `${dashboard.title}: ${title}`).toBeTruthy()
      expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length)
    }
  }
})

test('every exported metric is in a dashboard or an alert', () => {
  const expressions = [
    ...COMMITTED.flatMap(({ dashboard }) => dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))),
    ...ALERTS.map(({ expr }) => expr),
    ...RECORDED.map(({ expr }) => expr),
  ]
  const used = new Set(expressions.flatMap(metricsIn).map((name) => name.replace(/_(bucket|sum|count)$/, '')))
  expect(EXPORTED.filter((name) => !used.has(name))).toEqual([])
})
