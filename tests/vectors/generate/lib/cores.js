'use strict'
// Common parts of the generators 10 to 17: seeded choices, cores as JSON, output.
// Every "random" choice is drawn from one seed string, so a different seed gives a different but equally shaped set.
const crypto = require('hypercore-crypto')
const b4a = require('b4a')
const fs = require('fs')
const os = require('os')
const path = require('path')
const Hypercore = require('hypercore')
const Corestore = require('corestore')
const { options } = require('./util')

const hex = (b) => (b === null || b === undefined ? null : b4a.toString(b, 'hex'))
const u32 = (n) => { const b = Buffer.alloc(4); b.writeUInt32LE(n >>> 0); return b }

class Det {
  constructor (seed) { this.root = crypto.hash(b4a.from('upper-vectors/' + seed)) }
  bytes (label, n = 32) {
    const out = []
    let left = n
    for (let i = 0; left > 0; i++) {
      const h = crypto.hash([this.root, b4a.from(label), u32(i)])
      out.push(h.subarray(0, Math.min(32, left)))
      left -= 32
    }
    return b4a.concat(out)
  }
  int (label, lo, hi) { // inclusive range
    const b = Buffer.from(this.bytes('int/' + label, 6))
    return lo + (b.readUIntLE(0, 6) % (hi - lo + 1))
  }
  pick (label, list) { return list[this.int('pick/' + label, 0, list.length - 1)] }
  keyPair (label) { return crypto.keyPair(this.bytes('kp/' + label)) }
  // a seeded replacement for Math.random so request order is repeatable
  random (label) {
    let i = 0
    return () => { const b = Buffer.from(this.bytes(label + '/' + (i++), 6)); return b.readUIntLE(0, 6) / 2 ** 48 }
  }
}

// block(i) by rule: length = min + (H(seed|i|ffffffff)[0] % span), bytes = H(seed|i|0)|H(seed|i|1)|...
function ruleBlock (rule, i) {
  const seed = b4a.from(rule.seed, 'hex')
  const len = rule.min + (crypto.hash([seed, u32(i), u32(0xffffffff)])[0] % rule.span)
  const out = []
  for (let j = 0, left = len; left > 0; j++, left -= 32) out.push(crypto.hash([seed, u32(i), u32(j)]).subarray(0, Math.min(32, left)))
  return b4a.concat(out)
}
function ruleBlocks (rule, n) { const a = []; for (let i = 0; i < n; i++) a.push(ruleBlock(rule, i)); return a }

const tmps = []
function tmp () { const d = fs.mkdtempSync(path.join(os.tmpdir(), 'upvec-')); tmps.push(d); return d }
function cleanup () { for (const d of tmps) fs.rmSync(d, { recursive: true, force: true }) }

const node = (n) => n && ({ index: n.index, size: n.size, hash: hex(n.hash) })
const nodes = (l) => l && l.map(node)

function manifestOut (m) {
  return m && {
    version: m.version, hash: m.hash, allowPatch: !!m.allowPatch, quorum: m.quorum,
    signers: m.signers.map((s) => ({ signature: s.signature, namespace: hex(s.namespace), publicKey: hex(s.publicKey) })),
    prologue: m.prologue ? { hash: hex(m.prologue.hash), length: m.prologue.length } : null,
    linked: m.linked ? m.linked.map(hex) : null,
    userData: m.userData ? hex(m.userData) : null
  }
}

function plain (v) { // any decoded message -> JSON with hex
  if (v === null || v === undefined) return null
  if (ArrayBuffer.isView(v)) {
    if (v instanceof Uint32Array) return { uint32array: hex(Buffer.from(v.buffer, v.byteOffset, v.byteLength)) }
    return hex(v)
  }
  if (Array.isArray(v)) return v.map(plain)
  if (typeof v === 'object') { const o = {}; for (const k of Object.keys(v)) o[k] = plain(v[k]); return o }
  return v
}

async function treeNodes (core) {
  const out = []
  for await (const n of core.state.storage.createTreeNodeStream()) out.push(node(n))
  return out.sort((a, b) => a.index - b.index)
}
async function rawBlocks (core, from = 0, to = core.length) {
  const out = []
  for (let i = from; i < to; i++) out.push(hex(await core.get(i, { raw: true })))
  return out
}

// The packages that these vectors depend on, with the versions pinned in package.json.
const PACKAGES = [
  '@hyperswarm/secret-stream', 'autobase', 'b4a', 'blind-peer', 'blind-peer-encodings', 'blind-peer-muxer',
  'blind-peering', 'compact-encoding', 'corestore', 'flat-tree', 'hyperbee', 'hyperblobs',
  'hypercore', 'hypercore-crypto', 'hypercore-id-encoding', 'hypercore-storage', 'hyperdrive', 'localdrive',
  'mirror-drive', 'pear-link', 'protomux', 'protomux-rpc', 'protomux-wakeup', 'sub-encoder',
  'xor-distance', 'z32'
]
const versions = () => {
  const pinned = require('../package.json').dependencies
  return Object.fromEntries(PACKAGES.map((name) => [name, pinned[name]]))
}

// readable but compact: objects open up to a depth, below that one line each
function pretty (v, depth = 0) {
  const flat = JSON.stringify(v)
  if (flat === undefined) return 'null'
  if (depth >= 5 || flat.length < 160 || v === null || typeof v !== 'object') return flat
  const pad = ' '.repeat(depth + 1)
  if (Array.isArray(v)) return '[\n' + v.map((x) => pad + pretty(x, depth + 1)).join(',\n') + '\n' + ' '.repeat(depth) + ']'
  const keys = Object.keys(v).filter((k) => v[k] !== undefined)
  return '{\n' + keys.map((k) => pad + JSON.stringify(k) + ': ' + pretty(v[k], depth + 1)).join(',\n') + '\n' + ' '.repeat(depth) + '}'
}

function write (dir, name, doc) {
  fs.mkdirSync(dir, { recursive: true })
  const body = pretty({ format: 1, packages: versions(), ...doc })
  fs.writeFileSync(path.join(dir, name), body + '\n')
  console.log(name, (doc.cases || doc.transcripts || []).length, 'cases', body.length, 'bytes')
}

// Run a generator as a program of its own: node 10-flat-tree.js [--seed TEXT] [--out DIR]
async function main (generator) {
  if (require.main !== generator) return
  const opts = options('pearbox-public-1')
  const guard = setTimeout(() => { console.error('took too long'); cleanup(); process.exit(1) }, 300000)
  try {
    await generator.exports(opts.out, opts.seed)
    clearTimeout(guard)
    cleanup()
    process.exit(0)
  } catch (err) {
    console.error(err)
    cleanup()
    process.exit(1)
  }
}

module.exports = { main, Det, crypto, b4a, hex, u32, ruleBlock, ruleBlocks, tmp, cleanup, node, nodes, manifestOut, plain, treeNodes, rawBlocks, write, Hypercore, Corestore }
