// The official client's methods that no other suite calls: identities, links of the service's, anonymous users, and
// what answers as in Supabase where it is switched off.

import test from 'node:test';
import assert from 'node:assert/strict';
import { createClient } from '@supabase/supabase-js';
import ws from 'ws';
import { address, assertAlive, assertEnded, client, device, http, password, person, url } from './support.mjs';
import { Authenticator } from './totp.mjs';

const serviceKey = process.env.SERVICE_KEY;
assert.ok(serviceKey, 'SERVICE_KEY must be the one that the quickstart was started with; tests/client/run sets it');
assert.ok(process.env.ANONYMOUS, 'ANONYMOUS must have been set for the quickstart; tests/client/run does');
const auth = { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false };
const service = () => createClient(url, serviceKey, { auth, realtime: { transport: ws } });
const told = ({ error }) => [error?.status, error?.code, error?.message];

test('signInAnonymously: a session of somebody whom nobody knows, with rows of their own', async () => {
  const supabase = client();
  const { data, error } = await supabase.auth.signInAnonymously({ options: { data: { theme: 'dark' } } });
  assert.equal(error, null);
  assert.equal(data.user.is_anonymous, true);
  assert.deepEqual([data.user.email, data.user.role, data.user.user_metadata], ['', 'authenticated', { theme: 'dark' }]);
  assert.deepEqual((await supabase.auth.getUserIdentities()).data.identities, []);
  const { claims } = (await supabase.auth.getClaims()).data;
  assert.deepEqual([claims.sub, claims.is_anonymous, claims.amr[0].method], [data.user.id, true, 'anonymous']);
  await assertAlive(data.session.access_token);
  const other = await client().auth.signInAnonymously();
  assert.notEqual(other.data.user.id, data.user.id);
  const note = { title: 'Mine', body: 'Nobody knows whose.' };
  const written = await http('POST', '/notes', { token: data.session.access_token, body: note });
  assert.equal(written.status, 201, written.text);
  const path = `/notes/${written.json.id}`;
  assert.equal((await http('GET', path, { token: other.data.session.access_token })).status, 404);
  assert.equal((await supabase.auth.refreshSession()).data.user.is_anonymous, true);
  assert.equal((await supabase.auth.signOut()).error, null);
  await assertEnded(data.session.access_token);
});

test('signInAnonymously, then updateUser: the same user gets an address and a password, and keeps the rows', async () => {
  const supabase = client();
  const guest = await supabase.auth.signInAnonymously();
  const { id } = guest.data.user;
  const written = await http('POST', '/notes', {
    token: guest.data.session.access_token,
    body: { title: 'Before', body: 'Written by a guest.' },
  });
  assert.equal(written.status, 201, written.text);
  const taken = await person('taken');
  assert.equal((await supabase.auth.updateUser({ email: taken.email })).error.code, 'email_exists');
  const credentials = { email: address('upgrade'), password: password() };
  const upgraded = await supabase.auth.updateUser({ email: credentials.email });
  assert.equal(upgraded.error, null);
  assert.deepEqual([upgraded.data.user.id, upgraded.data.user.email, upgraded.data.user.is_anonymous], [id, credentials.email, false]);
  assert.equal((await supabase.auth.updateUser({ password: credentials.password })).error, null);
  assert.equal((await supabase.auth.refreshSession()).error, null);
  assert.equal((await supabase.auth.getClaims()).data.claims.is_anonymous, false);
  const { data } = await supabase.auth.getUserIdentities();
  assert.deepEqual(data.identities.map((one) => [one.provider, one.email]), [['email', credentials.email]]);
  const elsewhere = await device(credentials);
  assert.equal(elsewhere.session.user.id, id);
  const read = await http('GET', `/notes/${written.json.id}`, { token: elsewhere.session.access_token });
  assert.deepEqual([read.status, read.json?.title], [200, 'Before']);
});

test('getUserIdentities shows the address; linkIdentity and unlinkIdentity are switched off and change nothing', async () => {
  const { supabase, email, id } = await person('identity');
  const { data, error } = await supabase.auth.getUserIdentities();
  assert.equal(error, null);
  assert.equal(data.identities.length, 1);
  const [identity] = data.identities;
  assert.deepEqual([identity.provider, identity.id, identity.user_id, identity.email], ['email', id, id, email]);
  assert.match(identity.identity_id, /^[0-9a-f]{8}-[0-9a-f-]{27}$/);
  assert.deepEqual([identity.identity_data.sub, identity.identity_data.email], [id, email]);
  assert.ok(Date.parse(identity.created_at) > 0 && Date.parse(identity.last_sign_in_at) > 0);
  const off = [404, 'manual_linking_disabled', 'Manual linking is disabled'];
  const linked = await supabase.auth.linkIdentity({ provider: 'github', options: { redirectTo: `${url}/welcome` } });
  assert.deepEqual(told(linked), off);
  assert.equal(linked.data.url, null);
  assert.deepEqual(told(await supabase.auth.unlinkIdentity(identity)), off);
  const byToken = await supabase.auth.linkIdentity({ provider: 'google', token: 'e30.e30.AA' });
  assert.deepEqual(told(byToken).slice(0, 2), [400, 'provider_disabled']);
  assert.deepEqual((await supabase.auth.getUserIdentities()).data.identities, data.identities);
  const nobody = await client().auth.linkIdentity({ provider: 'github' });
  assert.equal(nobody.error.status, 401);
  assert.equal((await client().auth.getUserIdentities()).error.name, 'AuthSessionMissingError');
});

test('signInWithOAuth makes a link that leads to no provider', async () => {
  const supabase = client();
  const redirectTo = `${url}/welcome`;
  const { data, error } = await supabase.auth.signInWithOAuth({ provider: 'github', options: { redirectTo, scopes: 'repo' } });
  assert.equal(error, null);
  const link = new URL(data.url);
  assert.equal(link.origin + link.pathname, `${url}/auth/v1/authorize`);
  assert.deepEqual([link.searchParams.get('provider'), link.searchParams.get('redirect_to')], ['github', redirectTo]);
  const response = await fetch(link, { redirect: 'manual' });
  const body = await response.json();
  assert.deepEqual([response.status, response.headers.get('location')], [400, null]);
  assert.deepEqual([body.error_code, body.msg], ['validation_failed', 'Unsupported provider: provider is not enabled']);
});

test('signInWithIdToken, signInWithSSO and signInWithWeb3 are switched off', async () => {
  const supabase = client();
  const token = await supabase.auth.signInWithIdToken({ provider: 'google', token: 'e30.e30.AA', nonce: 'once' });
  assert.deepEqual(told(token), [400, 'provider_disabled', 'Unsupported provider: provider is not enabled']);
  assert.deepEqual(token.data, { user: null, session: null });
  for (const who of [{ domain: 'example.com' }, { providerId: '7c1e0f4a-3c1b-4f8e-9a55-6d1f1f2b7a10' }]) {
    assert.deepEqual(told(await supabase.auth.signInWithSSO(who)), [404, 'saml_provider_disabled', 'SAML 2.0 is disabled']);
  }
  const message = 'example.com wants you to sign in';
  for (const wallet of [
    { chain: 'solana', message, signature: new Uint8Array(64) },
    { chain: 'ethereum', message, signature: `0x${'00'.repeat(65)}` },
  ]) {
    const web3 = await supabase.auth.signInWithWeb3(wallet);
    assert.deepEqual(told(web3), [422, 'web3_provider_disabled', 'Web3 provider is disabled'], wallet.chain);
  }
  assert.equal((await supabase.auth.getSession()).data.session, null);
});

test('signUp, signInWithPassword, signInWithOtp, resend, verifyOtp and updateUser by phone are switched off', async () => {
  const { auth } = client();
  const phone = '+4712345678';
  const off = (status, sentence) => [status, 'phone_provider_disabled', sentence];
  assert.deepEqual(told(await auth.signUp({ phone, password: password() })), off(400, 'Phone signups are disabled'));
  assert.deepEqual(told(await auth.signInWithPassword({ phone, password: password() })), off(422, 'Phone logins are disabled'));
  assert.deepEqual(told(await auth.signInWithOtp({ phone })), off(400, 'Unsupported phone provider'));
  assert.deepEqual(told(await auth.resend({ type: 'sms', phone })), off(400, 'Phone logins are disabled'));
  const wrong = await auth.verifyOtp({ phone, token: '123456', type: 'sms' });
  assert.deepEqual(told(wrong), [403, 'otp_expired', 'Token has expired or is invalid']);
  const ann = await person('phone');
  assert.equal((await ann.supabase.auth.updateUser({ phone })).error.code, 'phone_provider_disabled');
  const made = await service().auth.admin.createUser({ phone, password: password(), phone_confirm: true });
  assert.equal(made.error.code, 'phone_provider_disabled');
});

test('admin.signOut ends the session of a token, the others of its user, or all', async () => {
  const { admin } = service().auth;
  const ann = await person('out');
  const [laptop, tablet, bob] = [await device(ann), await device(ann), await person('bob')];
  const tokens = [ann, laptop, tablet].map(({ session }) => session.access_token);
  assert.equal((await admin.signOut(tokens[1], 'local')).error, null);
  await assertEnded(tokens[1]);
  await assertAlive(tokens[0]);
  assert.equal((await admin.signOut(tokens[2], 'others')).error, null);
  await assertEnded(tokens[0]);
  await assertAlive(tokens[2]);
  const another = await device(ann);
  assert.equal((await admin.signOut(tokens[2])).error, null);
  await assertEnded(tokens[2]);
  await assertEnded(another.session.access_token);
  await assertAlive(bob.session.access_token);
  // What the client makes of `session_not_found`.
  assert.equal((await admin.signOut(tokens[2])).error.name, 'AuthSessionMissingError');
  assert.equal((await admin.signOut('not.a.token')).error.code, 'bad_jwt');
});

/** A link of the service's, as its client hands it on. */
async function generated(params) {
  const made = await service().auth.admin.generateLink(params);
  assert.equal(made.error, null, params.type);
  const { properties, user } = made.data;
  const link = new URL(properties.action_link);
  assert.equal(link.origin + link.pathname, `${url}/auth/v1/verify`);
  assert.equal(link.searchParams.get('token'), properties.hashed_token);
  assert.equal(link.searchParams.get('type'), properties.verification_type);
  assert.match(properties.email_otp, /^\d{6}$/);
  assert.equal(properties.redirect_to, params.options?.redirectTo ?? url);
  return { ...properties, user };
}

test('generateLink: signup, invite, magiclink and recovery sign in, each by its token or its code, once', async () => {
  const options = { data: { team: 7 }, redirectTo: `${url}/welcome` };
  const credentials = { email: address('signup'), password: password() };
  const signup = await generated({ type: 'signup', ...credentials, options });
  assert.deepEqual([signup.user.email, signup.user.user_metadata.team], [credentials.email, 7]);
  assert.equal(signup.user.email_confirmed_at, undefined);
  const invite = await generated({ type: 'invite', email: address('invite'), options });
  assert.ok(invite.user.invited_at);
  const magiclink = await generated({ type: 'magiclink', email: address('magic'), options: { redirectTo: options.redirectTo } });
  const recovery = await generated({ type: 'recovery', email: (await person('recovery')).email });
  for (const { hashed_token, email_otp, verification_type, user } of [signup, invite, magiclink, recovery]) {
    const supabase = client();
    // A code is typed beside its address; a token says by itself whose it is.
    const typed = { email: user.email, token: email_otp };
    const proof = verification_type === 'invite' ? typed : { token_hash: hashed_token };
    const { data, error } = await supabase.auth.verifyOtp({ ...proof, type: verification_type });
    assert.equal(error, null, verification_type);
    assert.deepEqual([data.user.id, data.user.email], [user.id, user.email]);
    await assertAlive(data.session.access_token);
    const again = await client().auth.verifyOtp({ token_hash: hashed_token, type: verification_type });
    assert.equal(again.error?.code, 'otp_expired', verification_type);
  }
  assert.equal((await client().auth.signInWithPassword(credentials)).error, null);
});

test('generateLink: both links of a change of the address, and the address has changed', async () => {
  const ann = await person('change');
  const newEmail = address('changed');
  const current = await generated({ type: 'email_change_current', email: ann.email, newEmail });
  const fresh = await generated({ type: 'email_change_new', email: ann.email, newEmail });
  assert.deepEqual([current.user.id, fresh.user.id], [ann.id, ann.id]);
  assert.deepEqual([current.verification_type, fresh.verification_type], ['email_change', 'email_change']);
  const half = await client().auth.verifyOtp({ token_hash: current.hashed_token, type: 'email_change' });
  assert.deepEqual([half.error, half.data.session], [null, null]);
  assert.equal((await ann.supabase.auth.getUser()).data.user.email, ann.email);
  const done = await client().auth.verifyOtp({ email: newEmail, token: fresh.email_otp, type: 'email_change' });
  assert.equal(done.error, null);
  assert.deepEqual([done.data.user.id, done.data.user.email], [ann.id, newEmail]);
  assert.equal((await client().auth.signInWithPassword({ email: newEmail, password: ann.password })).error, null);
});

test('generateLink refuses what it cannot make, and whoever is not the service', async () => {
  const { admin } = service().auth;
  const { email, supabase } = await person('links');
  assert.equal((await admin.generateLink({ type: 'signup', email, password: password() })).error.code, 'email_exists');
  assert.equal((await admin.generateLink({ type: 'recovery', email: address('nobody') })).error.code, 'user_not_found');
  assert.equal((await admin.generateLink({ type: 'phone', email })).error.code, 'validation_failed');
  assert.equal((await admin.generateLink({ type: 'email_change_new', email })).error.code, 'validation_failed');
  for (const { auth } of [supabase, client()]) {
    const refused = await auth.admin.generateLink({ type: 'magiclink', email });
    assert.deepEqual([refused.error.code, refused.data], ['not_admin', { properties: null, user: null }]);
  }
});

test('signInWithPassword tells of a password that nobody could choose today', async () => {
  const email = address('weak');
  // bcrypt of `password1`, as it came along with the users of another service.
  const password_hash = '$2b$04$abcdefghijklmnopqrstuuG0dn23TmsW2CgnJryKiUOtvqgeAPA.2';
  const made = await service().auth.admin.createUser({ email, password_hash, email_confirm: true });
  assert.equal(made.error, null);
  const { data, error } = await client().auth.signInWithPassword({ email, password: 'password1' });
  assert.equal(error, null);
  assert.deepEqual(data.weakPassword.reasons, ['characters', 'pwned']);
  assert.match(data.weakPassword.message, /^Password is too easy to guess/);
  await assertAlive(data.session.access_token);
  const strong = await person('strong');
  const { data: told } = await client().auth.signInWithPassword({ email: strong.email, password: strong.password });
  assert.equal(told.weakPassword, undefined);
});

test('mfa.recoveryCodes, which the client calls an experiment: getStatus, generate, verify, regenerate, unenroll', async () => {
  const ann = await person('codes');
  const open = async () => {
    const supabase = createClient(url, 'sb_publishable_quickstart', {
      auth: { ...auth, experimental: { recoveryCodes: true } },
      realtime: { transport: ws },
    });
    assert.equal((await supabase.auth.signInWithPassword(ann)).error, null);
    return supabase;
  };
  const codes = (supabase) => supabase.auth.mfa.recoveryCodes;
  const refused = async (answer, ...wanted) => assert.deepEqual(told(await answer).slice(0, 2), wanted);
  const level = async (supabase) => {
    const { data } = await supabase.auth.mfa.getAuthenticatorAssuranceLevel();
    return [data.currentLevel, data.currentAuthenticationMethods[0].method];
  };
  const first = await open();
  await refused(codes(first).getStatus(), 404, 'mfa_factor_not_found');
  for (const method of ['generate', 'regenerate']) await refused(codes(first)[method](), 403, 'insufficient_aal');
  await refused(codes(first).unenroll(), 422, 'insufficient_aal');
  const enrolled = await first.auth.mfa.enroll({ factorType: 'totp', friendlyName: 'phone' });
  assert.equal(enrolled.error, null);
  const factor = { factorId: enrolled.data.id, code: await new Authenticator(enrolled.data.totp.secret).next() };
  assert.equal((await first.auth.mfa.challengeAndVerify(factor)).error, null);
  await refused(codes(first).regenerate(), 404, 'mfa_factor_not_found');
  const made = await codes(first).generate({ friendlyName: 'Backup codes' });
  assert.equal(made.error, null);
  const { id } = made.data;
  assert.deepEqual([made.data.type, made.data.total, new Set(made.data.codes).size], ['recovery_code', 10, 10]);
  // As the client's own example shows them.
  for (const code of made.data.codes) assert.match(code.match(/.{1,4}/g).join('-'), /^(\w{4}-){3}\w{4}$/);
  await refused(codes(first).generate(), 422, 'mfa_verified_factor_exists');
  const renewed = await codes(first).regenerate();
  assert.deepEqual([renewed.error, renewed.data.id, renewed.data.total], [null, id, 10]);

  const second = await open();
  assert.deepEqual((await codes(second).getStatus()).data, { id, type: 'recovery_code', total: 10, remaining: 10 });
  await refused(codes(second).verify({ code: made.data.codes[0] }), 422, 'mfa_verification_failed');
  const typed = renewed.data.codes[0].match(/.{1,4}/g).join('-').toLowerCase();
  assert.equal((await codes(second).verify({ code: typed })).error, null);
  assert.deepEqual(await level(second), ['aal2', 'mfa/recovery_code']);
  await refused(codes(second).verify({ code: typed }), 422, 'mfa_verification_failed');
  assert.equal((await codes(second).getStatus()).data.remaining, 9);
  assert.deepEqual((await codes(second).unenroll()).data, { id });
  await refused(codes(second).unenroll(), 404, 'mfa_factor_not_found');
  await refused(codes(second).verify({ code: renewed.data.codes[1] }), 422, 'mfa_verification_failed');
  assert.equal((await second.auth.mfa.listFactors()).data.totp.length, 1, 'the app stays');
});

test('what is not served at all answers as an error that the client understands', async () => {
  const { supabase } = await person('missing');
  for (const [what, answer] of [
    ['passkey.list', await supabase.auth.passkey.list()],
    ['passkey.startAuthentication', await supabase.auth.passkey.startAuthentication()],
    ['oauth.listGrants', await supabase.auth.oauth.listGrants()],
    ['admin.oauth.listClients', await service().auth.admin.oauth.listClients()],
    ['admin.customProviders.listProviders', await service().auth.admin.customProviders.listProviders()],
  ]) {
    assert.deepEqual([answer.error?.status, answer.error?.code], [404, 'not_found'], what);
  }
});
