/** Below the flags of `kiln build`. */
export const buildExamples = `
Examples:
  kiln build .                                    build; every step is kept for whoever comes next
  kiln build . -t registry.example.com/app:1 --push
  kiln build . -t app --load                      into Docker or Podman on this machine
  kiln build . -o out                             the files of the result in the directory out
  kiln build . -o type=oci,dest=app.tar --platform linux/amd64,linux/arm64
  kiln build . --secret id=npmrc,src=.npmrc       for RUN --mount=type=secret,id=npmrc …
  kiln build . --check                            what could be better in the Dockerfile

Exit codes: 0 done, 1 the build failed, 2 wrong use, 3 no farm answers, 130 interrupted
`;

/** Below the commands of `kiln`. */
export const firstSteps = `
First steps:
  kiln build . -t app --load    start a farm on this machine if there is none, and build on it
  kiln run app                  try it out, without Docker on this machine
  kiln builds                   what was built; kiln logs BUILD tells how
  kiln explain BUILD            why its steps hit or missed the cache
  kiln down                     end the farm; its data stays
  kiln login URL                use the farm of a team from now on

Environment:
  KILN_URL, KILN_TOKEN          the farm of a team, instead of one on this machine
  KILN_CONTEXT                  one that kiln context ls shows
  KILN_DATA                     data directory of the farm on this machine (~/.kiln)
`;

/** Below the flags of `kiln run`. */
export const runHelp = `
Examples:
  kiln build . -t app && kiln run app             try out what was just built
  kiln run -e CI=1 app npm test                   what is behind the image is the command's own
  kiln run --entrypoint sh app -c 'ls -l /srv'
  kiln run --rm -u 1000 -w /tmp debian:12-slim id
  kiln run --secret id=token,env=TOKEN app        the file /run/secrets/token

Exit codes: that of the command, as with docker run; 125 it did not come to run, 126 or 127 it cannot be executed
or is not there, 137 killed, mostly for its memory, 2 wrong use, 3 no farm answers, 130 interrupted
`;

/** Below the flags of `kiln explain`. */
export const explainHelp = `
A step that missed is compared with the nearest build that is like this one: of the same scope, else of
one that it inherits. What changed stands at the top, down to the file; what only followed from it stands
with it. In the list of steps,
  hit    the result was found: by which key, from which build, and the time that it saved
  miss   it ran: because of what is told above, or followed from another step that ran

Marks of files: + added, - removed, ~ changed, > renamed.

Examples:
  kiln explain 2jakgbtjphytqyff17x3
  kiln explain 2jakgbtjphytqyff17x3 --json | jq '.causes[0]'

Exit codes: 0 done, 1 there is no such build, 2 wrong use, 3 no farm answers
`;

/** Below the flags of `kiln summary`. */
export const summaryHelp = `
  markdown     what came of it, the steps, and why they ran: for the page of a CI job
  github       workflow commands that put errors and warnings beside their lines
  codequality  the same as GitLab's report of code quality
  json         all of it

Examples:
  kiln build . --build-id-file id; kiln summary "$(cat id)" >> "$GITHUB_STEP_SUMMARY"
  kiln summary 2jakgbtjphytqyff17x3 --format codequality > gl-code-quality-report.json

Exit codes: 0 done, whatever came of the build; 1 there is no such build, 2 wrong use, 3 no farm answers
`;

/** Below the flags of `kiln ci`. */
export const ciHelp = `
Settings have the names of docker/build-push-action and come by environment, as each CI hands them to a step:
  github                      INPUT_BUILD-ARGS
  woodpecker, drone           PLUGIN_BUILD_ARGS
  buildkite                   BUILDKITE_PLUGIN_KILN_BUILD_ARGS, or …_0, …_1
  gitlab, circleci, jenkins   KILN_INPUT_BUILD_ARGS
Besides: url and token of the farm (or KILN_URL, KILN_TOKEN), metadata-file, summary-file.

Examples:
  KILN_INPUT_TAGS=registry.example.com/app:1 KILN_INPUT_PUSH=true kiln ci gitlab

Exit codes: as kiln build
`;
