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
  kiln builds                   what was built; kiln logs BUILD tells how
  kiln down                     end the farm; its data stays

Environment:
  KILN_URL, KILN_TOKEN          the farm of a team, instead of one on this machine
  KILN_DATA                     data directory of the farm on this machine (~/.kiln)
`;
