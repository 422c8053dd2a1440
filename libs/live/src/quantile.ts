/**
 * The value of rank ⌈p·n⌉ (nearest rank) of the first `count` values, found by quickselect (Hoare 1961) in linear
 * time; reorders `values`. NaN when `count` is 0.
 */
export function quantile(values: Float64Array, count: number, p: number): number {
  if (count === 0) return NaN;
  const rank = Math.min(count - 1, Math.max(0, Math.ceil(p * count) - 1));
  let left = 0;
  let right = count - 1;
  while (left < right) {
    const pivot = median(values[left] ?? 0, values[(left + right) >>> 1] ?? 0, values[right] ?? 0);
    let i = left;
    let j = right;
    while (i <= j) {
      while ((values[i] ?? 0) < pivot) i++;
      while ((values[j] ?? 0) > pivot) j--;
      if (i <= j) {
        const swap = values[i] ?? 0;
        values[i] = values[j] ?? 0;
        values[j] = swap;
        i++;
        j--;
      }
    }
    if (rank <= j) right = j;
    else if (rank >= i) left = i;
    else break;
  }
  return values[rank] ?? NaN;
}

function median(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}
