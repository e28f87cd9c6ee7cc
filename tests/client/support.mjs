// What the suites share: where the quickstart is, people to sign up, and plain calls.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createClient } from '@supabase/supabase-js';
import ws from 'ws';

export const url = process.env.AURORA_URL;
assert.ok(url, 'AURORA_URL must be the address of a running quickstart; tests/client/run sets it');

const key = process.env.AURORA_ANON_KEY ?? 'sb_publishable_quickstart';

/** An official client of its own, as another browser would be. Node 20 has no WebSocket for its realtime part. */
export function client() {
  return createClient(url, key, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    realtime: { transport: ws },
  });
}

export const address = (name) => `${name}-${randomUUID()}@example.com`;
export const password = () => `lamp ${randomUUID()}`;

/** A new user with a client of their own that is signed in. */
export async function person(name) {
  const supabase = client();
  const credentials = { email: address(name), password: password() };
  const { data, error } = await supabase.auth.signUp(credentials);
  assert.equal(error, null);
  assert.ok(data.session, 'development confirms addresses by itself');
  return { ...credentials, supabase, id: data.user.id, session: data.session };
}

/** One more device of the same user. */
export async function device({ email, password }) {
  const supabase = client();
  const { data, error } = await supabase.auth.signInWithPassword({ email, password });
  assert.equal(error, null);
  return { supabase, session: data.session };
}

/** A plain call; `token` is an access token. Answers with status, headers and the parsed body. */
export async function http(method, path, { token, body, headers = {} } = {}) {
  const response = await fetch(url + path, {
    method,
    headers: {
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  const json = text !== '' && (response.headers.get('content-type') ?? '').includes('json') ? JSON.parse(text) : null;
  return { status: response.status, headers: response.headers, text, json };
}

/** An access token that no longer opens anything: neither the account nor the rows. */
export async function assertEnded(token) {
  for (const path of ['/auth/v1/user', '/notes']) {
    const answer = await http('GET', path, { token });
    assert.ok([401, 403].includes(answer.status), `${path} answered ${answer.status} to an ended session`);
  }
}

export async function assertAlive(token) {
  for (const path of ['/auth/v1/user', '/notes']) {
    assert.equal((await http('GET', path, { token })).status, 200, path);
  }
}
