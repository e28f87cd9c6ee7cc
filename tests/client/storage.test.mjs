// The official client's files: every method of storage-js that has an endpoint here.

import test from 'node:test';
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { createClient } from '@supabase/supabase-js';
import ws from 'ws';
import { client, http, person, url } from './support.mjs';

const serviceKey = process.env.SERVICE_KEY;
assert.ok(serviceKey, 'SERVICE_KEY must be the one that the quickstart was started with; tests/client/run sets it');
const auth = { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false };
const service = createClient(url, serviceKey, { auth, realtime: { transport: ws } }).storage;

const bytes = (length) => Uint8Array.from({ length }, (_, at) => (at * 31) % 251);
const read = async (blob) => new Uint8Array(await blob.arrayBuffer());
const told = ({ error }) => [error?.statusCode, error?.message];
const fine = ({ data, error }) => {
  assert.equal(error, null);
  return data;
};

const ann = await person('ann.files');
const bob = await person('bob.files');
const mine = ann.supabase.storage.from('attachments');
const theirs = bob.supabase.storage.from('attachments');

test('buckets: create, get, list, update, empty, delete', async () => {
  const made = fine(await service.createBucket('papers', { public: false, fileSizeLimit: '1MB', allowedMimeTypes: ['text/*'] }));
  assert.deepEqual(made, { name: 'papers' });
  assert.deepEqual(told(await service.createBucket('papers')), ['409', 'The resource already exists']);
  const bucket = fine(await service.getBucket('papers'));
  assert.deepEqual([bucket.id, bucket.public, bucket.file_size_limit, bucket.allowed_mime_types], ['papers', false, 1000000, ['text/*']]);
  assert.deepEqual(told(await service.getBucket('none')), ['404', 'Bucket not found']);
  fine(await service.createBucket('albums', { public: true }));
  assert.deepEqual(fine(await service.listBuckets()).map((one) => one.id), ['albums', 'attachments', 'papers']);
  assert.deepEqual(fine(await service.listBuckets({ limit: 1, offset: 1, sortColumn: 'name', sortOrder: 'desc' })).map((one) => one.id), ['attachments']);
  assert.deepEqual(fine(await ann.supabase.storage.listBuckets()).map((one) => one.id), ['attachments'], 'by policy');
  assert.equal((await ann.supabase.storage.createBucket('hers')).error.statusCode, '403');
  assert.deepEqual(fine(await service.updateBucket('papers', { public: true, fileSizeLimit: null, allowedMimeTypes: null })), { message: 'Successfully updated' });
  assert.equal(fine(await service.getBucket('papers')).public, true);
  fine(await service.from('papers').upload('a/b.txt', 'text', { contentType: 'text/plain' }));
  assert.equal((await service.deleteBucket('papers')).error.statusCode, '409');
  fine(await service.emptyBucket('papers'));
  assert.deepEqual(fine(await service.from('papers').list()), []);
  assert.deepEqual(fine(await service.deleteBucket('papers')), { message: 'Successfully deleted' });
  fine(await service.deleteBucket('albums'));
});

test('upload: each kind of body, the same bytes back, for nobody else', async () => {
  const content = bytes(100_000);
  const bodies = {
    array: content,
    buffer: Buffer.from(content),
    blob: new Blob([content], { type: 'image/x-odd' }),
    form: (() => { const form = new FormData(); form.append('file', new Blob([content])); return form; })(),
    stream: Readable.toWeb(Readable.from([Buffer.from(content)])),
    node: Readable.from([Buffer.from(content)]),
  };
  for (const [name, body] of Object.entries(bodies)) {
    const path = `${ann.id}/${name}.bin`;
    const data = fine(await mine.upload(path, body, { contentType: 'application/x-odd' }));
    assert.deepEqual([data.path, data.fullPath], [path, `attachments/${path}`]);
    assert.deepEqual(await read(fine(await mine.download(path))), content, name);
    assert.deepEqual(told(await theirs.download(path)), ['404', 'Object not found']);
  }
  assert.deepEqual(told(await mine.upload(`${ann.id}/array.bin`, content)), ['409', 'The resource already exists']);
  assert.equal((await theirs.upload(`${ann.id}/hers.bin`, content)).error.statusCode, '403');
  assert.deepEqual(told(await mine.upload(`${ann.id}/large.bin`, bytes(5_000_001))), ['413', 'The object exceeded the maximum allowed size']);
  fine(await mine.upload(`${ann.id}/array.bin`, bytes(10), { upsert: true }));
  assert.deepEqual(await read(fine(await mine.download(`${ann.id}/array.bin`))), bytes(10));
  fine(await mine.update(`${ann.id}/array.bin`, bytes(11)));
  assert.deepEqual(await read(fine(await mine.download(`${ann.id}/array.bin`))), bytes(11));
  const { data, error } = await mine.download(`${ann.id}/blob.bin`).asStream();
  assert.equal(error, null);
  let length = 0;
  for await (const piece of data) length += piece.length;
  assert.equal(length, 100_000);
});

test('names with spaces, letters of the world and points', async () => {
  for (const name of ['with space.txt', 'größe/日本語.txt', "it's (1) & more.txt", 'a.b/c..d.txt', '100%25.txt']) {
    const path = `${ann.id}/${name}`;
    fine(await mine.upload(path, name, { contentType: 'text/plain' }));
    const { data, error } = await mine.info(path);
    assert.equal(error, null, name);
    assert.equal(data.contentType, 'text/plain');
  }
});

test('info, exists, metadata, cache control', async () => {
  const path = `${ann.id}/told.txt`;
  fine(await mine.upload(path, 'told', { contentType: 'text/plain', cacheControl: '60', metadata: { author: 'Ann' } }));
  const info = fine(await mine.info(path));
  assert.deepEqual([info.size, info.contentType, info.metadata, info.bucketId], [4, 'text/plain', { author: 'Ann' }, 'attachments']);
  assert.equal(fine(await mine.exists(path)), true);
  assert.equal((await mine.exists(`${ann.id}/never.txt`)).data, false);
  assert.equal((await theirs.exists(path)).data, false);
  const plain = await fetch(`${url}/storage/v1/object/attachments/${path}`, { headers: { authorization: `Bearer ${ann.session.access_token}` } });
  assert.deepEqual([plain.headers.get('cache-control'), plain.headers.get('content-length')], ['private, max-age=60', '4']);
  const part = await fetch(plain.url, { headers: { authorization: `Bearer ${ann.session.access_token}`, range: 'bytes=1-2' } });
  assert.deepEqual([part.status, part.headers.get('content-range'), await part.text()], [206, 'bytes 1-2/4', 'ol']);
  const head = await fetch(plain.url, { method: 'HEAD', headers: { authorization: `Bearer ${ann.session.access_token}` } });
  assert.deepEqual([head.status, head.headers.get('content-length')], [200, '4']);
  assert.equal((await http('GET', '/storage/v1/bucket', { token: 'garbage' })).json.statusCode, '403');
});

test('list and listV2', async () => {
  const root = `${ann.id}/list`;
  for (const name of ['a.txt', 'b.txt', 'sub/c.txt', 'sub/d.txt', 'z.txt']) fine(await mine.upload(`${root}/${name}`, name));
  const names = (data) => data.map((one) => one.name);
  const all = fine(await mine.list(root));
  assert.deepEqual(names(all), ['sub', 'a.txt', 'b.txt', 'z.txt']);
  assert.deepEqual([all[0].id, all[1].metadata.size], [null, 5]);
  assert.deepEqual(names(fine(await mine.list(root, { limit: 2, offset: 1 }))), ['a.txt', 'b.txt']);
  assert.deepEqual(names(fine(await mine.list(root, { sortBy: { column: 'name', order: 'desc' } }))), ['sub', 'z.txt', 'b.txt', 'a.txt']);
  assert.deepEqual(names(fine(await mine.list(`${root}/sub`, { search: 'd' }))), ['d.txt']);
  assert.deepEqual(fine(await theirs.list(root)), []);
  const seen = [];
  let cursor;
  do {
    const page = fine(await mine.listV2({ prefix: `${root}/`, with_delimiter: true, limit: 2, cursor }));
    seen.push(...names(page.folders), ...names(page.objects));
    cursor = page.hasNext ? page.nextCursor : undefined;
  } while (cursor);
  assert.deepEqual(seen.sort(), ['a.txt', 'b.txt', 'sub/', 'z.txt'].map((name) => `${root}/${name}`));
});

test('move, copy, remove', async () => {
  const root = `${ann.id}/moves`;
  fine(await mine.upload(`${root}/a.txt`, 'a'));
  assert.deepEqual(fine(await mine.move(`${root}/a.txt`, `${root}/b.txt`)), { message: 'Successfully moved' });
  assert.equal((await mine.move(`${root}/a.txt`, `${root}/c.txt`)).error.statusCode, '404');
  assert.deepEqual(fine(await mine.copy(`${root}/b.txt`, `${root}/c.txt`)), { path: `attachments/${root}/c.txt` });
  assert.equal((await mine.copy(`${root}/b.txt`, `${root}/c.txt`)).error.statusCode, '409');
  assert.equal((await mine.move(`${root}/b.txt`, `${bob.id}/b.txt`)).error.statusCode, '403');
  assert.deepEqual(fine(await theirs.remove([`${root}/b.txt`])), []);
  const removed = fine(await mine.remove([`${root}/b.txt`, `${root}/c.txt`, `${root}/never.txt`]));
  assert.deepEqual(removed.map((one) => one.name).sort(), [`${root}/b.txt`, `${root}/c.txt`]);
  assert.deepEqual(fine(await mine.list(root)), []);
});

test('signed URLs: one, many, to download and to upload', async () => {
  const path = `${ann.id}/signed file.txt`;
  fine(await mine.upload(path, 'signed', { contentType: 'text/html' }));
  const { signedUrl } = fine(await mine.createSignedUrl(path, 60));
  const got = await fetch(signedUrl);
  assert.deepEqual([got.status, await got.text()], [200, 'signed']);
  assert.match(got.headers.get('content-disposition'), /^attachment; filename="signed file\.txt"/);
  assert.match(got.headers.get('content-security-policy'), /sandbox/);
  assert.equal(got.headers.get('x-content-type-options'), 'nosniff');
  const named = fine(await mine.createSignedUrl(path, 60, { download: 'other.txt' }));
  assert.match((await fetch(named.signedUrl)).headers.get('content-disposition'), /filename="other\.txt"/);
  assert.equal((await theirs.createSignedUrl(path, 60)).error.statusCode, '404');
  const many = fine(await mine.createSignedUrls([path, `${ann.id}/never.txt`], 60));
  assert.equal(await (await fetch(many[0].signedUrl)).text(), 'signed');
  assert.deepEqual([many[1].signedUrl, typeof many[1].error], [null, 'string']);
  const upload = fine(await mine.createSignedUploadUrl(`${ann.id}/by-link.txt`));
  const anybody = client().storage.from('attachments');
  fine(await anybody.uploadToSignedUrl(`${ann.id}/by-link.txt`, upload.token, 'by link', { contentType: 'text/plain' }));
  assert.equal((await anybody.uploadToSignedUrl(`${ann.id}/by-link.txt`, upload.token, 'again')).error.statusCode, '409');
  assert.equal(await fine(await mine.download(`${ann.id}/by-link.txt`)).text(), 'by link');
  // A token to upload downloads nothing, and the other way round.
  const token = new URL(signedUrl).searchParams.get('token');
  assert.equal((await anybody.uploadToSignedUrl(path, token, 'x')).error.statusCode, '403');
  const crossed = await fetch(`${url}/storage/v1/object/sign/attachments/${ann.id}/by-link.txt?token=${upload.token}`);
  assert.equal((await crossed.json()).statusCode, '403');
  assert.equal((await theirs.createSignedUploadUrl(`${ann.id}/x.txt`)).error.statusCode, '403');
});

test('public buckets', async () => {
  fine(await service.createBucket('open', { public: true, allowedMimeTypes: ['image/png'] }));
  const open = service.from('open');
  assert.deepEqual(told(await open.upload('p.jpg', bytes(10), { contentType: 'image/jpeg' })), ['415', 'mime type image/jpeg is not supported']);
  const png = Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), bytes(100)]);
  fine(await open.upload('a b/p.png', png, { contentType: 'image/png' }));
  const got = await fetch(client().storage.from('open').getPublicUrl('a b/p.png').data.publicUrl);
  assert.deepEqual([got.status, got.headers.get('content-type'), got.headers.get('content-disposition')], [200, 'image/png', null]);
  assert.deepEqual(Buffer.from(await got.arrayBuffer()), png);
  const hidden = await fetch(client().storage.from('attachments').getPublicUrl(`${ann.id}/told.txt`).data.publicUrl);
  assert.equal((await hidden.json()).statusCode, '404');
});
