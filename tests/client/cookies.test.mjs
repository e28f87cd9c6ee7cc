// Sessions in cookies in a real browser: what a page of the site's own does with them, and what a foreign page cannot.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, serve } from './origins.mjs';
import { address, password } from './support.mjs';

// The site has a name with subdomains, so that a sibling can attack it: `*.localhost` is this machine (RFC 6761).
const site = process.env.SITE_URL;
const app = process.env.APP_ORIGIN;
assert.ok(site && app, 'SITE_URL and APP_ORIGIN are what the quickstart was started with; tests/client/run sets them');
const auth = `${site}/auth/v1`;
const names = ['__Host-aurora-access', '__Host-aurora-csrf', '__Host-aurora-refresh'];

let browser;
let evil;
let spa;
// What the attacker's server answers with, beside a page.
let planted = [];

before(async () => {
  browser = await launch();
  const page = (request, response) => {
    response.setHeader('content-type', 'text/html');
    if (planted.length > 0) response.setHeader('set-cookie', planted);
    response.end('<!doctype html><title>A page</title><body>');
  };
  evil = await serve(page);
  spa = await serve(page, new URL(app).port);
});

after(async () => {
  evil?.close();
  spa?.close();
  await browser?.close();
});

// Where an attacker may sit: another site, a sibling's subdomain, another port of the same name.
const attackers = () => {
  const { hostname } = new URL(site);
  return {
    'another site': `http://127.0.0.1:${evil.port}`,
    'another site by name': `http://evil.localhost:${evil.port}`,
    'a sibling': `http://evil.${hostname}:${evil.port}`,
    'another port': `http://${hostname}:${evil.port}`,
  };
};

async function person(t) {
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  await page.goto(site);
  return { context, page };
}

/** A call of the page's own script; `change` sends the token that it reads from its cookie. */
const call = (page, method, path, { body, headers = {}, change = false } = {}) =>
  page.evaluate(
    async ({ method, path, body, headers, change }) => {
      const token = document.cookie.match(/__Host-aurora-csrf=([^;]*)/)?.[1];
      const response = await fetch(path, {
        method,
        headers: {
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(change && token ? { 'x-csrf-token': token } : {}),
          ...headers,
        },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      const text = await response.text();
      let json = null;
      try {
        json = JSON.parse(text);
      } catch {}
      return { status: response.status, code: response.headers.get('x-sb-error-code'), text, json };
    },
    { method, path, body, headers, change },
  );

async function signUp(page, email = address('cookie')) {
  const answer = await call(page, 'POST', '/auth/v1/signup', {
    body: { email, password: password() },
    headers: { 'x-aurora-session': 'cookie' },
  });
  assert.equal(answer.status, 200, answer.text);
  return { email, answer };
}

const jar = async (context) => {
  const kept = await context.cookies(site);
  return Object.fromEntries(kept.filter((one) => one.name.includes('aurora')).map((one) => [one.name, one]));
};
const values = async (context) => Object.fromEntries(Object.entries(await jar(context)).map(([name, one]) => [name, one.value]));
const notes = async (page) => (await call(page, 'GET', '/notes')).json.length;

// asvs(V3.3.1, V3.3.2, V3.3.3, V3.3.4)
test('a page signs in, reads and changes by its cookies, and sees no token', async (t) => {
  const { context, page } = await person(t);
  const { email, answer } = await signUp(page);
  assert.doesNotMatch(answer.text, /eyJ|art_/);
  const kept = await jar(context);
  assert.deepEqual(Object.keys(kept).sort(), names);
  for (const [name, cookie] of Object.entries(kept)) {
    assert.equal(cookie.domain, new URL(site).hostname, 'of the host alone');
    assert.deepEqual([cookie.path, cookie.secure, cookie.sameSite], ['/', true, 'Lax'], name);
    assert.equal(cookie.httpOnly, !name.endsWith('csrf'), name);
    assert.ok(cookie.expires > Date.now() / 1000 + 29 * 86_400);
  }
  const seen = await page.evaluate(() => document.cookie);
  assert.match(seen, /^__Host-aurora-csrf=csrf_[\w-]{43}$/);

  assert.equal((await call(page, 'GET', '/auth/v1/user')).json.email, email);
  assert.equal(await notes(page), 0);
  const note = { title: 'By cookie', body: '' };
  const without = await call(page, 'POST', '/notes', { body: note });
  assert.deepEqual([without.status, without.code], [403, 'csrf_token_invalid']);
  assert.equal((await call(page, 'POST', '/notes', { body: note, change: true })).status, 201);
  await page.reload();
  assert.equal(await notes(page), 1);
  assert.equal((await call(page, 'GET', '/auth/v1/user', { headers: { authorization: 'Bearer a.b.c' } })).status, 403);

  const first = await values(context);
  assert.equal((await call(page, 'POST', '/auth/v1/token?grant_type=refresh_token', { change: true })).status, 200);
  const second = await values(context);
  assert.notEqual(second[names[0]], first[names[0]]);
  assert.notEqual(second[names[2]], first[names[2]]);
  assert.equal(second[names[1]], first[names[1]], 'other tabs keep their token');
  assert.equal((await call(page, 'POST', '/auth/v1/logout', { change: true })).status, 204);
  assert.deepEqual(await jar(context), {});
  assert.equal((await call(page, 'GET', '/notes')).status, 401);
});

test('on a developer’s machine the browser keeps them for each of its names, over plain HTTP', async (t) => {
  const { port } = new URL(site);
  for (const host of ['127.0.0.1', 'localhost']) {
    const context = await browser.newContext();
    t.after(() => context.close());
    const page = await context.newPage();
    await page.goto(`http://${host}:${port}`);
    await signUp(page);
    const kept = (await context.cookies(`http://${host}:${port}`)).map(({ name }) => name);
    assert.deepEqual(kept.filter((name) => name.includes('aurora')).sort(), names, host);
    assert.equal((await call(page, 'POST', '/notes', { body: { title: host, body: '' }, change: true })).status, 201);
  }
});

// What a foreign page can have a browser send. Each comes back when the browser is done with it.
const forms = {
  'a form': (page, url) =>
    page.evaluate(async (url) => {
      const frame = document.createElement('iframe');
      frame.name = `f${Math.random()}`;
      const form = document.createElement('form');
      Object.assign(form, { method: 'post', action: url, target: frame.name });
      form.innerHTML = '<input name="title" value="forged"><input name="scope" value="global">';
      document.body.append(frame, form);
      const loaded = new Promise((resolve) => frame.addEventListener('load', resolve));
      form.submit();
      await loaded;
    }, url),
  'a form that looks like JSON': (page, url) =>
    page.evaluate(async (url) => {
      const frame = document.createElement('iframe');
      frame.name = `f${Math.random()}`;
      const form = document.createElement('form');
      Object.assign(form, { method: 'post', action: url, target: frame.name, enctype: 'text/plain' });
      const input = document.createElement('input');
      Object.assign(input, { name: '{"title":"forged","body":"', value: '"}' });
      form.append(input);
      document.body.append(frame, form);
      const loaded = new Promise((resolve) => frame.addEventListener('load', resolve));
      form.submit();
      await loaded;
    }, url),
  'a form at the top': async (page, url) => {
    const home = page.url();
    await page.evaluate((url) => {
      const form = document.createElement('form');
      Object.assign(form, { method: 'post', action: url });
      document.body.append(form);
      setTimeout(() => form.submit());
    }, url);
    await page.waitForURL((now) => now.href !== home);
    await page.goto(home);
  },
  'fetch, no-cors': (page, url) =>
    page.evaluate((url) => fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include', body: 'title=forged' }).catch(() => {}), url),
  'fetch, no-cors, empty': (page, url) =>
    page.evaluate((url) => fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include' }).catch(() => {}), url),
  'fetch with the headers': (page, url) =>
    page.evaluate(
      (url) =>
        fetch(url, {
          method: 'POST',
          credentials: 'include',
          headers: { 'content-type': 'application/json', 'x-csrf-token': `csrf_${'A'.repeat(43)}`, 'x-aurora-session': 'cookie' },
          body: '{"title":"forged","body":""}',
        }).catch(() => {}),
      url,
    ),
  'a beacon': async (page, url) => {
    await page.evaluate((url) => navigator.sendBeacon(url, new Blob(['title=forged'], { type: 'text/plain' })), url);
    await page.waitForTimeout(100);
  },
  'an image': (page, url) =>
    page.evaluate(
      (url) =>
        new Promise((resolve) => {
          const image = new Image();
          image.onload = image.onerror = resolve;
          image.src = url;
        }),
      url,
    ),
  'a script': (page, url) =>
    page.evaluate(
      (url) =>
        new Promise((resolve) => {
          const script = document.createElement('script');
          script.onload = script.onerror = resolve;
          script.src = url;
          document.body.append(script);
        }),
      url,
    ),
  'a frame': (page, url) =>
    page.evaluate(
      (url) =>
        new Promise((resolve) => {
          const frame = document.createElement('iframe');
          frame.onload = resolve;
          frame.src = url;
          document.body.append(frame);
        }),
      url,
    ),
  'a link that is followed': async (page, url) => {
    const home = page.url();
    await page.evaluate((url) => setTimeout(() => location.assign(url)), url);
    await page.waitForURL((now) => now.href !== home);
    await page.goto(home);
  },
};

// attack S05, asvs(V3.5.1, V3.5.3)
test('a foreign page changes nothing, in whichever way it asks', async (t) => {
  const { context, page } = await person(t);
  const { email } = await signUp(page);
  assert.equal((await call(page, 'POST', '/notes', { body: { title: 'Mine', body: '' }, change: true })).status, 201);
  const kept = await values(context);
  const targets = [`${auth}/logout`, `${auth}/token?grant_type=refresh_token`, `${auth}/reauthenticate`, `${auth}/csrf`, `${site}/notes`];
  let asked = 0;
  let withCookie = 0;
  for (const [who, home] of Object.entries(attackers())) {
    const tab = await context.newPage();
    tab.setDefaultTimeout(15_000);
    const answers = [];
    tab.on('response', (response) => {
      const request = response.request();
      if (response.url().startsWith(site) && request.method() !== 'OPTIONS') answers.push(answered(response, request));
    });
    await tab.goto(home);
    for (const [how, attack] of Object.entries(forms)) {
      for (const url of targets) {
        await attack(tab, url);
        asked += 1;
      }
      const now = await values(context);
      assert.deepEqual(now, kept, `${who}, by ${how}: a cookie changed`);
    }
    for (const { url, method, status, code, cookie, destination } of await Promise.all(answers)) {
      const what = `${who}: ${method} ${url} as ${destination} with${cookie ? '' : 'out'} the cookie: ${status} ${code}`;
      const reads = method === 'GET' && destination === 'document';
      if (cookie) withCookie += 1;
      // A link that a person follows may read; nothing else is answered as the user.
      if (status >= 200 && status < 300) assert.ok(reads && cookie && /notes|csrf/.test(url), what);
      else assert.ok([400, 401, 403, 405, 415].includes(status), what);
      if (cookie && status === 403) assert.match(code, /origin_not_allowed|csrf_token_invalid/, what);
    }
    await tab.close();
  }
  console.log(`${asked} forged requests from ${Object.keys(attackers()).length} places, ${withCookie} of them answered with the cookie in hand`);
  assert.ok(asked > 150 && withCookie > 20, 'the browser sent cookies along, or nothing was tried');
  await page.reload();
  assert.equal(await notes(page), 1);
  assert.equal((await call(page, 'GET', '/auth/v1/user')).json.email, email);
  assert.equal((await call(page, 'POST', '/auth/v1/token?grant_type=refresh_token', { change: true })).status, 200);
});

async function answered(response, request) {
  const headers = await request.allHeaders().catch(() => ({}));
  return {
    url: response.url(),
    method: request.method(),
    status: response.status(),
    code: response.headers()['x-sb-error-code'] ?? '',
    cookie: (headers.cookie ?? '').includes('__Host-aurora-access'),
    destination: request.resourceType() === 'document' && headers['sec-fetch-dest'] === 'iframe' ? 'iframe' : request.resourceType(),
  };
}

// attack S07, asvs(V3.5.1)
test('a foreign page signs nobody in', async (t) => {
  const eve = { email: address('eve'), password: password() };
  const { context, page } = await person(t);
  const made = await call(page, 'POST', '/auth/v1/signup', { body: eve });
  assert.equal(made.status, 200);
  assert.ok(made.json.access_token, 'who does not ask for cookies has tokens');
  for (const home of Object.values(attackers())) {
    const tab = await context.newPage();
    await tab.goto(home);
    await tab.evaluate(
      async ({ auth, eve }) => {
        const url = `${auth}/token?grant_type=password`;
        const body = JSON.stringify(eve);
        const tries = [
          { mode: 'no-cors', headers: { 'content-type': 'text/plain' } },
          { mode: 'no-cors', headers: { 'content-type': 'application/json', 'x-aurora-session': 'cookie' } },
          { headers: { 'content-type': 'application/json', 'x-aurora-session': 'cookie' } },
          { headers: { 'content-type': 'text/plain' } },
        ];
        for (const one of tries) await fetch(url, { method: 'POST', credentials: 'include', body, ...one }).catch(() => {});
        const form = document.createElement('form');
        Object.assign(form, { method: 'post', action: url, enctype: 'text/plain' });
        const input = document.createElement('input');
        const [start, end] = body.split('@');
        Object.assign(input, { name: `${start}@`, value: end });
        form.append(input);
        document.body.append(form);
        const frame = document.createElement('iframe');
        frame.name = 'frame';
        form.target = 'frame';
        document.body.append(frame);
        const loaded = new Promise((resolve) => frame.addEventListener('load', resolve));
        form.submit();
        await loaded;
      },
      { auth, eve },
    );
    assert.deepEqual(await jar(context), {}, home);
    await tab.close();
  }
});

// attacks S01, S02, asvs(V3.3.3)
test('a sibling plants no cookie', async (t) => {
  const { hostname } = new URL(site);
  const mallory = await person(t);
  await signUp(mallory.page);
  const theirs = await values(mallory.context);
  // What the attacker is signed in with, planted for the whole domain and in every way of writing it.
  const attempts = names.flatMap((name) => {
    const value = theirs[name];
    return [
      `${name}=${value}; Domain=${hostname}; Path=/; Secure`,
      `${name}=${value}; Domain=${hostname}; Path=/auth; Secure`,
      `${name}=${value}; Domain=${hostname}; Path=/`,
      `${name.toLowerCase()}=${value}; Domain=${hostname}; Path=/; Secure`,
      `=${name}=${value}; Domain=${hostname}; Path=/; Secure`,
      `; ${name}=${value}; Domain=${hostname}; Path=/; Secure`,
      ` ${name}=${value}; Domain=${hostname}; Path=/; Secure`,
      `${name} =${value}; Domain=${hostname}; Path=/; Secure`,
    ];
  });
  const sibling = `http://evil.${hostname}:${evil.port}`;
  for (const signedIn of [true, false]) {
    const { context, page } = await person(t);
    const email = signedIn ? (await signUp(page)).email : null;
    const kept = await values(context);
    planted = [...attempts, `sibling=yes; Domain=${hostname}; Path=/`];
    const tab = await context.newPage();
    await tab.goto(sibling);
    await tab.evaluate((attempts) => attempts.forEach((one) => (document.cookie = one)), attempts);
    planted = [];
    const all = await context.cookies(site);
    assert.ok(all.some(({ name }) => name === 'sibling'), 'a sibling may plant other cookies, or this test tries nothing');
    assert.deepEqual(await values(context), kept);
    const user = await call(page, 'GET', '/auth/v1/user');
    assert.deepEqual([user.status, user.json.email], signedIn ? [200, email] : [401, undefined], user.text);
  }
});

test('two tabs refresh at once, and one sign-out ends both', async (t) => {
  const { context, page } = await person(t);
  await signUp(page);
  const tabs = [page];
  for (let n = 0; n < 3; n++) {
    const tab = await context.newPage();
    await tab.goto(site);
    tabs.push(tab);
  }
  for (let round = 0; round < 3; round++) {
    const refresh = (tab) => call(tab, 'POST', '/auth/v1/token?grant_type=refresh_token', { change: true });
    const answers = await Promise.all(tabs.map(refresh));
    assert.deepEqual(answers.map(({ status }) => status), tabs.map(() => 200));
    const reads = await Promise.all(tabs.map((tab) => call(tab, 'GET', '/notes')));
    assert.deepEqual(reads.map(({ status }) => status), tabs.map(() => 200));
  }
  assert.equal((await call(tabs[1], 'POST', '/auth/v1/logout', { change: true })).status, 204);
  for (const tab of tabs) {
    assert.equal((await call(tab, 'GET', '/auth/v1/user')).status, 401);
    const refused = await call(tab, 'POST', '/auth/v1/token?grant_type=refresh_token', { change: true });
    assert.equal(refused.code, 'refresh_token_not_found');
  }
});

// attack S08, asvs(V3.4.2)
test('a page of an allowed origin of the same site has its session in cookies', async (t) => {
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(app);
  const ask = (method, path, headers, body) =>
    page.evaluate(
      async ({ url, method, headers, body }) => {
        const type = body ? { 'content-type': 'application/json' } : {};
        const response = await fetch(url, { method, credentials: 'include', headers: { ...type, ...headers }, body: body && JSON.stringify(body) });
        return { status: response.status, json: await response.json().catch(() => null) };
      },
      { url: site + path, method, headers, body },
    );
  const credentials = { email: address('spa'), password: password() };
  assert.equal((await ask('POST', '/auth/v1/signup', { 'x-aurora-session': 'cookie' }, credentials)).status, 200);
  assert.deepEqual(Object.keys(await jar(context)).sort(), names);
  assert.equal(await page.evaluate(() => document.cookie), '', 'they are the other host’s');
  await page.reload();
  assert.equal((await ask('POST', '/notes', {}, { title: 'x', body: '' })).status, 403);
  const { csrf_token: token } = (await ask('GET', '/auth/v1/csrf', {})).json;
  assert.equal((await ask('POST', '/notes', { 'x-csrf-token': token }, { title: 'x', body: '' })).status, 201);
  assert.equal((await ask('POST', '/auth/v1/token?grant_type=refresh_token', { 'x-csrf-token': token })).status, 200);
  assert.equal((await ask('POST', '/auth/v1/logout', { 'x-csrf-token': token })).status, 204);
  assert.deepEqual(await jar(context), {});
});
