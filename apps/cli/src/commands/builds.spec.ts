import { describe, expect, it } from 'vitest';
import { buildFilter } from './builds.ts';

describe('--filter of kiln builds', () => {
  const nowMs = Date.parse('2026-02-01T00:00:00Z');
  const of = (...filters: readonly string[]) => buildFilter(filters, nowMs);

  it('takes several values of a key, and several keys', () => {
    expect(of()).toEqual({});
    expect(of('state=failed', 'state=cancelled', 'scope=main', 'image=acme/app:1')).toEqual({
      state: ['failed', 'cancelled'],
      scope: ['main'],
      image: ['acme/app:1'],
    });
  });

  it('takes times and durations', () => {
    expect(of('since=24h', 'until=2026-01-31T12:00:00Z')).toEqual({
      since: '2026-01-31T00:00:00.000Z',
      until: '2026-01-31T12:00:00.000Z',
    });
  });

  it.each([
    ['colour=red', /not supported/],
    ['state', /not supported/],
    ['state=', /not supported/],
    ['__proto__=x', /not supported/],
    ['state=lost', /state/],
    ['image=UPPER//x', /image/],
    ['since=soon', /since/],
  ])('refuses %s', (filter, message) => {
    expect(() => of(filter)).toThrow(message);
  });

  it('refuses two times of a kind', () => {
    expect(() => of('since=1h', 'since=2h')).toThrow(/twice/);
  });
});
