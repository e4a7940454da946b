'use strict'
const c = require('compact-encoding')
const m = require('hypercore/lib/messages')
const { MerkleTree } = require('hypercore/lib/merkle-tree')
const { Det, crypto, b4a, hex, tmp, node, nodes, manifestOut, plain, ruleBlocks, treeNodes, write, Hypercore } = require('./lib/cores')
const w = m.wire

module.exports = async function (dir, seed) {
  const d = new Det(seed + '/12')
  const cases = []
  const add = (kind, id, x) => cases.push({ id: kind + '/' + id, kind, ...x })
  const N = (l, n) => { const a = []; for (let i = 0; i < n; i++) a.push({ index: d.int(l + 'i' + i, 0, 70000), size: d.int(l + 's' + i, 0, 2 ** 34), hash: d.bytes(l + 'h' + i) }); return a }

  // ---- message encodings
  const man = { version: 1, hash: 'blake2b', allowPatch: false, quorum: 1, signers: [{ signature: 'ed25519', namespace: d.bytes('ns'), publicKey: d.bytes('pk') }], prologue: null, linked: null, userData: null }
  const sig = d.bytes('sig', 68)
  const msgs = {
    handshake: [{ seeks: true, capability: d.bytes('cap') }, { seeks: false, capability: d.bytes('cap2') }],
    sync: [
      { fork: 0, length: 0, remoteLength: 0, canUpgrade: true, uploading: true, downloading: true, hasManifest: false, allowPush: false },
      { fork: d.int('sf', 1, 300), length: d.int('sl', 0, 2 ** 36), remoteLength: d.int('sr', 253, 70000), canUpgrade: false, uploading: true, downloading: false, hasManifest: true, allowPush: true }
    ],
    request: [
      { id: 1, fork: 0, block: { index: d.int('rb', 0, 300), nodes: 3 }, hash: null, seek: null, upgrade: null, manifest: false, priority: 0 },
      { id: 253, fork: 1, block: null, hash: { index: d.int('rh', 0, 99999), nodes: 5 }, seek: { bytes: d.int('rs', 0, 2 ** 40), padding: 8 }, upgrade: null, manifest: false, priority: 0 },
      { id: 2, fork: 0, block: null, hash: null, seek: null, upgrade: { start: 0, length: d.int('ru', 1, 99999) }, manifest: true, priority: 0 },
      { id: 7, fork: 3, block: { index: 9, nodes: 0 }, hash: null, seek: null, upgrade: { start: 5, length: 9 }, manifest: false, priority: 2 },
      { id: 8, fork: 0, block: null, hash: null, seek: { bytes: 1000, padding: 0 }, upgrade: { start: 2, length: 30 }, manifest: false, priority: 1 },
      { id: 65536, fork: 0, block: null, hash: null, seek: null, upgrade: null, manifest: true, priority: 0 }
    ],
    cancel: [{ request: 1 }, { request: d.int('ca', 253, 99999) }],
    data: [
      { request: 1, fork: 0, block: { index: 4, value: d.bytes('v', 17), nodes: N('a', 3) }, hash: null, seek: null, upgrade: null, manifest: null },
      { request: 2, fork: 1, block: { index: 0, value: b4a.alloc(0), nodes: [] }, hash: null, seek: null, upgrade: { start: 0, length: 5, nodes: N('b', 2), additionalNodes: N('c', 1), signature: sig }, manifest: man },
      { request: 3, fork: 0, block: null, hash: { index: 11, nodes: N('e', 2) }, seek: { bytes: d.int('ds', 0, 2 ** 33), nodes: N('f', 3) }, upgrade: null, manifest: null },
      { request: 4, fork: 0, block: null, hash: null, seek: null, upgrade: { start: 3, length: 1, nodes: [], additionalNodes: [], signature: null }, manifest: null },
      { request: 0, fork: 9, block: null, hash: null, seek: null, upgrade: null, manifest: man }
    ],
    noData: [{ request: 5, reason: 0 }, { request: 5, reason: 1 }, { request: d.int('nd', 253, 70000), reason: 2 }],
    want: [{ start: 0, length: 2097152, any: false }, { start: 4096, length: 4096, any: false }, { start: d.int('wa', 0, 9999), length: 77, any: true }],
    unwant: [{ start: 2097152, length: 2097152, any: false }, { start: 3, length: 9, any: true }],
    bitfield: [{ start: 0, bitfield: Uint32Array.from([1, 0xffffffff, d.int('bf', 0, 2 ** 31)]) }, { start: 32768, bitfield: Uint32Array.from([0x80000000]) }],
    range: [{ drop: false, start: 0, length: d.int('ra', 2, 99999) }, { drop: true, start: 7, length: 1 }, { drop: false, start: 300, length: 1 }, { drop: true, start: 2 ** 33, length: 70000 }],
    extension: [{ name: 'hyperbee', message: d.bytes('ext', 9) }, { name: '', message: d.bytes('ext2', 4) }, { name: 'x', message: b4a.alloc(0) }]
  }
  const types = ['sync', 'request', 'cancel', 'data', 'noData', 'want', 'unwant', 'bitfield', 'range', 'extension']
  for (const name of Object.keys(msgs)) {
    msgs[name].forEach((msg, i) => {
      const enc = c.encode(w[name], msg)
      add('message', name + '-' + i, { name, type: name === 'handshake' ? null : types.indexOf(name), encoded: hex(enc), msg: plain(c.decode(w[name], enc)) })
    })
  }
  const trunc = [['sync', c.encode(w.sync, msgs.sync[1])], ['request', c.encode(w.request, msgs.request[0])], ['data', c.encode(w.data, msgs.data[0])], ['handshake', c.encode(w.handshake, msgs.handshake[0])], ['bitfield', c.encode(w.bitfield, msgs.bitfield[0])]]
  for (const [name, enc] of trunc) {
    const cut = enc.subarray(0, enc.byteLength - 1)
    let error = null
    try { c.decode(w[name], cut) } catch (e) { error = e.message }
    if (!error) throw new Error('expected decode failure ' + name)
    add('messageReject', name + '-truncated', { name, encoded: hex(cut), error })
  }

  // ---- missing nodes
  for (let i = 0; i < 10; i++) {
    const length = d.int('ml' + i, 1, 200); const block = d.int('mb' + i, 0, 220)
    add('maxMissingNodes', i, { index: 2 * block, length, nodes: MerkleTree.maxMissingNodes(2 * block, length), note: 'count assuming only the roots at `length` are known (server side estimate used for pushes)' })
  }

  // ---- proofs
  const kp = d.keyPair('proof')
  const n = d.int('n', 26, 46)
  const rule = { seed: hex(d.bytes('prule', 16)), min: 0, span: 50 }
  const blocks = ruleBlocks(rule, n)
  const W = new Hypercore(tmp(), { keyPair: kp }); await W.ready(); await W.append(blocks)
  const source = { key: hex(W.key), manifest: manifestOut(W.manifest), length: n, fork: 0, rule }

  async function makeReader (at, having) { // reader that verified head `at` and holds some blocks
    const r = new Hypercore(tmp(), W.key); await r.ready()
    if (at > 0) {
      // serve from a writer truncated in time: rebuild the old head
      const old = new Hypercore(tmp(), { keyPair: kp }); await old.ready(); await old.append(blocks.slice(0, at))
      const p = await old.proof({ upgrade: { start: 0, length: at } })
      if (!(await r.applyProof({ ...p, manifest: W.manifest }))) throw new Error('setup')
      for (const i of having) { const q = await old.proof({ block: { index: i, nodes: await r.missingNodes(i) } }); if (!(await r.applyProof(q))) throw new Error('setup block') }
      await old.close()
    }
    return r
  }
  async function serve (req) {
    const msg = { id: 1, fork: 0, block: null, hash: null, seek: null, upgrade: null, manifest: false, priority: 0, ...req }
    const rx = W.state.storage.read()
    let tp
    try { tp = await MerkleTree.proof(W.state, rx, { block: msg.block && { ...msg.block }, hash: msg.hash && { ...msg.hash }, seek: msg.seek && { ...msg.seek }, upgrade: msg.upgrade && { ...msg.upgrade } }) } catch (e) { rx.destroy(); throw e }
    const bp = msg.block ? rx.getBlock(msg.block.index) : null
    rx.tryFlush()
    const p = await tp.settle()
    if (p.block) p.block.value = await bp
    return { msg, data: { request: 1, fork: 0, block: p.block, hash: p.hash, seek: p.seek, upgrade: p.upgrade, manifest: msg.manifest ? W.manifest : null } }
  }
  const clone = (x) => c.decode(w.data, c.encode(w.data, x))
  const flip = (b, i = 0) => { const x = b4a.from(b); x[i] ^= 1; return x }

  let counter = 0
  async function tryProof (id, at, having, data, req, extra = {}) {
    const r = await makeReader(at, having)
    const before = { length: r.length, fork: r.fork, nodes: await treeNodes(r), blocks: having }
    let accept = false; let error = null
    try { accept = !!(await r.applyProof(data)) } catch (e) { error = e.code || e.message }
    const after = accept ? { length: r.length, byteLength: r.core.state.byteLength, nodes: await treeNodes(r), hasBlock: data.block ? await r.has(data.block.index) : undefined, roots: nodes(r.core.state.roots) } : undefined
    add('proof', id, { source: 'main', before, request: req ? hex(c.encode(w.request, req)) : null, data: hex(c.encode(w.data, data)), accept, error, after, ...extra })
    counter++
    await r.close()
    return accept
  }

  const mid = d.int('mid', 6, n - 8); const hv = [d.int('hv0', 0, mid - 1), d.int('hv1', 0, mid - 1)].filter((x, i, a) => a.indexOf(x) === i)
  const blkOld = d.int('bo', 0, mid - 1); const blkNew = d.int('bn', mid, n - 1); const part = d.int('part', mid + 1, n - 2)
  const S = async (id, at, having, req) => {
    const r = await makeReader(at, having)
    if (req.block && req.block.nodes === -1) req.block.nodes = await r.missingNodes(req.block.index)
    if (req.hash && req.hash.nodes === -1) req.hash.nodes = await MerkleTree.missingNodes(r.core.state, req.hash.index, r.length)
    await r.close()
    const { msg, data } = await serve(req)
    if (!(await tryProof(id, at, having, data, msg))) throw new Error('honest proof refused: ' + id)
    return { at, having, data, msg }
  }
  const P = {}
  P.up0 = await S('upgrade-from-0', 0, [], { upgrade: { start: 0, length: n }, manifest: true })
  P.up0add = await S('upgrade-from-0-additional', 0, [], { upgrade: { start: 0, length: part }, manifest: true })
  P.up0blk = await S('upgrade-from-0-with-block', 0, [], { block: { index: blkNew, nodes: 0 }, upgrade: { start: 0, length: n }, manifest: true })
  P.up0hash = await S('upgrade-from-0-with-hash', 0, [], { hash: { index: 2 * blkOld, nodes: 0 }, upgrade: { start: 0, length: n }, manifest: true })
  P.up0seek = await S('upgrade-from-0-with-seek', 0, [], { seek: { bytes: d.int('sk0', 1, W.byteLength - 1), padding: 0 }, upgrade: { start: 0, length: n }, manifest: true })
  P.up = await S('upgrade-mid', mid, hv, { upgrade: { start: mid, length: n - mid } })
  P.upadd = await S('upgrade-mid-additional', mid, hv, { upgrade: { start: mid, length: part - mid } })
  P.upold = await S('upgrade-mid-with-old-block', mid, hv, { block: { index: blkOld, nodes: -1 }, upgrade: { start: mid, length: n - mid } })
  P.upnew = await S('upgrade-mid-with-new-block', mid, hv, { block: { index: blkNew, nodes: 0 }, upgrade: { start: mid, length: n - mid } })
  P.uplast = await S('upgrade-mid-with-last-block', mid, hv, { block: { index: n - 1, nodes: 0 }, upgrade: { start: mid, length: n - mid } })
  P.blk0 = await S('block-from-roots', n, [], { block: { index: d.int('bx', 0, n - 1), nodes: -1 } })
  P.blk1 = await S('block-with-neighbours', n, [4, 9].filter((x) => x < n), { block: { index: 6, nodes: -1 } })
  P.blkLast = await S('block-last', n, [], { block: { index: n - 1, nodes: -1 } })
  P.blkSib = await S('block-sibling-known', n, [4], { block: { index: 5, nodes: -1 } })
  P.hashLeaf = await S('hash-leaf', n, [], { hash: { index: 2 * d.int('hl', 0, 15), nodes: -1 } })
  P.hashParent = await S('hash-parent', n, [], { hash: { index: 5, nodes: -1 } })
  { // seek inside a subtree, as the real reader asks: random leaf plus enough nodes to reach the subtree root
    const bytesOfBlock = async (i) => (await MerkleTree.byteOffset(W.state, 2 * i))
    const off = await bytesOfBlock(10) + Math.max(1, Math.floor(blocks[10].byteLength / 2))
    P.seekHash = await S('seek-with-hash-same-side', n, [], { hash: { index: 2 * 11, nodes: -1 }, seek: { bytes: off, padding: 0 } })
    P.seekHash2 = await S('seek-with-hash-other-side', n, [], { hash: { index: 2 * 14, nodes: -1 }, seek: { bytes: off, padding: 0 } })
    P.seekBlock = await S('seek-with-block', n, [], { block: { index: 3, nodes: -1 }, seek: { bytes: off, padding: 0 } })
  }

  // ---- tampering: each must be refused
  const T = async (id, p, fn) => {
    const x = clone(p.data)
    if (fn(x) === false) return
    if (await tryProof('tampered-' + id, p.at, p.having, x, null)) throw new Error('tampered proof accepted: ' + id)
  }
  await T('block-value', P.blk0, (x) => { if (!x.block.value.byteLength) x.block.value = b4a.from([1]); else x.block.value = flip(x.block.value) })
  await T('block-value-truncated', P.up0blk, (x) => { x.block.value = x.block.value.byteLength ? x.block.value.subarray(1) : b4a.from([0]) })
  await T('block-node-hash', P.blk0, (x) => { if (!x.block.nodes.length) return false; x.block.nodes[0].hash = flip(x.block.nodes[0].hash, 5) })
  await T('block-node-size', P.blk0, (x) => { if (!x.block.nodes.length) return false; x.block.nodes[0].size++ })
  await T('block-node-missing', P.blk0, (x) => { if (!x.block.nodes.length) return false; x.block.nodes.pop() })
  await T('block-node-order', P.blk1, (x) => { if (x.block.nodes.length < 2) return false; x.block.nodes.reverse() })
  await T('block-index-shifted', P.blk0, (x) => { x.block.index ^= 1 })
  await T('block-moved-far', P.blk1, (x) => { x.block.index += 8 })
  await T('last-block-value', P.blkLast, (x) => { x.block.value = b4a.concat([x.block.value, b4a.from([0])]) })
  await T('hash-node', P.hashLeaf, (x) => { if (x.hash.nodes.length < 2) return false; x.hash.nodes[0].hash = flip(x.hash.nodes[0].hash) })
  await T('hash-index', P.hashLeaf, (x) => { x.hash.index += 2 })
  await T('seek-node', P.seekHash2, (x) => { if (!x.seek) return false; x.seek.nodes[0].hash = flip(x.seek.nodes[0].hash) })
  await T('seek-node-size', P.seekBlock, (x) => { if (!x.seek) return false; x.seek.nodes[0].size += 1 })
  await T('upgrade-signature', P.up, (x) => { x.upgrade.signature = flip(x.upgrade.signature, 30) })
  await T('upgrade-signature-missing', P.up, (x) => { x.upgrade.signature = null })
  await T('upgrade-node-hash', P.up, (x) => { x.upgrade.nodes[0].hash = flip(x.upgrade.nodes[0].hash) })
  await T('upgrade-node-size', P.up, (x) => { x.upgrade.nodes[0].size += 1 })
  await T('upgrade-node-dropped', P.up, (x) => { x.upgrade.nodes.shift() })
  await T('upgrade-length-plus-one', P.up, (x) => { x.upgrade.length += 1 })
  await T('upgrade-length-minus-one', P.up, (x) => { x.upgrade.length -= 1 })
  await T('upgrade-fork-raised', P.up, (x) => { x.fork = 1 })
  await T('upgrade-additional-hash', P.upadd, (x) => { x.upgrade.additionalNodes[0].hash = flip(x.upgrade.additionalNodes[0].hash) })
  await T('upgrade-additional-dropped', P.upadd, (x) => { x.upgrade.additionalNodes.pop() })
  await T('upgrade-block-value', P.upnew, (x) => { x.block.value = b4a.concat([x.block.value, b4a.from([7])]) })
  await T('upgrade-old-block-value', P.upold, (x) => { x.block.value = b4a.concat([x.block.value, b4a.from([7])]) })
  await T('manifest-other-key', P.up0, (x) => { x.manifest.signers[0].publicKey = flip(x.manifest.signers[0].publicKey) })
  await T('manifest-other-namespace', P.up0, (x) => { x.manifest.signers[0].namespace = flip(x.manifest.signers[0].namespace) })
  await T('manifest-quorum-zero', P.up0, (x) => { x.manifest.quorum = 0 })
  await T('manifest-missing', P.up0, (x) => { x.manifest = null })
  { // a correct head signed by somebody else
    const other = new Hypercore(tmp(), { keyPair: d.keyPair('other') }); await other.ready(); await other.append(blocks)
    const p = await other.proof({ upgrade: { start: 0, length: n } })
    if (await tryProof('tampered-foreign-signer', 0, [], { request: 1, fork: 0, block: null, hash: null, seek: null, upgrade: p.upgrade, manifest: W.manifest }, null)) throw new Error('foreign accepted')
    await other.close()
  }
  { // duplicate block of another position with a self-consistent path from the other position
    const q = await W.proof({ block: { index: 2, nodes: 2 } })
    const x = clone({ request: 1, fork: 0, block: { ...q.block, value: blocks[3] }, hash: null, seek: null, upgrade: null, manifest: null })
    if (!b4a.equals(blocks[2], blocks[3])) { if (await tryProof('tampered-other-block-content', n, [], x, null)) throw new Error('swap accepted') }
  }

  // ---- odd but accepted by the real verifier
  const L = async (id, p, fn) => { const x = clone(p.data); fn(x); if (!(await tryProof('lenient-' + id, p.at, p.having, x, null))) throw new Error('refused: ' + id) }
  await L('extra-trailing-upgrade-node', P.up, (x) => { x.upgrade.nodes.push({ index: 1, size: 3, hash: d.bytes('junk') }) })
  await L('upgrade-start-renamed', P.up, (x) => { x.upgrade.start -= 1; x.upgrade.length += 1 })
  await L('manifest-sent-again', P.up, (x) => { x.manifest = W.manifest })

  // ---- requests a server must refuse
  for (const [id, req] of [
    ['block-out-of-range', { block: { index: n + 3, nodes: 0 }, upgrade: null }],
    ['upgrade-past-end', { upgrade: { start: 0, length: n + 1 } }],
    ['upgrade-empty', { upgrade: { start: 3, length: 0 } }],
    ['nodes-too-high', { block: { index: 0, nodes: 30 } }],
    ['seek-and-new-block-with-upgrade', { block: { index: n - 1, nodes: 0 }, seek: { bytes: 5, padding: 0 }, upgrade: { start: mid, length: n - mid } }],
    ['seek-outside-subtree', { hash: { index: 0, nodes: 1 }, seek: { bytes: W.byteLength - 1, padding: 0 } }]
  ]) {
    let error = null
    try { const { data } = await serve(req); c.encode(w.data, { ...data, block: data.block && data.block.value ? data.block : null }) ; if (req.block && req.block.index >= n) error = 'no such block' } catch (e) { error = e.code || e.message }
    if (!error) throw new Error('expected refusal ' + id)
    add('requestReject', id, { source: 'main', request: hex(c.encode(w.request, { id: 1, fork: 0, block: null, hash: null, seek: null, upgrade: null, manifest: false, priority: 0, ...req })), reply: id === 'block-out-of-range' ? 'noData reason 1' : 'noData reason 2', error })
  }

  // ---- upgrade length as the receiver computes it
  add('upgradeLength', 'additional', { data: hex(c.encode(w.data, P.upadd.data)), start: mid, length: part - mid, total: MerkleTree.upgradeLength(P.upadd.data.upgrade) })
  await W.close()

  write(dir, '12-replication.json', {
    sheet: '12', seed, sources: { main: source },
    fields: {
      message: 'encoded = message body only (no channel id, no type); msg = decoded fields. Re-encoding msg must give encoded',
      messageReject: 'decoding must fail',
      proof: 'before = what the verifying side knows: head length, fork, every stored tree node, block indices held. request (when present) is what a reader would send and `data` is exactly what a full server answers (request id 1). accept tells the verdict; after = state once applied: every stored node, roots, lengths. `error` is informative only',
      requestReject: 'a full server with source.main must not answer with data',
      maxMissingNodes: 'index, length -> number of parent steps until the subtree would contain the head',
      upgradeLength: 'final length after the optional additional nodes',
      sources: 'the served core: blocks come from rule (see sheet 10 vectors)'
    },
    cases
  })
}

require('./lib/cores').main(module)
