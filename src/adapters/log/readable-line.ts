/** A log line for a person at a terminal, from the JSON that everything else gets. */

const FRAME: ReadonlySet<string> = new Set(['level', 'time', 'pid', 'name', 'msg', 'component'])

/** What is no line of our logger stays as it is. */
export function readableLine(line: string): string {
  const fields = fieldsOf(line)
  const { level, time, msg } = fields
  if (typeof level !== 'string' || typeof time !== 'string' || typeof msg !== 'string') return line
  const details = Object.entries(fields)
    .filter(([name, value]) => !FRAME.has(name) && value !== null)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
  return `${[time.slice(11, 19), level.padEnd(5), msg, ...details].join(' ')}\n`
}

function fieldsOf(line: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}
