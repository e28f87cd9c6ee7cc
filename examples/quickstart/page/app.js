// The page: everything shown is text, never markup, and every list is what the server lets this person see.

import { call, forget, onSessionChange, session, signIn, signOut, signUp } from './session.js';

const $ = (id) => document.getElementById(id);
const copyOf = (id) => $(id).content.firstElementChild.cloneNode(true);

let creating = false; // the door shows "create an account" instead of "sign in"
let teams = [];
let shownUser = null;

// ---- words for the reader ----------------------------------------------------------------------------------

function say(text) {
  $('alert').textContent = '';
  $('status').textContent = text;
}

function complain(error) {
  $('status').textContent = '';
  $('alert').textContent = sentence(error.message);
}

function sentence(text) {
  const words = String(text || 'Something went wrong.');
  return words[0].toUpperCase() + words.slice(1);
}

function quiet() {
  $('alert').textContent = '';
  $('status').textContent = '';
}

// Runs what a button or form does: one press at a time, and every failure is told.
async function attempt(control, work) {
  if (control?.getAttribute('aria-busy') === 'true') return;
  control?.setAttribute('aria-busy', 'true');
  try {
    await work();
  } catch (error) {
    complain(error);
  } finally {
    control?.removeAttribute('aria-busy');
  }
}

function onSubmit(form, work) {
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    attempt(form, () => work(new FormData(form), form));
  });
}

function ask(question, yes = 'Delete') {
  const dialog = $('confirm');
  $('confirm-text').textContent = question;
  $('confirm-yes').textContent = yes;
  dialog.returnValue = 'no';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  });
}

// ---- the door ----------------------------------------------------------------------------------------------

function paintDoor() {
  document.title = creating ? 'Create an account · Aurora Notes' : 'Sign in · Aurora Notes';
  $('door-title').textContent = creating ? 'Create an account' : 'Sign in';
  $('door-submit').textContent = creating ? 'Create account' : 'Sign in';
  $('door-question').textContent = creating ? 'Already have one?' : 'New here?';
  $('door-switch').textContent = creating ? 'Sign in' : 'Create an account';
  $('password').autocomplete = creating ? 'new-password' : 'current-password';
}

$('door-switch').addEventListener('click', () => {
  creating = !creating;
  quiet();
  paintDoor();
  $('email').focus();
});

onSubmit($('door-form'), async (data, form) => {
  const { email, password } = Object.fromEntries(data);
  await (creating ? signUp(email, password) : signIn(email, password));
  form.reset();
  creating = false;
  await show();
  say(`Signed in as ${session().user.email}.`);
  $('note-title').focus();
});

$('sign-out').addEventListener('click', (event) =>
  attempt(event.currentTarget, async () => {
    await signOut();
    say('Signed out.');
    $('email').focus();
  }),
);

// ---- notes -------------------------------------------------------------------------------------------------

function audience(note) {
  if (note.public) return 'Everyone';
  if (note.team_id === null) return 'Only me';
  return teams.find((team) => team.id === note.team_id)?.name ?? 'Team';
}

function noteItem(note) {
  const item = copyOf('note-template');
  const me = session()?.user.id;
  const mine = note.owner === me;
  const admin = teams.some((team) => team.id === note.team_id && team.role === 'admin');
  item.querySelector('h3').textContent = note.title;
  item.querySelector('.text').textContent = note.body;
  item.querySelector('.badge').textContent = audience(note);
  item.querySelector('.author').textContent = mine ? '' : `by ${note.owner.slice(0, 8)}`;
  const time = item.querySelector('time');
  const when = new Date(note.updated_at);
  time.dateTime = when.toISOString();
  time.textContent = day(when);
  const edit = item.querySelector('.edit');
  const remove = item.querySelector('.delete');
  edit.setAttribute('aria-label', `Edit ${note.title}`);
  remove.setAttribute('aria-label', `Delete ${note.title}`);
  if (mine) edit.addEventListener('click', () => editNote(item, note));
  else edit.remove();
  if (mine || admin) remove.addEventListener('click', () => deleteNote(remove, note));
  else remove.remove();
  if (!mine && !admin) item.querySelector('.actions').remove();
  return item;
}

function editNote(item, note) {
  const form = copyOf('edit-template');
  form.elements.title.value = note.title;
  form.elements.body.value = note.body;
  form.elements.public.checked = note.public;
  const close = (shown) => {
    const fresh = noteItem(shown);
    item.replaceWith(fresh);
    fresh.querySelector('.edit').focus();
  };
  form.querySelector('.cancel').addEventListener('click', () => close(note));
  form.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') close(note);
  });
  onSubmit(form, async (data) => {
    const body = { title: data.get('title'), body: data.get('body'), public: data.has('public') };
    const saved = await call(`/notes/${note.id}`, { method: 'PATCH', body });
    close(saved);
    say('Note saved.');
  });
  item.replaceChildren(form);
  form.elements.title.focus();
}

async function deleteNote(button, note) {
  if (!(await ask(`Delete “${note.title}”? It cannot be brought back.`))) return;
  await attempt(button, async () => {
    await call(`/notes/${note.id}`, { method: 'DELETE' });
    await paintNotes();
    say('Note deleted.');
    $('note-title').focus();
  });
}

async function paintNotes() {
  const notes = await call('/notes');
  $('note-list').replaceChildren(...notes.map(noteItem));
  $('note-empty').hidden = notes.length > 0;
}

async function paintPublicNotes() {
  const notes = await call('/public/notes');
  $('open-list').replaceChildren(...notes.map(noteItem));
  $('open-empty').hidden = notes.length > 0;
}

onSubmit($('note-form'), async (data, form) => {
  const who = data.get('for');
  const body = { title: data.get('title'), body: data.get('body'), public: who === 'everyone' };
  if (who.startsWith('team:')) body.team_id = Number(who.slice('team:'.length));
  await call('/notes', { method: 'POST', body });
  form.reset();
  await paintNotes();
  say('Note saved.');
  $('note-title').focus();
});

// ---- teams -------------------------------------------------------------------------------------------------

async function paintTeams() {
  teams = await call('/teams');
  $('team-list').replaceChildren(...teams.map(teamItem));
  $('team-empty').hidden = teams.length > 0;
  const choice = $('note-for');
  const chosen = choice.value;
  choice.replaceChildren(
    new Option('Only me', 'me'),
    ...teams.map((team) => new Option(`Team ${team.name}`, `team:${team.id}`)),
    new Option('Everyone', 'everyone'),
  );
  if ([...choice.options].some((option) => option.value === chosen)) choice.value = chosen;
}

function teamItem(team) {
  const item = copyOf('team-template');
  const owned = team.owner === session()?.user.id;
  item.querySelector('strong').textContent = team.name;
  item.querySelector('.badge').textContent = owned ? 'owner' : team.role;
  const details = item.querySelector('details');
  if (!owned) {
    details.remove();
    return item;
  }
  details.hidden = false;
  item.querySelector('summary').textContent = `Members of ${team.name}`;
  const people = item.querySelector('.people');
  details.addEventListener('toggle', () => {
    if (details.open) attempt(null, () => paintMembers(people, team));
  });
  onSubmit(item.querySelector('form'), async (data, form) => {
    const body = { user_id: data.get('user_id').trim(), role: data.has('admin') ? 'admin' : 'member' };
    await call(`/teams/${team.id}/members`, { method: 'POST', body }).catch((failure) => {
      // 23503 and 23505: no such user, and already a member.
      if (failure.code === '23503') failure.message = 'No user has this id.';
      if (failure.code === '23505') failure.message = 'This user is a member already.';
      throw failure;
    });
    form.reset();
    await paintMembers(people, team);
    say('Member added.');
  });
  return item;
}

async function paintMembers(list, team) {
  const members = await call(`/teams/${team.id}/members`);
  const me = session()?.user.id;
  list.replaceChildren(
    ...members.map((member) => {
      const item = document.createElement('li');
      const name = document.createElement('code');
      name.textContent = member.user_id === me ? 'you' : member.user_id;
      item.append(name, member.role === 'admin' ? ' admin' : '');
      return item;
    }),
  );
}

onSubmit($('team-form'), async (data, form) => {
  const team = await call('/teams', { method: 'POST', body: { name: data.get('name') } });
  form.reset();
  await paintTeams();
  say(`Team ${team.name} made.`);
});

// ---- account -----------------------------------------------------------------------------------------------

$('copy-id').addEventListener('click', (event) =>
  attempt(event.currentTarget, async () => {
    try {
      await navigator.clipboard.writeText($('my-id').textContent);
      say('User id copied.');
    } catch {
      getSelection().selectAllChildren($('my-id'));
      say('Your user id is selected: copy it from there.');
    }
  }),
);

async function paintSessions() {
  const { sessions } = await call('/auth/v1/sessions');
  $('session-list').replaceChildren(...sessions.map(sessionItem));
}

function sessionItem(entry) {
  const item = copyOf('session-template');
  const name = device(entry.device);
  item.querySelector('strong').textContent = name;
  item.querySelector('.badge').hidden = !entry.current;
  const used = day(new Date(entry.last_used_at ?? entry.created_at));
  item.querySelector('.hint').textContent = [entry.address, `last used ${used}`].filter(Boolean).join(' · ');
  const button = item.querySelector('button');
  button.setAttribute('aria-label', entry.current ? 'End this session' : `End the session of ${name}, last used ${used}`);
  button.addEventListener('click', () =>
    attempt(button, async () => {
      await call(`/auth/v1/sessions/${entry.id}`, { method: 'DELETE' });
      if (entry.current) {
        forget();
        say('Signed out.');
        return;
      }
      await paintSessions();
      say('Session ended.');
      $('sessions-title').scrollIntoView({ block: 'nearest' });
    }),
  );
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

function day(when) {
  return when.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
}

// ---- what is shown -----------------------------------------------------------------------------------------

async function show() {
  const now = session();
  const changed = (now?.user.id ?? null) !== shownUser;
  shownUser = now?.user.id ?? null;
  $('door').hidden = now !== null;
  $('board').hidden = now === null;
  $('who').hidden = now === null;
  if (changed) {
    // Nothing of one person stays on the screen for the next.
    for (const list of ['note-list', 'team-list', 'session-list']) $(list).replaceChildren();
    $('note-form').reset();
    teams = [];
  }
  if (now === null) {
    $('who-email').textContent = '';
    $('my-id').textContent = '';
    paintDoor();
    await paintPublicNotes();
    return;
  }
  document.title = 'Aurora Notes';
  $('who-email').textContent = now.user.email;
  $('my-id').textContent = now.user.id;
  await paintTeams();
  await Promise.all([paintNotes(), paintSessions()]);
}

onSessionChange(() => attempt(null, show));
attempt(null, show);
