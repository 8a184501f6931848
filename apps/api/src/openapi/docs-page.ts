import { createHash } from 'node:crypto';
import type { JsonSchema } from './components.ts';
import type { OpenApi, Operation } from './document.ts';

const STYLE = `
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}body{max-width:60rem;margin:2rem auto;padding:0 1rem}
code,pre{font:.85rem/1.45 ui-monospace,monospace}pre{overflow:auto;padding:.75rem;border:1px solid #8884;border-radius:4px}
summary{cursor:pointer}summary b{display:inline-block;min-width:3.5rem}table{border-collapse:collapse}
td,th{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0;border-bottom:1px solid #8884}section{margin:1rem 0}`;

/** Nothing is loaded, nothing runs: the page is text and this style. */
export const docsPolicy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const escaped = (text: string): string => text.replace(/[&<>"']/g, (each) => entities[each] ?? each);

/** A schema as text, its references as links. */
function schemaText(schema: JsonSchema, indent = 0): string {
  return escaped(JSON.stringify(schema, null, indent)).replace(
    /#\/components\/schemas\/([A-Za-z0-9]+)/g,
    '<a href="#schema-$1">$1</a>',
  );
}

const rows = (head: readonly string[], lines: readonly (readonly string[])[]): string =>
  lines.length === 0
    ? ''
    : `<table><tr>${head.map((cell) => `<th>${cell}</th>`).join('')}</tr>${lines
        .map((cells) => `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`)
        .join('')}</table>`;

const mediaCells = (content: NonNullable<Operation['requestBody']>['content'] = {}): string =>
  Object.entries(content)
    .map(
      ([type, { schema }]) =>
        `<code>${escaped(type)}</code> ${schema === undefined ? 'bytes' : `<code>${schemaText(schema)}</code>`}`,
    )
    .join('<br>');

function needs(security: Operation['security']): string {
  const [one] = security;
  if (one === undefined) return ' Needs no token.';
  const [permission] = one.token;
  if (permission === 'operator')
    return ' Needs the operator’s token, KILN_OPERATOR_TOKEN; for /metrics KILN_METRICS_TOKEN will do.';
  return permission === undefined ? ' Needs any token.' : ` Needs a token with ${permission}.`;
}

function operationHtml(path: string, method: string, operation: Operation): string {
  const { operationId, summary, description, parameters, requestBody, responses, security } = operation;
  return `<details id="${operationId}"><summary><b>${method.toUpperCase()}</b> <code>${escaped(path)}</code> ${escaped(summary)}</summary>
<p>${escaped(description ?? '')}${escaped(needs(security))}</p>
${rows(
  ['parameter', 'in', 'schema'],
  parameters.map((each) => [
    `<code>${escaped(each.name)}</code>${each.required ? '' : ' (optional)'}`,
    each.in,
    `<code>${schemaText(each.schema)}</code>`,
  ]),
)}
${requestBody === undefined ? '' : rows(['body'], [[mediaCells(requestBody.content)]])}
${rows(
  ['answer', 'when', 'content'],
  Object.entries(responses).map(([status, each]) => [status, escaped(each.description), mediaCells(each.content)]),
)}</details>`;
}

/** The API's document for people. */
export function docsPage({ info, paths, components }: OpenApi): string {
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation, tag: operation.tags[0] ?? '' })),
  );
  const sections = [...Map.groupBy(operations, ({ tag }) => tag)].map(
    ([tag, each]) =>
      `<section><h2>${escaped(tag)}</h2>${each.map(({ path, method, operation }) => operationHtml(path, method, operation)).join('\n')}</section>`,
  );
  const schemas = Object.entries(components.schemas).map(
    ([name, schema]) => `<h3 id="schema-${name}">${name}</h3><pre>${schemaText(schema, 2)}</pre>`,
  );
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escaped(info.title)} API</title><style>${STYLE}</style></head><body>
<h1>${escaped(info.title)} API ${escaped(info.version)}</h1><p>${escaped(info.description)}
<a href="/v1/openapi.json">OpenAPI 3.1</a></p>
${sections.join('\n')}
<section><h2>Schemas</h2>${schemas.join('\n')}</section></body></html>
`;
}
