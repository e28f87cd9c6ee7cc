// Sign-in by mail with the official client: registrations that wait, links, codes, PKCE, recovery, the admin's calls.

import test from 'node:test';
import assert from 'node:assert/strict';
import { createClient } from '@supabase/supabase-js';
import ws from 'ws';
import { address, assertEnded, client, http, password, url } from './support.mjs';

const serviceKey = process.env.SERVICE_KEY;
assert.ok(serviceKey, 'SERVICE_KEY must be the one that the quickstart was started with; tests/client/run sets it');

const memory = () => {
  const kept = new Map();
  return { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value), removeItem: (key) => kept.delete(key) };
};
const options = { auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false }, realtime: { transport: ws } };
const pkce = () =>
  createClient(url, 'sb_publishable_quickstart', {
    ...options,
    auth: { ...options.auth, flowType: 'pkce', persistSession: true, storage: memory() },
  });
const service = () => createClient(url, serviceKey, options);

/** The newest mail of that kind to that address, as soon as one was sent that is not `before`. */
async function mail(to, kind, before) {
  for (let tries = 0; tries < 100; tries++) {
    const { json } = await http('GET', '/auth/v1/mailbox.json');
    const found = json.mails.filter((one) => one.to === to && one.kind === kind && one.link !== before?.link);
    if (found.length > 0) return found.sort((a, b) => (a.created_at < b.created_at ? 1 : -1))[0];
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`no ${kind} to ${to}`);
}
const token = (link) => new URL(link).searchParams.get('token');

async function confirmed() {
  const supabase = client();
  const credentials = { email: address('mail'), password: password() };
  const signedUp = await supabase.auth.signUp(credentials);
  assert.equal(signedUp.error, null);
  assert.equal(signedUp.data.session, null, 'a registration waits for its mail');
  const { code } = await mail(credentials.email, 'confirmation');
  const { data, error } = await supabase.auth.verifyOtp({ email: credentials.email, token: code, type: 'email' });
  assert.equal(error, null);
  return { ...credentials, supabase, session: data.session, id: data.user.id };
}

test('signUp waits for the mail, verifyOtp signs in with its code, resend sends another', async () => {
  const supabase = client();
  const credentials = { email: address('wait'), password: password() };
  const { data, error } = await supabase.auth.signUp(credentials);
  assert.equal(error, null);
  assert.equal(data.session, null);
  assert.equal(data.user.identities.length, 1);
  const early = await supabase.auth.signInWithPassword(credentials);
  assert.equal(early.error.code, 'email_not_confirmed');
  const first = await mail(credentials.email, 'confirmation');
  assert.equal((await supabase.auth.resend({ type: 'signup', email: credentials.email })).error, null);
  const second = await mail(credentials.email, 'confirmation', first);
  const older = await supabase.auth.verifyOtp({ email: credentials.email, token: first.code, type: 'signup' });
  assert.equal(older.error.code, 'otp_expired', 'the code of the newest mail is good, as in Supabase');
  const verified = await supabase.auth.verifyOtp({ email: credentials.email, token: second.code, type: 'signup' });
  assert.equal(verified.error, null);
  assert.ok(verified.data.session.access_token);
  const again = await supabase.auth.verifyOtp({ email: credentials.email, token: second.code, type: 'signup' });
  assert.equal(again.error.code, 'otp_expired');
  assert.equal((await client().auth.signInWithPassword(credentials)).error, null);
});

test('a known address registers again: the client sees no identities, its owner a mail', async () => {
  const { email } = await confirmed();
  const { data, error } = await client().auth.signUp({ email, password: password() });
  assert.equal(error, null);
  assert.deepEqual(data.user.identities, []);
  await mail(email, 'already_registered');
});

test('signInWithOtp sends a link whose page asks for a press, and a session comes back in the fragment', async () => {
  const email = address('otp');
  const { error } = await client().auth.signInWithOtp({ email, options: { emailRedirectTo: `${url}/welcome` } });
  assert.equal(error, null);
  const { link } = await mail(email, 'confirmation');
  const page = await fetch(link, { redirect: 'manual' });
  assert.equal(page.status, 200);
  assert.match(await page.text(), /<form method="post"/);
  const form = new URLSearchParams(new URL(link).search);
  const pressed = await fetch(`${url}/auth/v1/verify/link`, { method: 'POST', body: form, redirect: 'manual', headers: { origin: url } });
  assert.equal(pressed.status, 303);
  const place = new URL(pressed.headers.get('location'));
  assert.equal(place.origin + place.pathname, `${url}/welcome`);
  const session = new URLSearchParams(place.hash.slice(1));
  const supabase = client();
  const set = await supabase.auth.setSession({ access_token: session.get('access_token'), refresh_token: session.get('refresh_token') });
  assert.equal(set.error, null);
  assert.equal(set.data.user.email, email);
});

/** What the button of a link's page does. */
async function press(link) {
  const body = new URLSearchParams(new URL(link).search);
  const pressed = await fetch(`${url}/auth/v1/verify/link`, { method: 'POST', body, redirect: 'manual', headers: { origin: url } });
  return new URL(pressed.headers.get('location'));
}

test('PKCE: a registration confirmed on another device is one, and signs nobody in there', async () => {
  const supabase = pkce();
  const credentials = { email: address('elsewhere'), password: password() };
  assert.equal((await supabase.auth.signUp(credentials)).error, null);
  const { link } = await mail(credentials.email, 'confirmation');
  assert.match(await (await fetch(link, { redirect: 'manual' })).text(), /<form method="post"/);
  assert.equal((await client().auth.signInWithPassword(credentials)).error.code, 'email_not_confirmed');
  const code = (await press(link)).searchParams.get('code');
  assert.equal((await client().auth.signInWithPassword(credentials)).error, null);
  const { data, error } = await supabase.auth.exchangeCodeForSession(code);
  assert.equal(error, null);
  assert.equal(data.user.email, credentials.email);
});

test('PKCE: the code that a link leads to is worth nothing without the client that asked', async () => {
  const supabase = pkce();
  const { email } = await confirmed();
  assert.equal((await supabase.auth.signInWithOtp({ email, options: { emailRedirectTo: `${url}/callback` } })).error, null);
  const { link } = await mail(email, 'magic_link');
  const open = async () => new URL((await fetch(link, { redirect: 'manual' })).headers.get('location'));
  const code = (await open()).searchParams.get('code');
  assert.equal((await open()).searchParams.get('code'), code, 'a scanner before the reader burns nothing');
  const stranger = pkce();
  await stranger.auth.signInWithOtp({ email: address('other') });
  assert.equal((await stranger.auth.exchangeCodeForSession(code)).error.code, 'bad_code_verifier');
  const { data, error } = await supabase.auth.exchangeCodeForSession(code);
  assert.equal(error, null);
  assert.equal(data.user.email, email);
});

test('resetPasswordForEmail: verifyOtp with token_hash, then a new password; unknown addresses look alike', async () => {
  const person = await confirmed();
  const supabase = client();
  assert.deepEqual((await supabase.auth.resetPasswordForEmail(person.email)).data, {});
  assert.deepEqual((await supabase.auth.resetPasswordForEmail(address('nobody'))).data, {});
  const { link } = await mail(person.email, 'recovery');
  const { error } = await supabase.auth.verifyOtp({ token_hash: token(link), type: 'recovery' });
  assert.equal(error, null);
  const next = password();
  assert.equal((await supabase.auth.updateUser({ password: next })).error, null);
  await assertEnded(person.session.access_token);
  assert.equal((await client().auth.signInWithPassword({ email: person.email, password: next })).error, null);
  await mail(person.email, 'password_changed');
});

test('updateUser with a new address waits for both, and reauthenticate gives a nonce', async () => {
  const person = await confirmed();
  const next = address('next');
  const { data, error } = await person.supabase.auth.updateUser({ email: next });
  assert.equal(error, null);
  assert.equal(data.user.new_email, next);
  const old = await mail(person.email, 'email_change_current');
  const fresh = await mail(next, 'email_change_new');
  const half = await http('POST', '/auth/v1/verify', { body: { type: 'email_change', token_hash: token(old.link) } });
  assert.equal(half.json.code, '200');
  const done = await person.supabase.auth.verifyOtp({ token_hash: token(fresh.link), type: 'email_change' });
  assert.equal(done.error, null);
  assert.equal(done.data.user.email, next);
  await mail(person.email, 'email_changed');
  assert.equal((await person.supabase.auth.reauthenticate()).error, null);
  const { code } = await mail(next, 'reauthentication');
  assert.equal((await person.supabase.auth.updateUser({ password: password(), nonce: code })).error, null);
});

test('signInAnonymously is off unless it is asked for', async () => {
  const { error } = await client().auth.signInAnonymously();
  assert.equal(error.code, 'anonymous_provider_disabled');
});

test('admin: create, list, get, update, invite, generateLink, delete; nobody else may', async () => {
  const { admin } = service().auth;
  const email = address('admin');
  const made = await admin.createUser({ email, password: password(), email_confirm: true, user_metadata: { name: 'Ada' } });
  assert.equal(made.error, null);
  const { id } = made.data.user;
  const listed = await admin.listUsers({ page: 1, perPage: 1 });
  assert.equal(listed.error, null);
  assert.equal(listed.data.users.length, 1);
  assert.equal(listed.data.nextPage, 2);
  assert.ok(listed.data.total > 1 && listed.data.lastPage === listed.data.total);
  assert.equal((await admin.getUserById(id)).data.user.user_metadata.name, 'Ada');
  const updated = await admin.updateUserById(id, { app_metadata: { plan: 'pro' }, ban_duration: '1h' });
  assert.equal(updated.data.user.app_metadata.plan, 'pro');
  assert.ok(updated.data.user.banned_until);
  const guest = address('guest');
  assert.equal((await admin.inviteUserByEmail(guest, { data: { team: 7 } })).error, null);
  const invitation = await mail(guest, 'invite');
  const joined = await client().auth.verifyOtp({ token_hash: token(invitation.link), type: 'invite' });
  assert.equal(joined.error, null);
  assert.equal(joined.data.user.user_metadata.team, 7);
  const made2 = await admin.generateLink({ type: 'magiclink', email: guest });
  assert.equal(made2.error, null);
  assert.match(made2.data.properties.email_otp, /^\d{6}$/);
  assert.equal((await client().auth.verifyOtp({ token_hash: made2.data.properties.hashed_token, type: 'magiclink' })).error, null);
  assert.equal((await admin.deleteUser(id)).error, null);
  assert.equal((await admin.getUserById(id)).error.code, 'user_not_found');
  const person = await confirmed();
  const { error } = await person.supabase.auth.admin.listUsers();
  assert.equal(error.code, 'not_admin');
});
