import { type Digest, digestOf } from '#oci';

/** ChainIDs of a stack of layers, https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md#layer-chainid */
export function chainIds(diffIds: readonly Digest[]): readonly Digest[] {
  const ids: Digest[] = [];
  for (const diffId of diffIds) {
    const below = ids.at(-1);
    ids.push(below === undefined ? diffId : digestOf(`${below} ${diffId}`));
  }
  return ids;
}
