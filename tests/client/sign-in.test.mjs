// The ways in that go by mail, in the page: confirmation, codes, links. Registrations wait for their mail here.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  LOOKS, assertClean, assertUsable, heading, mail, press, register, shoot, signIn, signOut, signUpByMail, someone, testNoTroubles,
  told, typePassword, visit, warned,
} from './browser.mjs';
import { address, assertAlive, assertEnded, http, url } from './support.mjs';

const inside = (page) => heading(page, 'Notes').waitFor();
const token = (page) => page.evaluate(() => JSON.parse(localStorage.getItem('aurora.session')).access_token);

async function askForCode(page, email) {
  await press(page, 'E-mail me a code instead');
  await page.getByLabel('E-mail', { exact: true }).fill(email);
  await press(page, 'Send me a code');
  await heading(page, 'Look into your mail').waitFor();
}

async function typeCode(page, code) {
  await page.getByLabel('Code').fill(code);
  await press(page, 'Continue');
}

const other = (code) => String((Number(code) + 1) % 1_000_000).padStart(6, '0');

test('a registration waits for its mail, and the code in it lets its reader in', async (t) => {
  const page = await visit(t);
  const ada = someone('ada');
  await register(page, ada);
  await heading(page, 'Look into your mail').waitFor();
  await page.getByText(ada.email).waitFor();
  assert.equal(await page.getByRole('link', { name: 'mailbox' }).getAttribute('href'), '/auth/v1/mailbox');
  const first = await mail(ada.email, 'confirmation');
  await shoot(page, '20-look-into-mail');
  await page.reload();
  await page.getByText(ada.email).waitFor();

  await typeCode(page, other(first.code));
  await warned(page, 'This code is wrong, used already or too old');
  await shoot(page, '21-wrong-code');
  await press(page, 'Send another mail');
  await told(page, 'Another mail is on its way');
  const second = await mail(ada.email, 'confirmation', 1);
  assert.notEqual(second.code, first.code);
  await typeCode(page, `${second.code.slice(0, 3)} ${second.code.slice(3)}`);
  await inside(page);
  await told(page, `Signed in as ${ada.email}`);
  await page.reload();
  await inside(page);
  await signOut(page);
  assert.equal(await page.evaluate(() => localStorage.length + sessionStorage.length), 0, 'nothing of it is kept');
});

test('the link in the mailbox page lets both tabs in, and the password is the one that was chosen', async (t) => {
  const page = await visit(t);
  const ada = someone('ada');
  await register(page, ada);
  await mail(ada.email, 'confirmation');
  const [mailbox] = await Promise.all([page.waitForEvent('popup'), page.getByRole('link', { name: 'mailbox' }).click()]);
  const letter = mailbox.locator('article').filter({ hasText: `to ${ada.email}` });
  await letter.waitFor();
  await shoot(mailbox, '22-mailbox');
  await letter.getByRole('link').first().click();
  await shoot(mailbox, '22-link');
  await mailbox.getByRole('button').click();
  await heading(mailbox, 'Notes').waitFor();
  await assertClean(mailbox);
  await told(mailbox, `Signed in as ${ada.email}`);
  await inside(page);
  await signOut(page);
  await heading(mailbox, 'Sign in').waitFor();
  await signIn(page, ada);
});

test('a password before the confirmation leads to the mail', async (t) => {
  const page = await visit(t);
  const ada = someone('ada');
  await register(page, ada);
  await press(page, 'Back to sign-in');
  await typePassword(page, ada);
  await heading(page, 'Look into your mail').waitFor();
  await warned(page, 'Please confirm your e-mail address first');
  await press(page, 'Send another mail');
  await typeCode(page, (await mail(ada.email, 'confirmation', 1)).code);
  await inside(page);
});

test('a code instead of a password, and too many mails', async (t) => {
  const page = await visit(t);
  const email = address('code');
  await shoot(page, '23-sign-in');
  await press(page, 'E-mail me a code instead');
  await shoot(page, '24-code');
  await press(page, 'Use a password');
  await askForCode(page, email);
  await typeCode(page, (await mail(email, 'confirmation')).code);
  await inside(page);
  await signOut(page);
  await askForCode(page, email);
  await typeCode(page, (await mail(email, 'magic_link')).code);
  await inside(page);
  await signOut(page);
  await askForCode(page, email);
  await press(page, 'Send another mail');
  await warned(page, /Enough mails for now\. The next one can be sent in \d+ seconds/);
  await shoot(page, '25-enough-mails');
});

test('a link works in the browser that asked for it, once; elsewhere it says where', async (t) => {
  const [page, elsewhere] = [await visit(t), await visit(t)];
  const email = address('link');
  await askForCode(page, email);
  const { link } = await mail(email, 'confirmation');
  await elsewhere.goto(link);
  // Whoever presses proves the mailbox. It signs nobody in there.
  await elsewhere.getByRole('button').click();
  await warned(elsewhere, 'This link belongs to the browser that asked for the mail');
  await assertClean(elsewhere);
  await heading(elsewhere, 'Sign in').waitFor();
  await shoot(elsewhere, '26-link-elsewhere');

  await page.goto(link);
  await inside(page);
  await assertClean(page);
  await signOut(page);
  await page.goto(link);
  await warned(page, 'This link does not work any more');
  await assertClean(page);
  await heading(page, 'Sign in').waitFor();
});

test('what a link says about itself is not shown as ours', async (t) => {
  const page = await visit(t);
  await page.goto(`${url}/?x=1#error=access_denied&error_code=oops&error_description=Call+0800+HELP+and+tell+them+your+code`);
  await warned(page, 'This link did not work');
  await assertClean(page);
  assert.doesNotMatch(await page.content(), /0800/);
  // The same without leaving the page.
  await page.evaluate(() => { location.hash = '#error=access_denied&error_code=otp_expired'; });
  await warned(page, 'This link does not work any more');
  await assertClean(page);
});

test('a session that stands in an address is taken only with consent', async (t) => {
  const page = await visit(t);
  const email = address('fragment');
  // Asked for without a challenge, as by another client: the link asks for a press, and the session comes back in
  // the fragment.
  const ask = async (kind) => {
    const asked = await http('POST', '/auth/v1/otp', { body: { email } });
    assert.equal(asked.status, 200);
    await page.goto((await mail(email, kind)).link);
    await page.locator('button').click();
    await heading(page, 'Is this your account?').waitFor();
    await assertClean(page);
  };
  await ask('confirmation');
  await page.getByText(email).waitFor();
  await shoot(page, '27-consent');
  await press(page, 'No, leave all as it is');
  await heading(page, 'Sign in').waitFor();
  assert.equal(await page.evaluate(() => localStorage.getItem('aurora.session')), null);

  await ask('magic_link');
  await press(page, 'Yes, sign in');
  await inside(page);
  await told(page, `Signed in as ${email}`);
  await page.reload();
  await inside(page);
});

test('nobody is moved into another account by a link', async (t) => {
  const [page, theirs] = [await visit(t), await visit(t)];
  const [ada, mallory] = [someone('ada'), someone('mallory')];
  await signUpByMail(page, ada);
  await signUpByMail(theirs, mallory);
  const before = await token(page);
  const stolen = await theirs.evaluate(() => JSON.parse(localStorage.getItem('aurora.session')));
  const fragment = new URLSearchParams({
    access_token: stolen.access_token, refresh_token: stolen.refresh_token, expires_at: String(stolen.expires_at), expires_in: '3600',
    token_type: 'bearer', type: 'magiclink',
  });
  await page.goto(`${url}/?again#${fragment}`);
  await heading(page, 'Is this your account?').waitFor();
  await page.getByText(mallory.email).waitFor();
  await page.getByText(`Until now you were signed in as ${ada.email}`).waitFor();
  await press(page, 'No, leave all as it is');
  await inside(page);
  assert.equal(await page.locator('#who-email').textContent(), ada.email);
  assert.equal(await token(page), before);
  await assertAlive(before);
  await assertEnded(stolen.access_token);
});

for (const [name, look] of LOOKS) {
  test(`the ways in fit, ${name}`, async (t) => {
    const page = await visit(t, look);
    await assertUsable(page);
    await shoot(page, `28-${name}-sign-in`);
    const ada = someone('a-long-name-for-phones');
    await register(page, ada);
    await heading(page, 'Look into your mail').waitFor();
    await assertUsable(page);
    await shoot(page, `29-${name}-mail`);
    await press(page, 'Back to sign-in');
    await press(page, 'Forgot your password?');
    await assertUsable(page);
    await shoot(page, `29-${name}-forgot`);
  });
}

test('in by mail with the keyboard alone', async (t) => {
  const page = await visit(t);
  const tabTo = async (locator) => {
    for (let steps = 0; steps < 40; steps += 1) {
      await page.keyboard.press('Tab');
      if (await locator.evaluate((element) => element === document.activeElement)) return;
    }
    assert.fail(`${locator} is not reached with Tab`);
  };
  const email = address('keys');
  await tabTo(page.getByRole('button', { name: 'E-mail me a code instead' }));
  await page.keyboard.press('Enter');
  await page.keyboard.type(email);
  await page.keyboard.press('Enter');
  await heading(page, 'Look into your mail').waitFor();
  await page.keyboard.type((await mail(email, 'confirmation')).code);
  await page.keyboard.press('Enter');
  await inside(page);
  await tabTo(page.getByRole('button', { name: 'Save note' }));
});

testNoTroubles();
