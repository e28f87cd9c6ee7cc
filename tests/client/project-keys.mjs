// Prints, for a shell to read, what a Supabase project's settings are: `project-keys.mjs secret|ES256|.. port`.

import { createHmac } from 'node:crypto';
import { exportJWK, generateKeyPair } from 'jose';

const [, , kind, port] = process.argv;
// Every `supabase start` has this secret, and keys that it signed: they are public.
const secret = 'super-secret-jwt-token-with-at-least-32-characters-long';
const encode = (value) => Buffer.from(value).toString('base64url');
const own = kind === 'HS256' ? 'k8Jd0vQm3XzR5tYw7BnLp2HsUf9GcEa4oWi6' : secret;

/** An `anon` or `service_role` key as older projects have it. */
function legacy(role) {
  const head = encode(JSON.stringify({ alg: 'HS256', typ: 'JWT' }));
  const text = `${head}.${encode(JSON.stringify({ iss: 'supabase-demo', role, exp: 1983812996 }))}`;
  return `${text}.${createHmac('sha256', own).update(text).digest('base64url')}`;
}

const settings = {
  CONFIRM_EMAILS: '1',
  SITE_URL: 'http://localhost:3000',
  API_URL: `http://127.0.0.1:${port}`,
  PROJECT_ANON_KEY: legacy('anon'),
  PROJECT_SERVICE_KEY: legacy('service_role'),
  PROJECT_ALGORITHM: kind === 'secret' ? 'HS256' : kind,
};
if (kind === 'secret') {
  settings.JWT_SECRET = secret;
} else if (kind === 'HS256') {
  settings.JWT_KEYS = JSON.stringify([{ kty: 'oct', k: encode(own), kid: 'project', alg: 'HS256' }]);
} else {
  // As after the move to asymmetric keys: one signs, and the secret still verifies the application's keys.
  const { privateKey } = await generateKeyPair(kind, { extractable: true });
  const key = { ...(await exportJWK(privateKey)), kid: 'project', alg: kind, key_ops: ['sign', 'verify'] };
  settings.JWT_KEYS = JSON.stringify([key]);
  settings.JWT_SECRET = secret;
}
for (const [name, value] of Object.entries(settings)) console.log(`${name}='${value}'`);
