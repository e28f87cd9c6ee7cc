// @supabase/ssr, unchanged, with Aurora as its auth server: an app of another origin that keeps the session in
// cookies of its own, on its server and in a real browser.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, normalize } from 'node:path';
import { after, before, test } from 'node:test';
import { createServerClient, parseCookieHeader, serializeCookieHeader } from '@supabase/ssr';
import ws from 'ws';
import { fields, launch, serve } from './origins.mjs';
import { address, assertEnded, http, password, url } from './support.mjs';

const app = process.env.APP_ORIGIN;
assert.ok(app, 'APP_ORIGIN is what the quickstart was started with; tests/client/run sets it');
const key = 'sb_publishable_quickstart';
const require = createRequire(import.meta.url);
// supabase-js names it so, after the first label of the service's host.
const name = `sb-${new URL(url).hostname.split('.')[0]}-auth-token`;

// ---- the app: what a Next.js project does in middleware and route handlers ----------------------------------------


/** `made` gets the requests to Aurora that answering one of the app's takes. */
const supabaseOf = (request, response, made) =>
  createServerClient(url, key, {
    cookies: {
      getAll: () => parseCookieHeader(request.headers.cookie ?? ''),
      setAll: (cookies) => {
        for (const { name, value, options } of cookies) response.appendHeader('set-cookie', serializeCookieHeader(name, value, options));
      },
    },
    global: {
      fetch: (input, init) => {
        made.push(`${init?.method ?? 'GET'} ${new URL(input).pathname}`);
        return fetch(input, init);
      },
    },
    // Node 20 has no WebSocket.
    realtime: { transport: ws },
  });

async function answer(request, response) {
  const { pathname, searchParams } = new URL(request.url, app);
  if (pathname.startsWith('/m/')) return module_(pathname, response);
  const made = [];
  const supabase = supabaseOf(request, response, made);
  const json = (status, value) => {
    response.statusCode = status;
    response.setHeader('content-type', 'text/plain');
    response.end(JSON.stringify({ ...value, made }));
  };
  const go = (to) => {
    response.statusCode = 303;
    response.setHeader('location', to);
    response.end();
  };
  const { email, password } = request.method === 'POST' ? await fields(request) : {};
  switch (`${request.method} ${pathname}`) {
    case 'POST /register': {
      const { error } = await supabase.auth.signUp({ email, password, options: { data: { note: 'x'.repeat(1_500) }, emailRedirectTo: `${app}/callback` } });
      return error ? json(400, { error: error.code }) : go('/me');
    }
    case 'POST /login': {
      const { error } = await supabase.auth.signInWithPassword({ email, password });
      return error ? json(400, { error: error.code }) : go('/me');
    }
    case 'POST /link': {
      const { error } = await supabase.auth.signInWithOtp({ email, options: { emailRedirectTo: `${app}/callback` } });
      return error ? json(400, { error: error.code }) : go('/sent');
    }
    case 'GET /callback': {
      const { error } = await supabase.auth.exchangeCodeForSession(searchParams.get('code') ?? '');
      return error ? json(400, { error: error.code ?? error.message }) : go('/me');
    }
    case 'POST /logout': {
      const { error } = await supabase.auth.signOut();
      return error ? json(400, { error: error.code }) : go('/me');
    }
    case 'GET /me': {
      const { data, error } = await supabase.auth.getClaims();
      return json(data ? 200 : 401, { email: data?.claims.email ?? null, session: data?.claims.session_id, error: error?.code });
    }
    case 'GET /user': {
      const { data, error } = await supabase.auth.getUser();
      return json(error ? 401 : 200, { email: data.user?.email ?? null, error: error?.code });
    }
    default:
      response.setHeader('content-type', 'text/html');
      return response.end(page);
  }
}

const page = `<!doctype html><title>App</title>
<form id="enter" method="post"><input name="email"><input name="password"><button>Go</button></form>
<script src="/m/umd.js"></script>
<script type="importmap">${JSON.stringify({
  imports: { '@supabase/supabase-js': '/m/supabase.js', cookie: '/m/cookie.js', '@supabase/ssr': '/m/ssr/index.js' },
})}</script>
<script type="module">
  import { createBrowserClient } from '@supabase/ssr';
  window.client = createBrowserClient(${JSON.stringify(url)}, ${JSON.stringify(key)});
</script>`;

/** The packages as a browser can load them: what a bundler would do. */
async function module_(path, response) {
  response.setHeader('content-type', 'text/javascript');
  if (path === '/m/umd.js') {
    return response.end(await readFile(join(dirname(require.resolve('@supabase/supabase-js')), 'umd/supabase.js')));
  }
  if (path === '/m/supabase.js') return response.end('export const createClient = window.supabase.createClient;');
  if (path === '/m/cookie.js') {
    const source = await readFile(require.resolve('cookie'), 'utf8');
    const names = Object.keys(require('cookie'));
    const exported = names.map((name, n) => `const e${n} = exports.${name}; export { e${n} as ${name} };`);
    return response.end(`const exports = {};\n((exports) => {\n${source}\n})(exports);\n${exported.join('\n')}`);
  }
  const folder = join(dirname(require.resolve('@supabase/ssr')), '..', 'module');
  const wanted = normalize(path.slice('/m/ssr/'.length));
  for (const [file, exact] of [[wanted, true], [`${wanted}.js`], [`${wanted}/index.js`]]) {
    const text = file.endsWith('.js') ? await readFile(join(folder, file)).catch(() => null) : null;
    if (text === null) continue;
    if (exact) return response.end(text);
    response.statusCode = 302;
    response.setHeader('location', `/m/ssr/${file}`);
    return response.end();
  }
  response.statusCode = 404;
  return response.end();
}

// ---- a browser, and people in it ------------------------------------------------------------------------------------

let browser;
let server;

before(async () => {
  const { keys } = (await http('GET', '/auth/v1/.well-known/jwks.json')).json;
  assert.ok(keys.length > 0 && keys.every(({ kty }) => kty === 'EC'), 'asymmetric keys');
  browser = await launch();
  server = await serve(answer, new URL(app).port);
});

after(async () => {
  server?.close();
  await browser?.close();
});

async function visit(t) {
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  return { context, page };
}

async function post(page, path, { email = '', password = '' } = {}) {
  await page.goto(`${app}/`);
  await page.locator('[name=email]').fill(email);
  await page.locator('[name=password]').fill(password);
  await page.locator('#enter').evaluate((form, path) => (form.action = path), path);
  await page.getByRole('button').click();
  await page.waitForURL((now) => now.href !== `${app}/`);
}

const told = async (page, path) => {
  if (path) await page.goto(app + path);
  return JSON.parse(await page.locator('body').textContent());
};

const kept = async (context) => (await context.cookies(app)).filter((one) => one.name.startsWith(name) && !one.name.includes('verifier'));

/** The session as the library keeps it: in chunks, base64url. */
async function session(context) {
  const chunks = (await kept(context)).sort((a, b) => (a.name < b.name ? -1 : 1));
  const text = chunks.map(({ value }) => value).join('');
  assert.ok(text.startsWith('base64-'));
  return { chunks, value: JSON.parse(Buffer.from(text.slice('base64-'.length), 'base64url')) };
}

/** As if its access token had run out. */
async function runOut(context) {
  const { chunks, value } = await session(context);
  const text = `base64-${Buffer.from(JSON.stringify({ ...value, expires_at: 1 })).toString('base64url')}`;
  const size = 3180;
  await context.addCookies(
    chunks.map((chunk, n) => ({ ...chunk, value: chunks.length === 1 ? text : text.slice(n * size, (n + 1) * size) })),
  );
  return value;
}

const someone = () => ({ email: address('ssr'), password: password() });

async function registered(t) {
  const { context, page } = await visit(t);
  const who = someone();
  await post(page, '/register', who);
  assert.equal((await told(page)).email, who.email);
  return { context, page, who };
}

test('a server signs in, keeps the session in chunks, and reads claims without a round trip', async (t) => {
  const { context, page, who } = await registered(t);
  const { chunks, value } = await session(context);
  assert.deepEqual(chunks.map((one) => one.name), chunks.map((_, n) => `${name}.${n}`));
  assert.ok(chunks.length >= 2, `${chunks.length} chunks: the session is longer than one`);
  assert.equal(value.user.email, who.email);
  assert.deepEqual(JSON.parse(Buffer.from(value.access_token.split('.')[0], 'base64url')).alg, 'ES256');
  for (let n = 0; n < 3; n++) {
    const me = await told(page, '/me');
    assert.deepEqual([me.email, me.made], [who.email, []], 'nothing was asked of Aurora');
  }
  const user = await told(page, '/user');
  assert.deepEqual([user.email, user.made], [who.email, ['GET /auth/v1/user']]);
  await page.goto(`${app}/`);
  await page.reload();
  assert.equal((await told(page, '/me')).email, who.email);
});

test('a claim that was changed is refused', async (t) => {
  const { context, page } = await registered(t);
  const { chunks, value } = await session(context);
  const [head, payload, signature] = value.access_token.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url'));
  const forged = Buffer.from(JSON.stringify({ ...claims, email: 'admin@example.com' })).toString('base64url');
  const text = `base64-${Buffer.from(JSON.stringify({ ...value, access_token: `${head}.${forged}.${signature}` })).toString('base64url')}`;
  await context.addCookies(chunks.map((chunk, n) => ({ ...chunk, value: text.slice(n * 3180, (n + 1) * 3180) })));
  const me = await told(page, '/me');
  assert.equal(me.email, null);
});

test('a link in a mail, opened in the browser that asked, signs in by PKCE', async (t) => {
  const { who } = await registered(t);
  const { context, page } = await visit(t);
  await post(page, '/link', { email: who.email });
  assert.equal(page.url(), `${app}/sent`);
  const verifier = (await context.cookies(app)).filter((one) => one.name.includes('code-verifier'));
  assert.ok(verifier.length > 0, 'the verifier waits in a cookie of the app');
  const article = page.locator('article').filter({ hasText: who.email }).filter({ hasText: 'pkce_' }).first();
  for (let tries = 0; ; tries++) {
    await page.goto(`${url}/auth/v1/mailbox`);
    if ((await article.count()) > 0) break;
    assert.ok(tries < 100, 'no mail');
    await page.waitForTimeout(100);
  }
  const link = article.getByRole('link').first();
  const href = await link.getAttribute('href');
  // Somebody else who opens it, a scanner or another device, gets nowhere.
  const other = await visit(t);
  await other.page.goto(href);
  assert.equal((await told(other.page)).email ?? null, null);
  assert.deepEqual(await kept(other.context), []);
  await link.click();
  await page.waitForURL(`${app}/me`);
  assert.equal((await told(page)).email, who.email);
  await session(context);
});

test('an expired session is refreshed by two tabs at once, and both go on', async (t) => {
  const { context, page, who } = await registered(t);
  const second = await context.newPage();
  for (let round = 0; round < 3; round++) {
    const before = await runOut(context);
    const answers = await Promise.all([told(page, '/user'), told(second, '/user')]);
    for (const { email, made } of answers) {
      assert.equal(email, who.email);
      assert.deepEqual(made.at(-1), 'GET /auth/v1/user');
    }
    assert.ok(answers.some(({ made }) => made.includes('POST /auth/v1/token')));
    const { value } = await session(context);
    assert.notEqual(value.refresh_token, before.refresh_token);
    assert.equal((await told(page, '/me')).email, who.email);
  }
});

test('the browser’s own client has the same session, refreshes it in two tabs, and signs out', async (t) => {
  const { context, page, who } = await registered(t);
  const tab = await context.newPage();
  for (const one of [page, tab]) {
    await one.goto(`${app}/`);
    await one.waitForFunction(() => window.client);
  }
  const user = (one) => one.evaluate(async () => (await window.client.auth.getUser()).data.user?.email);
  assert.deepEqual(await Promise.all([user(page), user(tab)]), [who.email, who.email]);
  const before = (await session(context)).value;
  const refresh = (one) => one.evaluate(async () => (await window.client.auth.refreshSession()).error?.code ?? null);
  assert.deepEqual(await Promise.all([refresh(page), refresh(tab)]), [null, null]);
  const { value } = await session(context);
  assert.notEqual(value.refresh_token, before.refresh_token);
  assert.deepEqual(await Promise.all([user(page), user(tab)]), [who.email, who.email]);
  const server = await context.newPage();
  assert.equal((await told(server, '/me')).email, who.email, 'the server reads what the browser wrote');

  const signedOut = await tab.evaluate(async () => (await window.client.auth.signOut()).error);
  assert.equal(signedOut, null);
  assert.deepEqual(await kept(context), []);
  await assertEnded(value.access_token);
  assert.equal((await told(server, '/me')).email, null);
});

test('sign-out on the server takes the cookies and ends the session', async (t) => {
  const { context, page, who } = await registered(t);
  const { value } = await session(context);
  await post(page, '/logout');
  assert.deepEqual(await kept(context), []);
  await assertEnded(value.access_token);
  await post(page, '/login', who);
  assert.equal((await told(page)).email, who.email);
});
