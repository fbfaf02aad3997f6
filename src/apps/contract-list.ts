/** The contract list as the daemon takes it: a file's contracts, less what no line wants. More than it can hold is refused, never cut. */
import { type Config, linesOf } from '#config/config.ts'
import { type CatalogueContract, readCatalogue } from '#config/contract-files.ts'
import { wantedBy } from '#daemon/instrument-slots.ts'
import { Failure } from '#domain/failure.ts'
import { INSTRUMENTS_MAX } from '#domain/instrument-table.ts'

interface ContractListFile {
  /** Those that a line wants. */
  contracts: readonly CatalogueContract[]
  /** vt symbols that the file lists more than once. */
  duplicates: readonly string[]
  modifiedMs: number
}

/** @throws Failure `contract-list-too-long`, or as readCatalogue does */
export async function readContractList(file: string, config: Config): Promise<ContractListFile> {
  const catalogue = await readCatalogue(file)
  const filters = linesOf(config).map((line) => wantedBy(line, config))
  const wanted = catalogue.contracts.filter(({ symbol, exchange }) =>
    filters.some((isWanted) => isWanted(symbol, exchange)),
  )
  const asked = Math.min(wanted.length, config.catalogue.limit ?? Number.POSITIVE_INFINITY)
  if (asked > INSTRUMENTS_MAX) throw tooLong(file, asked)
  return { ...catalogue, contracts: wanted.slice(0, INSTRUMENTS_MAX) }
}

function tooLong(file: string, asked: number): Failure {
  return new Failure(
    'contract-list-too-long',
    `${file} asks for ${asked} contracts, the daemon holds ${INSTRUMENTS_MAX}`,
    'Narrow the list with CONTRACTS_INCLUDE and CONTRACTS_EXCLUDE, or check that this is the right file.',
  )
}
