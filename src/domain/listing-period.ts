/** When a contract is listed at its exchange: from its first trading day to its last. Outside of that nobody owes it. */

export interface ListingPeriod {
  /** First trading day, yyyymmdd; null while unknown. */
  openDay: number | null
  /** Last trading day, yyyymmdd; null while unknown. */
  expiryDay: number | null
}

/** A day that nobody knows rules nothing out: rather ask for a contract in vain than leave one out. */
export function isListedOn({ openDay, expiryDay }: ListingPeriod, tradingDay: number): boolean {
  return (openDay === null || openDay <= tradingDay) && (expiryDay === null || expiryDay >= tradingDay)
}

/** 2027-01-15 or 20270115 to 20270115; null for anything else. */
export function dayOfText(text: string): number | null {
  const [, year = '', month = '', day = ''] = /^(\d{4})-?(\d{2})-?(\d{2})$/.exec(text) ?? []
  const isDate = month >= '01' && month <= '12' && day >= '01' && day <= '31'
  return isDate ? Number(year + month + day) : null
}
