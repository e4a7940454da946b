'use strict'
const { EventEmitter } = require('events')
const c = require('compact-encoding')
const Protomux = require('protomux')
const ProtomuxRPC = require('protomux-rpc')
const Wakeup = require('protomux-wakeup')
const BlindPeer = require('blind-peer')
const BlindPeering = require('blind-peering')
const BlindPeerMuxer = require('blind-peer-muxer')
const enc = require('blind-peer-encodings')
const plink = require('pear-link')
const xor = require('xor-distance')
const bpm = require('blind-peer-muxer/spec/hyperschema')
const wk = require('protomux-wakeup/spec/hyperschema')
const { UPDATE_COMPAT } = require('hypercore/lib/wants')
const { Det, crypto, b4a, hex, tmp, plain, manifestOut, ruleBlocks, rawBlocks, write, Hypercore, Corestore } = require('./lib/cores')
const { Exchange } = require('./lib/frames')
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

module.exports = async function (dir, seed) {
  const d = new Det(seed + '/17')
  UPDATE_COMPAT(false) // the real blind peer switches small wants on for its process
  const cases = []; const transcripts = []
  const add = (kind, id, x) => cases.push({ id: kind + '/' + id, kind, ...x })

  // ---- encodings
  const E = (name, id, e, v) => { const b = c.encode(e, v); add('encoding', name + '-' + id, { name, value: plain(v), encoded: hex(b), decoded: plain(c.decode(e, b)) }) }
  const cores = bpm.getEncoding('@blind-peer/cores')
  E('blind-peer/cores', 'min', cores, { referrer: null, priority: 0, announce: false, cores: [{ key: d.bytes('c0'), length: 0 }] })
  E('blind-peer/cores', 'full', cores, { referrer: d.bytes('ref'), priority: 2, announce: true, cores: [{ key: d.bytes('c1'), length: d.int('cl1', 1, 99999) }, { key: d.bytes('c2'), length: 2 ** 34 }] })
  E('blind-peer/cores', 'empty', cores, { referrer: null, priority: 1, announce: false, cores: [] })
  const req = enc.AddCoreEncoding.requestEncoding; const res = enc.AddCoreEncoding.responseEncoding
  E('add-core-request', 'min', req, { key: d.bytes('a0') })
  E('add-core-request', 'full', req, { key: d.bytes('a1'), referrer: d.bytes('a2'), priority: 1, announce: true })
  E('core-record', 'min', res, { key: d.bytes('r0'), length: 0, bytesAllocated: 0, updated: 1, active: 2, priority: 0 })
  E('core-record', 'full', res, { key: d.bytes('r1'), length: d.int('rl', 1, 9999), bytesAllocated: 2 ** 33, updated: 1700000000000, active: 1700000001000, priority: 1, announce: true, referrer: d.bytes('r2'), blocksCleared: 7, bytesCleared: 99999 })
  E('delete-core-request', 'one', enc.DeleteCoreEncoding.requestEncoding, { key: d.bytes('d0') })
  E('wakeup/handshake', 'one', wk.getEncoding('@wakeup/handshake'), { version: 0, capability: d.bytes('wc'), active: true })
  E('wakeup/announce', 'two', wk.getEncoding('@wakeup/announce'), [{ key: d.bytes('w0'), length: 3 }, { key: d.bytes('w1'), length: d.int('wl', 1, 99999) }])
  E('wakeup/lookup', 'none', wk.getEncoding('@wakeup/lookup'), { hash: null })
  E('wakeup/lookup', 'hash', wk.getEncoding('@wakeup/lookup'), { hash: d.bytes('wh') })
  E('wakeup/info', 'active', wk.getEncoding('@wakeup/info'), { active: true })
  E('wakeup/info', 'inactive', wk.getEncoding('@wakeup/info'), { active: false })
  {
    const [NI, NR] = crypto.namespace('wakeup', 2)
    for (let i = 0; i < 2; i++) {
      const cap = d.bytes('cap' + i); const hh = d.bytes('hh' + i, 64)
      add('wakeupCapability', i, { capability: hex(cap), handshakeHash: hex(hh), channelId: hex(crypto.discoveryKey(cap)), initiator: hex(crypto.hash([NI, cap, hh])), responder: hex(crypto.hash([NR, cap, hh])) })
    }
  }

  // ---- choosing blind peers: closest by xor
  for (let i = 0; i < 3; i++) {
    const target = d.bytes('t' + i); const keys = []; for (let j = 0; j < 6; j++) keys.push(d.bytes('k' + i + j))
    const sorted = [...keys].sort((a, b) => xor.gt(xor(a, target), xor(b, target)) ? 1 : -1)
    add('closest', i, { target: hex(target), keys: keys.map(hex), pick: 2, result: sorted.slice(0, 2).map(hex) })
  }

  // ---- links
  const k = crypto.keyPair(d.bytes('link')).publicKey; const z = require('hypercore-id-encoding').encode(k); const h = require('hypercore-id-encoding').encode(d.bytes('hash'))
  const links = ['pear://' + z, 'pear://' + hex(k), 'pear://' + z + '/', 'pear://' + z + '/path/to/file.js?q=1#frag', `pear://${d.int('fk', 0, 3)}.${d.int('ln', 1, 9999)}.${z}`, `pear://0.12.${z}.${h}`, 'pear://keet', 'pear://0.3.keet', 'pear://runtime/x', `pear://1.2`, `pear://a.2.${z}`, `pear://0.1.2.3.${z}`, 'pear://notakey', 'http://' + z, '']
  for (const l of links) {
    let out = null; let error = null
    try { const p = plink.parse(l); out = { pathname: p.pathname, search: p.search, hash: p.hash, origin: p.origin, drive: plain(p.drive) } } catch (e) { error = e.code || e.message }
    add('link', l || '(empty)', { link: l, parsed: out, rejected: !!error })
  }
  for (const [id, drive] of [['key', { key: k }], ['version', { key: k, fork: 2, length: 40 }], ['hash', { key: k, fork: 0, length: 7, hash: d.bytes('hash') }]]) add('linkSerialize', id, { drive: plain(drive), link: plink.serialize({ drive }) })

  // ---- real client against real blind peer server code, over a captured stream
  class Swarm extends EventEmitter { constructor (kp) { super(); this.keyPair = kp; this.joined = []; this.dht = new EventEmitter() } join (topic, o) { const r = { topic: hex(topic), server: o.server, client: o.client }; this.joined.push(r); return { isClient: o.client, refresh () {} } } leave () {} async destroy () {} async listen () {} }

  async function scenario (id, desc, opts, fn) {
    const s = new Exchange(d, 'bp/' + id)
    const skp = d.keyPair('bp/' + id + '/noiseB')
    const swarm = new Swarm(skp)
    const server = new BlindPeer(tmp(), { swarm, trustedPubKeys: opts.trusted ? [s.publicKeys.initiator] : [], enableGc: false })
    await server.ready()
    const wake = new Wakeup()
    const store = new Corestore(tmp(), { primaryKey: d.bytes('bp/' + id), unsafe: true }); await store.ready()
    const dht = new EventEmitter(); dht.destroyed = false
    let serverSide = null
    const link = () => {
      const a = s.raw('initiator'); const b = s.raw('responder')
      b.rawStream.remoteHost = '127.0.0.1'; a.rawStream.remoteHost = '127.0.0.1'
      s.tap('initiator', a); s.tap('responder', b)
      a.rawStream.pipe(b.rawStream).pipe(a.rawStream)
      serverSide = b
      swarm.emit('connection', b)
      s.s1 = { noiseStream: a }; s.s2 = { noiseStream: b }
      return a
    }
    dht.connect = () => link()
    const extra = await fn({ server, store, dht, link, wake, skp, s, swarm })
    await sleep(300)
    transcripts.push({ id, desc, serverKey: hex(skp.publicKey), trustedClient: !!opts.trusted, swarmJoins: swarm.joined, ...extra, ...s.toJSON() })
    try { s.close() } catch {}
    await store.close(); await server.close()
  }
  const info = async (x) => ({ key: hex(x.key), discoveryKey: hex(x.discoveryKey), length: x.length, blocks: await rawBlocks(x), manifest: manifestOut(x.manifest) })

  await scenario('add-core', 'client asks an untrusting blind peer to keep one core; the server opens the core channel and downloads everything', {}, async ({ server, store, dht, wake, skp }) => {
    const core = store.get({ name: 'photos' }); await core.ready(); await core.append(ruleBlocks({ seed: hex(d.bytes('r1', 16)), min: 1, span: 30 }, 6))
    const bp = new BlindPeering(dht, store, { keys: [skp.publicKey], wakeup: wake })
    await bp.addCore(core, { announce: true })
    for (let i = 0; i < 60; i++) { await sleep(50); const r = await server.db.getCoreRecord(core.key); if (r && server.store) { const x = server.store.get({ key: core.key, active: false }); await x.ready(); const ok = x.contiguousLength === core.length; await x.close(); if (ok) break } }
    await sleep(100)
    const record = await server.db.getCoreRecord(core.key)
    const out = { core: await info(core), serverRecord: { length: record.length, announce: record.announce, priority: record.priority, referrer: plain(record.referrer) }, note: 'announce was asked for but the client is not trusted, so it is dropped' }
    await bp.close()
    return out
  })
  await scenario('add-core-trusted-announce', 'same with a trusted client: announce is honoured and the server joins the discovery key', { trusted: true }, async ({ server, store, dht, wake, skp }) => {
    const core = store.get({ name: 'drive-db' }); await core.ready(); await core.append(ruleBlocks({ seed: hex(d.bytes('r2', 16)), min: 1, span: 30 }, 3))
    const bp = new BlindPeering(dht, store, { keys: [skp.publicKey], wakeup: wake })
    await bp.addCore(core, { announce: true, priority: 1, referrer: d.bytes('referrer') })
    await sleep(1200)
    const record = await server.db.getCoreRecord(core.key)
    const out = { core: await info(core), serverRecord: { length: record.length, announce: record.announce, priority: record.priority, referrer: plain(record.referrer) } }
    await bp.close()
    return out
  })
  await scenario('rpc-add-and-delete', 'the request/response interface: add-core, delete-core refused for an untrusted client, unknown method', {}, async ({ link, store, skp }) => {
    const a = link()
    store.replicate(a)
    const rpc = new ProtomuxRPC(a, { id: skp.publicKey, valueEncoding: c.none })
    const key = d.bytes('rpccore')
    const r = await rpc.request('add-core', { key, priority: 1, announce: false }, enc.AddCoreEncoding)
    const errs = {}
    try { await rpc.request('delete-core', { key }, enc.DeleteCoreEncoding) } catch (e) { errs['delete-core'] = { code: e.code, cause: e.cause && e.cause.message } }
    try { await rpc.request('nope', null, { requestEncoding: c.none, responseEncoding: c.none }) } catch (e) { errs.nope = { code: e.code } }
    return { record: { key: hex(r.key), length: r.length, priority: r.priority, announce: r.announce }, errors: errs }
  })
  { // wakeup between two plain peers
    const s = new Exchange(d, 'wakeup')
    const a = s.raw('initiator'); const b = s.raw('responder'); s.tap('initiator', a); s.tap('responder', b); s.s1 = { noiseStream: a }; s.s2 = { noiseStream: b }
    a.rawStream.pipe(b.rawStream).pipe(a.rawStream)
    const cap = d.bytes('wkcap'); const got = []
    const w1 = new Wakeup(); const w2 = new Wakeup()
    w1.addStream(a); w2.addStream(b)
    const s1 = w1.session(cap, { onannounce: (x) => got.push(plain(x)) })
    w2.session(cap, { onlookup: (r, peer, ses) => ses.announce(peer, [{ key: d.bytes('wk1'), length: 12 }]) })
    await sleep(100)
    s1.broadcastLookup({ hash: d.bytes('lk') }); await sleep(50); s1.inactive(); await sleep(50)
    transcripts.push({ id: 'wakeup', desc: 'lookup, announce and info between two holders of the same capability', capability: hex(cap), announced: got, ...s.toJSON() })
    s.close(); w1.destroy(); w2.destroy()
  }
  UPDATE_COMPAT(true)

  write(dir, '17-seeding.json', {
    sheet: '17', seed,
    fields: {
      encoding: 'value -> encoded; decoded = what a decoder returns', wakeupCapability: 'capability key + handshake hash -> proofs; channelId is the mux channel id', closest: 'target, keys -> the `pick` closest by xor distance',
      link: 'text -> parsed parts or rejected', linkSerialize: 'drive -> text',
      transcripts: 'same frame format as 12-transcripts; initiator = client, responder = blind peer; protomux-rpc payloads are raw (see sheet 17)'
    },
    cases, transcripts
  })
}

require('./lib/cores').main(module)
