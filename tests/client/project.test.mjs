// The sign-in part of a Supabase project's front end, unchanged: its URL, its anon key, its service_role key, while the
// server has its secret or its keys. The site is at another origin than the API, as `supabase start` has it.

import test from 'node:test';
import assert from 'node:assert/strict';
import { createClient } from '@supabase/supabase-js';
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import ws from 'ws';
import { address, http, password, url } from './support.mjs';

const { PROJECT_ANON_KEY: ANON_KEY, PROJECT_SERVICE_KEY: SERVICE_KEY, PROJECT_ALGORITHM: algorithm, SITE_URL: site } = process.env;
assert.ok(ANON_KEY && SERVICE_KEY, 'tests/client/run makes the keys of a project');

const settings = { auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false }, realtime: { transport: ws } };
const client = (key = ANON_KEY) => createClient(url, key, settings);

async function mail(to, kind) {
  for (let tries = 0; tries < 100; tries++) {
    const { json } = await http('GET', '/auth/v1/mailbox.json');
    const found = json.mails.filter((one) => one.to === to && one.kind === kind);
    if (found.length > 0) return found.sort((a, b) => (a.created_at < b.created_at ? 1 : -1))[0];
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`no ${kind} to ${to}`);
}

async function person() {
  const supabase = client();
  const credentials = { email: address('project'), password: password() };
  const { data, error } = await supabase.auth.signUp({ ...credentials, options: { data: { name: 'Ada' } } });
  assert.equal(error, null);
  assert.equal(data.session, null);
  const { code } = await mail(credentials.email, 'confirmation');
  const verified = await supabase.auth.verifyOtp({ email: credentials.email, token: code, type: 'email' });
  assert.equal(verified.error, null);
  return { ...credentials, supabase, session: verified.data.session, id: verified.data.user.id };
}

test('tokens are signed with the key of the project, for its URL', async () => {
  const { session } = await person();
  const { alg, kid } = decodeProtectedHeader(session.access_token);
  assert.equal(alg, algorithm);
  if (process.env.JWT_KEYS) assert.equal(kid, 'project');
  assert.equal(decodeJwt(session.access_token).iss, `${url}/auth/v1`);
  const { keys } = (await http('GET', '/auth/v1/.well-known/jwks.json')).json;
  if (algorithm === 'HS256') {
    assert.deepEqual(keys, [], 'a secret is never published');
    const secret = process.env.JWT_SECRET
      ? new TextEncoder().encode(process.env.JWT_SECRET)
      : Buffer.from(JSON.parse(process.env.JWT_KEYS)[0].k, 'base64url');
    await jwtVerify(session.access_token, secret, { algorithms: ['HS256'], audience: 'authenticated' });
    return;
  }
  assert.equal(keys.length, 1);
  for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) assert.equal(keys[0][member], undefined);
  const set = createRemoteJWKSet(new URL(`${url}/auth/v1/.well-known/jwks.json`));
  const verified = await jwtVerify(session.access_token, set, {
    algorithms: [algorithm],
    audience: 'authenticated',
    issuer: `${url}/auth/v1`,
  });
  assert.equal(verified.protectedHeader.kid, 'project');
});

test('sign in, read and change the user, refresh, sign out', async () => {
  const { supabase, email, password: word } = await person();
  const { data, error } = await supabase.auth.signInWithPassword({ email, password: word });
  assert.equal(error, null);
  assert.equal(data.user.user_metadata.name, 'Ada');
  assert.equal((await supabase.auth.getUser()).data.user.email, email);
  if (algorithm === 'EdDSA') {
    // The client of today knows RS256 and ES256 there, and asks the server about HS256.
    await assert.rejects(supabase.auth.getClaims(), /Invalid alg claim/);
  } else {
    const claims = await supabase.auth.getClaims();
    assert.equal(claims.error, null);
    assert.equal(claims.data.claims.email, email);
  }
  assert.equal((await supabase.auth.updateUser({ data: { name: 'Ada L.' } })).data.user.user_metadata.name, 'Ada L.');
  const refreshed = await supabase.auth.refreshSession();
  assert.equal(refreshed.error, null);
  assert.notEqual(refreshed.data.session.refresh_token, data.session.refresh_token);
  const wrong = await client().auth.signInWithPassword({ email, password: 'wrong wrong wrong' });
  assert.equal(wrong.error.code, 'invalid_credentials');
  assert.equal((await supabase.auth.signOut()).error, null);
  assert.equal((await http('GET', '/auth/v1/user', { token: refreshed.data.session.access_token })).status, 403);
});

test('links begin at the API and lead back to the site', async () => {
  const { email, supabase } = await person();
  assert.equal((await supabase.auth.resetPasswordForEmail(email)).error, null);
  const { link } = await mail(email, 'recovery');
  assert.ok(link.startsWith(`${url}/auth/v1/verify?`), link);
  assert.equal(new URL(link).searchParams.get('redirect_to'), site);
  const form = new URLSearchParams(new URL(link).search);
  const pressed = await fetch(`${url}/auth/v1/verify/link`, { method: 'POST', body: form, redirect: 'manual', headers: { origin: url } });
  assert.equal(pressed.status, 303);
  assert.ok(pressed.headers.get('location').startsWith(`${site}`), pressed.headers.get('location'));
});

test('a page of the site may call the API, a page from elsewhere may not', async () => {
  const preflight = (origin) =>
    fetch(`${url}/auth/v1/token?grant_type=password`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'apikey,authorization' },
    });
  const asked = await preflight(site);
  assert.equal(asked.status, 204);
  assert.equal(asked.headers.get('access-control-allow-origin'), site);
  assert.equal((await preflight('https://evil.test')).status, 403);
});

test('the service_role key administers users, the anon key does not', async () => {
  const { id, email } = await person();
  const { admin } = client(SERVICE_KEY).auth;
  const read = await admin.getUserById(id);
  assert.equal(read.error, null);
  assert.equal(read.data.user.email, email);
  assert.equal((await admin.updateUserById(id, { app_metadata: { plan: 'pro' } })).data.user.app_metadata.plan, 'pro');
  const refused = await client(ANON_KEY).auth.admin.getUserById(id);
  assert.equal(refused.error.code, 'not_admin');
  assert.equal((await admin.deleteUser(id)).error, null);
});

test('another project’s keys open nothing', async () => {
  const [head, body] = SERVICE_KEY.split('.');
  for (const key of [`${head}.${body}.${'A'.repeat(43)}`, 'sb_publishable_ACJWlzQHlZjBrEguHvfOxg_3BJgxAaH', 'garbage']) {
    const { error } = await client(key).auth.signInWithPassword({ email: address('x'), password: password() });
    assert.equal(error.status, 401, `${key}: ${error.message}`);
    const { status } = await http('GET', '/auth/v1/admin/users', { token: key, headers: { apikey: key } });
    assert.equal(status, 401);
  }
});
