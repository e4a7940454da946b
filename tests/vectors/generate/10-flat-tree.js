'use strict'
const flat = require('flat-tree')
const { Det, crypto, b4a, hex, ruleBlocks, tmp, node, nodes, treeNodes, write, Hypercore } = require('./lib/cores')
const caps = require('hypercore/lib/caps')

module.exports = async function (dir, seed) {
  const d = new Det(seed + '/10')
  const cases = []
  const add = (kind, id, c) => cases.push({ id: kind + '/' + id, kind, ...c })

  // --- numbering
  const idx = new Set()
  for (let i = 0; i < 16; i++) idx.add(i)
  for (let i = 0; i < 24; i++) idx.add(d.int('idx' + i, 16, i < 12 ? 5000 : 2 ** 40))
  for (const i of idx) {
    add('flat', i, {
      index: i,
      depth: flat.depth(i), offset: flat.offset(i), parent: flat.parent(i), sibling: flat.sibling(i), leftChild: flat.leftChild(i), rightChild: flat.rightChild(i),
      leftSpan: flat.leftSpan(i), rightSpan: flat.rightSpan(i), countLeaves: flat.countLeaves(i)
    })
  }
  const lens = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 17, 31, 33]
  for (let i = 0; i < 8; i++) lens.push(d.int('len' + i, 34, i < 5 ? 100000 : 2 ** 33))
  for (const n of lens) add('fullRoots', n, { length: n, roots: flat.fullRoots(2 * n) })

  // --- hashes
  for (const n of [0, 1, 7, 32, 255, 65536]) {
    const data = d.bytes('leaf' + n, n)
    add('leafHash', n, { data: n > 300 ? { rule: { label: 'see dataSha', note: 'byte i = i & 255' } } : hex(data), size: n, hash: hex(crypto.data(n > 300 ? Buffer.from(Uint8Array.from({ length: n }, (_, i) => i & 255)) : data)) })
  }
  for (let i = 0; i < 6; i++) {
    const left = { index: 4 * i, size: d.int('ls' + i, 0, 1e6), hash: d.bytes('lh' + i) }
    const right = { index: 4 * i + 2, size: i === 5 ? 2 ** 45 : d.int('rs' + i, 0, 1e6), hash: d.bytes('rh' + i) }
    add('parentHash', i, { left: node(left), right: node(right), parent: { index: 4 * i + 1, size: left.size + right.size, hash: hex(crypto.parent(left, right)) }, swappedInputSameResult: b4a.equals(crypto.parent(left, right), crypto.parent(right, left)) })
  }
  for (let i = 0; i < 3; i++) {
    const roots = [{ index: 3, size: d.int('a' + i, 1, 999), hash: d.bytes('ah' + i) }, { index: 9, size: d.int('b' + i, 1, 999), hash: d.bytes('bh' + i) }].slice(0, i)
    add('treeHash', i, { roots: nodes(roots), hash: hex(crypto.tree(roots)) })
  }

  // --- whole trees of many lengths, from a real core
  const rule = { seed: hex(d.bytes('rule', 16)), min: 0, span: 40 }
  const kp = d.keyPair('core')
  const core = new Hypercore(tmp(), { keyPair: kp })
  await core.ready()
  const max = d.int('max', 300, 420)
  const want = new Set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 255, 256, 257, max])
  for (let i = 0; i < 6; i++) want.add(d.int('w' + i, 130, max))
  const blocks = ruleBlocks(rule, max)
  const snap = async () => {
    const th = await core.treeHash()
    const n = core.length
    add('tree', 'len' + n, {
      blocks: n <= 9 ? blocks.slice(0, n).map(hex) : { rule, count: n },
      length: n, fork: core.fork, byteLength: core.core.state.byteLength,
      roots: nodes(core.core.state.roots), allNodes: n > 0 && n <= 9 ? await treeNodes(core) : undefined,
      treeHash: hex(th),
      key: hex(core.key), signable: hex(caps.treeSignable(core.key, th, n, core.fork)), signature: hex(core.core.state.signature), publicKey: hex(kp.publicKey)
    })
  }
  await snap()
  for (let i = 0; i < max; i++) {
    await core.append(blocks[i])
    if (want.has(core.length)) await snap()
  }
  // fork by truncation, then grow again with other blocks
  const cut = d.int('cut', 3, 9)
  await core.truncate(cut)
  const other = ruleBlocks({ ...rule, seed: hex(d.bytes('rule2', 16)) }, 3)
  await core.append(other)
  add('treeAfterFork', 'f1', {
    base: { rule, count: cut }, appended: other.map(hex), length: core.length, fork: core.fork, byteLength: core.core.state.byteLength, roots: nodes(core.core.state.roots),
    treeHash: hex(await core.treeHash()), key: hex(core.key), publicKey: hex(kp.publicKey), signable: hex(await core.signable()), signature: hex(core.core.state.signature)
  })
  // byte offsets: seek results over the tree
  for (let i = 0; i < 8; i++) {
    const bytes = d.int('seek' + i, 0, core.core.state.byteLength - 1)
    add('seek', i, { base: { rule, count: cut }, appended: other.map(hex), bytes, result: await core.seek(bytes) })
  }
  await core.close()

  write(dir, '10-flat-tree-and-merkle.json', {
    sheet: '10', seed,
    fields: {
      flat: 'pure numbering facts for one node index',
      fullRoots: 'root indices of a tree with `length` blocks, left to right',
      leafHash: 'data (hex, or for the 65536 case byte i = i & 255) -> size, hash',
      parentHash: 'left, right nodes -> parent node; input order must not matter',
      treeHash: 'roots -> hash over all roots',
      tree: 'blocks (hex list, or {rule,count}: see rule) -> roots, treeHash, byteLength; signable is the 112 byte message, signature is the stored signature blob (v1: 01 00 sig64 00 00)',
      rule: 'block i: len = min + (H(seed|u32le(i)|ffffffff)[0] % span); bytes = first len bytes of H(seed|u32le(i)|u32le(0)) H(seed|u32le(i)|u32le(1)) ...; H = BLAKE2b-256',
      treeAfterFork: 'keep the first base.count blocks of base.rule, raise the fork by one, append `appended`',
      seek: 'same tree as treeAfterFork; result [blockIndex, offsetInBlock] of an absolute byte offset'
    },
    cases
  })
}

require('./lib/cores').main(module)
