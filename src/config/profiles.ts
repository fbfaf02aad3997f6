/** The profiles there are. Apart from the schema, because what only needs their names should not load it. */
export const PROFILES = ['sim', 'paper', 'staging', 'live'] as const
export type Profile = (typeof PROFILES)[number]
