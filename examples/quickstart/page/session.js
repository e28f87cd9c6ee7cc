// The signed-in session: kept in localStorage, refreshed before it runs out, shared by all tabs.

const STORE = 'aurora.session';
const EARLY = 30; // seconds before expiry at which a token is refreshed

/** A failed call: what the server said, in words for a person. */
export class Failure extends Error {
  constructor(status, code, message, wait = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.wait = wait; // seconds until it may be tried again, where the server says so
  }
}

let ended = () => {};

/** Calls `listener` whenever the session ends or changes hands, in this tab or another. */
export function onSessionChange(listener) {
  ended = listener;
  addEventListener('storage', (event) => {
    if (event.key === STORE || event.key === null) listener();
  });
}

/** The stored session, or null. */
export function session() {
  try {
    return JSON.parse(localStorage.getItem(STORE));
  } catch {
    return null;
  }
}

/**
 * Keeps a session that the server has just given. `intent` is what its reader came for beside signing in, such as
 * 'recovery': it outlives a reload and is dropped with `settle`.
 */
export function keep({ user, access_token, refresh_token, expires_at, expires_in }, intent = null) {
  const ends = Number(expires_at ?? Math.floor(Date.now() / 1000) + Number(expires_in));
  localStorage.setItem(STORE, JSON.stringify({ user, access_token, refresh_token, expires_at: ends, intent }));
}

/** What the session was opened for is done. */
export function settle() {
  const now = session();
  if (now) localStorage.setItem(STORE, JSON.stringify({ ...now, intent: null }));
}

/** Reads the account again: another device may have changed it. */
export async function reload() {
  const user = await call('/auth/v1/user');
  const now = session();
  // Only if it is still the same person's turn.
  if (now?.user.id !== user.id) return user;
  const open = !wantsFactor(now);
  localStorage.setItem(STORE, JSON.stringify({ ...now, user }));
  // A second factor was turned on elsewhere: it is asked for here from now on.
  if (open && wantsFactor()) ended();
  return user;
}

/** What a token says about its session, unverified: enough to choose what to show, never to allow anything. */
export function claims(token) {
  try {
    const part = token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
    const bytes = Uint8Array.from(atob(part), (letter) => letter.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return {};
  }
}

/** The second factors that this user has turned on. */
export function factorsOf(user) {
  return (user?.factors ?? []).filter((factor) => factor.status === 'verified');
}

/** Whether the second factor is still to be shown. The server asks for it too; this chooses the form. */
export function wantsFactor(now = session()) {
  return now !== null && factorsOf(now.user).length > 0 && claims(now.access_token).aal !== 'aal2';
}

/** Ends the session on the server if that can be reached, and here in any case. */
export async function signOut() {
  try {
    await call('/auth/v1/logout?scope=local', { method: 'POST' });
  } finally {
    forget();
  }
}

/** Ends a session that nobody here uses any more. It ends by itself if this fails. */
export async function discard(token) {
  await send('/auth/v1/logout?scope=local', { method: 'POST' }, token).catch(() => {});
}

/** Ends the session in this browser alone. */
export function forget() {
  localStorage.removeItem(STORE);
  ended();
}

/** A call as the signed-in user; the token is refreshed when it has to be. */
export async function call(path, options = {}) {
  const now = session();
  if (!now) return send(path, options);
  const fresh = now.expires_at - EARLY > Date.now() / 1000 ? now : await refresh(now);
  try {
    return await send(path, options, fresh.access_token);
  } catch (failure) {
    if (failure.code === 'session_not_found') forget();
    if (failure.code === 'insufficient_aal' && path !== '/auth/v1/user') await reload().catch(() => {});
    if (failure.code !== 'bad_jwt') throw failure;
    const renewed = await refresh(fresh);
    return send(path, options, renewed.access_token);
  }
}

/** A new token at once: what the old one says about the account is out of date. */
export function renew() {
  const now = session();
  return now ? refresh(now) : Promise.resolve(null);
}

// One refresh at a time over all tabs: whoever waited finds the new session already stored.
async function refresh(stale) {
  const replace = async () => {
    const now = session();
    if (!now) throw new Failure(401, 'session_not_found', 'You are signed out.');
    if (now.access_token !== stale.access_token) return now;
    try {
      const body = { refresh_token: now.refresh_token };
      keep(await send('/auth/v1/token?grant_type=refresh_token', { method: 'POST', body }), now.intent);
      return session();
    } catch (failure) {
      // A busy server or a lost connection is no reason to sign anyone out.
      if (failure.status >= 400 && failure.status < 500 && failure.status !== 429) forget();
      throw failure;
    }
  };
  return navigator.locks ? navigator.locks.request(STORE, replace) : replace();
}

/** A call with that token, or as nobody. */
export async function send(path, { method = 'GET', body } = {}, token) {
  const headers = { Accept: 'application/json', 'X-Supabase-Api-Version': '2024-01-01' };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (token) headers.Authorization = `Bearer ${token}`;
  let response;
  try {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    response = await fetch(path, { method, headers, body: payload, credentials: 'omit' });
  } catch {
    throw new Failure(0, 'offline', 'The server cannot be reached. Please try again.');
  }
  const text = await response.text();
  let data = null;
  try {
    data = text === '' ? null : JSON.parse(text);
  } catch {
    if (response.ok) throw new Failure(response.status, 'unexpected_failure', 'The server gave an unreadable answer.');
  }
  if (!response.ok) {
    const message = data?.message ?? data?.msg ?? `The server answered ${response.status}.`;
    const wait = Number.parseInt(response.headers.get('retry-after') ?? '', 10);
    throw new Failure(response.status, data?.code ?? 'unexpected_failure', message, wait > 0 ? wait : null);
  }
  return data;
}
