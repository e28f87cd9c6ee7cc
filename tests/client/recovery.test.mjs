// A forgotten password and an invitation in the page. Registrations wait for their mail here.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  assertClean, heading, mail, press, shoot, signIn, signOut, signUpByMail, someone, testNoTroubles, told, typePassword,
  visit, warned,
} from './browser.mjs';
import { address, http, password } from './support.mjs';

const inside = (page) => heading(page, 'Notes').waitFor();

async function forget(page, email) {
  await press(page, 'Forgot your password?');
  await page.getByLabel('E-mail', { exact: true }).fill(email);
  await press(page, 'Send the mail');
  await heading(page, 'Look into your mail').waitFor();
}

test('a forgotten password: the link leads to the form for a new one, and other devices are out', async (t) => {
  const [page, phone] = [await visit(t), await visit(t)];
  const ada = someone('ada');
  await signUpByMail(phone, ada);
  await page.getByLabel('E-mail', { exact: true }).fill(ada.email);
  await press(page, 'Forgot your password?');
  assert.equal(await page.getByLabel('E-mail', { exact: true }).inputValue(), ada.email, 'what was typed comes along');
  await shoot(page, '30-forgot');
  await press(page, 'Back to sign-in');
  await forget(page, ada.email);
  await page.getByText('If it has an account here').waitFor();
  await page.goto((await mail(ada.email, 'recovery')).link);
  await heading(page, 'Choose a new password').waitFor();
  await assertClean(page);
  assert.equal(await page.getByRole('textbox', { name: 'Account' }).inputValue(), ada.email);
  await page.reload();
  await heading(page, 'Choose a new password').waitFor();
  await page.getByLabel('New password', { exact: true }).fill('abc');
  await press(page, 'Save password');
  await warned(page, 'Password should be');
  await shoot(page, '31-new-password');
  const next = password();
  await page.getByLabel('New password', { exact: true }).fill(next);
  await press(page, 'Save password');
  await inside(page);
  await told(page, 'Your new password is saved');
  await phone.reload();
  await heading(phone, 'Sign in').waitFor();
  await typePassword(phone, ada);
  await warned(phone, 'Invalid login credentials');
  await signIn(phone, { ...ada, password: next });
});

test('a forgotten password by code; nobody learns whether an address has an account', async (t) => {
  const page = await visit(t);
  await forget(page, address('nobody'));
  const unknown = (await page.locator('#door-step').textContent()).replace(/nobody-\S+?com/, '');
  await press(page, 'Back to sign-in');
  const ada = someone('ada');
  await signUpByMail(page, ada);
  await signOut(page);
  await forget(page, ada.email);
  assert.equal((await page.locator('#door-step').textContent()).replace(/ada-\S+?com/, ''), unknown);
  await page.getByLabel('Code').fill((await mail(ada.email, 'recovery')).code);
  await press(page, 'Continue');
  await heading(page, 'Choose a new password').waitFor();
  await press(page, 'Keep the old one');
  await inside(page);
  await signOut(page);
  await signIn(page, ada);
});

test('an invitation: its reader agrees, and chooses a password', async (t) => {
  const email = address('guest');
  const invited = await http('POST', '/auth/v1/invite', { token: process.env.SERVICE_KEY, body: { email } });
  assert.equal(invited.status, 200);
  const page = await visit(t);
  await page.goto((await mail(email, 'invite')).link);
  await page.locator('button').click();
  await heading(page, 'Is this your account?').waitFor();
  await assertClean(page);
  await press(page, 'Yes, sign in');
  await heading(page, 'Choose a password').waitFor();
  const chosen = password();
  await page.getByLabel('New password', { exact: true }).fill(chosen);
  await press(page, 'Save password');
  await inside(page);
  await signOut(page);
  await signIn(page, { email, password: chosen });
});

testNoTroubles();
