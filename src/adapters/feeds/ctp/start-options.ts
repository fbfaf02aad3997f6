/** The `start` frame of the CTP bridge: names and values that native/ctp-bridge/main.cpp reads. */
export interface CtpStart {
  session: 'md' | 'td'
  /** As the vendor library is given them, already found well-formed. */
  fronts: readonly string[]
  flowDirectory: string
  /** A library file or the directory that holds it; null for the one that the bridge was built with. */
  library: string | null
  /** For SDKs with one library for production and evaluation fronts. */
  productionMode: boolean
  /** `restart` replays the day's status messages of products, `quick` tells only changes from now on. */
  publicTopic?: 'quick' | 'restart'
}

export function ctpStartPairs(start: CtpStart): string[] {
  return [
    ...['session', start.session],
    ...['fronts', start.fronts.join('\n')],
    ...['flow_dir', start.flowDirectory],
    ...['library', start.library ?? ''],
    ...['production_mode', start.productionMode ? '1' : '0'],
    ...(start.publicTopic === undefined ? [] : ['public_topic', start.publicTopic]),
  ]
}

/** What a vendor library may see of our environment: where its dependencies are, and the host's time zone and language. */
const PASSED_ON = ['PATH', 'HOME', 'TZ', 'LANG', 'LC_ALL', 'LD_LIBRARY_PATH'] as const

export function vendorEnvironment(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    PASSED_ON.flatMap((name) => {
      const value = environment[name]
      return value === undefined ? [] : [[name, value]]
    }),
  )
}
