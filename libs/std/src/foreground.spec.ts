import { describe, expect, it } from 'vitest';
import { foreground } from './foreground.ts';

const node = (script: string, env?: Record<string, string>): Promise<number> => foreground(['-e', script], env);

describe('a program in the foreground', () => {
  it('ends with its own code, in the environment that it is given', async () => {
    expect(await node('process.exit(0)')).toBe(0);
    expect(await node('process.exit(Number(process.env.CODE))', { CODE: '7' })).toBe(7);
  });

  it('says what ended it, and leaves no listener behind', async () => {
    const before = process.listenerCount('SIGTERM');
    expect(await node("process.kill(process.pid, 'SIGINT'); setTimeout(() => {}, 60_000)")).toBe(130);
    expect(await node("process.kill(process.pid, 'SIGKILL')")).toBe(1);
    expect(process.listenerCount('SIGTERM')).toBe(before);
  });
});
