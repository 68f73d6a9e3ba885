/**
 * The candidate that `word` was probably meant to be, or null where none is near. Near is: one change in a short word,
 * up to three in a long one; a change is a letter added, left out, replaced, or swapped with its neighbour. Capitals
 * and hyphens for underscores are forgiven. Of equally near ones the first in the alphabet.
 */
export function nearestName(word: string, candidates: Iterable<string>): string | null {
  const wanted = normalize(word);
  const changesMax = Math.min(3, Math.max(1, Math.floor(wanted.length / 4)));
  let nearest: string | null = null;
  let fewest = changesMax + 1;
  for (const candidate of candidates) {
    if (candidate === word) continue;
    const changes = countChanges(wanted, normalize(candidate), fewest);
    if (changes < fewest || (changes === fewest && nearest !== null && candidate < nearest)) {
      nearest = candidate;
      fewest = changes;
    }
  }
  return nearest;
}

function normalize(name: string): string {
  return name.toLowerCase().replaceAll("-", "_");
}

/** The optimal string alignment distance of two words, or `limit + 1` where it is more than `limit`. */
function countChanges(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  // Row i holds the distances between the first i letters of a and every beginning of b.
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      let distance = Math.min(
        (last[j - 1] ?? 0) + (isSame ? 0 : 1),
        (last[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
      );
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) distance = Math.min(distance, (beforeLast[j - 2] ?? 0) + 1);
      row.push(distance);
    }
    if (Math.min(...row) > limit) return limit + 1;
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? limit + 1;
}
