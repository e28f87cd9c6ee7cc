// The official client, unchanged, against the quickstart.

import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import { test } from 'node:test';
import { address, assertAlive, assertEnded, client, device, http, password, person } from './support.mjs';

test('signUp answers with a session and a user as Supabase shapes them', async () => {
  const supabase = client();
  const email = address('Ada').replace('Ada', 'ADA');
  const { data, error } = await supabase.auth.signUp({ email, password: password(), options: { data: { name: 'Ada' } } });
  assert.equal(error, null);
  assert.match(data.user.id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(data.user.email, email.toLowerCase());
  assert.equal(data.user.aud, 'authenticated');
  assert.equal(data.user.role, 'authenticated');
  assert.equal(data.user.phone, '');
  assert.equal(data.user.is_anonymous, false);
  assert.equal(data.user.user_metadata.name, 'Ada');
  assert.deepEqual(data.user.app_metadata, { provider: 'email', providers: ['email'] });
  assert.equal(data.user.identities.length, 1);
  assert.equal(data.user.identities[0].provider, 'email');
  assert.ok(Date.parse(data.user.created_at) > 0);
  assert.ok(Date.parse(data.user.email_confirmed_at) > 0);
  assert.equal(data.session.token_type, 'bearer');
  assert.equal(data.session.expires_in, 900);
  assert.ok(Math.abs(data.session.expires_at - Date.now() / 1000 - 900) < 10);
  assert.ok(data.session.refresh_token.length >= 20);
});

test('signInWithPassword, getUser and getSession agree on who it is', async () => {
  const ada = await person('ada');
  const { supabase, session } = await device({ ...ada, email: ada.email.toUpperCase() });
  const { data, error } = await supabase.auth.getUser();
  assert.equal(error, null);
  assert.equal(data.user.id, ada.id);
  assert.ok(Date.parse(data.user.last_sign_in_at) > 0);
  assert.equal((await supabase.auth.getSession()).data.session.access_token, session.access_token);
  assert.notEqual(session.access_token, ada.session.access_token);
});

test('getClaims verifies locally against the published keys', async () => {
  const ada = await person('ada');
  const { data, error } = await ada.supabase.auth.getClaims();
  assert.equal(error, null);
  assert.equal(data.header.alg, 'ES256');
  assert.equal(data.claims.sub, ada.id);
  assert.equal(data.claims.role, 'authenticated');
  const [head, , signature] = ada.session.access_token.split('.');
  const forged = Buffer.from(JSON.stringify({ ...data.claims, role: 'service_role' })).toString('base64url');
  const refused = await ada.supabase.auth.getClaims(`${head}.${forged}.${signature}`);
  assert.ok(refused.error, 'a changed claim does not verify');
});

test('updateUser changes metadata, keeps what it does not name, and never app_metadata', async () => {
  const ada = await person('ada');
  const first = await ada.supabase.auth.updateUser({ data: { theme: 'dark', name: 'Ada' } });
  assert.equal(first.error, null);
  const second = await ada.supabase.auth.updateUser({ data: { theme: 'light' } });
  assert.equal(second.data.user.user_metadata.theme, 'light');
  assert.equal(second.data.user.user_metadata.name, 'Ada');
  await http('PUT', '/auth/v1/user', {
    token: ada.session.access_token,
    body: { app_metadata: { admin: true }, role: 'service_role', data: { theme: 'dark' } },
  });
  const { data } = await ada.supabase.auth.getUser();
  assert.deepEqual(data.user.app_metadata, { provider: 'email', providers: ['email'] });
  assert.equal(data.user.role, 'authenticated');
});

test('updateUser with another address waits for its mails, also where sign-ups need none', async () => {
  const [ada, bob] = [await person('ada'), await person('bob')];
  // Whether it is taken shows at the confirmation: here it would tell who has an account.
  for (const email of [bob.email, address('countess')]) {
    const { data, error } = await ada.supabase.auth.updateUser({ email });
    assert.equal(error, null);
    assert.deepEqual([data.user.email, data.user.new_email], [ada.email, email]);
    assert.equal((await client().auth.signInWithPassword({ email, password: ada.password })).error?.code, 'invalid_credentials');
  }
  assert.equal((await client().auth.signInWithPassword({ email: ada.email, password: ada.password })).error, null);
});

// asvs(V6.2.2, V7.4.3)
test('updateUser changes the password, refuses the same and a weak one, and ends the other devices', async () => {
  const ada = await person('ada');
  const phone = await device(ada);
  const same = await ada.supabase.auth.updateUser({ password: ada.password });
  assert.equal(same.error?.code, 'same_password');
  assert.equal(same.error.status, 422);
  const weak = await ada.supabase.auth.updateUser({ password: 'abc' });
  assert.equal(weak.error?.code, 'weak_password');
  const changed = password();
  const { error } = await ada.supabase.auth.updateUser({ password: changed });
  assert.equal(error, null);
  await assertEnded(phone.session.access_token);
  assert.equal((await ada.supabase.auth.getUser()).error, null, 'the device that changed it stays signed in');
  const before = await client().auth.signInWithPassword({ email: ada.email, password: ada.password });
  assert.equal(before.error?.code, 'invalid_credentials');
  assert.equal((await client().auth.signInWithPassword({ email: ada.email, password: changed })).error, null);
});

test('refreshSession rotates; a lost answer is answered again; parallel refreshes get one successor', async () => {
  const ada = await person('ada');
  const start = ada.session.refresh_token;
  const { data, error } = await ada.supabase.auth.refreshSession();
  assert.equal(error, null);
  assert.notEqual(data.session.refresh_token, start);
  assert.equal(data.user.id, ada.id);
  const again = await client().auth.refreshSession({ refresh_token: start });
  assert.equal(again.error, null);
  assert.equal(again.data.session.refresh_token, data.session.refresh_token);
  const crowd = await Promise.all(
    Array.from({ length: 20 }, () =>
      http('POST', '/auth/v1/token?grant_type=refresh_token', { body: { refresh_token: data.session.refresh_token } }),
    ),
  );
  assert.deepEqual([...new Set(crowd.map((answer) => answer.status))], [200]);
  assert.equal(new Set(crowd.map((answer) => answer.json.refresh_token)).size, 1);
});

// asvs(V10.4.5)
test('a replay after the successor was used and the grace is over ends the session', async () => {
  const ada = await person('ada');
  const first = ada.session.refresh_token;
  const second = (await client().auth.refreshSession({ refresh_token: first })).data.session;
  const third = (await client().auth.refreshSession({ refresh_token: second.refresh_token })).data.session;
  await wait(11_000);
  const replay = await client().auth.refreshSession({ refresh_token: first });
  assert.equal(replay.error?.code, 'refresh_token_already_used');
  assert.equal(replay.error.status, 400);
  const family = await client().auth.refreshSession({ refresh_token: third.refresh_token });
  assert.ok(family.error, 'the whole family is revoked');
  await assertEnded(third.access_token);
});

test('signOut local ends this device alone', async () => {
  const ada = await person('ada');
  const phone = await device(ada);
  assert.equal((await phone.supabase.auth.signOut({ scope: 'local' })).error, null);
  await assertEnded(phone.session.access_token);
  await assertAlive(ada.session.access_token);
  const refused = await client().auth.refreshSession({ refresh_token: phone.session.refresh_token });
  assert.equal(refused.error?.status, 400);
});

test('signOut others ends every device but this one', async () => {
  const ada = await person('ada');
  const phone = await device(ada);
  assert.equal((await ada.supabase.auth.signOut({ scope: 'others' })).error, null);
  await assertEnded(phone.session.access_token);
  await assertAlive(ada.session.access_token);
});

test('signOut global ends all of one user and nobody else', async () => {
  const [ada, bob] = [await person('ada'), await person('bob')];
  const phone = await device(ada);
  assert.equal((await ada.supabase.auth.signOut()).error, null);
  await assertEnded(ada.session.access_token);
  await assertEnded(phone.session.access_token);
  await assertAlive(bob.session.access_token);
});

test('onAuthStateChange tells of signing in, refreshing, changing and signing out', async () => {
  const supabase = client();
  const events = [];
  const { data } = supabase.auth.onAuthStateChange((event) => events.push(event));
  const credentials = { email: address('ada'), password: password() };
  await supabase.auth.signUp(credentials);
  await supabase.auth.refreshSession();
  await supabase.auth.updateUser({ data: { seen: true } });
  await supabase.auth.signOut();
  data.subscription.unsubscribe();
  const told = events.filter((event) => event !== 'INITIAL_SESSION');
  assert.deepEqual(told, ['SIGNED_IN', 'TOKEN_REFRESHED', 'USER_UPDATED', 'SIGNED_OUT']);
});

test('a wrong password and an unknown address get the same answer', async () => {
  const ada = await person('ada');
  const wrong = await client().auth.signInWithPassword({ email: ada.email, password: password() });
  const unknown = await client().auth.signInWithPassword({ email: address('nobody'), password: password() });
  for (const { error } of [wrong, unknown]) {
    assert.equal(error?.code, 'invalid_credentials');
    assert.equal(error.status, 400);
    assert.equal(error.message, 'Invalid login credentials');
  }
});

test('signUp refuses a known address, a weak password and what is no address', async () => {
  const ada = await person('ada');
  const known = await client().auth.signUp({ email: ada.email, password: password() });
  assert.equal(known.error?.code, 'user_already_exists');
  assert.equal(known.error.status, 422);
  assert.equal(known.error.message, 'User already registered');
  const weak = await client().auth.signUp({ email: address('eve'), password: 'abc' });
  assert.equal(weak.error?.code, 'weak_password');
  assert.equal(weak.error.status, 422);
  assert.ok(weak.error.reasons.includes('length'));
  const bad = await client().auth.signUp({ email: 'not an address', password: password() });
  assert.equal(bad.error?.status, 400);
  assert.equal(bad.error.message, 'Unable to validate email address: invalid format');
});

test('tokens that are none are told apart', async () => {
  const garbage = await client().auth.getUser('not.a.token');
  assert.equal(garbage.error?.code, 'bad_jwt');
  assert.equal(garbage.error.status, 403);
  const refresh = await client().auth.refreshSession({ refresh_token: 'never-issued' });
  assert.equal(refresh.error?.code, 'refresh_token_not_found');
  assert.equal(refresh.error.status, 400);
  const none = await http('GET', '/auth/v1/user', { headers: { 'x-supabase-api-version': '2024-01-01' } });
  assert.equal(none.status, 401);
  assert.equal(none.json.code, 'no_authorization');
  assert.equal(none.headers.get('x-supabase-api-version'), '2024-01-01');
  assert.equal(none.headers.get('x-sb-error-code'), 'no_authorization');
});

test('GET /sessions shows the devices, and DELETE ends one at once', async () => {
  const [ada, bob] = [await person('ada'), await person('bob')];
  const phone = await device(ada);
  const token = ada.session.access_token;
  const list = await http('GET', '/auth/v1/sessions', { token });
  assert.equal(list.status, 200);
  assert.equal(list.json.sessions.length, 2);
  assert.deepEqual(list.json.sessions.map((entry) => entry.current).sort(), [false, true]);
  for (const entry of list.json.sessions) {
    assert.ok(Date.parse(entry.created_at) > 0);
    assert.ok(Date.parse(entry.last_used_at) > 0);
    assert.ok('device' in entry && 'address' in entry);
  }
  const other = list.json.sessions.find((entry) => !entry.current);
  const foreign = await http('DELETE', `/auth/v1/sessions/${other.id}`, { token: bob.session.access_token });
  assert.equal(foreign.status, 404, 'the session of another user does not exist');
  await assertAlive(phone.session.access_token);
  const ended = await http('DELETE', `/auth/v1/sessions/${other.id}`, { token });
  assert.equal(ended.status, 204);
  await assertEnded(phone.session.access_token);
  assert.equal((await http('GET', '/auth/v1/sessions', { token })).json.sessions.length, 1);
});
