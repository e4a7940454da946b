'use strict'
// Common parts of the vector generators: seeded bytes, RNG patching, output.
const fs = require('fs')
const path = require('path')
const sodium = require('sodium-universal')

const DEFAULT_SEED = 'pearbox-shared-vectors'
const DEFAULT_OUT = path.join(__dirname, '..', '..')

function options(seed = DEFAULT_SEED) {
  const opts = { seed, out: DEFAULT_OUT }
  const argv = process.argv.slice(2)
  for (let i = 0; i < argv.length; i++) {
    if (argv[i] === '--seed') opts.seed = argv[++i]
    else if (argv[i] === '--out') opts.out = path.resolve(argv[++i])
    else throw new Error('usage: node <script> [--seed TEXT] [--out DIR]')
  }
  return opts
}

// Deterministic bytes: BLAKE2b-64(key = BLAKE2b-32(seed text), label || u32le counter), concatenated.
class Bytes {
  constructor(seed) {
    this.key = Buffer.alloc(32)
    sodium.crypto_generichash(this.key, Buffer.from(seed))
  }

  get(label, n = 32) {
    const parts = []
    let have = 0
    for (let i = 0; have < n; i++) {
      const ctr = Buffer.alloc(4)
      ctr.writeUInt32LE(i)
      const out = Buffer.alloc(64)
      sodium.crypto_generichash(out, Buffer.concat([Buffer.from(label + '/'), ctr]), this.key)
      parts.push(out)
      have += 64
    }
    return Buffer.concat(parts).subarray(0, n)
  }

  int(label, max) {
    return Number(this.get(label, 8).readBigUInt64LE() % BigInt(max))
  }

  ip(label) {
    const b = this.get(label, 4)
    return [1 + (b[0] % 222), b[1], b[2], 1 + (b[3] % 253)].join('.')
  }

  port(label) {
    return 1024 + this.int(label, 64000)
  }

  addr(label) {
    return { host: this.ip(label + '/h'), port: this.port(label + '/p') }
  }

  keyPair(label) {
    const publicKey = Buffer.alloc(32)
    const secretKey = Buffer.alloc(64)
    sodium.crypto_sign_seed_keypair(publicKey, secretKey, this.get(label, 32))
    return { publicKey, secretKey }
  }
}

// Replace the random entry points used by the JavaScript stack with seeded ones.
// Returns a log of what was handed out, so a vector can show it.
function patchRandom(bytes, label) {
  const log = []
  const saved = {
    buf: sodium.randombytes_buf,
    keypair: sodium.crypto_sign_keypair,
    push: sodium.crypto_secretstream_xchacha20poly1305_init_push
  }
  let n = 0
  sodium.randombytes_buf = function (buf) {
    const b = bytes.get(`${label}/rand/${n++}`, buf.byteLength)
    buf.set(b)
    log.push({ call: 'randombytes_buf', bytes: hex(b) })
  }
  sodium.crypto_sign_keypair = function (pk, sk) {
    const seed = bytes.get(`${label}/rand/${n++}`, 32)
    sodium.crypto_sign_seed_keypair(pk, sk, seed)
    log.push({ call: 'crypto_sign_keypair', seed: hex(seed), publicKey: hex(pk) })
  }
  // a push state made from header H under key K equals a pull state made from the same H and K
  sodium.crypto_secretstream_xchacha20poly1305_init_push = function (state, header, key) {
    const b = bytes.get(`${label}/rand/${n++}`, 24)
    header.set(b)
    sodium.crypto_secretstream_xchacha20poly1305_init_pull(state, header, key)
    log.push({ call: 'secretstream_header', bytes: hex(b) })
  }
  return {
    log,
    restore() {
      sodium.randombytes_buf = saved.buf
      sodium.crypto_sign_keypair = saved.keypair
      sodium.crypto_secretstream_xchacha20poly1305_init_push = saved.push
    }
  }
}

function hex(b) {
  return b === null || b === undefined ? null : Buffer.from(b).toString('hex')
}

function versions(names) {
  const out = {}
  for (const n of names) {
    let dir = path.dirname(require.resolve(n))
    while (!fs.existsSync(path.join(dir, 'package.json')) || JSON.parse(fs.readFileSync(path.join(dir, 'package.json'))).name !== n) dir = path.dirname(dir)
    out[n] = JSON.parse(fs.readFileSync(path.join(dir, 'package.json'))).version
  }
  return out
}

function replacer(key, v) {
  if (v && v.type === 'Buffer' && Array.isArray(v.data)) return Buffer.from(v.data).toString('hex')
  if (v instanceof Uint8Array) return Buffer.from(v).toString('hex')
  if (typeof v === 'bigint') return v.toString() + 'n'
  return v
}

function save(opts, name, doc) {
  fs.mkdirSync(opts.out, { recursive: true })
  const file = path.join(opts.out, name)
  const out = { file: name, ...doc }
  const text = JSON.stringify(out, replacer, 1) + '\n'
  fs.writeFileSync(file, text)
  let count = 0
  for (const k of Object.keys(doc)) if (Array.isArray(doc[k])) count += doc[k].length
  console.log(`${name}: ${count} entries, ${text.length} bytes`)
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

function timeout(p, ms, what) {
  let t
  return Promise.race([
    p,
    new Promise((resolve, reject) => {
      t = setTimeout(() => reject(new Error('timed out: ' + what)), ms)
    })
  ]).finally(() => clearTimeout(t))
}

module.exports = { options, Bytes, patchRandom, hex, versions, save, sleep, timeout }
