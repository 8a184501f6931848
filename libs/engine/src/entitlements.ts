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

function neededBy({ op }: Vertex): readonly Entitlement[] {
  if (op.kind !== 'exec') return [];
  return [
    ...(op.network === 'host' ? (['network.host'] as const) : []),
    ...(op.security === 'insecure' ? (['security.insecure'] as const) : []),
  ];
}
