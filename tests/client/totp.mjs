// The codes of an authenticator app.

import { createHmac } from 'node:crypto';

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
