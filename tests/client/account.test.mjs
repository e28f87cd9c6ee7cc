// The account in the page: a new password, a new address, other devices. Registrations wait for their mail here.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  LOOKS, assertClean, assertUsable, heading, mail, openAccount, press, shoot, signIn, signOut, signUpByMail, someone, testNoTroubles,
  told, visit, warned,
} from './browser.mjs';
import { address, password } from './support.mjs';

const card = (page, title) => page.locator('.setting').filter({ has: heading(page, title) });

test('a new password wants the current one, or a code by mail', async (t) => {
  const page = await visit(t);
  const ada = someone('ada');
  await signUpByMail(page, ada);
  await openAccount(page);
  await shoot(page, '32-account');
  await press(page, 'Change password');
  const form = card(page, 'Password');
  await form.getByLabel('Current password').fill('not the one it is');
  const next = password();
  await form.getByLabel('New password', { exact: true }).fill(next);
  await form.getByRole('button', { name: 'Change password' }).click();
  await warned(page, 'The current password is not right');
  await shoot(page, '33-change-password');
  await form.getByLabel('Current password').fill(ada.password);
  await form.getByLabel('New password', { exact: true }).fill(ada.password);
  await form.getByRole('button', { name: 'Change password' }).click();
  await warned(page, 'This is your present password');
  await form.getByLabel('New password', { exact: true }).fill(next);
  await form.getByRole('button', { name: 'Change password' }).click();
  await told(page, 'Your new password is saved');

  await press(page, 'Change password');
  await press(page, 'I have none, or forgot it');
  await told(page, 'A code is on its way');
  const last = password();
  await form.getByLabel('New password', { exact: true }).fill(last);
  await form.getByLabel('Code from your mail').fill((await mail(ada.email, 'reauthentication')).code);
  await shoot(page, '34-change-password-by-mail');
  await form.getByRole('button', { name: 'Change password' }).click();
  await told(page, 'Your new password is saved');
  await signOut(page);
  await signIn(page, { ...ada, password: last });
});

test('a new address waits for both, by code; the list of devices gains nothing', async (t) => {
  const page = await visit(t);
  const ada = someone('ada');
  await signUpByMail(page, ada);
  await openAccount(page);
  const next = address('next');
  const form = card(page, 'E-mail address');
  await press(page, 'Change address');
  await form.getByLabel('New address').fill(next);
  await form.getByLabel('Current password').fill(ada.password);
  await form.getByRole('button', { name: 'Change address' }).click();
  await told(page, `your address stays ${ada.email}`);
  await form.getByText(`It becomes ${next}`).waitFor();
  await shoot(page, '35-address-waits');
  await page.reload();
  await form.getByLabel(`Code sent to ${ada.email}`).fill('000000');
  await form.getByRole('button', { name: 'Confirm' }).first().click();
  await warned(page, 'This code is wrong');
  await form.getByLabel(`Code sent to ${ada.email}`).fill((await mail(ada.email, 'email_change_current')).code);
  await form.getByRole('button', { name: 'Confirm' }).first().click();
  await told(page, 'one of the two addresses');
  await form.getByLabel(`Code sent to ${next}`).fill((await mail(next, 'email_change_new')).code);
  await form.getByRole('button', { name: 'Confirm' }).click();
  await told(page, `Your address is now ${next}`);
  assert.equal(await page.locator('#my-email').textContent(), next);
  await page.reload();
  await page.locator('#session-list > li').first().waitFor();
  assert.equal(await page.locator('#session-list > li').count(), 1);
  assert.equal(await page.locator('#who-email').textContent(), next);
  await signOut(page);
  await signIn(page, { ...ada, email: next });
});

test('a new address by links; a wish can be taken back', async (t) => {
  const page = await visit(t);
  const ada = someone('ada');
  await signUpByMail(page, ada);
  await openAccount(page);
  const form = card(page, 'E-mail address');
  const change = async (to) => {
    await press(page, 'Change address');
    await form.getByLabel('New address').fill(to);
    await form.getByLabel('Current password').fill(ada.password);
    await form.getByRole('button', { name: 'Change address' }).click();
    await form.getByText(`It becomes ${to}`).waitFor();
  };
  await change(address('wrong'));
  await press(page, 'Keep the old address');
  await told(page, `Your address stays ${ada.email}`);
  await form.getByText('It becomes').waitFor({ state: 'detached' });

  const next = address('next');
  await change(next);
  const pressed = async (link) => {
    const tab = await page.context().newPage();
    await tab.goto(link);
    await tab.locator('button').click();
    await heading(tab, 'Notes').waitFor();
    await assertClean(tab);
    return tab;
  };
  await told(await pressed((await mail(next, 'email_change_new')).link), 'one of the two addresses');
  await told(await pressed((await mail(ada.email, 'email_change_current', 1)).link), `Your e-mail address is now ${next}`);
  await page.locator('#who-email').filter({ hasText: next }).waitFor();
});

test('all other devices are signed out at once', async (t) => {
  const [page, phone] = [await visit(t), await visit(t)];
  const ada = someone('ada');
  await signUpByMail(page, ada);
  await signIn(phone, ada);
  await openAccount(page);
  await press(page, 'Sign out all other devices');
  await told(page, 'All other devices were signed out');
  assert.equal(await page.locator('#session-list > li').count(), 1);
  assert.equal(await page.getByRole('button', { name: 'Sign out all other devices' }).count(), 0);
  await phone.reload();
  await heading(phone, 'Sign in').waitFor();
});

test('the account fits a phone and a desk, light and dark', async (t) => {
  const page = await visit(t);
  const ada = someone('a-long-name-for-phones');
  await signUpByMail(page, ada);
  await openAccount(page);
  await press(page, 'Change address');
  const form = card(page, 'E-mail address');
  await form.getByLabel('New address').fill(address('next-long-name-here'));
  await form.getByLabel('Current password').fill(ada.password);
  await form.getByRole('button', { name: 'Change address' }).click();
  await form.getByText('It becomes').waitFor();
  await press(page, 'Change password');
  for (const [name, look] of LOOKS) {
    await page.setViewportSize(look.viewport ?? { width: 1180, height: 860 });
    await page.emulateMedia({ colorScheme: look.colorScheme });
    await assertUsable(page);
    await shoot(page, `36-${name}-account`);
  }
});

testNoTroubles();
