'use strict'
const c = require('compact-encoding')
const z32 = require('z32')
const Verifier = require('hypercore/lib/verifier')
const multisig = require('hypercore/lib/multisig')
const caps = require('hypercore/lib/caps')
const m = require('hypercore/lib/messages')
const DefaultEncryption = require('hypercore/lib/default-encryption')
const { Det, crypto, b4a, hex, tmp, node, nodes, manifestOut, treeNodes, rawBlocks, write, Hypercore } = require('./lib/cores')

// minimal stand-in for the tree state a verifier needs
function batchOf (roots, length, fork, clone) {
  const b = {
    length, fork, roots,
    hash: () => crypto.tree(b.roots),
    signable: (ns) => caps.treeSignable(ns, b.hash(), b.length, b.fork),
    signableCompat: (nh) => caps.treeSignableCompat(b.hash(), b.length, b.fork, nh)
  }
  return b
}

module.exports = async function (dir, seed) {
  const d = new Det(seed + '/11')
  const cases = []
  const add = (kind, id, x) => cases.push({ id: kind + '/' + id, kind, ...x })

  // namespaces
  for (const [n, k] of [['hypercore', 6], ['corestore', 1], ['hyperdrive', 1], ['wakeup', 2], ['autobase', 4], [hex(d.bytes('nsname', 4)), 3]]) {
    add('namespace', n, { name: n, count: k, list: crypto.namespace(n, k).map(hex) })
  }

  // keys and ids
  for (let i = 0; i < 4; i++) {
    const key = d.bytes('dk' + i)
    add('discoveryKey', i, { key: hex(key), discoveryKey: hex(crypto.discoveryKey(key)), z32: z32.encode(key) })
  }
  for (let i = 0; i < 2; i++) {
    const s = d.bytes('seed' + i)
    const kp = crypto.keyPair(s)
    add('keyPair', i, { seed: hex(s), publicKey: hex(kp.publicKey), secretKey: hex(kp.secretKey) })
  }

  // manifests
  const A = d.keyPair('A'); const B = d.keyPair('B'); const C = d.keyPair('C')
  const ns1 = d.bytes('ns1')
  const S = (kp, namespace) => ({ signature: 'ed25519', publicKey: kp.publicKey, ...(namespace ? { namespace } : {}) })
  const list = {
    'v1-default': { signers: [S(A)] },
    'v1-namespace': { signers: [S(A, ns1)] },
    'v1-2of3': { quorum: 2, signers: [S(A), S(B), S(C)] },
    'v1-2of3-patch': { quorum: 2, allowPatch: true, signers: [S(A), S(B), S(C)] },
    'v1-default-quorum-of-3': { signers: [S(A), S(B), S(C)] },
    'v1-static': { quorum: 0, signers: [], prologue: { hash: d.bytes('pro'), length: d.int('pl', 1, 70000) } },
    'v1-prologue-signers': { quorum: 1, signers: [S(B)], prologue: { hash: d.bytes('pro2'), length: 4 } },
    'v2-plain': { version: 2, signers: [S(A)] },
    'v2-userData': { version: 2, signers: [S(A)], userData: d.bytes('ud', d.int('udl', 1, 60)) },
    'v2-linked': { version: 2, signers: [S(A)], linked: [d.bytes('l0'), d.bytes('l1')] },
    'v2-all': { version: 2, quorum: 1, allowPatch: true, signers: [S(A), S(B)], prologue: { hash: d.bytes('pro3'), length: 300 }, linked: [d.bytes('l2')], userData: d.bytes('ud2', 5) },
    'v3-plain': { version: 3, signers: [S(C)] },
    'v0-single': { version: 0, signers: [S(A)] },
    'v0-multi': { version: 0, quorum: 2, signers: [S(A), S(B), S(C)] },
    'v0-multi-patch': { version: 0, quorum: 1, allowPatch: true, signers: [S(A), S(B)] },
    'v0-static': { version: 0, quorum: 0, signers: [], prologue: { hash: d.bytes('pro4'), length: 0 } }
  }
  const mans = {}
  for (const [id, inp] of Object.entries(list)) {
    const man = Verifier.createManifest(inp)
    mans[id] = man
    const enc = c.encode(m.manifest, man)
    const key = Hypercore.key(man)
    add('manifest', id, { manifest: manifestOut(man), encoded: hex(enc), key: hex(key), discoveryKey: hex(crypto.discoveryKey(key)), z32: z32.encode(key), decoded: manifestOut(c.decode(m.manifest, enc)) })
  }
  const good = c.encode(m.manifest, mans['v1-default'])
  const bad = {
    'version-4': b4a.concat([b4a.from([4]), good.subarray(1)]),
    'unknown-hash': b4a.concat([good.subarray(0, 2), b4a.from([1]), good.subarray(3)]),
    'unknown-signature': b4a.concat([good.subarray(0, 5), b4a.from([1]), good.subarray(6)]),
    truncated: good.subarray(0, good.byteLength - 1),
    'v0-type-3': b4a.from([0, 0, 3])
  }
  for (const [id, enc] of Object.entries(bad)) {
    let error = null
    try { c.decode(m.manifest, enc) } catch (e) { error = e.message }
    if (!error) throw new Error('expected manifest reject ' + id)
    add('manifestReject', id, { encoded: hex(enc), error })
  }

  // capability
  for (let i = 0; i < 3; i++) {
    const key = d.bytes('ck' + i); const hh = d.bytes('hh' + i, 64)
    add('capability', i, { key: hex(key), handshakeHash: hex(hh), initiator: hex(caps.replicate(true, key, hh)), responder: hex(caps.replicate(false, key, hh)) })
  }

  // signatures over a head
  const roots = [{ index: 3, size: 40, hash: d.bytes('r0') }, { index: 8, size: 7, hash: d.bytes('r1') }]
  const head = { length: 5, fork: d.int('fork', 0, 3), roots }
  const out = (h) => ({ length: h.length, fork: h.fork, roots: nodes(h.roots), treeHash: hex(crypto.tree(h.roots)) })
  const check = (id, man, key, h, signature, expect, extra) => {
    let ok = false
    try { ok = new Verifier(key, man).verify(batchOf(h.roots, h.length, h.fork), signature) } catch (e) { ok = false }
    if (ok !== expect) throw new Error('verify mismatch ' + id + ' got ' + ok)
    add('verify', id, { manifest: manifestOut(man), key: hex(key), head: out(h), signature: hex(signature), accept: expect, ...extra })
  }
  const flip = (b, i) => { const x = b4a.from(b); x[i] ^= 1; return x }
  for (const id of ['v1-default', 'v1-namespace', 'v2-userData', 'v0-single']) {
    const man = mans[id]; const key = Hypercore.key(man)
    const b = batchOf(head.roots, head.length, head.fork)
    const sig = new Verifier(key, man).sign(b, A)
    const ctx = man.version === 0 ? man.signers[0].namespace : key
    check(id, man, key, head, sig, true, { signable: hex(b.signable(ctx)), signerSeedLabel: 'A' })
    check(id + '-flip-sig', man, key, head, flip(sig, sig.byteLength - (id === 'v0-single' ? 1 : 20)), false)
    check(id + '-wrong-length', man, key, { ...head, length: 6 }, sig, false)
    check(id + '-wrong-fork', man, key, { ...head, fork: head.fork + 1 }, sig, false)
    check(id + '-wrong-root', man, key, { ...head, roots: [{ ...roots[0], hash: flip(roots[0].hash, 3) }, roots[1]] }, sig, false)
    check(id + '-wrong-size', man, key, { ...head, roots: [{ ...roots[0], size: 41 }, roots[1]] }, sig, false)
  }
  { // same signature presented under a manifest with another namespace: key differs so must fail
    const man = mans['v1-namespace']; const sig = new Verifier(Hypercore.key(mans['v1-default']), mans['v1-default']).sign(batchOf(head.roots, head.length, head.fork), A)
    check('cross-namespace', man, Hypercore.key(man), head, sig, false)
  }
  { // compat core: key is the public key itself
    const man = mans['v1-default']; const key = A.publicKey
    const b = batchOf(head.roots, head.length, head.fork)
    const sig = new Verifier(key, man).sign(b, A)
    check('compat', man, key, head, sig, true, { signable: hex(b.signableCompat(false)), note: 'key equals the only signer public key, so compat rules apply' })
    check('compat-wrong-fork', man, key, { ...head, fork: head.fork + 1 }, sig, false)
  }
  { // quorum
    const man = mans['v1-2of3']; const key = Hypercore.key(man)
    const b = batchOf(head.roots, head.length, head.fork)
    const raw = (kp) => crypto.sign(b.signable(key), kp.secretKey)
    const p = (signer, kp) => ({ signer, signature: raw(kp), patch: 0, nodes: null })
    check('2of3', man, key, head, multisig.assemble([p(0, A), p(1, B)]), true)
    check('2of3-other-order', man, key, head, multisig.assemble([p(2, C), p(0, A)]), true)
    check('2of3-extra-ignored', man, key, head, multisig.assemble([p(0, A), p(2, C), { signer: 1, signature: b4a.alloc(64), patch: 0 }]), true)
    check('2of3-only-one', man, key, head, multisig.assemble([p(0, A)]), false)
    check('2of3-duplicate-signer', man, key, head, multisig.assemble([p(0, A), p(0, A)]), false)
    check('2of3-signer-out-of-range', man, key, head, multisig.assemble([p(0, A), p(3, B)]), false)
    check('2of3-wrong-signer-index', man, key, head, multisig.assemble([p(0, A), p(2, B)]), false)
    check('2of3-first-bad-third-good', man, key, head, multisig.assemble([p(0, A), { signer: 1, signature: b4a.alloc(64), patch: 0 }, p(2, C)]), false)
  }
  { // prologue rule: below or at the prologue length only the hash counts, signature ignored
    const base = { length: 4, fork: 0, roots: [{ index: 3, size: 9, hash: d.bytes('pr0') }] }
    const man = Verifier.createManifest({ quorum: 1, signers: [S(B)], prologue: { hash: crypto.tree(base.roots), length: 4 } })
    const key = Hypercore.key(man)
    check('prologue-exact', man, key, base, null, true)
    check('prologue-shorter', man, key, { length: 2, fork: 0, roots: [{ index: 1, size: 3, hash: d.bytes('pr1') }] }, null, false)
    check('prologue-wrong-hash', man, key, { ...base, roots: [{ ...base.roots[0], hash: d.bytes('pr2') }] }, null, false)
    const longer = { length: 5, fork: 0, roots: [base.roots[0], { index: 8, size: 3, hash: d.bytes('pr3') }] }
    check('prologue-longer-signed', man, key, longer, new Verifier(key, man).sign(batchOf(longer.roots, 5, 0), B), true)
    check('prologue-longer-unsigned', man, key, longer, null, false)
    const st = Verifier.createManifest({ quorum: 0, signers: [], prologue: { hash: crypto.tree(base.roots), length: 4 } })
    check('static-exact', st, Hypercore.key(st), base, null, true)
    check('static-longer', st, Hypercore.key(st), longer, null, false)
  }
  { // patched quorum: signer 0 signed length 4, signer 1 signed length 7 of the same tree, head is 4
    const mk = async (kp, man) => { const x = new Hypercore(tmp(), { keyPair: kp, manifest: man }); await x.ready(); return x }
    const man = Verifier.createManifest({ quorum: 2, allowPatch: true, signers: [S(A), S(B)] })
    const key = Hypercore.key(man)
    const one = await mk(A, Verifier.createManifest({ signers: [S(A)] }))
    const blocks = []
    for (let i = 0; i < 7; i++) blocks.push(d.bytes('pb' + i, d.int('pbl' + i, 1, 20)))
    await one.append(blocks)
    const rootsAt = async (n) => { const { MerkleTree } = require('hypercore/lib/merkle-tree'); return MerkleTree.getRoots(one.state, n) }
    const r4 = await rootsAt(4); const r7 = await rootsAt(7)
    const s4 = crypto.sign(caps.treeSignable(key, crypto.tree(r4), 4, 0), A.secretKey)
    const s7 = crypto.sign(caps.treeSignable(key, crypto.tree(r7), 7, 0), B.secretKey)
    const up = await one.proof({ upgrade: { start: 4, length: 3 } })
    const blob = multisig.assemble([{ signer: 0, signature: s4, patch: 0, nodes: null }, { signer: 1, signature: s7, patch: 3, nodes: up.upgrade.nodes }])
    const target = new Hypercore(tmp(), { manifest: man, keyPair: A }); await target.ready()
    // let the real core check it end to end
    await target.append(blocks.slice(0, 4), { signature: blob })
    const h = { length: 4, fork: 0, roots: r4 }
    add('verify', 'patch-4-signed-at-7', { manifest: manifestOut(man), key: hex(key), head: out(h), signature: hex(blob), accept: true, patchedHead: out({ length: 7, fork: 0, roots: r7 }), note: 'proof 1 covers length 7; patch nodes extend the head of 4 by 3' })
    const noPatch = Verifier.createManifest({ quorum: 2, signers: [S(A), S(B)] })
    const kp2 = Hypercore.key(noPatch)
    add('verify', 'patch-not-allowed', { manifest: manifestOut(noPatch), key: hex(kp2), head: out(h), signature: hex(blob), accept: new Verifier(kp2, noPatch).verify(batchOf(r4, 4, 0), blob) })
    if (cases[cases.length - 1].accept) throw new Error('patch should be refused')
    const blobBad = multisig.assemble([{ signer: 0, signature: s4, patch: 0, nodes: null }, { signer: 1, signature: s7, patch: 3, nodes: up.upgrade.nodes.map((n) => ({ ...n, hash: flip(n.hash, 0) })) }])
    let ok = true
    const t2 = new Hypercore(tmp(), { manifest: man, keyPair: A }); await t2.ready()
    try { await t2.append(blocks.slice(0, 4), { signature: blobBad }) } catch { ok = false }
    if (ok) throw new Error('bad patch accepted')
    add('verify', 'patch-bad-node', { manifest: manifestOut(man), key: hex(key), head: out(h), signature: hex(blobBad), accept: false })
    add('multisigBlob', 'decode', { blob: hex(blob), proofs: [{ signer: 0, signature: hex(s4), patch: 0 }, { signer: 1, signature: hex(s7), patch: 3 }], patch: nodes(c.decode(m.multiSignature, blob).patch) })
    await one.close(); await target.close(); await t2.close()
  }

  // block encryption
  for (const mode of ['default', 'block', 'compat']) {
    const ek = d.bytes('ek' + mode); const hk = d.bytes('hk' + mode)
    const e = new DefaultEncryption(ek, hk, { block: mode === 'block', compat: mode === 'compat' })
    for (let i = 0; i < 4; i++) {
      const index = [0, 1, d.int('ei' + mode, 2, 9999), 2 ** 33 + 5][i]; const fork = [0, 0, d.int('ef' + mode, 1, 9), 0][i]
      const pt = d.bytes('pt' + mode + i, [0, 5, 64, 200][i])
      const buf = b4a.concat([b4a.alloc(8), pt])
      DefaultEncryption.encrypt(index, buf, fork, e.blockKey, e.blindingKey)
      add('blockEncryption', mode + '-' + i, { mode, encryptionKey: hex(ek), hypercoreKey: hex(hk), blockKey: hex(e.blockKey), blindingKey: hex(e.blindingKey), index, fork, plaintext: hex(pt), stored: hex(buf) })
    }
  }
  { // a whole encrypted core, tree is over the stored (padded, encrypted) bytes
    const ek = d.bytes('coreEk'); const kp = d.keyPair('encCore')
    const core = new Hypercore(tmp(), { keyPair: kp, encryption: { key: ek } })
    await core.ready()
    const pts = []
    for (let i = 0; i < 5; i++) pts.push(d.bytes('ec' + i, d.int('ecl' + i, 0, 50)))
    await core.append(pts)
    const before = await rawBlocks(core)
    await core.truncate(3); await core.append([pts[4], pts[3]])
    add('encryptedCore', 0, {
      encryptionKey: hex(ek), key: hex(core.key), publicKey: hex(kp.publicKey), plaintexts: pts.map(hex), storedFork0: before,
      afterTruncate3: { fork: core.fork, appended: [hex(pts[4]), hex(pts[3])], stored: await rawBlocks(core), length: core.length, byteLengthStored: core.core.state.byteLength, byteLengthUser: core.byteLength, roots: nodes(core.core.state.roots), signature: hex(core.core.state.signature) },
      note: 'the fork used while encrypting is the fork of the stored head at append time'
    })
    await core.close()
  }

  // a life of one core: append, truncate, append
  const kp = d.keyPair('life')
  const core = new Hypercore(tmp(), { keyPair: kp })
  await core.ready()
  const steps = []
  const snap = async (op) => steps.push({ op, length: core.length, fork: core.fork, byteLength: core.core.state.byteLength, roots: nodes(core.core.state.roots), treeHash: hex(await core.treeHash()), signature: hex(core.core.state.signature) })
  let k = 0
  for (let s = 0; s < 6; s++) {
    if (s % 3 === 2) { const to = d.int('tr' + s, 0, core.length - 1); await core.truncate(to); await snap({ truncate: to }) } else {
      const n = d.int('ap' + s, 1, 7); const bs = []
      for (let i = 0; i < n; i++) bs.push(d.bytes('lb' + (k++), d.int('lbl' + k, 0, 40)))
      await core.append(bs); await snap({ append: bs.map(hex) })
    }
  }
  add('life', 0, { key: hex(core.key), manifest: manifestOut(core.manifest), secretSeed: hex(kp.secretKey.subarray(0, 32)), publicKey: hex(kp.publicKey), steps })
  await core.close()

  { // compat core made by the real package
    const core = new Hypercore(tmp(), { keyPair: A, compat: true }); await core.ready()
    const bs = [d.bytes('cb0', 9), d.bytes('cb1', 3), d.bytes('cb2', 14)]
    await core.append(bs)
    add('compatCore', 0, { publicKey: hex(A.publicKey), key: hex(core.key), discoveryKey: hex(core.discoveryKey), blocks: bs.map(hex), length: 3, fork: 0, treeHash: hex(await core.treeHash()), signature: hex(core.core.state.signature), signable: hex(caps.treeSignableCompat(await core.treeHash(), 3, 0, false)) })
    await core.close()
  }

  write(dir, '11-hypercore.json', {
    sheet: '11', seed,
    fields: {
      namespace: 'name, count -> list of 32 byte tags',
      discoveryKey: 'key -> discoveryKey, z32 text id',
      keyPair: 'ed25519 seed -> publicKey, secretKey (seed|publicKey)',
      manifest: 'manifest object -> encoded bytes, key, discoveryKey, z32; decoded is what a decoder must return for encoded (v0 static drops prologue.length)',
      manifestReject: 'encoded must fail to decode',
      capability: 'key, 64 byte handshake hash -> proof sent by initiator / responder',
      verify: 'manifest, key, head{length,fork,roots}, signature blob -> accept true/false',
      multisigBlob: 'blob -> proofs, patch nodes',
      blockEncryption: 'keys, index, fork, plaintext -> stored bytes (8 byte prefix + ciphertext)',
      encryptedCore: 'whole encrypted core, before and after a truncation',
      life: 'ordered steps; op is {append:[hex]} or {truncate:n}; every step lists the head that must result. ed25519 is deterministic so signatures must match exactly',
      compatCore: 'key = public key; signature is 64 raw bytes over the compat signable'
    },
    cases
  })
}

require('./lib/cores').main(module)
