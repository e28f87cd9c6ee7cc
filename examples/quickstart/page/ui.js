// What every part of the page uses: elements, words for the reader, forms.

export const $ = (id) => document.getElementById(id);
export const copyOf = (id) => $(id).content.firstElementChild.cloneNode(true);

/** Says that something went well. */
export function say(text) {
  $('alert').textContent = '';
  $('status').textContent = text;
}

/** Says what went wrong. */
export function complain(error) {
  $('status').textContent = '';
  $('alert').textContent = sentence(inWords(error));
}

export function quiet() {
  $('alert').textContent = '';
  $('status').textContent = '';
}

function sentence(text) {
  const words = String(text || 'Something went wrong.');
  return words[0].toUpperCase() + words.slice(1);
}

// What the server's codes mean to somebody who only wants to get in. What is not here, the server says well itself.
const WORDS = {
  otp_expired: 'This code is wrong, used already or too old. After five wrong ones ask for a new mail.',
  flow_state_not_found: 'This link does not work any more: it was used already, or it is too old. Ask for a new mail.',
  bad_code_verifier: 'This link belongs to another browser. Open it there, or type the code of the mail.',
  email_not_confirmed: 'Please confirm your e-mail address first.',
  reauthentication_needed: 'Please type your current password, or have a code sent to your mailbox.',
  reauthentication_not_valid: 'This code is wrong, used already or too old. Ask for another one.',
  insufficient_aal: 'This needs the code of your authenticator app. Please sign in again with it.',
  mfa_verification_failed: 'This code is not right. It changes every 30 seconds: type the one that is shown now.',
  mfa_verification_rejected: 'This code was not accepted. Please try again.',
  mfa_challenge_expired: 'That took too long. Please type the code that is shown now.',
  mfa_ip_address_mismatch: 'Your network changed meanwhile. Please try again.',
  mfa_factor_not_found: 'This authenticator app is no longer known here. Reload the page.',
  too_many_enrolled_mfa_factors: 'No more authenticator apps can be added.',
  mfa_totp_enroll_not_enabled: 'Authenticator apps are switched off here.',
  session_not_found: 'You have been signed out. Please sign in again.',
  refresh_token_not_found: 'You have been signed out. Please sign in again.',
  refresh_token_already_used: 'You have been signed out. Please sign in again.',
  session_expired: 'You have been signed out. Please sign in again.',
  user_banned: 'This account is blocked.',
  email_exists: 'Another account has this address already.',
  same_password: 'This is your present password. Choose another one.',
  over_capacity: 'The server is busy. Please try again in a moment.',
};

function inWords(error) {
  if (error.code === 'over_request_rate_limit') return `Too many tries. Please wait ${patience(error.wait)}.`;
  if (error.code === 'over_email_send_rate_limit') {
    return `Enough mails for now. The next one can be sent in ${patience(error.wait)}.`;
  }
  return Object.hasOwn(WORDS, error.code) ? WORDS[error.code] : error.message;
}

function patience(seconds) {
  if (!seconds) return 'a few minutes';
  if (seconds < 90) return `${seconds} second${seconds === 1 ? '' : 's'}`;
  return `${Math.ceil(seconds / 60)} minutes`;
}

/** Runs what a button or form does: one press at a time, and every failure is told. */
export async function attempt(control, work) {
  if (control?.getAttribute('aria-busy') === 'true') return;
  // What was said belongs to the press before.
  if (control) quiet();
  control?.setAttribute('aria-busy', 'true');
  try {
    await work();
  } catch (error) {
    complain(error);
  } finally {
    control?.removeAttribute('aria-busy');
  }
}

export function onSubmit(form, work) {
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    attempt(form, () => work(new FormData(form), form));
  });
}

export function onPress(button, work) {
  button.addEventListener('click', () => attempt(button, () => work(button)));
}

/** Asks before something that cannot be taken back. */
export function ask(question, yes = 'Delete', no = 'Keep') {
  const dialog = $('confirm');
  $('confirm-text').textContent = question;
  $('confirm-yes').textContent = yes;
  $('confirm-no').textContent = no;
  dialog.returnValue = 'no';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  });
}

/** Puts text on the clipboard; where that is not allowed, selects it in `element`. */
export async function copy(text, element, what) {
  try {
    await navigator.clipboard.writeText(text);
    say(`${what} copied.`);
  } catch {
    getSelection().selectAllChildren(element);
    say(`${what} selected: copy from there.`);
  }
}

export function day(when) {
  return when.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
}
