import { describe, expect, it } from 'vitest';
import { webhookChange, webhookRequest } from './webhook.ts';

const url = 'https://ci.example.com/kiln?x=1';

describe('kiln webhook create', () => {
  it('asks for what its flags say, and else for every event', () => {
    expect(webhookRequest(url, {})).toEqual({
      url,
      events: ['build.started', 'build.succeeded', 'build.failed', 'build.cancelled'],
    });
    const secret = `whsec_${Buffer.alloc(24, 1).toString('base64')}`;
    const flags = { event: ['build.failed', 'build.started', 'build.failed'], name: 'chat' };
    expect(webhookRequest(url, flags, secret)).toEqual({
      ...{ url, secret, name: 'chat' },
      events: ['build.started', 'build.failed'],
    });
  });

  it.each([
    ['http://ada:pw@ci.example.com', {}, undefined],
    ['ftp://ci.example.com', {}, undefined],
    [`${url}#x`, {}, undefined],
    ['https://[::1', {}, undefined],
    [url, { event: ['ping'] }, undefined],
    [url, { name: '' }, undefined],
    [url, {}, 'whsec_c2hvcnQ='],
    [url, {}, `whsec_${Buffer.alloc(65).toString('base64')}`],
    [url, {}, 'hunter2'],
  ])('refuses %s with %o and the secret %s, and shows no secret', (to, flags, secret) => {
    expect(() => webhookRequest(to, flags, secret)).toThrow(/^(?!.*hunter2).*(?:is to be|is one of)/);
  });
});

describe('kiln webhook update', () => {
  it('changes what its flags say, and nothing else', () => {
    expect(webhookChange({ enable: true })).toEqual({ enabled: true });
    expect(webhookChange({ disable: true, url, event: ['build.failed'] })).toEqual({
      ...{ enabled: false, url },
      events: ['build.failed'],
    });
  });

  it.each([
    [{}, undefined, 'nothing to change'],
    [{ enable: true, disable: true }, undefined, 'opposites'],
    [{ event: ['ping'] }, undefined, 'events'],
    [{}, 'hunter2', 'secret'],
  ])('refuses %o, and shows no secret', (flags, secret, why) => {
    expect(() => webhookChange(flags, secret)).toThrow(new RegExp(`^(?!.*hunter2).*${why}`));
  });
});
