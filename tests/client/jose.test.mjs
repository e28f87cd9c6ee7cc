// An independent library verifies our tokens through our published keys, and our server refuses forged ones.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createRemoteJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  importJWK,
  jwtVerify,
  SignJWT,
  UnsecuredJWT,
} from 'jose';
import { http, person, url } from './support.mjs';

const JWKS = '/auth/v1/.well-known/jwks.json';

test('the key set is public, cacheable and holds public members only', async () => {
  const answer = await http('GET', JWKS);
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get('cache-control'), /public/);
  assert.ok(answer.json.keys.length >= 1);
  for (const key of answer.json.keys) {
    assert.equal(key.kty, 'EC');
    assert.equal(key.crv, 'P-256');
    assert.equal(key.alg, 'ES256');
    assert.ok(key.kid);
    for (const secret of ['d', 'k', 'p', 'q']) assert.equal(key[secret], undefined);
  }
});

// asvs(V11.4.3)
test('an access token verifies with ES256, by its key id, with the claims of Supabase', async () => {
  const ada = await person('ada');
  const keys = createRemoteJWKSet(new URL(url + JWKS));
  const { payload, protectedHeader } = await jwtVerify(ada.session.access_token, keys, {
    algorithms: ['ES256'],
    audience: 'authenticated',
    requiredClaims: ['iss', 'sub', 'aud', 'exp', 'iat', 'role', 'session_id'],
  });
  assert.equal(protectedHeader.typ, 'JWT');
  const published = (await http('GET', JWKS)).json.keys.map((key) => key.kid);
  assert.ok(published.includes(protectedHeader.kid));
  assert.match(payload.iss, /\/auth\/v1$/);
  assert.equal(payload.sub, ada.id);
  assert.equal(payload.email, ada.email);
  assert.equal(payload.phone, '');
  assert.equal(payload.role, 'authenticated');
  assert.equal(payload.aal, 'aal1');
  assert.equal(payload.is_anonymous, false);
  assert.match(payload.session_id, /^[0-9a-f-]{36}$/);
  assert.equal(payload.exp - payload.iat, 900);
  assert.equal(payload.amr[0].method, 'password');
  assert.ok(Math.abs(payload.amr[0].timestamp - payload.iat) <= 1);
  assert.deepEqual(payload.app_metadata, { provider: 'email', providers: ['email'] });
  assert.equal(typeof payload.user_metadata, 'object');
});

// asvs(V7.2.1, V9.1.1, V9.1.2, V9.1.3)
test('forged tokens open nothing', async () => {
  const ada = await person('ada');
  const claims = decodeJwt(ada.session.access_token);
  const { kid } = decodeProtectedHeader(ada.session.access_token);
  const [jwk] = (await http('GET', JWKS)).json.keys;
  const published = await importJWK(jwk, 'ES256', { extractable: true });
  const pem = new TextEncoder().encode(await exportSPKI(published));
  const stranger = await generateKeyPair('ES256', { extractable: true });
  const own = await exportJWK(stranger.publicKey);
  const sign = (header, key) => new SignJWT(claims).setProtectedHeader(header).sign(key);
  const forged = {
    'no signature': new UnsecuredJWT(claims).encode(),
    'the public key as an HMAC secret': await sign({ alg: 'HS256', kid, typ: 'JWT' }, pem),
    'a stranger under our key id': await sign({ alg: 'ES256', kid, typ: 'JWT' }, stranger.privateKey),
    'a stranger who brings the key along': await sign({ alg: 'ES256', kid: 'x', typ: 'JWT', jwk: own }, stranger.privateKey),
    'no key id': await sign({ alg: 'ES256', typ: 'JWT' }, stranger.privateKey),
  };
  for (const [how, token] of Object.entries(forged)) {
    for (const path of ['/auth/v1/user', '/notes']) {
      const answer = await http('GET', path, { token });
      assert.ok([401, 403].includes(answer.status), `${how}: ${path} answered ${answer.status}`);
    }
  }
  assert.equal((await http('GET', '/notes', { token: ada.session.access_token })).status, 200);
});
