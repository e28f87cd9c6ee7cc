// The page at `/`, driven in a browser as a person would: by mouse, by keyboard, on a phone.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertUsable, heading, openAccount, shoot, signIn, signUp, someone, testNoTroubles, visit } from './browser.mjs';
import { url } from './support.mjs';

async function write(page, title, body = '', audience = 'Only me') {
  await page.getByLabel('Title').first().fill(title);
  await page.getByLabel('Text').first().fill(body);
  await page.getByLabel('Who can read it').selectOption({ label: audience });
  await page.getByRole('button', { name: 'Save note' }).click();
  await note(page, title).waitFor();
}

const note = (page, title) => page.getByRole('listitem').filter({ has: page.getByRole('heading', { name: title, exact: true }) });

test('the page comes under a strict content policy', async () => {
  const response = await fetch(url);
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type'), /^text\/html/);
  const policy = response.headers.get('content-security-policy');
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /require-trusted-types-for 'script'; trusted-types 'none'/);
  assert.deepEqual(policy.match(/[a-z-]+ [^;]*data:/g), ["img-src 'self' data:"], 'only a picture may be written out');
  assert.doesNotMatch(policy, /unsafe|\*|https?:/);
  const html = await response.text();
  assert.doesNotMatch(html, /<style|style=|\son[a-z]+=|https?:\/\//);
  assert.doesNotMatch(html, /<script(?![^>]*\ssrc=)/);
});

test('sign up, write, edit and delete notes; a second person sees nothing of it', async (t) => {
  const page = await visit(t);
  await shoot(page, '01-sign-in');
  const ada = someone('ada');
  await signUp(page, ada);
  await write(page, 'Analytical engine', 'It weaves algebraic patterns\nas the loom weaves flowers.');
  await write(page, '<b>Bold</b>', '<img src=x onerror=alert(1)>');
  assert.equal(await note(page, '<b>Bold</b>').locator('.text').textContent(), '<img src=x onerror=alert(1)>');

  await note(page, 'Analytical engine').getByRole('button', { name: 'Edit' }).click();
  await page.locator('.edit-form').getByLabel('Title').fill('Difference engine');
  await page.getByRole('button', { name: 'Save changes' }).click();
  await note(page, 'Difference engine').waitFor();

  await note(page, '<b>Bold</b>').getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('button', { name: 'Keep' }).click();
  assert.equal(await note(page, '<b>Bold</b>').count(), 1);
  await note(page, '<b>Bold</b>').getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await note(page, '<b>Bold</b>').waitFor({ state: 'detached' });
  await shoot(page, '02-notes');

  await page.reload();
  await note(page, 'Difference engine').waitFor();

  const other = await visit(t);
  await signUp(other, someone('bob'));
  await other.getByText('You are in no team yet.').waitFor();
  assert.equal(await other.getByText('Difference engine').count(), 0);

  // The same browser, next person: nothing of the first is left on the screen or in the store.
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  assert.equal(await page.evaluate(() => localStorage.length), 0);
  assert.equal(await page.getByText('Difference engine').count(), 0);
  assert.doesNotMatch(await page.content(), new RegExp(ada.email));
});

test('a team shares notes, a public note is read by everyone', async (t) => {
  const [page, other] = [await visit(t), await visit(t)];
  await signUp(page, someone('ada'));
  await signUp(other, someone('bob'));
  const id = await other.locator('#my-id').textContent();
  await page.getByLabel('New team').fill('Looms');
  await page.getByRole('button', { name: 'Make team' }).click();
  await page.getByText('Members of Looms').click();
  await page.getByLabel('User id of the new member').fill('00000000-0000-4000-8000-000000000000');
  await page.getByRole('button', { name: 'Add member' }).click();
  await page.getByRole('alert').filter({ hasText: 'No user has this id' }).waitFor();
  await page.getByLabel('User id of the new member').fill(id);
  await page.getByRole('button', { name: 'Add member' }).click();
  await page.getByRole('status').filter({ hasText: 'Member added' }).waitFor();
  const open = `Open house ${id.slice(0, 8)}`;
  await write(page, 'Pattern cards', 'Punched last night.', 'Team Looms');
  await write(page, open, 'Come by.', 'Everyone');
  await write(page, 'Just mine');
  await shoot(page, '03-team');

  await other.reload();
  await note(other, 'Pattern cards').waitFor();
  await note(other, open).waitFor();
  assert.equal(await other.getByText('Just mine').count(), 0);
  assert.equal(await note(other, 'Pattern cards').getByRole('button').count(), 0, 'not theirs to change');
  await shoot(other, '04-member');

  const stranger = await visit(t);
  await note(stranger, open).waitFor();
  assert.equal(await stranger.getByText('Pattern cards').count(), 0);
});

test('copying the own user id', async (t) => {
  const page = await visit(t, { permissions: ['clipboard-read', 'clipboard-write'] });
  await signUp(page, someone('ada'));
  await page.getByRole('button', { name: 'Copy' }).click();
  await page.getByRole('status').filter({ hasText: 'copied' }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await page.locator('#my-id').textContent());
});

test('errors are said in words', async (t) => {
  const page = await visit(t);
  const ada = someone('ada');
  await page.getByLabel('E-mail', { exact: true }).fill(ada.email);
  await page.getByLabel('Password', { exact: true }).fill(ada.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').filter({ hasText: 'Invalid login credentials' }).waitFor();
  await page.getByRole('button', { name: 'Create an account' }).click();
  await page.getByLabel('Password', { exact: true }).fill('abc');
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.getByRole('alert').filter({ hasText: 'Password should be' }).waitFor();
  await shoot(page, '05-error');
  await page.context().setOffline(true);
  await page.getByLabel('Password', { exact: true }).fill(ada.password);
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.getByRole('alert').filter({ hasText: 'cannot be reached' }).waitFor();
});

// asvs(V10.4.9)
test('sessions are listed; ending one signs that device out', async (t) => {
  const [desk, phone] = [await visit(t), await visit(t)];
  const ada = someone('ada');
  await signUp(desk, ada);
  await signIn(phone, ada);
  await openAccount(desk);
  const sessions = desk.locator('#session-list > li');
  await sessions.nth(1).waitFor();
  assert.equal(await sessions.count(), 2);
  assert.equal(await sessions.getByText('this device').filter({ visible: true }).count(), 1);
  await shoot(desk, '06-sessions');
  await desk.getByRole('button', { name: /^End the session of/ }).click();
  await desk.getByRole('status').filter({ hasText: 'Session ended' }).waitFor();
  assert.equal(await sessions.count(), 1);
  await phone.reload();
  await phone.getByRole('heading', { name: 'Sign in' }).waitFor();
  await desk.getByRole('button', { name: 'End this session' }).click();
  await desk.getByRole('heading', { name: 'Sign in' }).waitFor();
});

test('an access token that ran out is refreshed unseen', async (t) => {
  const page = await visit(t);
  await signUp(page, someone('ada'));
  const before = await page.evaluate(() => {
    const kept = JSON.parse(localStorage.getItem('aurora.session'));
    localStorage.setItem('aurora.session', JSON.stringify({ ...kept, expires_at: 1 }));
    return kept.refresh_token;
  });
  await write(page, 'Still here');
  const after = await page.evaluate(() => JSON.parse(localStorage.getItem('aurora.session')).refresh_token);
  assert.notEqual(after, before);
});

test('everything can be done with the keyboard alone', async (t) => {
  const page = await visit(t);
  const tabTo = async (locator) => {
    for (let press = 0; press < 60; press += 1) {
      await page.keyboard.press('Tab');
      if (await locator.evaluate((element) => element === document.activeElement)) {
        const ring = await locator.evaluate((element) => getComputedStyle(element).outlineStyle);
        assert.notEqual(ring, 'none', 'the focus can be seen');
        return;
      }
    }
    assert.fail(`${locator} is not reached with Tab`);
  };
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to the content');
  await page.keyboard.press('Enter');
  await tabTo(page.getByRole('button', { name: 'Create an account' }));
  await page.keyboard.press('Enter');
  const ada = someone('ada');
  await page.keyboard.type(ada.email);
  await page.keyboard.press('Tab');
  await page.keyboard.type(ada.password);
  await page.keyboard.press('Enter');
  await page.getByRole('status').filter({ hasText: 'Signed in' }).waitFor();
  await page.keyboard.type('Typed');
  await page.keyboard.press('Tab');
  await page.keyboard.type('without a mouse');
  await tabTo(page.getByRole('button', { name: 'Save note' }));
  await shoot(page, '07-keyboard');
  await page.keyboard.press('Space');
  await note(page, 'Typed').waitFor();
  await tabTo(page.getByRole('button', { name: 'Edit Typed' }));
  await page.keyboard.press('Enter');
  await page.keyboard.press('End');
  await page.keyboard.type(' twice');
  await page.keyboard.press('Enter');
  await note(page, 'Typed twice').waitFor();
  await tabTo(page.getByRole('button', { name: 'Delete Typed twice' }));
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await note(page, 'Typed twice').waitFor({ state: 'detached' });
  await tabTo(page.getByRole('button', { name: 'Make team' }));
  await page.keyboard.press('Control+Home');
  await tabTo(page.getByRole('link', { name: 'Account' }));
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'End this session' }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Account');
  await tabTo(page.getByRole('button', { name: 'End this session' }));
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
});

test('every field has a label and every button a name', async (t) => {
  const page = await visit(t);
  await signUp(page, someone('ada'));
  await write(page, 'One');
  await assertUsable(page);
  await openAccount(page);
  await assertUsable(page);
});

for (const colorScheme of ['light', 'dark']) {
  test(`it fits a phone, ${colorScheme}`, async (t) => {
    const page = await visit(t, { viewport: { width: 360, height: 740 }, colorScheme, hasTouch: true, isMobile: true });
    await shoot(page, `08-phone-${colorScheme}-door`);
    await signUp(page, someone('a-long-name-for-phones'));
    await write(page, 'Averyveryverylongwordwithoutanyspace'.repeat(4), 'Text');
    await shoot(page, `09-phone-${colorScheme}`);
    await assertUsable(page);
    const back = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const light = back.match(/\d+/g).slice(0, 3).every((part) => Number(part) > 128);
    assert.equal(light, colorScheme === 'light');
    await page.setViewportSize({ width: 1180, height: 860 });
    await shoot(page, `10-desk-${colorScheme}`);
  });
}

testNoTroubles();
