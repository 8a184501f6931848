import { expect, it } from 'vitest';
import { SecretMask } from './secret-mask.ts';
import { toldJson, toldText } from './told.ts';

it('has no secret in any text, however JSON escapes it', () => {
  const secret = 'pass"word\\1';
  const mask = new SecretMask([Buffer.from(secret)]);
  expect(toldJson({ a: [`--password=${secret}`, 1], b: { c: secret, d: null } }, mask)).toBe(
    '{"a":["--password=***",1],"b":{"c":"***","d":null}}',
  );
});

it('has no credentials of a URL, whoever gave it', () => {
  const mask = new SecretMask([]);
  expect(toldText('ADD https://me:pw@git.example/a.git /a\nADD https://token@example.com/b /b\n', mask)).toBe(
    'ADD https://git.example/a.git /a\nADD https://example.com/b /b\n',
  );
  expect(toldJson({ repository: 'https://token@git.example/a' }, mask)).toBe('{"repository":"https://git.example/a"}');
  expect(toldText('git@git.example:acme/a.git, pkg:docker/acme/app@1', mask)).toBe(
    'git@git.example:acme/a.git, pkg:docker/acme/app@1',
  );
});
