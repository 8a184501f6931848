import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { layOut } from './graph-layout.ts';

describe('the graph of steps', () => {
  it('has what a step stands on to its left, and each on a place of its own', () => {
    const graphs = fc.array(fc.array(fc.nat(30), { maxLength: 3 }), { maxLength: 30 }).map((all) =>
      all.map((inputs, at) => ({
        id: String(at),
        inputs: [...new Set(inputs)].filter((each) => each < at).map(String),
      })),
    );
    fc.assert(
      fc.property(graphs, (nodes) => {
        const { nodes: placed, columns, rows } = layOut(nodes);
        const taken = new Set([...placed.values()].map(({ column, row }) => `${column} ${row}`));
        expect(taken.size).toBe(nodes.length);
        for (const { id, inputs } of nodes) {
          const own = placed.get(id);
          expect(own?.column).toBeLessThan(columns);
          expect(own?.row).toBeLessThan(rows);
          for (const input of inputs) expect(placed.get(input)?.column).toBeLessThan(own?.column ?? 0);
        }
      }),
    );
  });

  it('lays two chains side by side', () => {
    const chain = (name: string) =>
      [0, 1, 2].map((n) => ({ id: `${name}${n}`, inputs: n === 0 ? [] : [`${name}${n - 1}`] }));
    const { nodes } = layOut([...chain('a'), ...chain('b'), { id: 'end', inputs: ['a2', 'b2', 'elsewhere'] }]);
    expect(['a0', 'a1', 'a2'].map((id) => nodes.get(id)?.row)).toEqual([0, 0, 0]);
    expect(['b0', 'b1', 'b2'].map((id) => nodes.get(id)?.row)).toEqual([1, 1, 1]);
    expect(nodes.get('end')).toMatchObject({ column: 3, row: 0 });
  });
});
