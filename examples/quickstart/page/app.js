// The page: everything shown is text, never markup, and every list is what the server lets this person see.

import { clearAccount, paintAccount } from './account.js';
import { closeDoor, followLink, focusFirst, isInside, openDoor, paintDoor } from './door.js';
import { arrived } from './links.js';
import { call, onSessionChange, reload, session, signOut } from './session.js';
import { $, ask, attempt, copy, copyOf, day, onPress, onSubmit, quiet, say } from './ui.js';

let teams = [];
let shownUser = null;

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

// ---- who is it -----------------------------------------------------------------------------------------------

onPress($('copy-id'), () => copy($('my-id').textContent, $('my-id'), 'User id'));

onPress($('sign-out'), async () => {
  await signOut();
  say('Signed out.');
  focusFirst();
});

// ---- what is shown -----------------------------------------------------------------------------------------

async function show() {
  const now = session();
  const changed = (now?.user.id ?? null) !== shownUser;
  shownUser = now?.user.id ?? null;
  if (changed) {
    // Nothing of one person stays on the screen for the next.
    for (const list of ['note-list', 'team-list', 'note-for']) $(list).replaceChildren();
    for (const name of ['who-email', 'my-id']) $(name).textContent = '';
    $('note-form').reset();
    clearAccount();
    teams = [];
  }
  const inside = isInside();
  $('door').hidden = inside;
  $('views').hidden = !inside;
  $('who').hidden = !inside;
  if (!inside) {
    $('board').hidden = true;
    $('account').hidden = true;
    if (location.hash === '#account') history.replaceState(null, '', location.pathname);
    paintDoor();
    if (now === null) await paintPublicNotes();
    return;
  }
  closeDoor();
  $('who-email').textContent = now.user.email;
  $('my-id').textContent = now.user.id;
  await showView();
}

const atAccount = () => location.hash === '#account';

async function showView() {
  const account = atAccount();
  $('board').hidden = account;
  $('account').hidden = !account;
  for (const [id, here] of [['to-notes', !account], ['to-account', account]]) {
    if (here) $(id).setAttribute('aria-current', 'page');
    else $(id).removeAttribute('aria-current');
  }
  document.title = account ? 'Account · Aurora Notes' : 'Aurora Notes';
  if (account) {
    await paintAccount();
  } else {
    await paintTeams();
    await paintNotes();
  }
}

addEventListener('hashchange', () => {
  const found = arrived();
  if (found) {
    followLink(found);
    return;
  }
  if (!isInside() || !['', '#notes', '#account'].includes(location.hash)) return;
  quiet();
  attempt(null, async () => {
    await showView();
    $(atAccount() ? 'account-title' : 'notes-title').focus();
  });
});

// First of all: what a link brought leaves the address bar.
const found = arrived();
openDoor(show);
onSessionChange(() => attempt(null, show));
if (found) followLink(found);
else attempt(null, show);
if (session()) reload().catch(() => {});
