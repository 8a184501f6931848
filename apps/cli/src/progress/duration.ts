/** `0.3s`, `21s`, `1m 9s`, `2h 3m`: for people, as short as it is exact enough. */
export function shortDuration(ms: number): string {
  if (ms < 10_000) return `${(Math.max(0, ms) / 1000).toFixed(1)}s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ${seconds % 60}s`;
  return `${Math.floor(seconds / 3600)}h ${Math.floor((seconds % 3600) / 60)}m`;
}

const steps = [
  [60, 'minute'],
  [60, 'hour'],
  [24, 'day'],
  [7, 'week'],
] as const;

/** `5 minutes ago`, as docker says it. */
export function agoText(ms: number): string {
  let value = Math.max(0, Math.floor(ms / 1000));
  let unit: string = 'second';
  for (const [factor, next] of steps) {
    if (value < factor * (next === 'week' ? 2 : 1)) break;
    value = Math.floor(value / factor);
    unit = next;
  }
  return `${value} ${unit}${value === 1 ? '' : 's'} ago`;
}

/** `1.2s`, `81.0s`: as BuildKit's plain progress writes it. */
export function plainDuration(ms: number): string {
  return `${(Math.max(0, ms) / 1000).toFixed(1)}s`;
}

const units = ['B', 'kB', 'MB', 'GB', 'TB'];

/** `512 B`, `18.3 MB`: powers of 1000. */
export function size(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit] ?? ''}`;
}

/** `1,204` */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** `1,204 files, 18.3 MB`; the size alone where nobody counted. */
export function filesText({
  files,
  sizeBytes,
}: {
  readonly files: number | undefined;
  readonly sizeBytes: number;
}): string {
  const counted = files === undefined ? '' : `${count(files)} ${files === 1 ? 'file' : 'files'}, `;
  return `${counted}${size(sizeBytes)}`;
}
