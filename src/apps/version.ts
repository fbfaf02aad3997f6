/** The package's version, written in by the bundler; running from source there is none. */
declare const __VERSION__: string

export const VERSION = typeof __VERSION__ === 'string' ? __VERSION__ : '0.0.0-source'
