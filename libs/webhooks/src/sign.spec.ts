import { describe, expect, it } from 'vitest';
import { signatureOf } from './sign.ts';

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const message = {
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  timestampS: 1_614_265_330,
  body: '{"test": 2432232314}',
};

describe('a signature', () => {
  it('is that of the published example', () => {
    expect(signatureOf(secret, message)).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
  });

  it('is of id, time and body together', () => {
    const others = [
      { ...message, id: 'msg_x' },
      { ...message, timestampS: 1 },
      { ...message, body: '{}' },
    ];
    expect(new Set([message, ...others].map((each) => signatureOf(secret, each))).size).toBe(4);
  });
});
