export type { ManifestFile, PackJobs } from './pack-job.ts';
export type { Pack } from './packed-tree.ts';
export { runPackJob } from './run-pack-job.ts';
