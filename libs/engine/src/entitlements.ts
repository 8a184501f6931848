import type { Definition, Vertex } from '#graph';
import type { Entitlement } from '#protocol';
import { KilnError } from '#std';

export interface Entitlements {
  /** by the client's --allow */
  readonly client: readonly Entitlement[];
  /** by the farm's settings */
  readonly farm: readonly Entitlement[];
}

/**
 * What steps ask for beyond the sandbox has to be given by the client and by the farm.
 * @throws KilnError PERMISSION_DENIED with the step's line
 */
export function checkEntitlements(definition: Definition, { client, farm }: Entitlements): void {
  for (const vertex of definition.vertices.values()) {
    for (const needed of neededBy(vertex)) {
      const { line, name } = vertex.label;
      if (!client.includes(needed)) {
        throw new KilnError('PERMISSION_DENIED', `${name}: the build was not given the entitlement ${needed}`, {
          line,
          hint: farm.includes(needed)
            ? `pass --allow ${needed}`
            : `pass --allow ${needed}, and let the builders grant it: KILN_ENTITLEMENTS=${needed}`,
        });
      }
      if (!farm.includes(needed)) {
        throw new KilnError('PERMISSION_DENIED', `${name}: this farm does not grant the entitlement ${needed}`, {
          line,
          hint: `who runs the farm can grant it: KILN_ENTITLEMENTS=${needed} on its builders`,
        });
      }
    }
  }
}

/**
 * Nodes offer no devices: a step runs without those that it can do without.
 * @throws KilnError DOCKERFILE_UNSUPPORTED with the line of a step that needs one
 */
export function checkDevices(definition: Definition): void {
  for (const { op, label } of definition.vertices.values()) {
    const needed = op.kind === 'exec' ? op.devices?.find(({ required }) => required) : undefined;
    if (needed === undefined) continue;
    const { line, name } = label;
    const message = `${name}: required device ${JSON.stringify(needed.name)} is not registered: this farm’s builders have no devices`;
    throw new KilnError('DOCKERFILE_UNSUPPORTED', message, {
      line,
      hint: 'leave required out where the step can do without the device; else build it on a machine that has it',
    });
  }
}

function neededBy({ op }: Vertex): readonly Entitlement[] {
  if (op.kind !== 'exec') return [];
  return [
    ...(op.network === 'host' ? (['network.host'] as const) : []),
    ...(op.security === 'insecure' ? (['security.insecure'] as const) : []),
  ];
}
