import type { BuildReport } from '#protocol';

interface Lines {
  readonly line: number;
  readonly endLine: number;
}

/** The JSON that `docker buildx build --call=…,format=json` prints. https://docs.docker.com/reference/cli/docker/buildx/build/#call */
export function reportJson(report: BuildReport): string {
  return `${JSON.stringify(jsonOf(report), null, 2)}\n`;
}

function jsonOf(report: BuildReport): object {
  const data = Buffer.from(report.file.text).toString('base64');
  switch (report.call) {
    case 'check': {
      const { findings, error, file } = report;
      return {
        warnings: findings.map(({ rule, description, url, message, ...lines }) => ({
          ruleName: rule,
          description,
          ...(url === undefined ? {} : { url }),
          detail: message,
          location: location(lines),
        })),
        sources: [{ filename: file.name, data, language: 'Dockerfile' }],
        ...(error === undefined ? {} : { buildError: buildError(error) }),
      };
    }
    case 'outline': {
      const { name, description, args, secrets, ssh } = report;
      const mounts = (found: typeof secrets): object[] =>
        found.map(({ name: id, required, ...lines }) => ({
          name: id,
          ...(required ? { required } : {}),
          location: location(lines),
        }));
      return {
        ...(name === undefined ? {} : { name }),
        ...(description === undefined ? {} : { description }),
        ...(args.length === 0 ? {} : { args: args.map(withLocation) }),
        ...(secrets.length === 0 ? {} : { secrets: mounts(secrets) }),
        ...(ssh.length === 0 ? {} : { ssh: mounts(ssh) }),
        sources: [data],
      };
    }
    case 'targets': {
      const targets = report.targets.map(({ default: built, ...target }) => ({
        ...withLocation(target),
        ...(built ? { default: true } : {}),
      }));
      return { targets, sources: [data] };
    }
  }
}

type CheckError = NonNullable<Extract<BuildReport, { readonly call: 'check' }>['error']>;

function buildError({ message, line, endLine = line }: CheckError): object {
  const lines = line === undefined || endLine === undefined ? undefined : { line, endLine };
  return { message, location: lines === undefined ? {} : location(lines) };
}

/** Empty values are left out, as buildx does. */
function withLocation<T extends Lines & Readonly<Record<string, unknown>>>({ line, endLine, ...more }: T): object {
  const given = Object.entries(more).filter(([, value]) => value !== undefined && value !== '');
  return { ...Object.fromEntries(given), location: location({ line, endLine }) };
}

function location({ line, endLine }: Lines): object {
  return { ranges: [{ start: { line }, end: { line: endLine } }] };
}
