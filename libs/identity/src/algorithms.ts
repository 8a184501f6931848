/** By which an id token may be signed: by a key that its issuer publishes, and nothing else. */
export const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512'];
