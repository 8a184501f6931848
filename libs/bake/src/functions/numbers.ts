import { toNumber } from '../hcl/convert.ts';
import { equal } from '../hcl/value.ts';
import { define, type Functions } from './define.ts';

const divisor = (number: number): number => {
  if (number === 0) throw new TypeError('division by zero');
  return number;
};

const finite = (number: number): number => {
  if (!Number.isFinite(number)) throw new TypeError('the result is no number');
  return number;
};

export const numbers: Functions = {
  absolute: define(1, 1, (args) => Math.abs(args.number(0))),
  add: define(2, 2, (args) => finite(args.number(0) + args.number(1))),
  subtract: define(2, 2, (args) => finite(args.number(0) - args.number(1))),
  multiply: define(2, 2, (args) => finite(args.number(0) * args.number(1))),
  divide: define(2, 2, (args) => finite(args.number(0) / divisor(args.number(1)))),
  modulo: define(2, 2, (args) => args.number(0) % divisor(args.number(1))),
  negate: define(1, 1, (args) => -args.number(0)),
  ceil: define(1, 1, (args) => Math.ceil(args.number(0))),
  floor: define(1, 1, (args) => Math.floor(args.number(0))),
  int: define(1, 1, (args) => Math.trunc(args.number(0))),
  log: define(2, 2, (args) => finite(Math.log(args.number(0)) / Math.log(args.number(1)))),
  pow: define(2, 2, (args) => finite(args.number(0) ** args.number(1))),
  signum: define(1, 1, (args) => Math.sign(args.number(0))),
  max: define(1, Infinity, (args) => args.all.map(toNumber).reduce((a, b) => Math.max(a, b))),
  min: define(1, Infinity, (args) => args.all.map(toNumber).reduce((a, b) => Math.min(a, b))),
  parseint: define(2, 2, (args) => {
    const base = args.integer(1);
    if (base < 2 || base > 36) throw new TypeError(`a base is from 2 to 36, not ${base}`);
    const text = args.text(0).toLowerCase();
    const digits = '0123456789abcdefghijklmnopqrstuvwxyz'.slice(0, base);
    if (!new RegExp(`^[+-]?[${digits}]+$`).test(text))
      throw new TypeError(`${JSON.stringify(text)} is no number of base ${base}`);
    return finite(Number.parseInt(text, base));
  }),
  and: define(2, 2, (args) => args.boolean(0) && args.boolean(1)),
  or: define(2, 2, (args) => args.boolean(0) || args.boolean(1)),
  not: define(1, 1, (args) => !args.boolean(0)),
  equal: define(2, 2, (args) => equal(args.value(0), args.value(1))),
  notequal: define(2, 2, (args) => !equal(args.value(0), args.value(1))),
  greaterthan: define(2, 2, (args) => args.number(0) > args.number(1)),
  greaterthanorequalto: define(2, 2, (args) => args.number(0) >= args.number(1)),
  lessthan: define(2, 2, (args) => args.number(0) < args.number(1)),
  lessthanorequalto: define(2, 2, (args) => args.number(0) <= args.number(1)),
};
