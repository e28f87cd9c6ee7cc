// The API of the quickstart and of actix-notes: who sees which row, and what the answers look like.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { http, person, url } from './support.mjs';

let ada, bob, cleo;
const as = (who, method, path, body) => http(method, path, { token: who?.session.access_token, body });
const titles = async (who) => (await as(who, 'GET', '/notes')).json.map((note) => note.title);

before(async () => {
  [ada, bob, cleo] = [await person('ada'), await person('bob'), await person('cleo')];
});

test('a note is created with 201 and the whole row, read, changed and deleted by its owner', async () => {
  const made = await as(ada, 'POST', '/notes', { title: 'Diary', body: 'Dear diary' });
  assert.equal(made.status, 201);
  const { id, created_at, updated_at, ...rest } = made.json;
  assert.equal(typeof id, 'number');
  assert.ok(created_at && updated_at);
  assert.deepEqual(rest, { owner: ada.id, team_id: null, title: 'Diary', body: 'Dear diary', public: false });
  assert.deepEqual((await as(ada, 'GET', `/notes/${id}`)).json, made.json);
  const changed = await as(ada, 'PATCH', `/notes/${id}`, { title: 'Journal' });
  assert.equal(changed.status, 200);
  assert.equal(changed.json.title, 'Journal');
  assert.equal(changed.json.body, 'Dear diary');
  assert.equal((await as(ada, 'DELETE', `/notes/${id}`)).status, 204);
  assert.equal((await as(ada, 'GET', `/notes/${id}`)).status, 404);
});

// attack A02, asvs(V8.2.2)
test('another user sees none of it, and a row that is not theirs is not there', async () => {
  const { json: note } = await as(ada, 'POST', '/notes', { title: 'Secret of Ada' });
  assert.deepEqual(await titles(bob), []);
  const absent = await as(bob, 'GET', '/notes/987654321');
  for (const [method, body] of [['GET'], ['PATCH', { title: 'Mine now' }], ['DELETE']]) {
    const answer = await as(bob, method, `/notes/${note.id}`, body);
    assert.equal(answer.status, 404, method);
    assert.equal(answer.text.replace(/"request_id":"[^"]*"/, ''), absent.text.replace(/"request_id":"[^"]*"/, ''));
  }
  assert.equal((await as(ada, 'GET', `/notes/${note.id}`)).json.title, 'Secret of Ada');
});

test('nobody signed in gets nothing but the public notes', async () => {
  for (const [method, path, body] of [
    ['GET', '/notes'],
    ['POST', '/notes', { title: 'Anonymous' }],
    ['GET', '/notes/1'],
    ['DELETE', '/notes/1'],
    ['GET', '/teams'],
    ['POST', '/teams', { name: 'Nobodies' }],
  ]) {
    assert.equal((await as(null, method, path, body)).status, 401, `${method} ${path}`);
  }
  await as(ada, 'POST', '/notes', { title: 'For my eyes' });
  const { json: open } = await as(ada, 'POST', '/notes', { title: 'For all eyes', public: true });
  const shown = (await as(null, 'GET', '/public/notes')).json.map((note) => note.title);
  assert.ok(shown.includes('For all eyes'));
  assert.ok(!shown.includes('For my eyes'));
  assert.ok((await titles(bob)).includes('For all eyes'));
  assert.equal((await as(bob, 'PATCH', `/notes/${open.id}`, { title: 'Taken' })).status, 404);
  assert.equal((await as(bob, 'DELETE', `/notes/${open.id}`)).status, 404);
  const hidden = await as(ada, 'PATCH', `/notes/${open.id}`, { public: false });
  assert.equal(hidden.json.public, false);
  assert.ok(!(await titles(bob)).includes('For all eyes'));
});

test('team notes are read by members, written into by members, deleted by admins', async () => {
  const team = await as(ada, 'POST', '/teams', { name: 'Engines' });
  assert.equal(team.status, 201);
  assert.equal(team.json.owner, ada.id);
  assert.equal(team.json.role, 'admin');
  const path = `/teams/${team.json.id}/members`;
  assert.equal((await as(bob, 'POST', path, { user_id: bob.id })).status, 404, 'nobody lets themselves in');
  assert.equal((await as(bob, 'GET', path)).status, 404);
  assert.equal((await as(bob, 'POST', '/notes', { title: 'Graffiti', team_id: team.json.id })).status, 404);
  const { json: plan } = await as(ada, 'POST', '/notes', { title: 'The plan', team_id: team.json.id });
  assert.ok(!(await titles(bob)).includes('The plan'));

  const added = await as(ada, 'POST', path, { user_id: bob.id });
  assert.equal(added.status, 201);
  assert.equal(added.json.role, 'member');
  assert.equal((await as(ada, 'POST', path, { user_id: bob.id })).status, 409, 'once is enough');
  assert.equal((await as(ada, 'POST', path, { user_id: '00000000-0000-4000-8000-000000000000' })).status, 409);
  assert.ok((await titles(bob)).includes('The plan'));
  assert.ok(!(await titles(cleo)).includes('The plan'));
  assert.equal((await as(bob, 'POST', path, { user_id: cleo.id })).status, 404, 'members do not add members');
  assert.deepEqual((await as(bob, 'GET', '/teams')).json.map((mine) => [mine.name, mine.role]), [['Engines', 'member']]);
  assert.deepEqual((await as(cleo, 'GET', '/teams')).json, []);

  const { json: idea } = await as(bob, 'POST', '/notes', { title: 'An idea', team_id: team.json.id });
  assert.equal((await as(ada, 'PATCH', `/notes/${idea.id}`, { title: 'My idea' })).status, 404, 'only its author edits');
  assert.equal((await as(bob, 'DELETE', `/notes/${plan.id}`)).status, 404, 'a member is no admin');
  assert.equal((await as(ada, 'DELETE', `/notes/${idea.id}`)).status, 204, 'an admin may delete');
  assert.equal((await as(ada, 'POST', path, { user_id: cleo.id, role: 'admin' })).status, 201);
  assert.equal((await as(cleo, 'DELETE', `/notes/${plan.id}`)).status, 204);
  assert.equal((await as(ada, 'GET', path)).json.length, 3);
  assert.equal((await as(cleo, 'GET', path)).json.length, 1);
});

test('what does not fit is refused, and the answer names the field', async () => {
  for (const [body, field] of [
    [{ title: '' }, 'title'],
    [{ title: 'x'.repeat(201) }, 'title'],
    [{ title: 'long', body: 'x'.repeat(20_001) }, 'body'],
    [{ body: 'no title' }, 'title'],
    [{ title: 'typo', publick: true }, 'publick'],
  ]) {
    const answer = await as(ada, 'POST', '/notes', body);
    assert.ok(answer.status === 400 || answer.status === 422, `${field}: ${answer.status}`);
    assert.match(answer.text, new RegExp(field));
  }
  assert.equal((await as(ada, 'POST', '/notes', { title: 'x'.repeat(200), body: 'ü'.repeat(20_000) })).status, 201);
  assert.equal((await as(ada, 'GET', '/notes/abc')).status, 404);
  assert.equal((await as(ada, 'GET', `/notes/1%20OR%201=1`)).status, 404);
});

// attack Q01, asvs(V1.2.4)
test('a title is text, whatever it says', async () => {
  const title = `'); DROP TABLE notes; -- " \u0000 <script>`.replace('\u0000', '');
  const { json } = await as(ada, 'POST', '/notes', { title });
  assert.equal((await as(ada, 'GET', `/notes/${json.id}`)).json.title, title);
});

test('the three printed curl lines work as they are', { skip: !process.env.QUICKSTART_OUTPUT && 'no output of the server at hand' }, () => {
  const output = readFileSync(process.env.QUICKSTART_OUTPUT, 'utf8');
  assert.match(output, new RegExp(`^Aurora notes(, an API without a page)?: ${url}$`, 'm'));
  const lines = output.split('\n').filter((line) => /curl -s/.test(line));
  assert.equal(lines.length, 3);
  const shown = execFileSync('sh', ['-euc', lines.join('\necho\n')], { encoding: 'utf8' }).trim().split('\n').filter(Boolean);
  const [made, list] = shown.map((line) => JSON.parse(line));
  assert.equal(made.title, 'First light');
  assert.deepEqual(list.filter((note) => note.owner === made.owner), [made]);
});
