import type { RunConfig } from '#oci';
import type { Json } from '#std';

const isEmpty = (value: Json | undefined): boolean =>
  value === undefined ||
  value === '' ||
  value === false ||
  value === 0 ||
  (typeof value === 'object' && value !== null && Object.keys(value).length === 0);

function withoutEmpty(members: Readonly<Record<string, Json | undefined>>): Record<string, Json | undefined> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => !isEmpty(value)));
}

/** As Docker and BuildKit write it: what is empty is left out. */
export function compactRunConfig({
  Healthcheck,
  ExposedPorts,
  Volumes,
  ...rest
}: RunConfig): Record<string, Json | undefined> {
  const names = (set: object | undefined): Record<string, Json> =>
    Object.fromEntries(Object.keys(set ?? {}).map((name) => [name, {}]));
  return withoutEmpty({
    ...rest,
    ExposedPorts: names(ExposedPorts),
    Volumes: names(Volumes),
    Healthcheck: Healthcheck === undefined ? undefined : withoutEmpty({ ...Healthcheck }),
  });
}
