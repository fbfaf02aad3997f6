/**
 * What the dashboards are made of: a few kinds of panel with our defaults, laid out in rows of a grid that nothing may leave. A query is
 * told the environment that the viewer chose; each panel says in its description what to think of what it shows.
 */
import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog'
import {
  BigValueColorMode,
  BigValueGraphMode,
  type DataSourceRef,
  GraphDrawStyle,
  ReduceDataOptionsBuilder,
  StackingConfigBuilder,
  StackingMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common'
import {
  AnnotationQueryBuilder,
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  MappingType,
  type Panel,
  QueryVariableBuilder,
  type Threshold,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  type ValueMapping,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard'
import {
  PanelBuilder as HeatmapBuilder,
  HeatmapColorMode,
  HeatmapColorOptionsBuilder,
  YAxisConfigBuilder,
} from '@grafana/grafana-foundation-sdk/heatmap'
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as TimelineBuilder } from '@grafana/grafana-foundation-sdk/statetimeline'
import { PanelBuilder as HistoryBuilder } from '@grafana/grafana-foundation-sdk/statushistory'
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table'
import { PanelBuilder as SeriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries'

export const GRID_COLUMNS = 24
// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana replaces it.
const SOURCE: DataSourceRef = { type: 'prometheus', uid: '${datasource}' }
/** Of the environment chosen; for what the daemon shows and what the commands push alike. */
export const PROFILE = 'profile=~"$profile"'
const TAG = 'feed-supervisor'

/** [query, legend]. Within a legend, `{{label}}` is replaced. */
export type Query = readonly [expr: string, legend: string]
type PanelBuilder = Builder<Panel>
type Shown = Record<string, { text: string; color: string }>

export interface PanelText {
  title: string
  /** What to think of it. */
  about: string
  unit?: string
}

function target([expr, legend]: Query, index: number, { instant = false, format }: TargetOptions = {}) {
  const query = new DataqueryBuilder()
    .datasource(SOURCE)
    .refId(String.fromCharCode(65 + index))
    .expr(expr)
    .legendFormat(legend)
  if (format !== undefined) query.format(format)
  return instant ? query.instant() : query.range()
}

interface TargetOptions {
  instant?: boolean
  format?: PromQueryFormat
}

interface CommonBuilder<Self> extends PanelBuilder {
  title(title: string): Self
  description(description: string): Self
  datasource(source: DataSourceRef): Self
  unit(unit: string): Self
  withTarget(target: Builder<Dataquery>): Self
}

function begun<Self extends CommonBuilder<Self>>(
  panel: Self,
  { title, about, unit }: PanelText,
  queries: readonly Query[],
  options?: TargetOptions,
): Self {
  panel.title(title).description(about).datasource(SOURCE)
  if (unit !== undefined) panel.unit(unit)
  queries.forEach((query, i) => {
    panel.withTarget(target(query, i, options))
  })
  return panel
}

export function series(text: PanelText, queries: readonly Query[], options: SeriesOptions = {}): PanelBuilder {
  const panel = begun(new SeriesBuilder(), text, queries)
    .drawStyle(options.bars === true ? GraphDrawStyle.Bars : GraphDrawStyle.Line)
    .lineWidth(1)
    .fillOpacity(options.stacked === true ? 30 : 5)
    .showPoints(VisibilityMode.Never)
    .legend(new VizLegendOptionsBuilder().showLegend(true))
  if (options.stacked === true) panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal))
  if (options.fromZero !== false) panel.min(0)
  if (options.max !== undefined) panel.max(options.max)
  return panel
}

interface SeriesOptions {
  stacked?: boolean
  bars?: boolean
  fromZero?: boolean
  max?: number
}

/** The latest value, large, coloured by steps. */
export function figure(text: PanelText, query: Query, options: FigureOptions = {}): PanelBuilder {
  const panel = begun(new StatBuilder(), text, [query])
    .graphMode(options.spark === true ? BigValueGraphMode.Area : BigValueGraphMode.None)
    .colorMode(BigValueColorMode.Background)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']).values(false))
    .thresholds(steps(options.steps ?? NEUTRAL))
  if (options.shown !== undefined) panel.mappings(mappingsOf(options.shown))
  return panel.noValue(options.nothing ?? '-')
}

interface FigureOptions {
  steps?: readonly Threshold[]
  shown?: Shown
  spark?: boolean
  /** What is shown where there is no data. */
  nothing?: string
}

/** States over time: each query gives one row, 1 while it holds. */
export function timeline(text: PanelText, queries: readonly Query[], shown: Shown): PanelBuilder {
  return begun(new TimelineBuilder(), text, queries)
    .mergeValues(true)
    .showValue(VisibilityMode.Never)
    .lineWidth(0)
    .fillOpacity(80)
    .mappings(mappingsOf(shown))
}

/** One row per series, one cell per moment, coloured by value. */
export function cells(text: PanelText, query: Query, byValue: readonly Threshold[]): PanelBuilder {
  return begun(new HistoryBuilder(), text, [query])
    .showValue(VisibilityMode.Never)
    .rowHeight(0.9)
    .min(0)
    .max(1)
    .maxDataPoints(96)
    .thresholds(steps(byValue))
}

/** Buckets of a histogram over time; the query gives the increase by `le`. */
export function heatmap(text: PanelText, expr: string): PanelBuilder {
  return begun(new HeatmapBuilder(), text, [[expr, '{{le}}']], { format: PromQueryFormat.Heatmap })
    .calculate(false)
    .color(new HeatmapColorOptionsBuilder().mode(HeatmapColorMode.Scheme).scheme('Spectral').steps(64))
    .yAxis(new YAxisConfigBuilder().unit('s'))
}

/** The present state of many things, one row each. */
export function table(text: PanelText, queries: readonly Query[]): PanelBuilder {
  return begun(new TableBuilder(), text, queries, { instant: true, format: PromQueryFormat.Table })
    .withTransformation({ id: 'merge', options: {} })
    .withTransformation({ id: 'organize', options: { excludeByName: { Time: true, job: true, instance: true } } })
}

function steps(list: readonly Threshold[]): ThresholdsConfigBuilder {
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps([...list])
}

const NEUTRAL: readonly Threshold[] = [{ value: null, color: 'blue' }]
export const LOW_IS_BAD = (yellow: number, green: number): readonly Threshold[] => [
  { value: null, color: 'red' },
  { value: yellow, color: 'yellow' },
  { value: green, color: 'green' },
]
export const HIGH_IS_BAD = (yellow: number, red: number): readonly Threshold[] => [
  { value: null, color: 'green' },
  { value: yellow, color: 'yellow' },
  { value: red, color: 'red' },
]
export const YES_NO: Shown = { '1': { text: 'yes', color: 'green' }, '0': { text: 'no', color: 'transparent' } }
export const NO_IS_BAD: Shown = { '1': { text: 'yes', color: 'green' }, '0': { text: 'no', color: 'red' } }
export const YES_IS_BAD: Shown = { '1': { text: 'yes', color: 'red' }, '0': { text: 'no', color: 'green' } }

function mappingsOf(shown: Shown): ValueMapping[] {
  return [{ type: MappingType.ValueToText, options: shown }]
}

/** A row of panels: their height, then each with its width. */
export type Row = readonly [height: number, ...panels: (readonly [width: number, panel: PanelBuilder])[]]

export interface Page {
  uid: string
  title: string
  about: string
  from: string
  rows: readonly Row[]
}

/** Moments that explain what the curves do; the same on every dashboard. */
const ANNOTATIONS = [
  ['Failovers', 'orange', `changes(md_serving_line{feed="primary", ${PROFILE}}[1m]) > 0`, 'the serving line changed'],
  ['Drills', 'purple', `changes(push_time_seconds{command="drill", ${PROFILE}}[1m]) > 0`, 'a drill ended'],
  ['Starts', 'blue', `changes(md_start_time_seconds{${PROFILE}}[1m]) > 0`, 'the daemon started'],
  ['Sessions', 'green', `changes(feed:market_open:bool{${PROFILE}}[1m]) > 0`, 'trading began or ended'],
] as const

/** @throws Error when a row is wider than the grid */
export function dashboardOf({ uid, title, about, from, rows }: Page): Dashboard {
  const dashboard = new DashboardBuilder(`Feed Supervisor: ${title}`)
    .uid(uid)
    .description(about)
    .tags([TAG])
    .timezone('Asia/Shanghai')
    .time({ from, to: 'now' })
    .refresh('10s')
    .tooltip(DashboardCursorSync.Crosshair)
    .withVariable(new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'))
    .withVariable(profileVariable())
    .link(new DashboardLinkBuilder('Feed Supervisor').type(DashboardLinkType.Dashboards).tags([TAG]).keepTime(true))
  for (const [name, color, expr, text] of ANNOTATIONS) {
    dashboard.annotation(
      new AnnotationQueryBuilder()
        .name(name)
        .datasource(SOURCE)
        .enable(true)
        .iconColor(color)
        .expr(expr)
        .titleFormat(text)
        .textFormat('{{profile}}')
        .step('15s'),
    )
  }
  return { ...dashboard.build(), panels: laidOut(rows) }
}

function profileVariable(): QueryVariableBuilder {
  return new QueryVariableBuilder('profile')
    .label('Environment')
    .datasource(SOURCE)
    .query('label_values(md_heartbeat_timestamp_seconds, profile)')
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalAsc)
}

function laidOut(rows: readonly Row[]): Panel[] {
  const panels: Panel[] = []
  let y = 0
  for (const [h, ...cellsOfRow] of rows) {
    let x = 0
    for (const [w, builder] of cellsOfRow) {
      if (x + w > GRID_COLUMNS) throw new Error(`row at ${y} is wider than ${GRID_COLUMNS} columns`)
      panels.push({ ...builder.build(), id: panels.length + 1, gridPos: { x, y, w, h } })
      x += w
    }
    y += h
  }
  return panels
}
