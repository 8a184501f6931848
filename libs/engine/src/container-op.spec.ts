import { describe, expect, it } from 'vitest';
import { argumentsOf, containerOp, environmentOf } from './container-op.ts';
import { BuildRequest, ContainerRun } from '#protocol';

const image = { Entrypoint: ['/entry', '-v'], Cmd: ['serve', '--fast'] };

describe('what a container runs', () => {
  it.each([
    ['what the image says', image, {}, ['/entry', '-v', 'serve', '--fast']],
    ['a command in the place of CMD', image, { command: ['test', '-x'] }, ['/entry', '-v', 'test', '-x']],
    ['an entry point in the place of both', image, { entrypoint: ['sh'] }, ['sh']],
    ['an entry point with its arguments', image, { entrypoint: ['sh'], command: ['-c', 'x'] }, ['sh', '-c', 'x']],
    ['no entry point', image, { entrypoint: [], command: ['ls'] }, ['ls']],
    ['CMD alone', { Entrypoint: null, Cmd: ['sh'] }, {}, ['sh']],
    ['a command alone', {}, { command: ['ls', '/'] }, ['ls', '/']],
  ])('is %s', (_, config, run, expected) => {
    const { Entrypoint, Cmd } = { Entrypoint: undefined, Cmd: undefined, ...config };
    expect(argumentsOf({ Entrypoint: Entrypoint ?? undefined, Cmd }, ContainerRun.parse(run))).toEqual(expected);
  });

  it('is an error where nobody says', () => {
    expect(() => argumentsOf({}, { command: [] })).toThrow('nothing to run');
    // Without its entry point, the image's CMD would be arguments of nothing.
    expect(() => argumentsOf(image, { entrypoint: [], command: [] })).toThrow('nothing to run');
  });

  it('sees the image’s variables, and those that are given in their place', () => {
    const env = ['PATH=/bin', 'MODE=slow', 'EMPTY='];
    expect(environmentOf({ Env: env }, { env: { MODE: 'fast', MORE: 'a=b' } }, 'h')).toEqual([
      'PATH=/bin',
      'HOSTNAME=h',
      'MODE=fast',
      'EMPTY=',
      'MORE=a=b',
    ]);
    expect(environmentOf({}, { env: {} }, 'h')[0]).toMatch(/^PATH=.*:\/bin$/);
  });

  it('has secrets as files, and what the image says where nothing is given', () => {
    const request = BuildRequest.parse({ call: 'run', secretIds: ['token'], cpus: 0.5, memoryBytes: 1024 });
    const run = ContainerRun.parse({ tmpfs: [{ target: '/scratch' }] });
    const op = containerOp({ Cmd: ['x'], User: 'app', WorkingDir: '/srv' }, run, request, 'h');
    expect(op).toMatchObject({ user: 'app', cwd: '/srv', limits: { cpuMillis: 500, memoryBytes: 1024 } });
    expect(op.mounts).toEqual([
      { type: 'tmpfs', target: '/scratch', sizeBytes: undefined },
      { type: 'secret', id: 'token', target: '/run/secrets/token', required: true, mode: 0o444, uid: 0, gid: 0 },
    ]);
    const given = ContainerRun.parse({ user: '1:2', workdir: '/tmp' });
    expect(containerOp({ Cmd: ['x'], User: 'app' }, given, request, 'h')).toMatchObject({ user: '1:2', cwd: '/tmp' });
  });
});
