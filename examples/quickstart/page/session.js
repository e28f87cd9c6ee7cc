// The signed-in session: kept in localStorage, refreshed before it runs out, shared by all tabs.

const STORE = 'aurora.session';
const EARLY = 30; // seconds before expiry at which a token is refreshed

/** A failed call: what the server said, in words for a person. */
export class Failure extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
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

export async function signUp(email, password) {
  const body = await send('/auth/v1/signup', { method: 'POST', body: { email, password } });
  if (!body.access_token) throw new Failure(200, 'email_not_confirmed', 'Please confirm your e-mail address first.');
  keep(body);
}

export async function signIn(email, password) {
  keep(await send('/auth/v1/token?grant_type=password', { method: 'POST', body: { email, password } }));
}

/** Ends the session on the server if that can be reached, and here in any case. */
export async function signOut() {
  try {
    await call('/auth/v1/logout?scope=local', { method: 'POST' });
  } finally {
    forget();
  }
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
    if (failure.code !== 'bad_jwt') throw failure;
    const renewed = await refresh(fresh);
    return send(path, options, renewed.access_token);
  }
}

function keep({ user, access_token, refresh_token, expires_at, expires_in }) {
  const ends = expires_at ?? Math.floor(Date.now() / 1000) + expires_in;
  localStorage.setItem(STORE, JSON.stringify({ user, access_token, refresh_token, expires_at: ends }));
}

// One refresh at a time over all tabs: whoever waited finds the new session already stored.
async function refresh(stale) {
  const renew = async () => {
    const now = session();
    if (!now) throw new Failure(401, 'session_not_found', 'You are signed out.');
    if (now.access_token !== stale.access_token) return now;
    try {
      const body = { refresh_token: now.refresh_token };
      keep(await send('/auth/v1/token?grant_type=refresh_token', { method: 'POST', body }));
      return session();
    } catch (failure) {
      // A busy server or a lost connection is no reason to sign anyone out.
      if (failure.status >= 400 && failure.status < 500) forget();
      throw failure;
    }
  };
  return navigator.locks ? navigator.locks.request(STORE, renew) : renew();
}

async function send(path, { method = 'GET', body } = {}, token) {
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
    throw new Failure(response.status, data?.code ?? 'unexpected_failure', message);
  }
  return data;
}
