import { z } from 'zod';
import { Trust } from './access.ts';

/** `ghcr.io`, `registry.example.com:5000`; as `kiln login` and Docker name them. */
export const RegistryHost = z
  .string()
  .max(255)
  .regex(/^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::[0-9]{1,5})?$/, 'a host in lower case, or host:port')
  .transform((host) => (/^(?:index|registry-1)\.docker\.io$/.test(host) ? 'docker.io' : host));

const more = {
  /** of the scopes whose builds get them; never a fork's */
  minimumTrust: Trust.exclude(['fork']).default('protected'),
};
const secret = z.string().min(1).max(16_384);

/** PUT /v1/registries/:host */
export const RegistryRequest = z.union([
  z.strictObject({ username: z.string().min(1).max(255), password: secret, ...more }),
  z.strictObject({ identityToken: secret, ...more }),
]);
export type RegistryRequest = z.infer<typeof RegistryRequest>;
export type RegistryRequestInput = z.input<typeof RegistryRequest>;

/** GET /v1/registries/:host: never the password. */
export const RegistryView = z.object({
  host: z.string(),
  /** null: an identity token */
  username: z.string().nullable(),
  minimumTrust: Trust,
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
});
export type RegistryView = z.infer<typeof RegistryView>;

/** GET /v1/registries: all of them. */
export const RegistryList = z.object({ registries: z.array(RegistryView) });
export type RegistryList = z.infer<typeof RegistryList>;
