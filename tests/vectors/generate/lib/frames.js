'use strict'
// Captures and decodes plaintext protomux frames exchanged between two real peers.
const c = require('compact-encoding')
const NoiseStream = require('@hyperswarm/secret-stream')
const m = require('hypercore/lib/messages')
const wakeup = require('protomux-wakeup/spec/hyperschema')
const bpm = require('blind-peer-muxer/spec/hyperschema')
const { crypto, b4a, hex, plain } = require('./cores')

const w = m.wire
const PROTOCOLS = {
  'hypercore/alpha': {
    handshake: w.handshake,
    messages: [['sync', w.sync], ['request', w.request], ['cancel', w.cancel], ['data', w.data], ['noData', w.noData], ['want', w.want], ['unwant', w.unwant], ['bitfield', w.bitfield], ['range', w.range], ['extension', w.extension]]
  },
  wakeup: {
    handshake: wakeup.getEncoding('@wakeup/handshake'),
    messages: [['lookup', wakeup.getEncoding('@wakeup/lookup')], ['announce', wakeup.getEncoding('@wakeup/announce')], ['info', wakeup.getEncoding('@wakeup/info')]]
  },
  'blind-peer': { handshake: null, messages: [['cores', bpm.getEncoding('@blind-peer/cores')]] },
  'protomux-rpc': { handshake: null, messages: [['request', null], ['response', null]] }
}

// long values are given as their length and BLAKE2b-256, absent fields are left out
function compactMsg (v) {
  if (typeof v === 'string' && v.length > 1024 && /^[0-9a-f]+$/.test(v)) return { bytes: v.length / 2, blake2b: hex(crypto.hash(b4a.from(v, 'hex'))) }
  if (Array.isArray(v)) return v.map(compactMsg)
  if (v && typeof v === 'object') { const o = {}; for (const k of Object.keys(v)) if (v[k] !== null) o[k] = compactMsg(v[k]); return o }
  return v
}

class Decoder { // one per direction
  constructor () { this.channels = new Map() }
  frame (buf) {
    const s = { start: 0, end: buf.byteLength, buffer: buf }
    const out = []
    if (buf.byteLength === 0) return out
    this._one(c.uint.decode(s), s, out)
    return out
  }
  _one (id, s, out) {
    const type = c.uint.decode(s)
    if (id !== 0) {
      const ch = this.channels.get(id)
      const p = ch && PROTOCOLS[ch.protocol]
      const def = p && p.messages[type]
      const raw = hex(s.buffer.subarray(s.start, s.end))
      let msg = null
      if (def && def[1]) msg = plain(def[1].decode(s))
      const rec = { channel: id, protocol: ch ? ch.protocol : null, type, name: def ? def[0] : null }
      if (msg === null) rec.payload = raw
      else rec.msg = compactMsg(msg)
      out.push(rec)
      return
    }
    if (type === 0) { // batch
      const end = s.end
      let cur = c.uint.decode(s)
      while (s.start < end) {
        const len = c.uint.decode(s)
        if (len === 0) { cur = c.uint.decode(s); continue }
        s.end = s.start + len
        this._one(cur, s, out)
        s.start = s.end
        s.end = end
      }
      out.forEach((o) => { o.inBatch = true })
    } else if (type === 1) {
      const local = c.uint.decode(s); const protocol = c.string.decode(s); const id2 = c.optionalBuffer.decode(s)
      const p = PROTOCOLS[protocol]
      const raw = hex(s.buffer.subarray(s.start, s.end))
      const hs = p && p.handshake && s.start < s.end ? plain(p.handshake.decode(s)) : null
      this.channels.set(local, { protocol, id: id2 })
      out.push({ control: 'open', channel: local, protocol, id: hex(id2), handshake: hs, handshakeRaw: raw })
    } else if (type === 2) {
      out.push({ control: 'reject', channel: c.uint.decode(s) })
    } else if (type === 3) {
      const local = c.uint.decode(s)
      out.push({ control: 'close', channel: local })
      this.channels.delete(local)
    } else out.push({ control: 'unknown', type })
  }
}

class Exchange {
  constructor (d, label) {
    const a = d.keyPair(label + '/noiseA'); const b = d.keyPair(label + '/noiseB')
    const hash = d.bytes(label + '/hash', 64); const k1 = d.bytes(label + '/k1', 32); const k2 = d.bytes(label + '/k2', 32)
    this.handshakeHash = hash
    this.publicKeys = { initiator: a.publicKey, responder: b.publicKey }
    this.opts = {
      initiator: { keepAlive: false, handshake: { tx: k1, rx: k2, hash, publicKey: a.publicKey, remotePublicKey: b.publicKey } },
      responder: { keepAlive: false, handshake: { tx: k2, rx: k1, hash, publicKey: b.publicKey, remotePublicKey: a.publicKey } }
    }
    this.frames = []
    this.dec = { initiator: new Decoder(), responder: new Decoder() }
    this.ended = { initiator: null, responder: null }
  }
  tap (side, noise) {
    const write = noise.write.bind(noise)
    noise.write = (buf) => {
      const copy = b4a.from(buf)
      if (copy.byteLength > 0) {
        let messages
        try { messages = this.dec[side].frame(copy) } catch (e) { messages = [{ undecodable: e.message }] }
        this.frames.push({ from: side, hex: hex(copy), messages })
      }
      return write(buf)
    }
    noise.on('error', (e) => { this.ended[side] = this.ended[side] || e.message })
    noise.on('close', () => { this.ended[side] = this.ended[side] || 'closed' })
    return noise
  }
  // repl(side, opts) must return what core.replicate / store.replicate returns
  connect (initiator, responder) {
    const s1 = initiator(true, this.opts.initiator)
    const s2 = responder(false, this.opts.responder)
    this.tap('initiator', s1.noiseStream); this.tap('responder', s2.noiseStream)
    this.s1 = s1; this.s2 = s2
    s1.on('error', () => {}); s2.on('error', () => {})
    s1.pipe(s2).pipe(s1)
    return this
  }
  raw (side) { return new NoiseStream(side === 'initiator', null, this.opts[side]) }
  close () { this.s1.noiseStream.destroy(); this.s2.noiseStream.destroy() }
  toJSON () {
    return {
      handshakeHash: hex(this.handshakeHash), noisePublicKeys: { initiator: hex(this.publicKeys.initiator), responder: hex(this.publicKeys.responder) },
      secretStream: { initiatorTx: hex(this.opts.initiator.handshake.tx), initiatorRx: hex(this.opts.initiator.handshake.rx) },
      frames: this.frames
    }
  }
}
module.exports = { Exchange, Decoder, PROTOCOLS, NoiseStream, compactMsg }
