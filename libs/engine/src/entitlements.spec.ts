import { expect, it } from 'vitest';
import { type Definition, DefinitionBuilder, type ExecOp } from '#graph';
import { checkDevices, checkEntitlements } from './entitlements.ts';

const exec: ExecOp = { kind: 'exec', args: ['x'], env: [], cwd: '/', user: '', network: 'default' };

function definitionOf(op: ExecOp): Definition {
  const builder = new DefinitionBuilder();
  const platform = { os: 'linux', architecture: 'amd64' };
  const label = { name: '[2/2] RUN x', stage: '', line: 7, ignoreCache: false };
  return builder.finish(builder.add(op, platform, [], label));
}

function check(op: ExecOp, client: readonly 'network.host'[], farm: readonly 'network.host'[]): void {
  checkEntitlements(definitionOf(op), { client, farm });
}

it('refuses steps that cannot do without a device', () => {
  checkDevices(definitionOf({ ...exec, devices: [{ name: 'gpu', required: false }] }));
  const needing = definitionOf({ ...exec, devices: [{ name: 'gpu', required: true }] });
  expect(() => checkDevices(needing)).toThrow('[2/2] RUN x: required device "gpu" is not registered');
});

it('needs client and farm', () => {
  const host: ExecOp = { ...exec, network: 'host' };
  check(exec, [], []);
  check(host, ['network.host'], ['network.host']);
  expect(() => check(host, [], ['network.host'])).toThrow('[2/2] RUN x: the build was not given');
  expect(() => check(host, ['network.host'], [])).toThrow('this farm does not grant the entitlement network.host');
  expect(() => check({ ...exec, security: 'insecure' }, ['network.host'], ['network.host'])).toThrow(
    'security.insecure',
  );
});
