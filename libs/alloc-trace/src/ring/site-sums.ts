/**
 * Where the figures of a site are in a row of `SiteSums`. The order is that of at_site_counts and at_site_estimates in the
 * file.
 */
export const SUM = {
  allocations: 0,
  frees: 1,
  allocatedBytes: 2,
  freedBytes: 3,
  oldFrees: 4,
  oldFreedBytes: 5,
  samples: 6,
  freedSamples: 7,
  estimatedAllocations: 8,
  estimatedBytes: 9,
  estimatedFrees: 10,
  estimatedFreedBytes: 11,
  varianceCount: 12,
  varianceBytes: 13,
} as const;
export const SUM_WIDTH = 14;

/** One row for each site, by number. Grows with the number of sites, never beyond MAX_SITES. */
export interface SiteSums {
  sites: number;
  rows: Float64Array;
}

export function createSiteSums(): SiteSums {
  return { sites: 0, rows: new Float64Array(0) };
}

/** Makes room for `sites` rows; what is there stays. */
export function growSums(sums: SiteSums, sites: number): void {
  sums.sites = Math.max(sums.sites, sites);
  const wanted = sums.sites * SUM_WIDTH;
  if (sums.rows.length >= wanted) return;
  const rows = new Float64Array(Math.max(wanted, sums.rows.length * 2));
  rows.set(sums.rows);
  sums.rows = rows;
}

export function copySums(from: SiteSums, to: SiteSums): void {
  growSums(to, from.sites);
  to.rows.fill(0);
  to.rows.set(from.rows.subarray(0, from.sites * SUM_WIDTH));
}

/** Whether any site has estimates. */
export function hasSamples({ sites, rows }: SiteSums): boolean {
  for (let row = SUM.samples; row < sites * SUM_WIDTH; row += SUM_WIDTH) if (rows[row]! > 0) return true;
  return false;
}
