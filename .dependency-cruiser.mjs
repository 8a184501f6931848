/** Which library may import which; docs/architecture.md tells why. Every library may import its own files. */
const doors = {
  std: [],
  oci: ['std'],
  protocol: ['std', 'oci'],
  graph: ['std', 'oci'],
  content: ['std', 'oci'],
  context: ['std', 'oci', 'content'],
  dockerfile: ['std', 'oci', 'graph'],
  cache: ['std', 'oci', 'protocol', 'graph', 'content'],
  tar: ['std'],
  snapshot: ['std', 'oci', 'content', 'tar'],
  packs: ['std', 'oci', 'content', 'snapshot'],
  executor: ['std', 'oci'],
  registry: ['std', 'oci', 'content'],
  identity: ['std', 'protocol', 'registry'],
  webhooks: ['std', 'protocol', 'registry'],
  remote: ['std', 'oci', 'content', 'context', 'graph', 'registry'],
  exporter: ['std', 'oci', 'content', 'registry', 'tar'],
  'cache-manifest': ['std', 'oci', 'cache'],
  solver: ['std', 'oci', 'protocol', 'graph', 'cache'],
  engine: [
    'std',
    'oci',
    'protocol',
    'graph',
    'content',
    'context',
    'dockerfile',
    'cache',
    'tar',
    'snapshot',
    'packs',
    'executor',
    'registry',
    'remote',
    'exporter',
    'cache-manifest',
    'solver',
  ],
  dispatch: ['std', 'protocol'],
  storage: ['std', 'oci', 'protocol', 'content', 'cache'],
  client: ['std', 'oci', 'protocol', 'context', 'tar'],
};
const apps = {
  api: ['std', 'oci', 'protocol', 'identity', 'webhooks', 'storage', 'dispatch', 'content', 'context'],
  builder: [
    'std',
    'oci',
    'protocol',
    'storage',
    'dispatch',
    'content',
    'context',
    'engine',
    'cache',
    'snapshot',
    'executor',
    'registry',
    'remote',
    'exporter',
    'solver',
  ],
  local: ['std', 'oci', 'content', 'registry', 'exporter', 'storage'],
  cli: ['std', 'client', 'protocol'],
};
const tests = '\\.(spec|contract)\\.ts$';
const wall = (folder, name, allowed) => ({
  name: `${folder}-${name}`,
  severity: 'error',
  from: { path: `^${folder}/${name}/`, pathNot: tests },
  to: {
    path: '^(libs|apps)/',
    pathNot: `^(${folder}/${name}|${allowed.map((lib) => `libs/${lib}`).join('|') || 'none'})/`,
  },
});
const only = (name, path, owner) => ({
  name,
  severity: 'error',
  from: { path: '^(libs|apps)/', pathNot: `${owner}|^libs/testing/|${tests}` },
  to: { path },
});

export default {
  forbidden: [
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'not-to-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'only-the-index-is-a-door',
      severity: 'error',
      from: { path: '^libs/([^/]+)/' },
      to: { path: '^libs/[^/]+/src/(?!index\\.ts)', pathNot: '^libs/$1/' },
    },
    {
      name: 'only-the-index-is-a-door-for-apps',
      severity: 'error',
      from: { path: '^(apps|test)/' },
      // Contract suites are run by every implementation, those on real services too. Benchmarks run on what is compiled, and
      // the test library is not.
      to: {
        path: '^libs/[^/]+/src/(?!index\\.ts)',
        pathNot: ['\\.contract\\.ts$', '^libs/testing/src/services\\.ts$'],
      },
    },
    ...Object.entries(doors).map(([name, allowed]) => wall('libs', name, allowed)),
    ...Object.entries(apps).map(([name, allowed]) => wall('apps', name, allowed)),
    only('nest-stops-at-apps', '^node_modules/@nestjs/', '^apps/'),
    only('only-storage-speaks-sql-and-redis', '^node_modules/(pg|ioredis)/', '^libs/storage/'),
    only('only-dispatch-knows-bullmq', '^node_modules/bullmq/', '^libs/dispatch/'),
    only('only-content-speaks-s3', '^node_modules/@aws-sdk/', '^libs/content/'),
    only('only-linux-libs-call-the-kernel', '^node_modules/koffi/', '^libs/(snapshot|executor)/'),
    {
      name: 'pure-libs-do-no-io',
      severity: 'error',
      from: { path: '^libs/(dockerfile|graph|oci|cache)/', pathNot: tests },
      to: { path: '^(node:)?(fs|fs/promises|net|http|https|child_process|worker_threads)$' },
    },
    {
      name: 'specs-only-testing',
      severity: 'error',
      from: { path: '^(libs|apps)/', pathNot: `^libs/testing/|${tests}` },
      to: { path: '^libs/testing/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      conditionNames: ['kiln-source', 'import', 'node', 'default', 'types'],
      exportsFields: ['exports'],
    },
  },
};
