import { describe, expect, it } from 'vitest';
import { KilnError } from '#std';
import { refuseUnstorable } from './check-requests.ts';

describe('text that cannot be stored', () => {
  it.each([
    ['a\0', undefined],
    [{ tags: ['a', 'b\ud800'] }, 'tags[1]'],
    [{ a: { b: '\udc00' } }, 'a.b'],
    [{ labels: { 'x\0': 'y' } }, 'labels'],
  ])('is refused by its field: %j', (value, field) => {
    expect(() => refuseUnstorable(value)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', field }));
  });

  it.each([undefined, null, 1, 'a\u{1f600}\ufffd', { a: ['b', { c: '' }] }])('is no other: %j', (value) => {
    expect(() => refuseUnstorable(value)).not.toThrow();
  });

  it('is found however deep it lies', () => {
    const depth = 400_000;
    const deep: unknown = JSON.parse(`${'['.repeat(depth)}"\\u0000"${']'.repeat(depth)}`);
    expect(() => refuseUnstorable(deep)).toThrow(KilnError);
  });
});
