// The second step in the page: turning it on, signing in with it, recovery codes, turning it off.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { asked, begin, confirm, inside, state, turnOn, typeCode, typeRecovery } from './authenticator.mjs';
import {
  heading, openAccount, press, shoot, signIn, signOut, signUp, someone, testNoTroubles, told, typePassword, visit, warned,
} from './browser.mjs';

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
  await warned(page, 'This recovery code is not right, or it was used before');
  await shoot(page, '46-wrong-recovery-code');
  await typeRecovery(page, codes[0]);
  await inside(page);
  await told(page, 'That recovery code is used up');
  await signOut(page);
  await typePassword(page, ada);
  await press(page, 'Use a recovery code');
  await typeRecovery(page, codes[0]);
  await warned(page, 'This recovery code is not right, or it was used before');
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

testNoTroubles();
