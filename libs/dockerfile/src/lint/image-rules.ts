import { formatPlatform, normalisePlatform } from '#oci';
import { goQuote } from '../go-format.ts';
import type { ImageBook } from '../lower/resolve-images.ts';
import { neededImages, type StagePlan } from '../lower/stage-plan.ts';
import type { Findings, Place } from './findings.ts';

/** What the images show that a stage needs. */
export function lintImages(plan: StagePlan, images: ImageBook, findings: Findings): void {
  for (const source of neededImages(plan)) {
    const { config, unresolved } = images.get(source);
    if (unresolved === true || (config.rootfs.diff_ids ?? []).length === 0) continue;
    const { platform } = source;
    if (config.os === platform.os && config.architecture === platform.architecture) continue;
    const [expected, actual] = [platform, config].map((each) => goQuote(formatPlatform(normalisePlatform(each))));
    const message = `Base image ${source.name} was pulled with platform ${actual}, expected ${expected} for current build`;
    findings.report('InvalidBaseImagePlatform', message, placeOf(plan, source.line));
  }
}

/** The FROM, or the instruction that takes files from the image. */
function placeOf({ from, instructions }: StagePlan, line: number): Place {
  return instructions.find(({ instruction, onbuild }) => !onbuild && instruction.line === line)?.instruction ?? from;
}
