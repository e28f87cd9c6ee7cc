// Second factors with the official client: `auth.mfa.*`, what wants one, recovery codes, the admin's look at them.

import test from 'node:test';
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createClient } from '@supabase/supabase-js';
import ws from 'ws';
import { assertEnded, device, http, password, person, url } from './support.mjs';

const serviceKey = process.env.SERVICE_KEY;
assert.ok(serviceKey, 'SERVICE_KEY must be the one that the quickstart was started with; tests/client/run sets it');
const service = () =>
  createClient(url, serviceKey, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    realtime: { transport: ws },
  });

/** RFC 6238, as an authenticator app has it. */
function codeOf(secret, step) {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...secret].map((letter) => alphabet.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigInt64BE(BigInt(step));
  const tag = createHmac('sha1', key).update(counter).digest();
  const number = tag.readUInt32BE(tag[19] & 0xf) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, '0');
}

/** An app whose codes are each used once: the next of the three that are good now, or as soon as there is one. */
function app(secret) {
  let last = 0;
  return async () => {
    for (;;) {
      const now = Math.floor(Date.now() / 30_000);
      // The oldest may run out on its way.
      const step = Math.max(last + 1, Date.now() % 30_000 < 20_000 ? now - 1 : now);
      if (step <= now + 1) {
        last = step;
        return codeOf(secret, step);
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  };
}

const levels = async (supabase) => {
  const { data, error } = await supabase.auth.mfa.getAuthenticatorAssuranceLevel();
  assert.equal(error, null);
  return [data.currentLevel, data.nextLevel, data.currentAuthenticationMethods.map((one) => one.method)];
};

/** Somebody with a factor that counts. */
async function protectedPerson(name) {
  const ann = await person(name);
  const { data, error } = await ann.supabase.auth.mfa.enroll({ factorType: 'totp', friendlyName: 'phone' });
  assert.equal(error, null);
  const next = app(data.totp.secret);
  const verified = await ann.supabase.auth.mfa.challengeAndVerify({ factorId: data.id, code: await next() });
  assert.equal(verified.error, null);
  return { ...ann, factor: data.id, next, token: verified.data.access_token };
}

test('mfa.enroll, challenge, verify: the session rises to aal2', async () => {
  const ann = await person('mfa');
  const { mfa } = ann.supabase.auth;
  const other = await device(ann);
  assert.deepEqual(await levels(ann.supabase), ['aal1', 'aal1', ['password']]);
  const enrolled = await mfa.enroll({ factorType: 'totp', friendlyName: "Ann's phone", issuer: 'Notes' });
  assert.equal(enrolled.error, null);
  assert.equal(enrolled.data.type, 'totp');
  assert.match(enrolled.data.totp.qr_code, /^data:image\/svg\+xml;utf-8,<\?xml/);
  assert.ok(!enrolled.data.totp.qr_code.includes('#'), 'a data URL ends at one');
  assert.equal(new URL(enrolled.data.totp.uri).searchParams.get('secret'), enrolled.data.totp.secret);
  const listed = await mfa.listFactors();
  assert.equal(listed.error, null);
  assert.deepEqual([listed.data.all.length, listed.data.totp.length], [1, 0]);

  const factorId = enrolled.data.id;
  const next = app(enrolled.data.totp.secret);
  const challenge = await mfa.challenge({ factorId });
  assert.equal(challenge.error, null);
  assert.ok(challenge.data.expires_at > Date.now() / 1000);
  const wrong = await mfa.verify({ factorId, challengeId: challenge.data.id, code: '12345' });
  assert.deepEqual([wrong.error.status, wrong.error.code, wrong.error.message], [422, 'mfa_verification_failed', 'Invalid TOTP code entered']);
  const code = await next();
  const verified = await mfa.verify({ factorId, challengeId: challenge.data.id, code });
  assert.equal(verified.error, null);
  assert.ok(verified.data.access_token && verified.data.refresh_token && verified.data.user.id === ann.id);
  assert.deepEqual(await levels(ann.supabase), ['aal2', 'aal2', ['totp', 'password']]);
  assert.equal((await mfa.listFactors()).data.totp[0].friendly_name, "Ann's phone");
  const again = await mfa.challengeAndVerify({ factorId, code });
  assert.equal(again.error.code, 'mfa_verification_failed', 'a code is good once');
  // What the client kept is good: it refreshes to the same level.
  const refreshed = await ann.supabase.auth.refreshSession();
  assert.equal(refreshed.error, null);
  assert.deepEqual(await levels(ann.supabase), ['aal2', 'aal2', ['totp', 'password']]);
  await assertEnded(other.session.access_token);
});

test('a sign-in begins at aal1 and knows what is next; updateUser wants the second factor', async () => {
  const ann = await protectedPerson('step');
  const { supabase } = await device(ann);
  assert.deepEqual(await levels(supabase), ['aal1', 'aal2', ['password']]);
  for (const change of [{ password: password() }, { email: `x-${ann.email}` }]) {
    const { error } = await supabase.auth.updateUser(change);
    assert.deepEqual([error.status, error.code], [401, 'insufficient_aal']);
    assert.equal(error.message, 'AAL2 session is required to update email or password when MFA is enabled.');
  }
  const another = await supabase.auth.mfa.enroll({ factorType: 'totp', friendlyName: 'another' });
  assert.deepEqual([another.error.status, another.error.code], [403, 'insufficient_aal']);
  const unenrolled = await supabase.auth.mfa.unenroll({ factorId: ann.factor });
  assert.deepEqual([unenrolled.error.status, unenrolled.error.code], [422, 'insufficient_aal']);
  assert.equal((await supabase.auth.getUser()).error, null, 'it is still a session');
  const { data } = await supabase.auth.mfa.listFactors();
  assert.equal((await supabase.auth.mfa.challengeAndVerify({ factorId: data.totp[0].id, code: await ann.next() })).error, null);
  const next = password();
  assert.equal((await supabase.auth.updateUser({ password: next })).error, null);
  assert.equal((await device({ email: ann.email, password: next })).session.user.factors.length, 1);
});

test('names, kinds, and unenroll', async () => {
  const ann = await protectedPerson('names');
  const { mfa } = ann.supabase.auth;
  assert.equal((await mfa.enroll({ factorType: 'totp', friendlyName: 'phone' })).error.code, 'mfa_factor_name_conflict');
  assert.equal((await mfa.enroll({ factorType: 'phone', phone: '+4915112345678' })).error.code, 'mfa_phone_enroll_not_enabled');
  assert.equal((await mfa.enroll({ factorType: 'webauthn', friendlyName: 'key' })).error.code, 'mfa_webauthn_enroll_not_enabled');
  const gone = await mfa.unenroll({ factorId: ann.factor });
  assert.equal(gone.error, null);
  assert.equal(gone.data.id, ann.factor);
  assert.equal((await mfa.challenge({ factorId: ann.factor })).error.code, 'mfa_factor_not_found');
  assert.equal((await ann.supabase.auth.refreshSession()).error, null);
  assert.deepEqual(await levels(ann.supabase), ['aal1', 'aal1', ['password']]);
});

test('recovery codes stand in for the app, each once', async () => {
  const ann = await protectedPerson('recovery');
  const { data } = await ann.supabase.auth.getSession();
  const made = await http('POST', '/auth/v1/factors/recovery-codes', { token: data.session.access_token, body: {} });
  assert.equal(made.status, 200, made.text);
  assert.equal(new Set(made.json.codes).size, 10);
  const { supabase, session } = await device(ann);
  const code = made.json.codes[0].toLowerCase();
  const use = (token) => http('POST', '/auth/v1/factors/recovery-codes/verify', { token, body: { code } });
  const raised = await use(session.access_token);
  assert.equal(raised.status, 200, raised.text);
  const { error } = await supabase.auth.setSession(raised.json);
  assert.equal(error, null);
  assert.deepEqual(await levels(supabase), ['aal2', 'aal2', ['mfa/recovery_code', 'password']]);
  assert.equal((await supabase.auth.updateUser({ password: password() })).error, null);
  assert.equal((await use(raised.json.access_token)).status, 422);
});

test('admin.mfa: listFactors and deleteFactor', async () => {
  const ann = await protectedPerson('admin');
  const { mfa } = service().auth.admin;
  const listed = await mfa.listFactors({ userId: ann.id });
  assert.equal(listed.error, null);
  assert.deepEqual(listed.data.factors.map((one) => [one.id, one.status]), [[ann.factor, 'verified']]);
  const removed = await mfa.deleteFactor({ userId: ann.id, id: ann.factor });
  assert.equal(removed.error, null);
  assert.equal((await mfa.listFactors({ userId: ann.id })).data.factors.length, 0);
  await assertEnded(ann.token);
  const { supabase } = await device(ann);
  assert.deepEqual(await levels(supabase), ['aal1', 'aal1', ['password']]);
});
