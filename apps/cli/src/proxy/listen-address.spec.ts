import { describe, expect, it } from 'vitest';
import { dockerHost, isOpen, parseListen } from './listen-address.ts';

describe('--listen', () => {
  it.each([
    ['127.0.0.1:2375', 'tcp://127.0.0.1:2375', false],
    [':0', 'tcp://127.0.0.1:0', false],
    ['tcp://localhost:1', 'tcp://localhost:1', false],
    ['[::1]:9', 'tcp://[::1]:9', false],
    ['0.0.0.0:2375', 'tcp://0.0.0.0:2375', true],
    ['[::]:1', 'tcp://[::]:1', true],
    ['unix:///run/kiln.sock', 'unix:///run/kiln.sock', false],
    ['/run/kiln.sock', 'unix:///run/kiln.sock', false],
  ])('%s', (text, host, open) => {
    const address = parseListen(text);
    expect([dockerHost(address), isOpen(address)]).toEqual([host, open]);
  });

  it.each(['', '2375', '127.0.0.1', '127.0.0.1:99999', 'unix://', 'kiln.sock', 'http://127.0.0.1:1'])(
    '%s is none',
    (text) => {
      expect(() => parseListen(text)).toThrow('is no address');
    },
  );
});
