import { describe, expect, it } from 'vitest';
import { parseDevice } from './parse-device.ts';

describe('parseDevice', () => {
  it.each([
    ['vendor.com/gpu=all', 'vendor.com/gpu=all', false],
    ['vendor.com/gpu=all,required', 'vendor.com/gpu=all', true],
    ['required,gpu', 'gpu', true],
    ['name=vendor.com/gpu=1,Required=T', 'vendor.com/gpu=1', true],
    ['vendor.com/gpu,required=0', 'vendor.com/gpu', false],
    ['"name=a,b"', 'a,b', false],
  ])('%s', (text, name, required) => {
    expect(parseDevice(text)).toEqual({ name, required });
  });

  it.each([
    ['required', /without a name/],
    ['gpu,name=x', /already set to gpu/],
    ['gpu,required=maybe', /invalid value for required: maybe/],
    ['gpu,x', /'x' must be a key=value pair/],
    ['gpu,x=y', /unexpected key 'x' in 'x=y'/],
    ['"gpu', /failed to parse csv devices/],
  ])('%s is refused', (text, message) => {
    expect(() => parseDevice(text)).toThrow(message);
  });
});
