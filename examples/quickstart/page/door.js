// The door: every step until somebody is in. One form at a time is on the page.

import { askForMail, enter, follow } from './links.js';
import { call, discard, factorsOf, keep, send, session, settle, signOut, wantsFactor } from './session.js';
import { $, complain, copyOf, onPress, onSubmit, quiet, say } from './ui.js';

const STEP = 'aurora.step'; // survives a reload of this tab, so that a code can still be typed

let offer = null; // a session that a link brought and that nobody has accepted yet
let painted = '';
let enterPage = async () => {};

/** Opens the door; `inside` shows what is behind it, once somebody is in. */
export function openDoor(inside) {
  enterPage = inside;
}

/** Whether somebody is in, with nothing left to ask. */
export function isInside() {
  const now = session();
  return now !== null && offer === null && !wantsFactor(now) && !now.intent;
}

function kept() {
  try {
    const stored = JSON.parse(sessionStorage.getItem(STEP));
    if (['create', 'code', 'recover', 'mail'].includes(stored?.name)) return stored;
  } catch {
    // Not ours.
  }
  return { name: 'sign-in' };
}

function step() {
  const now = session();
  if (offer) return { name: 'offer' };
  if (now && wantsFactor(now)) return { name: 'factor' };
  if (now) return { name: 'new-password' };
  return kept();
}

/** The next step before anybody is in. */
function go(next) {
  if (next.name === 'sign-in') sessionStorage.removeItem(STEP);
  else sessionStorage.setItem(STEP, JSON.stringify(next));
  quiet();
  paintDoor();
  focusFirst();
}

/** Nothing of the way in is left once somebody is. */
export function closeDoor() {
  sessionStorage.removeItem(STEP);
  painted = '';
  $('door-step').replaceChildren();
}

/** Shows the step that is due. What is being typed stays, unless the step is another one. */
export function paintDoor() {
  const due = step();
  const key = JSON.stringify([due, session()?.user.id ?? null]);
  if (key === painted) return;
  painted = key;
  const part = copyOf(`step-${due.name}`);
  STEPS[due.name](part, due);
  $('door-step').replaceChildren(part);
  $('open-notes').hidden = session() !== null || offer !== null;
  const title = part.querySelector('h1');
  title.id = 'door-title';
  title.tabIndex = -1;
  document.title = `${title.textContent} · Aurora Notes`;
}

export function focusFirst() {
  const at = $('door-step').querySelector('input:not([readonly])') ?? $('door-title');
  at?.focus();
}

// Somebody got one step further: the next question, or in.
async function onward(welcome) {
  await enterPage();
  if (isInside()) {
    say(welcome);
    $('note-title').focus();
  } else {
    quiet();
    focusFirst();
  }
}

const welcome = () => `Signed in as ${session().user.email}.`;
const digits = (text) => text.replace(/\D/g, '');
const link = (part, selector, next) => part.querySelector(selector).addEventListener('click', () => go(next(part)));
const typed = (part) => part.querySelector('[name=email]')?.value ?? '';

// ---- the steps ---------------------------------------------------------------------------------------------

const STEPS = {
  'sign-in': (part, { email = '' }) => {
    const form = part.querySelector('form');
    form.elements.email.value = email;
    onSubmit(form, async (data) => {
      const credentials = Object.fromEntries(data);
      try {
        await enter(await send('/auth/v1/token?grant_type=password', { method: 'POST', body: credentials }));
      } catch (failure) {
        if (failure.code !== 'email_not_confirmed') throw failure;
        go({ name: 'mail', kind: 'signup', email: credentials.email });
        complain(failure);
        return;
      }
      await onward(welcome());
    });
    link(part, '.by-code', (here) => ({ name: 'code', email: typed(here) }));
    link(part, '.forgot', (here) => ({ name: 'recover', email: typed(here) }));
    link(part, '.create', (here) => ({ name: 'create', email: typed(here) }));
  },

  create: (part, { email = '' }) => {
    const form = part.querySelector('form');
    form.elements.email.value = email;
    onSubmit(form, async (data) => {
      const given = await askForMail('signup', '/auth/v1/signup', Object.fromEntries(data));
      if (!given.access_token) {
        go({ name: 'mail', kind: 'signup', email: data.get('email') });
        return;
      }
      await enter(given);
      await onward(welcome());
    });
    link(part, '.back', (here) => ({ name: 'sign-in', email: typed(here) }));
  },

  code: (part, { email = '' }) => asksForMail(part, 'code', email),
  recover: (part, { email = '' }) => asksForMail(part, 'recovery', email),

  mail: (part, { kind, email }) => {
    part.querySelector('.address').textContent = email;
    part.querySelector('.if-known').hidden = kind !== 'recovery';
    part.querySelector('.sent').hidden = kind === 'recovery';
    const form = part.querySelector('form');
    onSubmit(form, async (data) => {
      const type = kind === 'recovery' ? 'recovery' : 'email';
      const body = { type, email, token: digits(data.get('code')) };
      try {
        await enter(await send('/auth/v1/verify', { method: 'POST', body }), kind === 'recovery' ? 'recovery' : null);
      } catch (failure) {
        form.elements.code.select();
        throw failure;
      }
      await onward(welcome());
    });
    onPress(part.querySelector('.again'), async () => {
      await ASKING[kind](email);
      say('Another mail is on its way. Use the newest one.');
      form.elements.code.focus();
    });
    link(part, '.back', () => ({ name: 'sign-in' }));
  },

  factor: (part) => {
    const now = session();
    const factors = factorsOf(now.user).filter((factor) => factor.factor_type === 'totp');
    const form = part.querySelector('form');
    const which = form.elements.factor;
    which.replaceChildren(...factors.map((factor) => new Option(factor.friendly_name || 'Authenticator app', factor.id)));
    part.querySelector('.which').hidden = factors.length < 2;
    onSubmit(form, async (data) => {
      await second(form, () => proveFactor(which.value, digits(data.get('code'))));
      await onward(welcome());
    });
    const spare = part.querySelector('.spare');
    onSubmit(spare, async (data) => {
      await second(spare, () => proveRecovery(data.get('code')));
      await onward(`${welcome()} That recovery code is used up.`);
    });
    const swap = part.querySelector('.swap');
    swap.addEventListener('click', () => {
      quiet();
      spare.hidden = !spare.hidden;
      form.hidden = !spare.hidden;
      swap.textContent = spare.hidden ? 'Use a recovery code' : 'Use the authenticator app';
      (spare.hidden ? form : spare).elements.code.focus();
    });
    leaves(part);
  },

  'new-password': (part) => {
    const now = session();
    const invited = now.intent === 'invite';
    part.querySelector('h1').textContent = invited ? 'Choose a password' : 'Choose a new password';
    part.querySelector('.later').textContent = invited ? 'Not now' : 'Keep the old one';
    const form = part.querySelector('form');
    form.elements.email.value = now.user.email;
    onSubmit(form, async (data) => {
      await call('/auth/v1/user', { method: 'PUT', body: { password: data.get('password') } }).catch((failure) => {
        if (failure.code === 'reauthentication_needed') {
          failure.code = 'too_late';
          failure.message = 'That took longer than the mail is good for. Sign out and ask for a new one.';
        }
        throw failure;
      });
      settle();
      await onward('Your new password is saved. Other devices were signed out.');
    });
    onPress(part.querySelector('.later'), async () => {
      settle();
      await onward(welcome());
    });
    leaves(part);
  },

  offer: (part) => {
    const { email } = offer.session.user;
    const now = session();
    part.querySelector('.address').textContent = email;
    part.querySelector('.other').hidden = now === null;
    part.querySelector('.present').textContent = now?.user.email ?? '';
    const accept = part.querySelector('.accept');
    onPress(accept, async () => {
      const { session: given, intent } = offer;
      offer = null;
      await enter(given, intent);
      await onward(welcome());
    });
    onPress(part.querySelector('.refuse'), async () => {
      const { access_token: token } = offer.session;
      offer = null;
      await discard(token);
      await onward('');
      say('Nothing was changed.');
    });
  },
};

// What asks for each kind of mail, at first and again.
const ASKING = {
  signup: (email) => askForMail('signup', '/auth/v1/resend', { type: 'signup', email }),
  code: (email) => askForMail('code', '/auth/v1/otp', { email }),
  recovery: (email) => askForMail('recovery', '/auth/v1/recover', { email }),
};

function asksForMail(part, kind, email) {
  const form = part.querySelector('form');
  form.elements.email.value = email;
  onSubmit(form, async (data) => {
    await ASKING[kind](data.get('email'));
    go({ name: 'mail', kind, email: data.get('email') });
  });
  link(part, '.back', (here) => ({ name: 'sign-in', email: typed(here) }));
}

function leaves(part) {
  onPress(part.querySelector('.leave'), async () => {
    await signOut();
    say('Signed out.');
    focusFirst();
  });
}

// ---- the second factor -------------------------------------------------------------------------------------

async function second(form, prove) {
  try {
    await prove();
  } catch (failure) {
    form.elements.code.select();
    throw failure;
  }
}

/** Shows the code of an authenticator app; the session is worth more then. */
export async function proveFactor(id, code) {
  const path = `/auth/v1/factors/${encodeURIComponent(id)}`;
  const challenge = await call(`${path}/challenge`, { method: 'POST', body: {} });
  const body = { challenge_id: challenge.id, code };
  keep(await call(`${path}/verify`, { method: 'POST', body }), session().intent);
}

async function proveRecovery(code) {
  const body = { code: code.trim() };
  const given = await call('/auth/v1/factors/recovery-codes/verify', { method: 'POST', body }).catch((failure) => {
    if (failure.code === 'mfa_verification_failed') {
      failure.code = 'wrong_recovery_code';
      failure.message = 'This recovery code is not right, or it was used before.';
    }
    throw failure;
  });
  keep(given, session().intent);
}

// ---- links -------------------------------------------------------------------------------------------------

/** Does what a link brought, before anything is shown. */
export async function followLink(found) {
  let result = {};
  let trouble = null;
  try {
    result = await follow(found);
  } catch (failure) {
    trouble = failure;
  }
  offer = result.offer ?? null;
  await onward(session() ? welcome() : '');
  if (result.done) say(result.done);
  if (trouble) complain(trouble);
}
