import type { Digest } from '#oci';
import type { Reference } from './references.ts';

/** What may be wrong with a farm's rows and bytes. */
export type FindingKind =
  /** a blob that something needs has no bytes */
  | 'missing'
  /** the bytes of a blob are not those of its digest */
  | 'corrupt'
  /** the index has another size than the bytes, which are right */
  | 'size'
  /** something needs a blob that is there, and the index does not know it or has taken it out of use */
  | 'unindexed'
  /** bytes that nothing knows */
  | 'orphan'
  /** a result whose layers are not what it keeps, or whose parents are gone */
  | 'result'
  /** a number that is kept beside rows is not theirs */
  | 'sum';

export interface Finding {
  readonly kind: FindingKind;
  readonly message: string;
  readonly digest?: Digest;
  readonly mended: boolean;
}

/** Of a blob; `needs` are what refers to it. */
export interface BlobFinding {
  readonly kind: Exclude<FindingKind, 'result' | 'sum'>;
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly needs: readonly Reference[];
}

/** Such as `3 results, 1 log`. */
export function neededBy(needs: readonly Reference[]): string {
  const counts = new Map<string, number>();
  for (const { kind, count } of needs) counts.set(kind, (counts.get(kind) ?? 0) + count);
  const [first] = needs;
  const all = [...counts].map(([kind, count]) => `${count} ${kind}${count === 1 ? '' : 's'}`);
  return first === undefined ? 'nothing' : `${all.join(', ')}, such as ${first.kind} ${first.name}`;
}

const texts: Readonly<Record<BlobFinding['kind'], (finding: BlobFinding) => string>> = {
  missing: ({ digest, needs }) => `blob ${digest} is missing; needed by ${neededBy(needs)}`,
  corrupt: ({ digest, needs }) => `the bytes of blob ${digest} are damaged; needed by ${neededBy(needs)}`,
  size: ({ digest, sizeBytes }) => `blob ${digest} has ${sizeBytes} bytes, and the index another number`,
  unindexed: ({ digest, needs }) => `blob ${digest} is there and not in the index; needed by ${neededBy(needs)}`,
  orphan: ({ digest, sizeBytes }) => `blob ${digest} (${sizeBytes} bytes) is there and nothing knows it`,
};

export const blobText = (finding: BlobFinding): string => texts[finding.kind](finding);
