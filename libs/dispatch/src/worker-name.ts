/** What a builder is called among the clients of the queue: who it is, and which version of Kiln it runs. */
export const workerName = (builderId: string, version: string): string => `${builderId}@${version}`;

/** Of the name of a client of Redis; undefined when it is no builder's. */
export function parseWorkerName(client: string): { readonly builderId: string; readonly version: string } | undefined {
  const [, builderId, version] = /:w:([a-z0-9-]+)@(\S+)$/.exec(client) ?? [];
  return builderId === undefined || version === undefined ? undefined : { builderId, version };
}
