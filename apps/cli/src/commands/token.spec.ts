import { describe, expect, it } from 'vitest';
import { tokenRequest } from './token.ts';

describe('kiln token create', () => {
  it('asks for what its flags say', () => {
    expect(tokenRequest('ci', {})).toEqual({ name: 'ci', permissions: ['build', 'read'] });
    const flags = { permission: ['read'], project: 'web', scope: 'main', member: 'ada', expires: '30d' };
    const { expires: _, permission: permissions, ...rest } = flags;
    expect(tokenRequest('x', flags)).toEqual({ name: 'x', permissions, ...rest, expiresInSeconds: 2_592_000 });
    expect(tokenRequest('x', { expires: '90m' }).expiresInSeconds).toBe(5_400);
  });

  it.each([{ expires: '1y' }, { expires: '0d' }, { expires: '' }, { permission: ['write'] }])('refuses %j', (flags) => {
    expect(() => tokenRequest('x', flags)).toThrow('--');
  });
});
