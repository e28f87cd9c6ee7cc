// A browser for the suites that drive the page as a person would, and the mails that the page leads to.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { address, http, password, url } from './support.mjs';

const shots = process.env.SCREENSHOTS;
const troubles = [];
let browser;

before(async () => {
  if (shots) mkdirSync(shots, { recursive: true });
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
});

after(() => browser?.close());

/** A browser profile of its own, at the page: another person, or another device. */
export async function visit(t, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1180, height: 860 }, ...options });
  t.after(() => context.close());
  context.on('page', watch);
  const page = await context.newPage();
  await page.goto(url);
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  return page;
}

function watch(page) {
  page.setDefaultTimeout(10_000);
  page.on('pageerror', (error) => troubles.push(`error: ${error.message}`));
  page.on('console', (message) => {
    // A refused call is expected where a test asks for one; a broken content policy never is.
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) troubles.push(message.text());
  });
  page.on('request', (request) => {
    const image = request.resourceType() === 'image' && request.url().startsWith('data:image/svg+xml');
    if (!request.url().startsWith(url) && !image) troubles.push(`request to ${request.url()}`);
  });
}

/** The last test of a suite: nothing above broke the rules unseen. */
export function testNoTroubles() {
  test('no page broke its content policy, threw, or asked another host', () => {
    assert.deepEqual(troubles, []);
  });
}

export const shoot = async (page, name) => {
  if (shots) await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
};

export const someone = (name) => ({ email: address(name), password: password() });

export const heading = (page, name) => page.getByRole('heading', { name, exact: true });
export const told = (page, text) => page.getByRole('status').filter({ hasText: text }).waitFor();
export const warned = (page, text) => page.getByRole('alert').filter({ hasText: text }).waitFor();
export const press = (page, name) => page.getByRole('button', { name, exact: true }).click();

export async function register(page, who) {
  await press(page, 'Create an account');
  await page.getByLabel('E-mail', { exact: true }).fill(who.email);
  await page.getByLabel('Password', { exact: true }).fill(who.password);
  await press(page, 'Create account');
}

/** Where addresses confirm themselves: in at once. */
export async function signUp(page, who) {
  await register(page, who);
  await heading(page, 'Notes').waitFor();
}

/** Where a registration waits for its mail. */
export async function signUpByMail(page, who) {
  await register(page, who);
  await heading(page, 'Look into your mail').waitFor();
  await page.getByLabel('Code').fill((await mail(who.email, 'confirmation')).code);
  await press(page, 'Continue');
  await heading(page, 'Notes').waitFor();
}

export async function typePassword(page, who) {
  await page.getByLabel('E-mail', { exact: true }).fill(who.email);
  await page.getByLabel('Password', { exact: true }).fill(who.password);
  await press(page, 'Sign in');
}

export async function signIn(page, who) {
  await typePassword(page, who);
  await heading(page, 'Notes').waitFor();
}

export async function signOut(page) {
  await press(page, 'Sign out');
  await heading(page, 'Sign in').waitFor();
}

export async function openAccount(page) {
  await page.getByRole('link', { name: 'Account' }).click();
  await heading(page, 'Account').waitFor();
  await page.getByRole('button', { name: 'Change password' }).waitFor();
}

/** The newest mail of that kind to that address beyond those that were `seen`, as soon as it was sent. */
export async function mail(to, kind, seen = 0) {
  for (let tries = 0; tries < 100; tries += 1) {
    const { json } = await http('GET', '/auth/v1/mailbox.json');
    const found = json.mails.filter((one) => one.to === to && one.kind === kind);
    if (found.length > seen) return found.sort((a, b) => (a.created_at < b.created_at ? 1 : -1))[0];
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`no ${kind} to ${to}`);
}

/** The address bar holds nothing of a link, and going back does not bring it back. */
export async function assertClean(page) {
  const shown = new URL(page.url());
  assert.equal(shown.search, '', 'no secret in the query');
  assert.doesNotMatch(shown.hash, /token|code|error/);
}

/** What does not fit, is too small to press or has no name. */
export async function assertUsable(page) {
  const found = await page.evaluate(() => {
    const seen = [...document.querySelectorAll('input, select, textarea, button, a')].filter((element) => element.offsetParent !== null);
    return {
      overflow: document.scrollingElement.scrollWidth - innerWidth,
      small: seen
        .filter((element) => element.matches('button, .views a') && element.offsetHeight < (element.matches('.link') ? 24 : 40))
        .map((element) => element.textContent),
      nameless: seen
        .filter((element) => !element.labels?.length && !element.textContent.trim() && !element.ariaLabel)
        .map((element) => element.outerHTML),
    };
  });
  assert.ok(found.overflow <= 0, `${found.overflow} px too wide`);
  assert.deepEqual(found.small, []);
  assert.deepEqual(found.nameless, []);
}

const phone = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };

/** A phone and a desk, light and dark. */
export const LOOKS = [
  ['phone-light', { ...phone, colorScheme: 'light' }],
  ['phone-dark', { ...phone, colorScheme: 'dark' }],
  ['desk-dark', { colorScheme: 'dark' }],
];
