import { describe, expect, it } from 'vitest';
import { familiarReference, formatReference, parseReference } from './reference.ts';

const digest = `sha256:${'ab'.repeat(32)}`;

describe('parseReference', () => {
  it.each([
    ['node', 'docker.io/library/node:latest', 'node:latest'],
    ['node:20-slim', 'docker.io/library/node:20-slim', 'node:20-slim'],
    ['acme/web', 'docker.io/acme/web:latest', 'acme/web:latest'],
    ['localhost/web', 'localhost/web:latest', 'localhost/web:latest'],
    ['127.0.0.1:5000/acme/web:1', '127.0.0.1:5000/acme/web:1', '127.0.0.1:5000/acme/web:1'],
    ['Registry.Example.COM/web', 'registry.example.com/web:latest', 'registry.example.com/web:latest'],
    [`node@${digest}`, `docker.io/library/node@${digest}`, `node@${digest}`],
    [`node:20@${digest}`, `docker.io/library/node:20@${digest}`, `node:20@${digest}`],
    ['index.docker.io/library/node', 'docker.io/library/node:latest', 'node:latest'],
    ['[::1]:5000/a', '[::1]:5000/a:latest', '[::1]:5000/a:latest'],
  ])('%s is %s', (text, full, familiar) => {
    expect(formatReference(parseReference(text))).toBe(full);
    expect(familiarReference(parseReference(text))).toBe(familiar);
  });

  it.each([
    '',
    'Node',
    'a//b',
    'a/-b',
    'node:',
    'node:a b',
    'node@sha256:12',
    'a..b',
    '/node',
    'node/',
    'http://node',
    `${'a'.repeat(256)}`,
  ])('refuses %j', (text) => {
    expect(() => parseReference(text)).toThrow(/not an image name/);
  });
});
