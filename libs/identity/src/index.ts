export { type Admission, admit } from './admit.ts';
export type { Claims } from './claims.ts';
export { issuerOf, Issuers, type IssuersOptions } from './issuers.ts';
export { tryRule } from './try-rule.ts';
export { type SignInAttempt, SignInIssuer, type SignInIssuerOptions, type Vouched } from './sign-in-issuer.ts';
