/** A step and what it stands on. */
export interface GraphNode {
  readonly id: string;
  readonly inputs: readonly string[];
}

export interface Placed {
  readonly id: string;
  /** from the left: after all that it stands on */
  readonly column: number;
  /** from the top, in its column */
  readonly row: number;
}

export interface GraphLayout {
  readonly nodes: ReadonlyMap<string, Placed>;
  readonly columns: number;
  readonly rows: number;
}

const SWEEPS = 4;

/**
 * Columns by the longest way from a beginning; in each column rows by where the neighbours lie, so that lines cross little
 * (Sugiyama's way). Inputs come before what uses them; those that are not among the nodes do not count.
 */
export function layOut(nodes: readonly GraphNode[]): GraphLayout {
  const known = new Set(nodes.map(({ id }) => id));
  const inputs = new Map(nodes.map(({ id, inputs: all }) => [id, all.filter((each) => known.has(each))]));
  const uses = new Map<string, string[]>(nodes.map(({ id }) => [id, []]));
  for (const [id, all] of inputs) for (const each of all) uses.get(each)?.push(id);
  const column = new Map<string, number>();
  for (const { id } of nodes) {
    const below = (inputs.get(id) ?? []).map((each) => (column.get(each) ?? -1) + 1);
    column.set(
      id,
      below.reduce((most, each) => Math.max(most, each), 0),
    );
  }
  const columns: string[][] = [];
  for (const { id } of nodes) (columns[column.get(id) ?? 0] ??= []).push(id);
  const row = new Map(columns.flatMap((ids) => ids.map((id, at) => [id, at] as const)));
  const middle = (id: string, neighbours: readonly string[]): number =>
    neighbours.length === 0
      ? (row.get(id) ?? 0)
      : neighbours.reduce((sum, each) => sum + (row.get(each) ?? 0), 0) / neighbours.length;
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const side = sweep % 2 === 0 ? inputs : uses;
    for (const ids of sweep % 2 === 0 ? columns : columns.toReversed()) {
      const at = new Map(ids.map((id) => [id, middle(id, side.get(id) ?? [])]));
      ids.sort((a, b) => (at.get(a) ?? 0) - (at.get(b) ?? 0));
      for (const [place, id] of ids.entries()) row.set(id, place);
    }
  }
  return {
    nodes: new Map(nodes.map(({ id }) => [id, { id, column: column.get(id) ?? 0, row: row.get(id) ?? 0 }])),
    columns: columns.length,
    rows: columns.reduce((most, { length }) => Math.max(most, length), 0),
  };
}
