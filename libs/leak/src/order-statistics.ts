/**
 * Puts the element of rank `k` (from 0) of `a[from, to)` at its place and returns it: smaller ones before, larger after.
 * Hoare's quickselect with the median of three, iterative; linear on average. Values must not be NaN.
 */
export function selectRank(a: Float64Array, k: number, from: number, to: number): number {
  let left = from;
  let right = to - 1;
  while (left < right) {
    const middle = (left + right) >>> 1;
    if ((a[middle] as number) < (a[left] as number)) swap(a, middle, left);
    if ((a[right] as number) < (a[left] as number)) swap(a, right, left);
    if ((a[right] as number) < (a[middle] as number)) swap(a, right, middle);
    const pivot = a[middle] as number;
    let i = left;
    let j = right;
    while (i <= j) {
      while ((a[i] as number) < pivot) i++;
      while ((a[j] as number) > pivot) j--;
      if (i > j) break;
      swap(a, i, j);
      i++;
      j--;
    }
    if (k <= j) right = j;
    else if (k >= i) left = i;
    else return a[k] as number;
  }
  return a[k] as number;
}

function swap(a: Float64Array, i: number, j: number): void {
  const kept = a[i] as number;
  a[i] = a[j] as number;
  a[j] = kept;
}

/** Median of `a[0, n)`, which is reordered; the mean of the two middle ones for an even n; NaN for none. */
export function medianInPlace(a: Float64Array, n: number): number {
  if (n === 0) return NaN;
  const half = n >>> 1;
  const upper = selectRank(a, half, 0, n);
  if (n % 2 === 1) return upper;
  let lower = a[0] as number;
  for (let i = 1; i < half; i++) lower = Math.max(lower, a[i] as number);
  return (lower + upper) / 2;
}

const scratch = new Float64Array(512);

/** Median of `v[from, to)`, which is left as it is; at most 512 values. */
export function medianOf(v: Float64Array, from: number, to: number): number {
  const n = Math.min(to - from, scratch.length);
  for (let i = 0; i < n; i++) scratch[i] = v[from + i] as number;
  return medianInPlace(scratch, n);
}
