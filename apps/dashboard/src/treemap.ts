export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/**
 * Boxes whose areas are as the sizes, in their order, as square as they get: slices are laid along the shorter side as long as
 * that makes them squarer (Bruls, Huizing, van Wijk: Squarified Treemaps). What has no size gets no area.
 */
export function treemap(sizes: readonly number[], width: number, height: number): readonly Box[] {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const boxes: Box[] = sizes.map(() => ({ x: 0, y: 0, width: 0, height: 0 }));
  if (total <= 0 || width <= 0 || height <= 0) return boxes;
  const areas = sizes.map((size) => (size / total) * width * height);
  let free: Box = { x: 0, y: 0, width, height };
  let row: number[] = [];
  const order = areas.map((_, at) => at).filter((at) => (areas[at] ?? 0) > 0);
  for (const at of order) {
    const side = Math.min(free.width, free.height);
    const before = worst(
      row.map((each) => areas[each] ?? 0),
      side,
    );
    if (
      row.length > 0 &&
      worst(
        [...row, at].map((each) => areas[each] ?? 0),
        side,
      ) > before
    ) {
      free = lay(row, areas, free, boxes);
      row = [];
    }
    row.push(at);
  }
  lay(row, areas, free, boxes);
  return boxes;
}

/** The longest of the rectangles that these areas make along a side. */
function worst(areas: readonly number[], side: number): number {
  if (areas.length === 0) return Number.POSITIVE_INFINITY;
  const sum = areas.reduce((all, area) => all + area, 0);
  const ratios = areas.map((area) => Math.max((side * side * area) / (sum * sum), (sum * sum) / (side * side * area)));
  return Math.max(...ratios);
}

/** Puts a row along the shorter side. @returns what is left */
function lay(row: readonly number[], areas: readonly number[], free: Box, boxes: Box[]): Box {
  const sum = row.reduce((all, at) => all + (areas[at] ?? 0), 0);
  if (sum === 0) return free;
  const wide = free.width >= free.height;
  const depth = sum / (wide ? free.height : free.width);
  let along = 0;
  for (const at of row) {
    const length = (areas[at] ?? 0) / depth;
    boxes[at] = wide
      ? { x: free.x, y: free.y + along, width: depth, height: length }
      : { x: free.x + along, y: free.y, width: length, height: depth };
    along += length;
  }
  return wide
    ? { x: free.x + depth, y: free.y, width: free.width - depth, height: free.height }
    : { x: free.x, y: free.y + depth, width: free.width, height: free.height - depth };
}
