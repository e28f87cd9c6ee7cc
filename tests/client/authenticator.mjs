// An authenticator app, and what a person does with it in the page.

import { createHmac } from 'node:crypto';
import { heading, openAccount, press } from './browser.mjs';

export const inside = (page) => heading(page, 'Notes').waitFor();
export const asked = (page) => heading(page, 'One more step').waitFor();
export const state = (page, word) => page.locator('#factor-state').filter({ hasText: word }).waitFor();

/** An authenticator app: RFC 6238 with the key as the page shows it. No code twice: the server takes none twice. */
export class Authenticator {
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
