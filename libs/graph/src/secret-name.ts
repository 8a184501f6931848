/** First or last word of a name, or the whole of it. */
const part = (words: string): RegExp => new RegExp(`(?:_|^)(?:${words})(?:_|$)`, 'i');
const secret = part('apikey|auth|credential|credentials|key|password|pword|passwd|secret|token');
const open = part('public|file|version');

/** Whether a variable is called as secrets are. */
export const isSecretName = (name: string): boolean => secret.test(name) && !open.test(name);
