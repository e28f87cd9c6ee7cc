// The second step in the page: turning it on, signing in with it, recovery codes, turning it off.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import {
  LOOKS, assertUsable, heading, mail, openAccount, press, shoot, signIn, signOut, signUp, someone, testNoTroubles, told, typePassword,
  visit, warned,
} from './browser.mjs';
import { password } from './support.mjs';

const inside = (page) => heading(page, 'Notes').waitFor();
const asked = (page) => heading(page, 'One more step').waitFor();
const state = (page, word) => page.locator('#factor-state').filter({ hasText: word }).waitFor();

/** An authenticator app: RFC 6238 with the key as the page shows it. No code twice: the server takes none twice. */
class Authenticator {
  constructor(shown) {
    const bits = [...shown.replace(/[^A-Z2-7]/gi, '').toUpperCase()]
      .map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0'))
      .join('');
    this.key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
    this.last = 0;
  }

  async next() {
    const present = () => Math.floor(Date.now() / 30_000);
    const step = Math.max(this.last + 1, present() - 1);
    // A clock may be half a minute off.
    while (step > present() + 1) await new Promise((resolve) => setTimeout(resolve, 500));
    this.last = step;
    return this.code(step);
  }

  code(step) {
    const counter = Buffer.alloc(8);
    counter.writeBigUInt64BE(BigInt(step));
    const mac = createHmac('sha1', this.key).update(counter).digest();
    const at = mac[19] & 15;
    return String((mac.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0');
  }
}

async function begin(page) {
  await openAccount(page);
  await press(page, 'Turn on');
  await page.locator('.secret').waitFor();
  return new Authenticator(await page.locator('.secret').textContent());
}

async function confirm(page, code) {
  await page.getByLabel('Code that the app shows').fill(code);
  await press(page, 'Turn on');
}

/** Turns the second step on; answers with the app and the recovery codes. */
async function turnOn(page) {
  const app = await begin(page);
  await confirm(page, await app.next());
  await heading(page, 'Your recovery codes').waitFor();
  const codes = await page.locator('.codes code').allTextContents();
  await press(page, 'I have kept them');
  await state(page, 'on');
  return { app, codes };
}

async function typeCode(page, code) {
  await page.getByLabel('Code', { exact: true }).fill(code);
  await press(page, 'Continue');
}

async function typeRecovery(page, code) {
  await page.getByLabel('Recovery code').fill(code);
  await press(page, 'Continue');
}

test('turning it on: a QR code, the key, a code of the app, recovery codes that are shown once', async (t) => {
  const page = await visit(t, { permissions: ['clipboard-read', 'clipboard-write'] });
  const ada = someone('ada');
  await signUp(page, ada);
  const app = await begin(page);
  const image = page.getByRole('img', { name: 'QR code of the key below' });
  assert.ok(await image.evaluate((picture) => picture.decode().then(() => picture.naturalWidth)) > 0, 'the picture is shown');
  assert.match(await page.getByRole('link', { name: 'Open it in an app on this device' }).getAttribute('href'), /^otpauth:\/\/totp\/.*secret=/);
  await press(page, 'Copy');
  await told(page, 'Key copied');
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), (await page.locator('.secret').textContent()).replaceAll(' ', ''));
  await shoot(page, '40-turn-on');

  const good = await app.next();
  await confirm(page, String((Number(good) + 1) % 1_000_000).padStart(6, '0'));
  await warned(page, 'This code is not right');
  await shoot(page, '41-wrong-code');
  await confirm(page, good);
  await heading(page, 'Your recovery codes').waitFor();
  const codes = await page.locator('.codes code').allTextContents();
  assert.ok(codes.length >= 8, `${codes.length} codes`);
  assert.equal(new Set(codes).size, codes.length);
  await shoot(page, '42-recovery-codes');

  await press(page, 'Copy codes');
  await told(page, 'Recovery codes copied');
  assert.deepEqual((await page.evaluate(() => navigator.clipboard.readText())).split('\n'), codes);
  const [file] = await Promise.all([page.waitForEvent('download'), press(page, 'Download codes')]);
  assert.equal(file.suggestedFilename(), 'aurora-notes-recovery-codes.txt');
  const text = await readFile(await file.path(), 'utf8');
  for (const code of codes) assert.ok(text.includes(code));

  await press(page, 'I have kept them');
  await state(page, 'on');
  await shoot(page, '43-turned-on');
  await page.reload();
  await state(page, 'on');
  const kept = await page.evaluate(() => document.documentElement.innerHTML + JSON.stringify([localStorage, sessionStorage]));
  for (const code of codes) assert.ok(!kept.includes(code), 'shown once');
});

test('signing in: after the password the code is asked for, and nothing is shown before', async (t) => {
  const page = await visit(t);
  const ada = someone('ada');
  await signUp(page, ada);
  await page.getByLabel('Title').first().fill('For my eyes');
  await press(page, 'Save note');
  await heading(page, 'For my eyes').waitFor();
  const { app } = await turnOn(page);
  await signOut(page);

  await typePassword(page, ada);
  await asked(page);
  await shoot(page, '44-one-more-step');
  assert.equal(await page.getByText('For my eyes').count(), 0);
  await page.reload();
  await asked(page);
  assert.equal(await page.getByRole('navigation').count(), 0, 'no way around');
  const good = await app.next();
  await typeCode(page, String((Number(good) + 1) % 1_000_000).padStart(6, '0'));
  await warned(page, 'This code is not right');
  await typeCode(page, good);
  await inside(page);
  await told(page, `Signed in as ${ada.email}`);
  await heading(page, 'For my eyes').waitFor();

  await signOut(page);
  await typePassword(page, ada);
  await asked(page);
  await typeCode(page, good);
  await warned(page, 'This code is not right');
  await press(page, 'Sign out');
  await heading(page, 'Sign in').waitFor();
});

test('a recovery code lets its owner in, once', async (t) => {
  const page = await visit(t);
  const ada = someone('ada');
  await signUp(page, ada);
  const { codes } = await turnOn(page);
  await signOut(page);
  await typePassword(page, ada);
  await asked(page);
  await press(page, 'Use a recovery code');
  await shoot(page, '45-recovery-code');
  await typeRecovery(page, 'not-one-of-them');
  await page.getByRole('alert').filter({ hasText: /\w/ }).waitFor();
  await shoot(page, '46-wrong-recovery-code');
  await typeRecovery(page, codes[0]);
  await inside(page);
  await told(page, 'That recovery code is used up');
  await signOut(page);
  await typePassword(page, ada);
  await press(page, 'Use a recovery code');
  await typeRecovery(page, codes[0]);
  await page.getByRole('alert').filter({ hasText: /\w/ }).waitFor();
  assert.equal(await heading(page, 'Notes').count(), 0);
  await typeRecovery(page, codes[1].toUpperCase());
  await inside(page);

  await openAccount(page);
  await press(page, 'Make new recovery codes');
  await page.getByRole('dialog').getByRole('button', { name: 'Make new ones' }).click();
  await heading(page, 'Your recovery codes').waitFor();
  const fresh = await page.locator('.codes code').allTextContents();
  assert.ok(fresh.every((code) => !codes.includes(code)));
});

test('turning it off: the password alone signs in again', async (t) => {
  const page = await visit(t);
  const ada = someone('ada');
  await signUp(page, ada);
  await turnOn(page);
  await press(page, 'Turn off');
  await page.getByRole('dialog').getByRole('button', { name: 'Leave it on' }).click();
  await state(page, 'on');
  await press(page, 'Turn off');
  await shoot(page, '47-turn-off');
  await page.getByRole('dialog').getByRole('button', { name: 'Turn off' }).click();
  await told(page, 'The second step is off');
  await state(page, 'off');
  await signOut(page);
  await signIn(page, ada);
});

test('where the sign-in or the code was some time ago, it is asked for again', async (t) => {
  const page = await visit(t);
  const ada = someone('ada');
  await signUp(page, ada);
  // The server's clock is not ours to turn: its answer of ten minutes later, once.
  const later = (path, status, code) =>
    page.route(`**${path}`, (route) => route.fulfill({ status, json: { code, message: 'later' } }), { times: 1 });
  await openAccount(page);
  await later('/auth/v1/factors', 400, 'reauthentication_needed');
  await press(page, 'Turn on');
  await page.getByLabel('Current password').fill('not the one it is');
  await press(page, 'Continue');
  await warned(page, 'The current password is not right');
  await page.getByLabel('Current password').fill(ada.password);
  await press(page, 'Continue');
  await page.locator('.secret').waitFor();
  const app = new Authenticator(await page.locator('.secret').textContent());
  await confirm(page, await app.next());
  await heading(page, 'Your recovery codes').waitFor();
  await press(page, 'I have kept them');

  await later('/auth/v1/factors/recovery-codes', 403, 'insufficient_aal');
  await press(page, 'Make new recovery codes');
  await page.getByRole('dialog').getByRole('button', { name: 'Make new ones' }).click();
  await page.getByLabel('Code that the app shows').fill(await app.next());
  await press(page, 'Continue');
  await heading(page, 'Your recovery codes').waitFor();
});

test('begun and not finished: nothing is asked for, and it can be begun again', async (t) => {
  const page = await visit(t);
  const ada = someone('ada');
  await signUp(page, ada);
  await begin(page);
  await page.reload();
  await state(page, 'off');
  await begin(page);
  await press(page, 'Cancel');
  await state(page, 'off');
  await signOut(page);
  await signIn(page, ada);
});

test('a forgotten password with a second step: first its code, then the new password; it stays on', async (t) => {
  const page = await visit(t);
  const ada = someone('ada');
  await signUp(page, ada);
  const { app, codes } = await turnOn(page);
  await signOut(page);
  await press(page, 'Forgot your password?');
  await page.getByLabel('E-mail', { exact: true }).fill(ada.email);
  await press(page, 'Send the mail');
  await page.goto((await mail(ada.email, 'recovery')).link);
  await asked(page);
  await page.reload();
  await asked(page);
  await press(page, 'Use a recovery code');
  await typeRecovery(page, codes[0]);
  await heading(page, 'Choose a new password').waitFor();
  const next = password();
  await page.getByLabel('New password', { exact: true }).fill(next);
  await press(page, 'Save password');
  await inside(page);
  await signOut(page);
  await typePassword(page, { ...ada, password: next });
  await asked(page);
  await typeCode(page, await app.next());
  await inside(page);
});

test('another device that was signed in before', async (t) => {
  const [page, phone] = [await visit(t), await visit(t)];
  const ada = someone('ada');
  await signUp(page, ada);
  await signIn(phone, ada);
  const { app } = await turnOn(page);
  await phone.reload();
  // Either it is asked for the code, or it is out: never in.
  await phone.getByRole('heading', { name: /^(One more step|Sign in)$/ }).waitFor();
  if (await heading(phone, 'Sign in').count()) await typePassword(phone, ada);
  await asked(phone);
  await typeCode(phone, await app.next());
  await inside(phone);
});

for (const [name, look] of LOOKS) {
  test(`the second step fits, ${name}`, async (t) => {
    const page = await visit(t, look);
    const ada = someone('a-long-name-for-phones');
    await signUp(page, ada);
    const app = await begin(page);
    await assertUsable(page);
    await shoot(page, `48-${name}-turn-on`);
    await confirm(page, await app.next());
    await heading(page, 'Your recovery codes').waitFor();
    await assertUsable(page);
    await shoot(page, `49-${name}-recovery-codes`);
    await press(page, 'I have kept them');
    await signOut(page);
    await typePassword(page, ada);
    await asked(page);
    await assertUsable(page);
    await shoot(page, `50-${name}-one-more-step`);
  });
}

testNoTroubles();
