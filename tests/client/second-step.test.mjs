// The second step in the page beside other things: a forgotten password, other devices, small screens.

import { test } from 'node:test';
import { Authenticator, asked, begin, confirm, inside, state, turnOn, typeCode, typeRecovery } from './authenticator.mjs';
import {
  LOOKS, assertUsable, heading, mail, openAccount, press, shoot, signIn, signOut, signUp, someone, testNoTroubles, typePassword,
  visit, warned,
} from './browser.mjs';
import { password } from './support.mjs';

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

  await later('/auth/v1/factors/recovery-codes/regenerate', 403, 'insufficient_aal');
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

test('the second step fits a phone and a desk, light and dark', async (t) => {
  const page = await visit(t);
  const ada = someone('a-long-name-for-phones');
  const everywhere = async (what) => {
    for (const [name, look] of LOOKS) {
      await page.setViewportSize(look.viewport ?? { width: 1180, height: 860 });
      await page.emulateMedia({ colorScheme: look.colorScheme });
      await assertUsable(page);
      await shoot(page, `${what}-${name}`);
    }
  };
  await signUp(page, ada);
  const app = await begin(page);
  await everywhere('48-turn-on');
  await confirm(page, await app.next());
  await heading(page, 'Your recovery codes').waitFor();
  await everywhere('49-recovery-codes');
  await press(page, 'I have kept them');
  await signOut(page);
  await typePassword(page, ada);
  await asked(page);
  await everywhere('50-one-more-step');
  await press(page, 'Use a recovery code');
  await everywhere('51-recovery-code');
});

testNoTroubles();
