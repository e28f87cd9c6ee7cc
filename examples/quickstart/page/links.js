// Mails that lead back to this page: what this browser keeps while it waits, and what comes back in the address.

import { Failure, claims, discard, keep, renew, send, session } from './session.js';

const WAITING = 'aurora.mails'; // the secrets of the mails that this browser asked for
const KEPT = 5;
const LIFETIME = 24 * 60 * 60 * 1000;

/**
 * Asks for a mail whose link works in this browser alone (PKCE, RFC 7636): the server keeps a hash of a secret that
 * stays here. `kind` is what the mail is for: 'signup', 'code' or 'recovery'.
 */
export async function askForMail(kind, path, body) {
  const challenge = await prepare(kind);
  try {
    return await send(path + challenge.query, { method: 'POST', body: { ...body, ...challenge.body } });
  } catch (failure) {
    drop(challenge.id);
    throw failure;
  }
}

async function prepare(kind) {
  const back = `?redirect_to=${encodeURIComponent(`${location.origin}/`)}`;
  // Browsers hash on https and on this machine only. Elsewhere the link asks for a press instead.
  if (!crypto.subtle) return { id: null, query: back, body: {} };
  const [id, verifier] = [random(6), random(48)];
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier));
  const others = waiting().filter((mail) => Date.now() - mail.at < LIFETIME);
  store([{ id, verifier, kind, at: Date.now() }, ...others].slice(0, KEPT));
  return {
    id,
    query: `?redirect_to=${encodeURIComponent(`${location.origin}/?mail=${id}`)}`,
    body: { code_challenge: base64url(new Uint8Array(hash)), code_challenge_method: 's256' },
  };
}

/** Whoever is in waits for no mail any more. */
export function forgetMails() {
  localStorage.removeItem(WAITING);
}

function waiting() {
  try {
    return JSON.parse(localStorage.getItem(WAITING)) ?? [];
  } catch {
    return [];
  }
}

function store(mails) {
  if (mails.length === 0) localStorage.removeItem(WAITING);
  else localStorage.setItem(WAITING, JSON.stringify(mails));
}

function drop(id) {
  store(waiting().filter((mail) => mail.id !== id));
}

function random(bytes) {
  return base64url(crypto.getRandomValues(new Uint8Array(bytes)));
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** Takes what a link brought out of the address bar, before anything else happens. Null if it brought nothing. */
export function arrived() {
  const [query, fragment] = [new URLSearchParams(location.search), new URLSearchParams(location.hash.slice(1))];
  const ours = ['access_token', 'error', 'error_code', 'message'].some((name) => fragment.has(name));
  if (!ours && !query.has('code') && !query.has('error')) return null;
  // Neither the history nor a bookmark keeps a secret.
  history.replaceState(null, '', location.pathname);
  return { query, fragment };
}

/**
 * Does what a link is for. Answers with `{ done }`, a sentence, or with `{ offer }`, a session that its reader has
 * to accept first; throws a `Failure` in words.
 */
export async function follow({ query, fragment }) {
  const code = fragment.get('error_code') ?? query.get('error_code');
  const error = fragment.get('error') ?? query.get('error');
  if (code || error) throw broken(code);
  if (query.has('code')) return exchange(query.get('mail'), query.get('code'));
  if (fragment.has('access_token')) return take(Object.fromEntries(fragment));
  await renew();
  return { done: 'That was one of the two addresses. Now open the link in the mail to the other one.' };
}

// Whoever writes a link chooses the words in it: only its code is believed, and only what we know of it said.
function broken(code) {
  if (code === 'otp_expired') return new Failure(403, 'flow_state_not_found', '');
  return new Failure(403, code ?? 'link_failed', 'This link did not work. Ask for a new mail.');
}

async function exchange(id, code) {
  const mail = waiting().find((kept) => kept.id === id);
  if (!mail) {
    if (session()) return { done: 'You are signed in already.' };
    const words = 'This link belongs to the browser that asked for the mail. Open it there, or type the code of the mail there.';
    throw new Failure(400, 'link_elsewhere', words);
  }
  const body = { auth_code: code, code_verifier: mail.verifier };
  const fresh = await send('/auth/v1/token?grant_type=pkce', { method: 'POST', body });
  await enter(fresh, mail.kind === 'recovery' ? 'recovery' : null);
  return { done: null };
}

// A session that stands in the address itself. Somebody else may have written that address, to have this person work
// in an account that is not theirs: nobody changes hands without being asked.
async function take(found) {
  const user = await send('/auth/v1/user', {}, found.access_token).catch((failure) => {
    if (failure.status === 0) throw failure;
    throw broken('otp_expired');
  });
  const given = { ...found, user };
  const now = session();
  if (now?.user.id === user.id && !['recovery', 'invite'].includes(found.type)) {
    await discard(found.access_token);
    await renew();
    const changed = found.type === 'email_change';
    return { done: changed ? `Your e-mail address is now ${user.email}.` : 'You are signed in already.' };
  }
  return { offer: { session: given, intent: ['recovery', 'invite'].includes(found.type) ? found.type : null } };
}

/** Signs in with a session that the server gave; the one that was here before ends. */
export async function enter(fresh, intent = null) {
  const before = session();
  keep(fresh, intent);
  forgetMails();
  if (before && claims(before.access_token).session_id !== claims(fresh.access_token).session_id) {
    await discard(before.access_token);
  }
}
