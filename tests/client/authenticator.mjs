// An authenticator app, and what a person does with it in the page.

import { heading, openAccount, press } from './browser.mjs';
import { Authenticator } from './totp.mjs';

export { Authenticator };

export const inside = (page) => heading(page, 'Notes').waitFor();
export const asked = (page) => heading(page, 'One more step').waitFor();
export const state = (page, word) => page.locator('#factor-state').filter({ hasText: word }).waitFor();

export async function begin(page) {
  await openAccount(page);
  await press(page, 'Turn on');
  await page.locator('.secret').waitFor();
  return new Authenticator(await page.locator('.secret').textContent());
}

export async function confirm(page, code) {
  await page.getByLabel('Code that the app shows').fill(code);
  await press(page, 'Turn on');
}

/** Turns the second step on; answers with the app and the recovery codes. */
export async function turnOn(page) {
  const app = await begin(page);
  await confirm(page, await app.next());
  await heading(page, 'Your recovery codes').waitFor();
  const codes = await page.locator('.codes code').allTextContents();
  await press(page, 'I have kept them');
  await state(page, 'on');
  return { app, codes };
}

export async function typeCode(page, code) {
  await page.getByLabel('Code', { exact: true }).fill(code);
  await press(page, 'Continue');
}

export async function typeRecovery(page, code) {
  await page.getByLabel('Recovery code').fill(code);
  await press(page, 'Continue');
}
