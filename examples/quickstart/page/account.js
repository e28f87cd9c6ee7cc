// The account: address, password, second step, devices.

import { proveFactor } from './door.js';
import { call, discard, factorsOf, forget, reload, renew, session, wantsFactor } from './session.js';
import { $, ask, attempt, copy, copyOf, day, onPress, onSubmit, say } from './ui.js';

const digits = (text) => text.replace(/\D/g, '');
const APP = 'Authenticator app';

/** Shows the account as the server has it now. Forms that are open stay as they are. */
export async function paintAccount() {
  await Promise.all([reload(), paintSessions()]);
  paintFacts();
}

/** Nothing of one person stays for the next. */
export function clearAccount() {
  for (const id of ['address-waits', 'address-slot', 'password-slot', 'factor-slot', 'session-list']) {
    $(id).replaceChildren();
    delete $(id).dataset.open;
  }
  for (const id of ['my-email', 'factor-state', 'factor-hint']) $(id).textContent = '';
  $('end-others').hidden = true;
}

function paintFacts() {
  const now = session();
  if (!now) return;
  $('my-email').textContent = now.user.email;
  paintWaits(now.user);
  const on = factorsOf(now.user).length > 0;
  $('factor-state').textContent = on ? 'on' : 'off';
  $('factor-state').classList.toggle('off', !on);
  $('factor-hint').textContent = on
    ? 'When you sign in, the code of your authenticator app is asked for as well.'
    : 'Have the code of an authenticator app asked for as well when you sign in.';
  rest('address-slot', addressButtons);
  rest('password-slot', passwordButtons);
  rest('factor-slot', on ? offButtons : onButtons);
}

// ---- a place where a form opens ----------------------------------------------------------------------------

// What stands there while nothing is open.
function rest(id, buttons) {
  if ($(id).dataset.open) return;
  const row = document.createElement('div');
  row.className = 'row wrap';
  row.append(...buttons());
  $(id).replaceChildren(row);
}

function open(id, part) {
  $(id).dataset.open = 'yes';
  $(id).replaceChildren(part);
  part.querySelector('input:not([hidden]):not([readonly])')?.focus();
  const cancel = part.querySelector('.cancel');
  if (!cancel) return part;
  part.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') cancel.click();
  });
  return part;
}

function close(id) {
  delete $(id).dataset.open;
  paintFacts();
  $(id).querySelector('button')?.focus();
}

function button(text, work, look = '') {
  const made = document.createElement('button');
  made.type = 'button';
  made.className = look;
  made.textContent = text;
  onPress(made, work);
  return made;
}

// ---- who is it really: the current password, or a code by mail --------------------------------------------

function addProof(form) {
  const place = form.querySelector('.proof');
  const byPassword = copyOf('proof-by-password');
  onPress(byPassword.querySelector('.by-mail'), async () => {
    await call('/auth/v1/reauthenticate');
    place.replaceChildren(copyOf('proof-by-mail'));
    form.elements.nonce.focus();
    say(`A code is on its way to ${session().user.email}.`);
  });
  place.replaceChildren(byPassword);
}

function proof(data) {
  return data.has('nonce') ? { nonce: digits(data.get('nonce')) } : { current_password: data.get('current_password') };
}

function explainProof(failure) {
  if (failure.code === 'invalid_credentials') {
    failure.code = 'wrong_password';
    failure.message = 'The current password is not right.';
  }
  throw failure;
}

// ---- address -----------------------------------------------------------------------------------------------

function addressButtons() {
  return [
    button('Change address', () => {
      const form = open('address-slot', copyOf('change-address-template'));
      addProof(form);
      form.querySelector('.cancel').addEventListener('click', () => close('address-slot'));
      onSubmit(form, async (data) => {
        const email = data.get('email').trim();
        const path = `/auth/v1/user?redirect_to=${encodeURIComponent(`${location.origin}/`)}`;
        const user = await call(path, { method: 'PUT', body: { email, ...proof(data) } }).catch(explainProof);
        await renew();
        await reload();
        close('address-slot');
        if (user.new_email) say(`Mails are on their way. Until they are answered your address stays ${user.email}.`);
        else say(`Your address is now ${user.email}.`);
      });
    }),
  ];
}

function paintWaits(user) {
  const place = $('address-waits');
  if (!user.new_email) {
    place.replaceChildren();
    delete place.dataset.for;
    return;
  }
  if (place.dataset.for === user.new_email && place.firstElementChild) return;
  place.dataset.for = user.new_email;
  const part = copyOf('address-waits-template');
  part.querySelector('.new').textContent = user.new_email;
  for (const [name, email] of [['.old-code', user.email], ['.new-code', user.new_email]]) {
    const form = part.querySelector(name);
    form.querySelector('.address').textContent = email;
    onSubmit(form, async (data) => {
      const body = { type: 'email_change', email, token: digits(data.get('code')) };
      const given = await call('/auth/v1/verify', { method: 'POST', body });
      if (!given.access_token) {
        form.reset();
        form.hidden = true;
        say('That was one of the two addresses. Now the other one.');
        place.querySelector('form:not([hidden]) input')?.focus();
        return;
      }
      // The server opens a session for whoever proves an address; this browser has one already.
      await discard(given.access_token);
      await renew();
      await reload();
      paintFacts();
      say(`Your address is now ${session().user.email}.`);
      $('account-title').focus();
    });
  }
  onPress(part.querySelector('.again'), async () => {
    const path = `/auth/v1/resend?redirect_to=${encodeURIComponent(`${location.origin}/`)}`;
    await call(path, { method: 'POST', body: { type: 'email_change', email: user.email } });
    for (const form of part.querySelectorAll('form')) form.hidden = false;
    say('Both mails are on their way again. Use the newest ones.');
  });
  onPress(part.querySelector('.take-back'), async () => {
    await call('/auth/v1/user', { method: 'PUT', body: { email: user.email } });
    await reload();
    paintFacts();
    say(`Your address stays ${user.email}.`);
    $('account-title').focus();
  });
  place.replaceChildren(part);
}

// ---- password ----------------------------------------------------------------------------------------------

function passwordButtons() {
  return [
    button('Change password', () => {
      const form = open('password-slot', copyOf('change-password-template'));
      form.elements.email.value = session().user.email;
      addProof(form);
      form.elements.current_password.focus();
      form.querySelector('.cancel').addEventListener('click', () => close('password-slot'));
      onSubmit(form, async (data) => {
        const body = { password: data.get('password'), ...proof(data) };
        await call('/auth/v1/user', { method: 'PUT', body }).catch(explainProof);
        close('password-slot');
        await paintSessions();
        say('Your new password is saved. Other devices were signed out.');
      });
    }),
  ];
}

// ---- second step -------------------------------------------------------------------------------------------

function onButtons() {
  return [button('Turn on', turnOn)];
}

function offButtons() {
  return [
    button('Make new recovery codes', async () => {
      const question = 'Make new recovery codes? Those that you have stop working.';
      if (!(await ask(question, 'Make new ones', 'Keep the old ones'))) return;
      const renewed = () => showRecoveryCodes(renewCodes);
      await renewed().catch((failure) => {
        if (failure.code !== 'insufficient_aal' || wantsFactor()) throw failure;
        // The code was typed some time ago: once more.
        askForCode(renewed);
      });
    }),
    button('Turn off', async () => {
      const question = 'Turn the second step off? Your password alone will sign you in.';
      if (!(await ask(question, 'Turn off', 'Leave it on'))) return;
      for (const factor of factorsOf(await reload())) await removeFactor(factor.id);
      await renew();
      await reload();
      paintFacts();
      say('The second step is off.');
      $('factor-slot').querySelector('button')?.focus();
    }),
  ];
}

function askForCode(then) {
  const form = open('factor-slot', copyOf('app-code-template'));
  form.querySelector('.cancel').addEventListener('click', () => close('factor-slot'));
  onSubmit(form, async (data) => {
    try {
      await proveFactor(factorsOf(session().user)[0].id, digits(data.get('code')));
    } catch (failure) {
      form.elements.code.select();
      throw failure;
    }
    await then();
  });
}

const removeFactor = (id) => call(`/auth/v1/factors/${encodeURIComponent(id)}`, { method: 'DELETE' });

async function turnOn() {
  try {
    await enrol({});
  } catch (failure) {
    if (failure.code !== 'reauthentication_needed') throw failure;
    // The sign-in is some time ago: a stolen session must not lock its owner out.
    const form = open('factor-slot', copyOf('prove-template'));
    addProof(form);
    form.elements.current_password.focus();
    form.querySelector('.cancel').addEventListener('click', () => close('factor-slot'));
    onSubmit(form, (data) => enrol(proof(data)).catch(explainProof));
  }
}

async function enrol(evidence) {
  const body = { factor_type: 'totp', friendly_name: APP, issuer: 'Aurora Notes', ...evidence };
  const made = await call('/auth/v1/factors', { method: 'POST', body });
  const form = copyOf('totp-template');
  // An image runs nothing and loads nothing, whatever stands in it.
  form.querySelector('.qr').src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(made.totp.qr_code)}`;
  const secret = form.querySelector('.secret');
  secret.textContent = made.totp.secret.match(/.{1,4}/g).join(' ');
  if (made.totp.uri.startsWith('otpauth://')) form.querySelector('.uri').href = made.totp.uri;
  onPress(form.querySelector('.copy-secret'), () => copy(made.totp.secret, secret, 'Key'));
  onPress(form.querySelector('.cancel'), async () => {
    await removeFactor(made.id);
    close('factor-slot');
  });
  onSubmit(form, async (data) => {
    try {
      await proveFactor(made.id, digits(data.get('code')));
    } catch (failure) {
      form.elements.code.select();
      throw failure;
    }
    await reload();
    paintFacts();
    await showRecoveryCodes(makeCodes).catch((failure) => {
      close('factor-slot');
      throw failure;
    });
    await paintSessions();
    say('The second step is on. Keep your recovery codes.');
  });
  open('factor-slot', form);
}

const makeCodes = () => call('/auth/v1/factors/recovery-codes', { method: 'POST', body: {} });

/** Instead of those that are left; if all are used up, there are none to renew. */
const renewCodes = () =>
  call('/auth/v1/factors/recovery-codes/regenerate', { method: 'POST', body: {} }).catch((failure) => {
    if (failure.code !== 'mfa_factor_not_found') throw failure;
    return makeCodes();
  });

async function showRecoveryCodes(give) {
  const codes = (await give()).codes.map((code) => code.match(/.{1,4}/g).join('-'));
  const part = copyOf('recovery-template');
  const list = part.querySelector('.codes');
  list.replaceChildren(
    ...codes.map((text) => {
      const [item, code] = [document.createElement('li'), document.createElement('code')];
      code.textContent = text;
      item.append(code);
      return item;
    }),
  );
  const text = codes.join('\n');
  onPress(part.querySelector('.copy-codes'), () => copy(text, list, 'Recovery codes'));
  onPress(part.querySelector('.download'), () => {
    const file = `Aurora Notes, recovery codes of ${session().user.email}\n\n${text}\n`;
    const where = URL.createObjectURL(new Blob([file], { type: 'text/plain' }));
    const link = document.createElement('a');
    link.href = where;
    link.download = 'aurora-notes-recovery-codes.txt';
    link.click();
    URL.revokeObjectURL(where);
    say('Recovery codes downloaded.');
  });
  onPress(part.querySelector('.done'), () => {
    close('factor-slot');
    say('The second step is on.');
  });
  open('factor-slot', part);
  part.querySelector('h3').focus();
}

// ---- devices -----------------------------------------------------------------------------------------------

onPress($('end-others'), async () => {
  await call('/auth/v1/logout?scope=others', { method: 'POST' });
  await paintSessions();
  say('All other devices were signed out.');
});

async function paintSessions() {
  const { sessions } = await call('/auth/v1/sessions');
  $('session-list').replaceChildren(...sessions.map(sessionItem));
  $('end-others').hidden = sessions.length < 2;
}

function sessionItem(entry) {
  const item = copyOf('session-template');
  const name = device(entry.device);
  item.querySelector('strong').textContent = name;
  item.querySelector('.badge').hidden = !entry.current;
  const used = day(new Date(entry.last_used_at ?? entry.created_at));
  item.querySelector('.hint').textContent = [entry.address, `last used ${used}`].filter(Boolean).join(' · ');
  const end = item.querySelector('button');
  end.setAttribute('aria-label', entry.current ? 'End this session' : `End the session of ${name}, last used ${used}`);
  onPress(end, async () => {
    await call(`/auth/v1/sessions/${entry.id}`, { method: 'DELETE' });
    if (entry.current) {
      forget();
      say('Signed out.');
      return;
    }
    await paintSessions();
    say('Session ended.');
    $('sessions-title').scrollIntoView({ block: 'nearest' });
  });
  return item;
}

// A browser's name out of its user agent, as far as a person needs it to know their own devices.
function device(agent) {
  if (!agent) return 'Unknown device';
  const browser = [
    ['Edg/', 'Edge'],
    ['OPR/', 'Opera'],
    ['Firefox/', 'Firefox'],
    ['Chrome/', 'Chrome'],
    ['Safari/', 'Safari'],
    ['curl/', 'curl'],
  ].find(([mark]) => agent.includes(mark))?.[1];
  const system = [
    ['Android', 'Android'],
    ['iPhone', 'iPhone'],
    ['iPad', 'iPad'],
    ['Windows', 'Windows'],
    ['Mac OS', 'macOS'],
    ['Linux', 'Linux'],
  ].find(([mark]) => agent.includes(mark))?.[1];
  if (browser && system) return `${browser} on ${system}`;
  return browser ?? agent.split(' ')[0].slice(0, 40);
}
