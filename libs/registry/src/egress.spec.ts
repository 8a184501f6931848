import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Egress, isPrivateAddress, openEgress } from './egress.ts';

describe('egress', () => {
  it.each([
    '127.0.0.1',
    '127.255.0.9',
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '169.254.169.254',
    '172.31.255.255',
    '192.168.1.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:10.0.0.1',
    '::7f00:1',
    '64:ff9b::7f00:1',
    '64:ff9b::a9fe:a9fe',
    '2002:7f00:1::',
    'fd00::1',
    'fe80::1',
    'ff02::1',
  ])('takes %s for private', (address) => {
    expect(isPrivateAddress(address)).toBe(true);
    expect(new Egress({ allow: [] }).allows('anything.example', 443, address)).toBe(false);
  });

  it.each(['1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '::ffff:8.8.8.8', '64:ff9b::808:808'])(
    'takes %s for public',
    (address) => {
      expect(new Egress({ allow: [] }).allows('anything.example', 443, address)).toBe(true);
    },
  );

  it('allows hosts by name, by name and port, by address and by range', () => {
    const egress = new Egress({
      allow: ['registry.corp', 'other.corp:5000', '10.0.0.7', '192.168.4.0/22', '[::1]:5000'],
    });
    expect(egress.allows('Registry.corp', 443, '10.9.9.9')).toBe(true);
    expect(egress.allows('evil-registry.corp', 443, '10.9.9.9')).toBe(false);
    expect(egress.allows('other.corp', 5000, '10.9.9.9')).toBe(true);
    expect(egress.allows('other.corp', 443, '10.9.9.9')).toBe(false);
    expect(egress.allows('any.example', 80, '10.0.0.7')).toBe(true);
    expect(egress.allows('any.example', 80, '192.168.7.255')).toBe(true);
    expect(egress.allows('any.example', 80, '192.168.8.0')).toBe(false);
    expect(egress.allows('::1', 5000, '::1')).toBe(true);
    expect(egress.allows('::1', 5001, '::1')).toBe(false);
  });

  it('does not take an address for a name: what is written has no say over where it leads', () => {
    const egress = new Egress({ allow: ['127.0.0.1:5000'] });
    expect(egress.allows('127.0.0.1', 5000, '127.0.0.1')).toBe(true);
    expect(egress.allows('127.0.0.1', 5001, '127.0.0.1')).toBe(false);
    expect(egress.allows('rebound.example', 5000, '127.0.0.1')).toBe(false);
  });

  it('takes every IPv4 as its mapped IPv6', () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        expect(isPrivateAddress(`::ffff:${address}`)).toBe(isPrivateAddress(address));
        expect(isPrivateAddress(`64:ff9b::${address}`)).toBe(isPrivateAddress(address));
        expect(new Egress(openEgress).allows(address, 80, address)).toBe(true);
      }),
    );
  });

  it.each(['', 'http://host', 'a b', '10.0.0.0/33', 'host:port'])('refuses the entry %j', (entry) => {
    expect(() => new Egress({ allow: [entry] })).toThrow('not a host');
  });
});
