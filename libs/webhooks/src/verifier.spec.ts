import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { signatureOf } from './sign.ts';

const Module = z.object({ verify: z.custom<(...given: unknown[]) => unknown>((given) => typeof given === 'function') });
const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const message = { id: 'msg_1', timestampS: 1_700_000_000, body: '{"a":"é"}' };
const nowMs = message.timestampS * 1_000;

describe('docs/webhooks.md', () => {
  it('has a verifier that takes what is signed here, and nothing else', async () => {
    const text = await readFile(new URL('../../../docs/webhooks.md', import.meta.url), 'utf8');
    const code = /```js\n([^]*?)```/.exec(text)?.[1] ?? '';
    const { verify } = Module.parse(await import(`data:text/javascript,${encodeURIComponent(code)}`));
    const headers = {
      'webhook-id': message.id,
      'webhook-timestamp': String(message.timestampS),
      'webhook-signature': signatureOf(secret, message),
    };
    expect(verify(secret, headers, message.body, nowMs)).toBe(true);
    const two = { ...headers, 'webhook-signature': `v1,AAAA ${headers['webhook-signature']}` };
    expect(verify(secret, two, message.body, nowMs)).toBe(true);
    expect(verify(secret, headers, message.body, nowMs + 300_001)).toBe(false);
    expect(verify(secret, headers, `${message.body} `, nowMs)).toBe(false);
    expect(verify('whsec_AAAA', headers, message.body, nowMs)).toBe(false);
    for (const [name, value] of [
      ['webhook-id', 'msg_2'],
      ['webhook-timestamp', 'x'],
      ['webhook-timestamp', undefined],
      ['webhook-signature', undefined],
      ['webhook-signature', 'é'.repeat(headers['webhook-signature'].length)],
    ] as const)
      expect([name, verify(secret, { ...headers, [name]: value }, message.body, nowMs)]).toEqual([name, false]);
  });
});
