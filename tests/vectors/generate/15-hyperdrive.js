'use strict'
const Hyperdrive = require('hyperdrive')
const Localdrive = require('localdrive')
const fs = require('fs')
const path = require('path')
const { Det, crypto, b4a, hex, tmp, manifestOut, rawBlocks, nodes, write, Hypercore, Corestore } = require('./lib/cores')

module.exports = async function (dir, seed) {
  const d = new Det(seed + '/15')
  const cases = []
  const add = (kind, id, x) => cases.push({ id: kind + '/' + id, kind, ...x })
  const store = async (l, ns) => { const s = new Corestore(tmp(), { primaryKey: d.bytes('pk' + l), unsafe: true }); await s.ready(); return ns ? s.namespace(ns) : s }
  const coreInfo = async (c) => ({ key: hex(c.key), discoveryKey: hex(c.discoveryKey), manifest: manifestOut(c.manifest), length: c.length, fork: c.fork, roots: nodes(c.core.state.roots), signature: hex(c.core.state.signature), blocks: await rawBlocks(c) })
  async function all (drive) { const o = []; for await (const e of drive.entries()) o.push({ seq: e.seq, key: e.key, value: e.value }); return o }

  async function scripted (id, opts, storeOpts) {
    const s = await store(id, storeOpts && storeOpts.namespace)
    const drive = new Hyperdrive(s, opts); await drive.ready()
    const F = {
      '/readme.txt': d.bytes(id + 'f0', d.int(id + 'l0', 5, 90)),
      '/docs/a.txt': d.bytes(id + 'f1', d.int(id + 'l1', 1, 300)),
      '/docs/deep/b.bin': d.bytes(id + 'f2', d.int(id + 'l2', 1, 900)),
      '/docs/z.txt': d.bytes(id + 'f3', 10),
      '/empty': b4a.alloc(0),
      '/bin/run.sh': b4a.from('#!/bin/sh\necho ' + d.int(id + 'e', 0, 99) + '\n'),
      '/ümlaut/ключ.txt': d.bytes(id + 'f4', 17)
    }
    const ops = []
    const put = async (k, o) => { await drive.put(k, F[k], o); ops.push({ op: 'put', path: k, data: hex(F[k]), options: o || {} }) }
    await put('/readme.txt'); await put('/docs/a.txt', { metadata: { mime: 'text/plain', n: d.int(id + 'meta', 1, 99) } }); await put('/docs/deep/b.bin'); await put('/empty')
    await put('/bin/run.sh', { executable: true }); await put('/ümlaut/ключ.txt'); await put('/docs/z.txt')
    await drive.symlink('/link', '/docs/a.txt'); ops.push({ op: 'symlink', path: '/link', target: '/docs/a.txt' })
    const v1 = drive.version
    F['/readme.txt'] = d.bytes(id + 'f5', 33); await put('/readme.txt')
    await drive.del('/docs/z.txt'); ops.push({ op: 'del', path: '/docs/z.txt' })
    const bl = await drive.getBlobs()
    const files = {}
    for (const e of await all(drive)) if (e.value.blob) files[e.key] = hex(await drive.get(e.key))
    const diff = []; for await (const { left, right } of drive.diff(v1)) diff.push({ left: left && { key: left.key, seq: left.seq }, right: right && { key: right.key, seq: right.seq } })
    const co = drive.checkout(v1); const atV1 = (await all(co)).map((e) => [e.key, e.seq]); const oldReadme = hex(await co.get('/readme.txt')); await co.close()
    const names = async (f) => { const o = []; for await (const x of drive.readdir(f)) o.push(x); return o }
    const list = async (f, o2) => { const o = []; for await (const x of drive.list(f, o2)) o.push(x.key); return o }
    add('drive', id, {
      primaryKey: storeOpts && storeOpts.hidePrimary ? null : hex(d.bytes('pk' + id)), namespace: (storeOpts && storeOpts.namespace) || null, encryptionKey: opts && opts.encryptionKey ? hex(opts.encryptionKey) : null,
      driveKey: hex(drive.key), driveId: drive.id, discoveryKey: hex(drive.discoveryKey), contentKey: hex(drive.contentKey), contentKeyFromManifest: hex(Hyperdrive.getContentKey(drive.core)),
      ops, version: drive.version, db: await coreInfo(drive.core), blobs: await coreInfo(bl.core),
      entries: await all(drive), files,
      linkFollow: (await drive.entry('/link', { follow: true })).key, blobsLength: await drive.getBlobsLength(),
      diffFrom: { version: v1, changes: diff }, checkout: { version: v1, entries: atV1, '/readme.txt': oldReadme },
      readdir: { '/': await names('/'), '/docs': await names('/docs') }, list: { '/docs': await list('/docs'), '/docs shallow': await list('/docs', { recursive: false }), '/nope': await list('/nope') }
    })
    await drive.close()
  }
  await scripted('plain', undefined)
  await scripted('namespaced', undefined, { namespace: 'family' })
  await scripted('encrypted', { encryptionKey: d.bytes('ek') })
  await scripted('encrypted2', { encryptionKey: d.bytes('ek2') }, { namespace: 'office' })

  { // old style drive: db core is a compat core, blobs key sits in the header
    const s = await store('compat')
    const kp = d.keyPair('compatDb'); const bkp = d.keyPair('compatBlobs')
    const Hyperbee = require('hyperbee'); const Hyperblobs = require('hyperblobs'); const SubEncoder = require('sub-encoder')
    const dbCore = new Hypercore(tmp(), { keyPair: kp, compat: true }); const blCore = new Hypercore(tmp(), { keyPair: bkp, compat: true })
    await dbCore.ready(); await blCore.ready()
    const bee = new Hyperbee(dbCore, { keyEncoding: 'utf-8', valueEncoding: 'json', metadata: { contentFeed: blCore.key } }); const blobs = new Hyperblobs(blCore); await bee.ready()
    const data = d.bytes('compatdata', 44); const id = await blobs.put(data)
    await bee.put('/old.txt', { executable: false, linkname: null, blob: id, metadata: null }, { keyEncoding: new SubEncoder('files', 'utf-8') })
    // open it with the real drive class through stores that already hold the cores
    const rd = new Hyperdrive(s, dbCore.key); await rd.ready()
    const s1 = dbCore.replicate(true, { keepAlive: false }); const s2 = s.replicate(false, { keepAlive: false }); s1.pipe(s2).pipe(s1); blCore.replicate(s1)
    await rd.update({ wait: true })
    const got = await rd.get('/old.txt')
    if (!b4a.equals(got, data)) throw new Error('compat drive read failed')
    add('driveCompat', 0, { driveKey: hex(dbCore.key), contentKey: hex(blCore.key), db: { length: dbCore.length, blocks: await rawBlocks(dbCore) }, blobs: { length: blCore.length, blocks: await rawBlocks(blCore) }, files: { '/old.txt': hex(data) }, contentKeyFromManifest: null })
    s1.destroy(); s2.destroy()
    await rd.close(); await dbCore.close(); await blCore.close()
  }

  // content key derivation for other manifests
  const Verifier = require('hypercore/lib/verifier')
  const S = (l, ns) => ({ publicKey: d.keyPair(l).publicKey, ...(ns ? { namespace: d.bytes(ns) } : {}) })
  for (const [id, inp] of [['single', { signers: [S('x')] }], ['two-of-three', { quorum: 2, signers: [S('x'), S('y'), S('z')] }], ['custom-namespace', { signers: [S('x', 'n')] }], ['patch', { quorum: 1, allowPatch: true, signers: [S('x'), S('y')] }], ['v2', { version: 2, signers: [S('x')] }]]) {
    const man = Verifier.createManifest(inp); const key = Hypercore.key(man)
    const cm = Hyperdrive.getContentManifest(man, key)
    add('contentKey', id, { manifest: manifestOut(man), key: hex(key), contentManifest: manifestOut({ ...cm, linked: null, userData: null }), contentKey: hex(Hyperdrive.getContentKey(man, key)) })
  }

  // paths
  const good = ['a', '/a', 'a/b', '/a//b', './a', '/a/./b', '/a/b/..', 'a/../b', '/a/', '\\a\\b', 'C:\\x\\y', 'file:///etc/x', 'x:/y', '/a/../../b', '..', '/', '.', '', '/ä', '/a b', '/a%20b', 'pear://k/x']
  for (const p of good) {
    let out = null; let error = null
    try { out = Hyperdrive.normalizePath(p) } catch (e) { error = e.message }
    add('path', JSON.stringify(p), { input: p, output: out, rejected: !!error })
  }

  { // mirror: local folder into drive, then changes; which operations appear and what entries come out
    const src = tmp()
    const w = (f, data, mode) => { const p = path.join(src, f); fs.mkdirSync(path.dirname(p), { recursive: true }); fs.writeFileSync(p, data); if (mode) fs.chmodSync(p, mode) }
    const f1 = d.bytes('m1', 100); const f2 = d.bytes('m2', 50)
    w('a.txt', f1); w('sub/b.txt', f2); w('run.sh', 'x', 0o755)
    const s = await store('mirror'); const drive = new Hyperdrive(s); await drive.ready()
    const run = async (o) => { const l = []; const m = new Localdrive(src).mirror(drive, o); for await (const x of m) l.push(x); return { diffs: l.sort((a, b) => (a.key < b.key ? -1 : 1)), count: m.count } }
    const r1 = await run(); const e1 = (await all(drive)).map((e) => ({ key: e.key, executable: e.value.executable, byteLength: e.value.blob.byteLength }))
    const r2 = await run()
    w('a.txt', d.bytes('m3', 100)); fs.rmSync(path.join(src, 'sub/b.txt')); w('new', 'n')
    const r3 = await run({ includeEquals: true })
    const r4 = await run({ dryRun: true })
    add('mirror', 0, { first: r1, entriesAfterFirst: e1, second: r2, third: r3, dryRunAfter: r4, note: 'first: three adds. second: nothing. third: a.txt same size other bytes (change), sub/b.txt gone (remove), new added, run.sh equal' })
    await drive.close()
  }

  write(dir, '15-hyperdrive.json', {
    sheet: '15', seed,
    fields: {
      drive: 'ops run in order on a fresh drive in a store with that primary key (and namespace): every key, raw db block and raw blob block must come out identical; entries = decoded listing, files = path -> content hex',
      driveCompat: 'old layout, db core key = public key, blobs key in the header metadata', contentKey: 'db manifest + key -> blobs manifest and key',
      path: 'path given by a user -> stored path, or rejected', mirror: 'result records of repeated mirror runs'
    },
    cases
  })
}

require('./lib/cores').main(module)
