import { describe, expect, test } from 'vitest';
import { isKilnError, type KilnError } from '#std';
import { explained } from './lint/failure-hint.ts';
import { FakeRegistry, lower } from './lower/lowered.fixture.ts';

const base = 'FROM scratch\n';
const ports = Array.from({ length: 7 }, () => '0-65535').join(' ');

/** Every one with the line, what is wrong, and what to change. */
const bad: readonly (readonly [text: string, line: number, message: string, hint: string])[] = [
  // the file
  ['RUN make\nFROM scratch', 1, 'RUN comes before the first FROM', 'only ARG may stand before FROM'],
  ['# escape=x\nFROM scratch', 1, "invalid escape token 'x'", 'write # escape='],
  ['# escape=`\n# escape=`\nFROM scratch', 2, 'only one escape parser directive', 'take this line out'],
  ['# check=skipp=all\nFROM scratch', 1, 'invalid check option "skipp"', 'skip, error and experimental'],
  ['# check=error=maybe\nFROM scratch', 1, 'error=maybe', 'error=true or error=false'],
  ['# check=skip\nFROM scratch', 1, 'invalid check option "skip"', 'skip=RULE'],
  [
    '# syntax=acme/frontend\nFROM scratch',
    1,
    'the front end "acme/frontend" is not supported',
    'leave the syntax line out',
  ],
  [`${base}RNU make`, 2, 'unknown instruction: RNU (did you mean RUN?)', 'instructions are ADD, ARG'],
  [`${base}COPY a \\\n b\nRUNN x`, 4, 'unknown instruction: RUNN', 'instructions are'],
  [`${base}RUN <<EOF\nmake`, 2, 'unterminated heredoc', 'a line that holds EOF alone'],
  // FROM
  ['FROM', 1, 'FROM requires either one or three arguments', 'FROM image AS name'],
  ['FROM a b', 1, 'FROM requires either one or three arguments', 'FROM image AS name'],
  ['FROM a AS 1x', 1, 'invalid name for build stage: "1x"', 'a letter first'],
  ['FROM $NONE', 1, 'base name ($NONE) should not be blank', 'pass it with --build-arg'],
  ['FROM Upper', 1, 'failed to parse stage name "Upper"', '[host[:port]/]name'],
  [
    'FROM --platfrom=linux/amd64 a',
    1,
    'unknown flag: --platfrom (did you mean --platform?)',
    'flags of FROM are --platform',
  ],
  [
    'FROM --platform=$BULIDPLATFORM a',
    1,
    'empty platform value from expression $BULIDPLATFORM (did you mean BUILDPLATFORM?)',
    'such as linux/amd64',
  ],
  ['FROM --platform=a/b/c/d x', 1, 'failed to parse platform a/b/c/d', 'os/architecture'],
  ['FROM missing', 1, 'no docker.io/library/missing', ''],
  // words
  [`${base}ENV x=\${y`, 2, "syntax error: missing '}'", '${NAME}'],
  [`${base}ENV x=\${}`, 2, 'bad substitution', 'write a name after ${'],
  [`${base}ENV x=\${y:z}`, 2, 'unsupported modifier (:z)', 'there are :-'],
  [`${base}ENV x=\${y?}`, 2, 'y: is not allowed to be unset', '--build-arg y=…'],
  [`${base}ENV x=\${y:?wanted}`, 2, 'y: wanted', 'give y a value'],
  [`${base}ENV x=\${y/a}`, 2, "missing '/' in ${}", '${NAME/pattern/replacement}'],
  [`${base}ENV x=\${y#\\a}`, 2, 'invalid escape', 'may stand before'],
  [`${base}ENV x="y`, 2, 'matching double-quote', 'close the quote'],
  [`${base}ENV x='y`, 2, 'matching single-quote', 'close the quote'],
  // ENV, LABEL, ARG
  [`${base}ENV`, 2, 'ENV requires at least one argument', 'ENV name=value'],
  [`${base}ENV A`, 2, 'ENV must have two arguments', 'write ENV A=value'],
  [`${base}ENV =x`, 2, 'ENV names can not be blank', 'before ='],
  [`${base}LABEL a=b c`, 2, 'can\'t find = in "c"', 'values with blanks in quotes'],
  [`${base}LABEL --a b=c`, 2, 'unknown flag: --a', 'LABEL takes no flags'],
  [`${base}ARG`, 2, 'ARG requires at least one argument', 'ARG name=default'],
  [`${base}ARG =x`, 2, 'ARG names can not be blank', 'before ='],
  // COPY, ADD
  [`${base}COPY a`, 2, 'COPY requires at least two arguments', 'COPY source destination'],
  [`${base}COPY a b c`, 2, 'the destination must be a directory', 'write c/'],
  [`${base}COPY --from=$x a b`, 2, 'variable expansion is not supported for --from', 'FROM $x AS name'],
  [`${base}COPY --from=7 a b`, 2, 'invalid stage index 7', 'from 0 to 0'],
  [
    'FROM scratch AS x\nCOPY --from=x a b',
    2,
    'circular dependency detected on stage: x',
    'cannot copy from each other',
  ],
  [
    'FROM scratch AS y\nCOPY --from=z a b\nFROM scratch AS z\nFROM y',
    2,
    'it needs to be defined before',
    'move the stage z above',
  ],
  [`${base}COPY --chmod=999 a c`, 2, "invalid chmod parameter: '999'", '--chmod=755'],
  [`${base}COPY --chown a b`, 2, 'missing a value on flag: --chown', '--chown=value'],
  [`${base}COPY --chown=a --chown=b a b`, 2, 'duplicate flag specified: --chown', 'once'],
  [`${base}COPY --form=x a b`, 2, 'unknown flag: --form (did you mean --from?)', '--from'],
  [`${base}COPY https://x/y /z`, 2, "source can't be a URL for COPY", 'write ADD https://x/y'],
  [`${base}COPY git@x.org:y/z /z`, 2, "source can't be a git ref for COPY", 'write ADD'],
  [`${base}COPY a <<EOF\nEOF`, 2, 'cannot accept a heredoc as a destination', 'destination'],
  [`${base}COPY [1, 2]`, 2, 'arrays must be comprised of strings only', 'write 1 in quotes'],
  // RUN and what is run
  [`${base}RUN`, 2, 'RUN requires at least one argument', 'the command to run'],
  [`${base}RUN []`, 2, 'RUN requires at least one argument', 'the command to run'],
  [`${base}RUN --network=some x`, 2, 'invalid network mode "some"', 'default, none'],
  [`${base}RUN --nework=none x`, 2, 'unknown flag: --nework (did you mean --network?)', '--network'],
  [`${base}CMD --x`, 2, 'unknown flag: --x', 'CMD takes no flags'],
  [`${base}SHELL /bin/sh`, 2, 'SHELL requires the arguments to be in JSON form', '["/bin/bash", "-c"]'],
  [`${base}SHELL []`, 2, 'SHELL requires at least one argument', '["/bin/bash", "-c"]'],
  [`${base}HEALTHCHECK`, 2, 'HEALTHCHECK requires at least one argument', 'HEALTHCHECK CMD command'],
  [`${base}HEALTHCHECK CMD`, 2, 'Missing command after HEALTHCHECK CMD', 'HEALTHCHECK CMD command'],
  [`${base}HEALTHCHECK NONE x`, 2, 'HEALTHCHECK NONE takes no arguments', 'NONE alone'],
  [`${base}HEALTHCHECK curl`, 2, 'Unknown type "CURL" in HEALTHCHECK (try CMD)', 'HEALTHCHECK CMD command'],
  [`${base}HEALTHCHECK --interval=30 CMD x`, 2, 'invalid duration "30"', '30s'],
  [`${base}HEALTHCHECK --timeout=1us CMD x`, 2, 'cannot be less than 1ms', '--timeout=30s'],
  [`${base}HEALTHCHECK --retries=x CMD x`, 2, '--retries is not a number', '--retries=3'],
  [`${base}HEALTHCHECK --retries=-1 CMD x`, 2, '--retries cannot be negative', '--retries=3'],
  // the rest
  [`${base}WORKDIR`, 2, 'WORKDIR requires exactly one argument', 'WORKDIR /app'],
  [`${base}USER`, 2, 'USER requires exactly one argument', 'USER nobody'],
  [`${base}MAINTAINER`, 2, 'MAINTAINER requires exactly one argument', 'LABEL org.opencontainers.image.authors'],
  [`${base}STOPSIGNAL SIGNOPE`, 2, 'invalid signal: SIGNOPE', 'SIGTERM'],
  [`${base}VOLUME`, 2, 'VOLUME requires at least one argument', 'VOLUME /data'],
  [`${base}VOLUME [""]`, 2, 'VOLUME specified can not be an empty string', 'name a path'],
  [`${base}VOLUME $x`, 2, 'VOLUME specified can not be an empty string', 'has no value here'],
  [`${base}EXPOSE`, 2, 'EXPOSE requires at least one argument', 'EXPOSE 80'],
  [`${base}EXPOSE eighty`, 2, 'invalid containerPort: eighty', 'numbers from 0 to 65535'],
  [`${base}EXPOSE /tcp`, 2, 'no port specified', 'EXPOSE 80/udp'],
  [`${base}EXPOSE 80/http`, 2, 'invalid proto: http', 'tcp, udp and sctp'],
  [`${base}EXPOSE 1.2.3.400:80:80`, 2, 'invalid IP address: 1.2.3.400', 'EXPOSE 80'],
  [`${base}EXPOSE 1-2:80-90`, 2, 'invalid ranges specified', 'EXPOSE 80-90'],
  [`${base}EXPOSE ${ports}`, 2, 'EXPOSE of more than', 'each port once'],
  [`${base}ONBUILD`, 2, 'ONBUILD requires at least one argument', 'ONBUILD COPY . /app'],
  [`${base}ONBUILD ONBUILD RUN x`, 2, 'Chaining ONBUILD', 'ONBUILD once'],
  [
    `${base}ONBUILD FROM x`,
    2,
    "FROM isn't allowed as an ONBUILD trigger",
    'in the Dockerfile that stands on the image',
  ],
  [`${base}ONBUILD COPY x`, 2, 'COPY requires at least two arguments', 'COPY source destination'],
  // triggers
  [
    'FROM scratch AS a\nONBUILD ENV x=${y?}\nFROM a',
    3,
    'ONBUILD trigger "ENV x=${y?}" of the stage a: failed to process',
    'comes with the stage a',
  ],
  [
    'FROM triggers',
    1,
    'ONBUILD trigger "COPY --from=nowhere a" of the image triggers',
    'comes with the image triggers',
  ],
  // characters of word processors
  [`${base}COPY –from=x a b`, 2, 'the destination must be a directory', 'write --from'],
  [`${base}HEALTHCHECK —interval=3s CMD x`, 2, 'Unknown type', 'write --interval'],
  [`${base}ENV A=“b c”`, 2, "can't find =", 'write "'],
  [`${base}SHELL [“sh”]`, 2, 'in JSON form', 'write "'],
  ['FROM a\u00a0AS b', 1, 'FROM requires', 'a non-breaking space'],
];

describe('a Dockerfile that does not build', () => {
  const registry = new FakeRegistry({
    'docker.io/library/triggers:latest': { OnBuild: ['COPY --from=nowhere a'] },
  });
  test.each(bad)('%j', async (text, line, message, hint) => {
    const thrown: unknown = await lower(text, {}, registry).catch((reason: unknown) => reason);
    if (!isKilnError(thrown)) throw thrown;
    const failure: KilnError = explained(thrown, text);
    expect(failure.message).toContain(message);
    expect(failure.line).toBe(line);
    if (hint !== '') expect(failure.hint).toContain(hint);
  });

  test.each([
    ['', 'the Dockerfile cannot be empty'],
    ['# a comment\n', 'file with no instructions'],
    ['ARG a\n', 'dockerfile contains no stages to build'],
  ])('%j has no line to name', async (text, message) => {
    await expect(lower(text)).rejects.toMatchObject({ message, hint: expect.stringContaining('FROM') as string });
  });
});
