import { toList } from '../hcl/convert.ts';
import { checked } from '../hcl/size.ts';
import { keyOf, type Value, ValueSet } from '../hcl/value.ts';
import { type Arguments, bounded, define, type Functions } from './define.ts';

const keysOf = (values: readonly Value[]): ReadonlySet<string> => new Set(values.map(keyOf));
const lists = ({ all }: Arguments): readonly (readonly Value[])[] => all.map(toList);

export const sets: Functions = {
  sethaselement: define(2, 2, (args) => keysOf(args.list(0)).has(keyOf(args.value(1)))),
  setunion: define(1, Infinity, (args) => new ValueSet(lists(args).flat())),
  setintersection: define(1, Infinity, (args) => {
    const [first = [], ...others] = lists(args);
    const keys = others.map(keysOf);
    return new ValueSet(
      first.filter((value) => {
        const key = keyOf(value);
        return keys.every((each) => each.has(key));
      }),
    );
  }),
  setsubtract: define(2, 2, (args) => {
    const without = keysOf(args.list(1));
    return new ValueSet(args.list(0).filter((value) => !without.has(keyOf(value))));
  }),
  // What an odd number of the sets have.
  setsymmetricdifference: define(2, Infinity, (args) => {
    const odd = new Map<string, Value>();
    for (const list of lists(args))
      for (const [key, value] of new Map(list.map((each) => [keyOf(each), each])))
        if (!odd.delete(key)) odd.set(key, value);
    return new ValueSet([...odd.values()]);
  }),
  setproduct: define(1, Infinity, (args) => {
    const all = lists(args);
    const length = all.some((list) => list.length === 0) ? 0 : all.reduce((product, list) => product * list.length, 1);
    bounded(length);
    checked(length * all.length);
    const rows = Array.from({ length }, (): Value[] => []);
    let each = length;
    for (const list of all) {
      each /= list.length;
      for (const [at, row] of rows.entries()) row.push(list[Math.floor(at / each) % list.length] ?? null);
    }
    return rows;
  }),
};
