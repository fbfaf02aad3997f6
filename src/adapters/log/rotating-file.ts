/**
 * A log file that can never fill a disk: a new part each day and at a size limit, parts deleted by age and by their total size. Writes
 * are synchronous, so that the last line before a crash is there; a log carries few lines, never ticks. A disk that refuses is
 * counted and otherwise ignored, because logging must not stop a feed.
 */
import { closeSync, fstatSync, openSync, readdirSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '#clock.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import { createPathSync } from '../state/create-path.ts'

export interface RotatingFileOptions {
  directory: string
  /** Parts are named <name>-<yyyymmdd>.<n>.log. */
  name: string
  partBytesMax: number
  totalBytesMax: number
  retentionDays: number
  clock: Clock
}

export interface RotatingFile {
  write(line: string): void
  /** Lines that the disk refused. */
  readonly refused: number
  close(): void
}

interface Part {
  fd: number
  day: string
  number: number
  bytes: number
}

const DAY_MS = 86_400_000
/** After a refusal the disk is asked again this much later, not at every line. */
const RETRY_AFTER_MS = 1_000

export function openRotatingFile(options: RotatingFileOptions): RotatingFile {
  const { directory, name, clock } = options
  let part: Part | null = null
  let refused = 0
  let retryAtMs = 0

  const fileOf = (day: string, number: number) => join(directory, `${name}-${day}.${number}.log`)
  const openPart = (day: string): Part => {
    createPathSync(directory)
    const existing = partsIn(directory, name).filter((found) => found.day === day)
    const last = existing.at(-1)
    const number = last === undefined ? 0 : last.bytes < options.partBytesMax ? last.number : last.number + 1
    const fd = openSync(fileOf(day, number), 'a', 0o600)
    prune(options)
    return { fd, day, number, bytes: fstatSync(fd).size }
  }
  const currentPart = (): Part => {
    const day = isoShanghai(clock.wallMs()).slice(0, 10).replaceAll('-', '')
    if (part !== null && part.day === day && part.bytes < options.partBytesMax) return part
    if (part !== null) closeSync(part.fd)
    part = null
    part = openPart(day)
    return part
  }
  return {
    write(line) {
      if (clock.monotonicMs() < retryAtMs) {
        refused++
        return
      }
      try {
        const current = currentPart()
        current.bytes += writeSync(current.fd, line)
      } catch {
        refused++
        retryAtMs = clock.monotonicMs() + RETRY_AFTER_MS
      }
    },
    get refused() {
      return refused
    },
    close() {
      if (part !== null) closeSync(part.fd)
      part = null
    },
  }
}

interface PartOnDisk {
  path: string
  day: string
  number: number
  bytes: number
}

/** Oldest first. */
function partsIn(directory: string, name: string): PartOnDisk[] {
  const parts: PartOnDisk[] = []
  for (const file of readdirSync(directory)) {
    const match = file.startsWith(`${name}-`) ? /^(\d{8})\.(\d+)\.log$/.exec(file.slice(name.length + 1)) : null
    if (match === null) continue
    const path = join(directory, file)
    const stat = statSync(path, { throwIfNoEntry: false })
    if (stat !== undefined) parts.push({ path, day: match[1] ?? '', number: Number(match[2]), bytes: stat.size })
  }
  return parts.sort((a, b) => a.day.localeCompare(b.day) || a.number - b.number)
}

/** The newest part stays, whatever its size: it is being written. */
function prune({ directory, name, totalBytesMax, retentionDays, clock }: RotatingFileOptions): void {
  const oldest = isoShanghai(clock.wallMs() - retentionDays * DAY_MS)
    .slice(0, 10)
    .replaceAll('-', '')
  const parts = partsIn(directory, name)
  let total = parts.reduce((sum, part) => sum + part.bytes, 0)
  for (const part of parts.slice(0, -1)) {
    if (part.day >= oldest && total <= totalBytesMax) continue
    rmSync(part.path, { force: true })
    total -= part.bytes
  }
}
