'use strict'
const Protomux = require('protomux')
const Hyperbee = require('hyperbee')
const Hyperdrive = require('hyperdrive')
const m = require('hypercore/lib/messages')
const { UPDATE_COMPAT } = require('hypercore/lib/wants')
const { Det, crypto, b4a, hex, tmp, nodes, manifestOut, rawBlocks, ruleBlocks, write, Hypercore, Corestore } = require('./lib/cores')
const { Exchange, compactMsg } = require('./lib/frames')

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

module.exports = async function (dir, seed) {
  const d = new Det(seed + '/12t')
  const transcripts = []
  const rule = (label, min = 1, span = 60) => ({ seed: hex(d.bytes('rule/' + label, 16)), min, span })
  const realRandom = Math.random

  async function writer (label, n, opts = {}) {
    const kp = d.keyPair('w/' + label)
    const core = new Hypercore(tmp(), { keyPair: kp, notDownloadingLinger: 60000, ...opts })
    await core.ready()
    const r = rule(label)
    if (n) await core.append(ruleBlocks(r, n))
    return { core, rule: r }
  }
  async function reader (key, opts = {}) {
    const core = new Hypercore(tmp(), key, { notDownloadingLinger: 60000, ...opts })
    await core.ready()
    return core
  }
  async function scenario (id, desc, fn) {
    Math.random = d.random('rnd/' + id)
    const s = new Exchange(d, id)
    const closers = []
    const extra = await fn(s, (x) => { closers.push(x); return x }) || {}
    await sleep(80)
    const t = { id, desc, ...extra, ...s.toJSON(), ended: { ...s.ended } }
    try { s.close() } catch {}
    await sleep(10)
    for (const x of closers.reverse()) { try { await x.close() } catch {} }
    Math.random = realRandom
    transcripts.push(t)
  }
  const coreInfo = async (core, label) => ({ name: label, key: hex(core.key), discoveryKey: hex(core.discoveryKey), manifest: manifestOut(core.manifest), length: core.length, fork: core.fork, blocks: compactMsg(await rawBlocks(core)) })
  const I = 'initiator'; const R = 'responder'

  await scenario('get-one', 'reader (initiator, knows only the key) fetches one block from a full writer', async (s, keep) => {
    const n = d.int('g1', 5, 20); const { core } = await writer('get-one', n); keep(core)
    const r = keep(await reader(core.key))
    s.connect((...a) => r.replicate(...a), (...a) => core.replicate(...a))
    const i = d.int('g1i', 0, n - 1)
    const got = await r.get(i)
    return { roles: { [I]: 'reader', [R]: 'writer' }, core: await coreInfo(core), result: { block: i, value: hex(got) } }
  })

  await scenario('download-all', 'reader (responder) downloads everything from start to end', async (s, keep) => {
    const n = d.int('da', 20, 33); const { core } = await writer('download-all', n); keep(core)
    const r = keep(await reader(core.key))
    s.connect((...a) => core.replicate(...a), (...a) => r.replicate(...a))
    await r.update({ wait: true })
    await r.download({ start: 0, end: n }).done()
    return { roles: { [I]: 'writer', [R]: 'reader' }, core: await coreInfo(core), result: { length: r.length, contiguousLength: r.contiguousLength } }
  })

  await scenario('live-append', 'both connected while the core is empty; the writer appends twice; reader fetches the newest block', async (s, keep) => {
    const { core, rule } = await writer('live', 0); keep(core)
    const r = keep(await reader(core.key))
    s.connect((...a) => r.replicate(...a), (...a) => core.replicate(...a))
    await sleep(60)
    const bs = ruleBlocks(rule, 5)
    await core.append(bs.slice(0, 3)); await sleep(60)
    await core.append(bs.slice(3)); await sleep(60)
    const got = await r.get(4)
    return { roles: { [I]: 'reader', [R]: 'writer' }, core: await coreInfo(core), result: { block: 4, value: hex(got) } }
  })

  await scenario('resume-partial', 'reader already holds an older head and a few blocks, then reconnects and catches up', async (s, keep) => {
    const n = d.int('rp', 6, 12); const { core, rule } = await writer('resume', n); keep(core)
    const r = keep(await reader(core.key))
    await r.applyProof(await core.proof({ upgrade: { start: 0, length: n } }).then((p) => ({ ...p, manifest: core.manifest })))
    for (const i of [0, n - 1]) await r.applyProof(await core.proof({ block: { index: i, nodes: await r.missingNodes(i) } }))
    await core.append(ruleBlocks({ ...rule, seed: hex(d.bytes('resume2', 16)) }, 9))
    const have = { length: r.length, blocks: [0, n - 1], nodes: await require('./lib/cores').treeNodes(r) }
    s.connect((...a) => r.replicate(...a), (...a) => core.replicate(...a))
    await r.update({ wait: true })
    const i = n + d.int('rpi', 0, 8)
    const got = await r.get(i); const got2 = await r.get(1)
    return { roles: { [I]: 'reader', [R]: 'writer' }, core: await coreInfo(core), readerBefore: have, result: { blocks: { [i]: hex(got), 1: hex(got2) } } }
  })

  await scenario('seek', 'reader seeks to byte positions it has no blocks for', async (s, keep) => {
    const n = d.int('sk', 20, 40); const { core } = await writer('seek', n); keep(core)
    const r = keep(await reader(core.key))
    s.connect((...a) => r.replicate(...a), (...a) => core.replicate(...a))
    await r.update({ wait: true })
    const res = []
    for (let i = 0; i < 3; i++) { const b = d.int('skb' + i, 1, core.byteLength - 1); res.push({ bytes: b, result: await r.seek(b) }) }
    return { roles: { [I]: 'reader', [R]: 'writer' }, core: await coreInfo(core), result: { seeks: res } }
  })

  await scenario('sparse-sender', 'the serving side has cleared some blocks: range and bitfield exchange, wants, and a block that cannot be had', async (s, keep) => {
    const n = d.int('sp', 40, 60); const { core } = await writer('sparse', n); keep(core)
    const info = await coreInfo(core)
    const a = d.int('spa', 2, 10); const b = a + d.int('spb', 1, 9); const hole = d.int('sph', b + 3, n - 4)
    await core.clear(a, b); await core.clear(hole)
    const r = keep(await reader(core.key))
    s.connect((...x) => r.replicate(...x), (...x) => core.replicate(...x))
    await r.update({ wait: true })
    const dl = r.download({ start: 0, end: n }); await sleep(250); dl.destroy()
    let missing = null
    try { await r.get(hole, { timeout: 150 }) } catch (e) { missing = e.code }
    return { roles: { [I]: 'reader', [R]: 'writer' }, core: info, cleared: [[a, b], [hole, hole + 1]], result: { missingBlock: hole, error: missing, have: await r.count(0, n) } }
  })

  await scenario('sparse-small-wants', 'as sparse-sender with the small-wants feature switched on at the reader (want length 4096, any flag)', async (s, keep) => {
    UPDATE_COMPAT(false)
    try {
      const n = d.int('ss', 40, 60); const { core } = await writer('sparse2', n); keep(core)
      const info = await coreInfo(core)
      const a = d.int('ssa', 2, 10); const b = a + d.int('ssb', 1, 9)
      await core.clear(a, b)
      const r = keep(await reader(core.key))
      s.connect((...x) => r.replicate(...x), (...x) => core.replicate(...x))
      await r.update({ wait: true })
      const dl = r.download({ start: 0, end: n }); await sleep(200); dl.destroy()
      const sk = r.seek(Math.floor(core.byteLength * 0.7), { timeout: 200 }).catch(() => null)
      return { roles: { [I]: 'reader', [R]: 'writer' }, core: info, cleared: [[a, b]], result: { seek: await sk, have: await r.count(0, n) } }
    } finally { UPDATE_COMPAT(true) }
  })

  await scenario('clear-while-connected', 'writer clears one block, then a range, while the peer is connected (range messages with the drop bit)', async (s, keep) => {
    const n = 300; const { core } = await writer('clr', n); keep(core)
    const r = keep(await reader(core.key))
    s.connect((...a) => r.replicate(...a), (...a) => core.replicate(...a))
    await r.update({ wait: true }); await sleep(40)
    await core.clear(7); await sleep(30); await core.clear(290, 296); await sleep(30)
    return { roles: { [I]: 'reader', [R]: 'writer' }, core: { key: hex(core.key), discoveryKey: hex(core.discoveryKey), length: n } }
  })

  await scenario('reorg', 'writer truncates and appends while a reader with all blocks is connected; reader must follow the higher fork', async (s, keep) => {
    const n = d.int('ro', 8, 14); const { core, rule } = await writer('reorg', n); keep(core)
    const r = keep(await reader(core.key))
    const before = await coreInfo(core)
    s.connect((...a) => r.replicate(...a), (...a) => core.replicate(...a))
    await r.update({ wait: true }); await r.download({ start: 0, end: n }).done(); await sleep(40)
    const cut = d.int('roc', 2, n - 3)
    await core.truncate(cut); await core.append(ruleBlocks({ ...rule, seed: hex(d.bytes('reorg2', 16)) }, 2))
    await r.update({ wait: true }); await sleep(150)
    const got = await r.get(cut)
    return { roles: { [I]: 'reader', [R]: 'writer' }, core: before, truncatedTo: cut, after: await coreInfo(core), result: { fork: r.fork, length: r.length, block: cut, value: hex(got) } }
  })

  await scenario('extension', 'extension messages both ways; the second of the same name is sent with an empty name', async (s, keep) => {
    const { core } = await writer('ext', 3); keep(core)
    const r = keep(await reader(core.key))
    const e1 = core.registerExtension('demo', { encoding: 'utf-8' }); const e2 = r.registerExtension('demo', { encoding: 'utf-8' }); const e3 = r.registerExtension('other', { encoding: 'binary' })
    s.connect((...a) => r.replicate(...a), (...a) => core.replicate(...a))
    await sleep(60)
    e1.send('hello', core.peers[0]); e1.send('again', core.peers[0]); e2.send('back', r.peers[0]); e3.send(Buffer.from([1, 2, 3]), r.peers[0]); e2.send('last', r.peers[0])
    await sleep(30)
    return { roles: { [I]: 'reader', [R]: 'writer' }, core: await coreInfo(core) }
  })

  await scenario('encrypted', 'block-encrypted core; the reader holds the encryption key; get plus a seek that uses the padding field', async (s, keep) => {
    const ek = d.bytes('enc/key'); const { core } = await writer('enc', 12, { encryption: { key: ek } }); keep(core)
    const r = keep(await reader(core.key, { encryption: { key: ek } }))
    s.connect((...a) => r.replicate(...a), (...a) => core.replicate(...a))
    await r.update({ wait: true })
    const v = await r.get(3); const b = d.int('encs', 10, core.byteLength - 5); const sk = await r.seek(b)
    return { roles: { [I]: 'reader', [R]: 'writer' }, core: await coreInfo(core), encryptionKey: hex(ek), result: { block: 3, value: hex(v), seek: { bytes: b, result: sk } } }
  })

  await scenario('wrong-capability', 'initiator opens the channel with a capability made from another key; the other side must destroy the stream', async (s, keep) => {
    const { core } = await writer('cap', 2); keep(core)
    const noise = s.raw(I)
    const mux = new Protomux(noise)
    s.connect(() => noise.rawStream, (...a) => core.replicate(...a))
    const ch = mux.createChannel({ protocol: 'hypercore/alpha', id: core.discoveryKey, handshake: m.wire.handshake, messages: [] })
    ch.open({ seeks: true, capability: d.bytes('badcap') })
    await sleep(80)
    return { roles: { [I]: 'attacker', [R]: 'writer' }, core: await coreInfo(core), expect: 'responder destroys the whole stream' }
  })

  await scenario('unknown-core', 'a store asks for a core the other store does not have; the open is rejected', async (s, keep) => {
    const a = keep(new Corestore(tmp(), { primaryKey: d.bytes('pkA'), unsafe: true })); const b = keep(new Corestore(tmp(), { primaryKey: d.bytes('pkB'), unsafe: true }))
    await a.ready(); await b.ready()
    const other = d.bytes('somekey'); const x = a.get({ key: other }); await x.ready()
    s.connect((i, o) => a.replicate(i, o), (i, o) => b.replicate(i, o))
    await sleep(100)
    return { roles: { [I]: 'store asking', [R]: 'store without that core' }, askedKey: hex(other), askedDiscoveryKey: hex(crypto.discoveryKey(other)) }
  })

  await scenario('static-core', 'prologue-only core: data carries the manifest and no signature', async (s, keep) => {
    const a = keep(new Corestore(tmp(), { primaryKey: d.bytes('pkS'), unsafe: true })); await a.ready()
    const src = a.get({ name: 'src' }); await src.ready(); await src.append(ruleBlocks(rule('static'), d.int('stn', 3, 9)))
    const st = await a.staticify(src); await st.ready()
    const r = keep(await reader(st.key))
    s.connect((...x) => r.replicate(...x), (...x) => st.replicate(...x))
    const v = await r.get(1)
    return { roles: { [I]: 'reader', [R]: 'writer' }, core: await coreInfo(st), result: { block: 1, value: hex(v) } }
  })

  await scenario('cancel', 'reader asks for a block and drops the request in the same tick', async (s, keep) => {
    const { core } = await writer('cancel', 9); keep(core)
    const r = keep(await reader(core.key))
    s.connect((...a) => r.replicate(...a), (...a) => core.replicate(...a))
    await r.update({ wait: true }); await sleep(40)
    const ses = r.session(); await ses.ready()
    const p = ses.get(4).catch(() => null); await new Promise((resolve) => setImmediate(resolve)); await sleep(1)
    await ses.close(); await p; await sleep(60)
    const v = await r.get(5)
    return { roles: { [I]: 'reader', [R]: 'writer' }, core: await coreInfo(core), result: { block: 5, value: hex(v) } }
  })

  await scenario('push', 'reader allows pushes; writer pushes freshly appended blocks without a request (request id 0)', async (s, keep) => {
    const { core, rule } = await writer('push', 2); keep(core)
    const r = keep(await reader(core.key, { allowPush: true }))
    s.connect((...a) => r.replicate(...a), (...a) => core.replicate(...a))
    await r.update({ wait: true }); await sleep(60)
    const more = ruleBlocks({ ...rule, seed: hex(d.bytes('push2', 16)) }, 3)
    for (const b of more) { await core.append(b); await core.replicator.push(core.length - 1); await sleep(30) }
    return { roles: { [I]: 'reader', [R]: 'writer' }, core: await coreInfo(core), result: { has: [await r.has(2), await r.has(3), await r.has(4)] } }
  })

  await scenario('idle-close', 'neither side downloads: the channel is closed by the side that notices first', async (s, keep) => {
    const { core } = await writer('idle', 3, { notDownloadingLinger: 0, active: false }); keep(core)
    const r = keep(await reader(core.key, { notDownloadingLinger: 0, active: false }))
    s.connect((...a) => r.replicate(...a), (...a) => core.replicate(...a))
    await sleep(120)
    return { roles: { [I]: 'reader', [R]: 'writer' }, core: await coreInfo(core) }
  })

  await scenario('hyperbee-get', 'sparse bee lookup: block requests plus hyperbee extension messages', async (s, keep) => {
    const kp = d.keyPair('bee'); const core = new Hypercore(tmp(), { keyPair: kp }); await core.ready()
    const bee = keep(new Hyperbee(core, { keyEncoding: 'utf-8', valueEncoding: 'utf-8' })); const b = bee.batch()
    for (let i = 0; i < 60; i++) await b.put('key' + String(i).padStart(3, '0'), 'v' + i)
    await b.flush()
    const r = await reader(core.key); const bee2 = keep(new Hyperbee(r, { keyEncoding: 'utf-8', valueEncoding: 'utf-8' }))
    s.connect((...a) => r.replicate(...a), (...a) => core.replicate(...a))
    await r.update({ wait: true })
    const k = 'key' + String(d.int('beek', 0, 59)).padStart(3, '0')
    const e = await bee2.get(k)
    const range = []; for await (const x of bee2.createReadStream({ gte: 'key010', lt: 'key014' })) range.push(x.key)
    return { roles: { [I]: 'reader', [R]: 'writer' }, core: await coreInfo(core), result: { get: k, seq: e.seq, value: e.value, range } }
  })

  await scenario('drive-read', 'hyperdrive over corestores: db core and blobs core on one muxed stream; reader only knows the drive key', async (s, keep) => {
    const a = new Corestore(tmp(), { primaryKey: d.bytes('pkD1'), unsafe: true }); const b = new Corestore(tmp(), { primaryKey: d.bytes('pkD2'), unsafe: true })
    const drive = keep(new Hyperdrive(a)); await drive.ready()
    const files = { '/a.txt': d.bytes('fa', 20), '/dir/b.bin': d.bytes('fb', 65536 + d.int('fbl', 1, 900)), '/dir/c.txt': d.bytes('fc', 3) }
    for (const k of Object.keys(files)) await drive.put(k, files[k])
    const rd = keep(new Hyperdrive(b, drive.key)); await rd.ready()
    s.connect((i, o) => b.replicate(i, o), (i, o) => a.replicate(i, o))
    await rd.update({ wait: true })
    const v = await rd.get('/dir/b.bin'); const v2 = await rd.get('/a.txt')
    if (!b4a.equals(v, files['/dir/b.bin'])) throw new Error('bad read')
    const bl = await drive.getBlobs()
    return {
      roles: { [I]: 'reader store', [R]: 'writer store' }, driveKey: hex(drive.key),
      cores: [{ ...await coreInfo(drive.core), name: 'db' }, { ...await coreInfo(bl.core), name: 'blobs' }],
      result: { '/dir/b.bin': hex(crypto.hash(v)), '/a.txt': hex(v2), note: 'the long file is given as its BLAKE2b-256' }
    }
  })

  write(dir, '12-transcripts.json', {
    sheet: '12', seed,
    fields: {
      frames: 'in the order written; from = side that wrote it; hex = one plaintext secret-stream message (= one protomux frame); messages = independent decode of it',
      messages: 'control frames: {control: open|reject|close, channel, ...}; others: {channel (id as numbered by the writing side), protocol, type, name, msg} (or payload hex when the protocol is not known here). Inside msg absent fields are left out and values over 512 bytes are shown as {bytes, blake2b}; the same goes for core.blocks; inBatch marks members of a corked batch frame',
      core: 'the served core: key, manifest, raw stored blocks', roles: 'who plays what', result: 'what the reader ended with', ended: 'null, or why that side of the stream ended',
      secretStream: 'tx / rx keys used, so the ciphertext can be replayed if wanted; handshakeHash is what the capability proof binds to'
    },
    note: 'Order of requests inside a window is chosen at random by the real package; decode and check these, do not expect to reproduce them byte for byte.',
    transcripts
  })
}

require('./lib/cores').main(module)
