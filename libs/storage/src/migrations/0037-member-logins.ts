/**
 * By what members are known who sign in at an issuer (libs/storage/src/sign-ins.ts). `email`: in lower case, set by an owner;
 * `issuer`, `subject`: who it turned out to be, from the first time on.
 */
export const memberLogins = {
  number: 37,
  name: 'member logins',
  sql: `
ALTER TABLE members
  ADD COLUMN email text,
  ADD COLUMN issuer text,
  ADD COLUMN subject text,
  ADD CONSTRAINT members_login CHECK ((issuer IS NULL) = (subject IS NULL)),
  ADD CONSTRAINT members_email UNIQUE (team_id, email),
  ADD CONSTRAINT members_subject UNIQUE (team_id, issuer, subject);
CREATE INDEX members_by_email ON members (email) WHERE email IS NOT NULL;
CREATE INDEX members_by_subject ON members (subject) WHERE subject IS NOT NULL;
`,
} as const;
