/** Rows as columns: each but the last as wide as its widest cell and `gap` more. */
export function table(rows: readonly (readonly string[])[], gap: number): string {
  const widths: number[] = [];
  for (const row of rows) for (const [n, cell] of row.entries()) widths[n] = Math.max(widths[n] ?? 0, [...cell].length);
  const line = (row: readonly string[]): string =>
    row
      .map((cell, n) => (n === row.length - 1 ? cell : cell + ' '.repeat((widths[n] ?? 0) + gap - [...cell].length)))
      .join('')
      .trimEnd();
  return rows.map((row) => `${line(row)}\n`).join('');
}
