import {
  PROVENANCE_TYPE,
  provenancePredicate,
  provenanceV02,
  STATEMENT_TYPE,
  type StoredRequest,
  type Subject,
} from '#protocol';
import { type Clock, KilnError } from '#std';
import { type PlatformResult, treeOf } from './platform-result.ts';
import type { Materialiser } from './materialiser.ts';
import { type Making, madeOf } from './provenance-of.ts';
import type { Ref } from './ref.ts';
import { readSbom, SPDX_TYPE } from './read-sbom.ts';
import { toldJson } from './told.ts';

/** What is said of a result, before it is said of what. */
export interface Predicate {
  readonly type: string;
  /** in JSON */
  readonly json: Buffer;
  /** among files */
  readonly fileName: string;
  /** not among files at all */
  readonly inlineOnly: boolean;
}

export interface AttestingOptions extends Omit<Making, 'finishedAtMs'> {
  readonly clock: Clock;
  readonly materialiser: Materialiser;
  /** of each platform what its generator wrote, in their order; none where nobody asked */
  readonly scans: readonly Ref[];
}

export const attests = ({ attestations: { provenance, sbom } }: StoredRequest): boolean =>
  provenance !== undefined || sbom !== undefined;

/** Whether the request tells something beside files, too. */
export const attestsFiles = ({ attestations: { provenance, sbom } }: StoredRequest): boolean =>
  sbom !== undefined || provenance?.inlineOnly === false;

/** The bytes of a statement: predicates are taken as they are written. */
export function encodeStatement({ type, json }: Predicate, subject: readonly Subject[]): Buffer {
  const head = JSON.stringify({ _type: STATEMENT_TYPE, predicateType: type, subject });
  return Buffer.concat([Buffer.from(`${head.slice(0, -1)},"predicate":`), json, Buffer.from('}')]);
}

/** Tells of the results of one build how they were made and what is in them: of all its outputs the same. */
export class Attesting {
  readonly #options: AttestingOptions;
  #finishedAtMs: number | undefined;

  constructor(options: AttestingOptions) {
    this.#options = options;
  }

  /** @throws KilnError as `readSbom` does */
  async *of(result: PlatformResult, at: number): AsyncGenerator<Predicate> {
    const { clock, job, mask, materialiser, scans } = this.#options;
    const { provenance, sbom } = job.request.attestations;
    if (sbom !== undefined) {
      const scan = scans[at];
      if (scan === undefined) throw new KilnError('INTERNAL', 'a platform without an SBOM');
      for await (const document of readSbom(treeOf(scan), sbom.generator, materialiser))
        yield { type: SPDX_TYPE, ...document, inlineOnly: false };
    }
    if (provenance === undefined) return;
    this.#finishedAtMs ??= clock.nowMs();
    const made = await madeOf(result.lowered, { ...this.#options, finishedAtMs: this.#finishedAtMs });
    const predicate = provenancePredicate(made);
    const { filename: fileName, inlineOnly, version } = provenance;
    const told = version === 'v1' ? { predicateType: PROVENANCE_TYPE, predicate } : provenanceV02(predicate);
    const json = Buffer.from(toldJson(told.predicate, mask));
    yield { type: told.predicateType, json, fileName, inlineOnly };
  }
}
