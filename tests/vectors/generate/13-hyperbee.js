'use strict'
const Hyperbee = require('hyperbee')
const { Header, Node, YoloIndex, Extension } = require('hyperbee/lib/messages')
const SubEncoder = require('sub-encoder')
const { Det, b4a, hex, tmp, rawBlocks, plain, write, Hypercore } = require('./lib/cores')

module.exports = async function (dir, seed) {
  const d = new Det(seed + '/13')
  const cases = []
  const add = (kind, id, x) => cases.push({ id: kind + '/' + id, kind, ...x })
  const ent = (e) => e && ({ seq: e.seq, key: hex(e.key), value: e.value === null ? null : hex(e.value) })

  async function make (opts = {}) {
    const core = new Hypercore(tmp(), { keyPair: d.keyPair('bee') }); await core.ready()
    const bee = new Hyperbee(core, opts); await bee.ready()
    return { core, bee }
  }
  async function dump (bee) { const out = []; for await (const e of bee.createReadStream()) out.push(ent(e)); return out }
  function decodeBlocks (raw) {
    return raw.map((h, i) => {
      const buf = b4a.from(h, 'hex')
      if (i === 0) return { header: plain(Header.decode(buf)) }
      const n = Node.decode(buf)
      return { key: hex(n.key), value: n.value === null ? null : hex(n.value), levels: YoloIndex.decode(n.index).levels.map((l) => ({ keys: l.keys, children: l.children })) }
    })
  }

  async function script (id, ops, opts = {}, extra = {}) {
    const { core, bee } = await make(opts)
    const outcome = []; const boundaries = []
    for (const op of ops) {
      const before = core.length
      if (op.put) await bee.put(b4a.from(op.put[0], 'hex'), op.put[1] === null ? null : b4a.from(op.put[1], 'hex'))
      else if (op.del) await bee.del(b4a.from(op.del, 'hex'))
      else if (op.batch) {
        const b = bee.batch()
        for (const x of op.batch) { if (x.put) await b.put(b4a.from(x.put[0], 'hex'), x.put[1] === null ? null : b4a.from(x.put[1], 'hex')); else await b.del(b4a.from(x.del, 'hex')) }
        await b.flush()
      }
      outcome.push(core.length - before); if (core.length > 1) boundaries.push(core.length)
    }
    const raw = await rawBlocks(core)
    const version = bee.version
    const entries = await dump(bee)
    const rec = { ops, options: opts.alwaysDuplicate === false ? { alwaysDuplicate: false } : {}, blocksAppended: outcome, version, blocks: raw, entries, ...extra }
    if (raw.length <= 40) rec.decoded = decodeBlocks(raw)
    // queries on the result
    if (entries.length > 3) {
      const ks = entries.map((e) => e.key)
      const q = []
      for (let i = 0; i < 6; i++) {
        const a = d.pick(id + 'qa' + i, ks); const b = d.pick(id + 'qb' + i, ks)
        const [lo, hi] = a < b ? [a, b] : [b, a]
        const r = [{ gte: lo, lt: hi }, { gt: lo, lte: hi }, { gte: lo, reverse: true }, { lt: hi, limit: 3 }, { gt: lo, lt: hi, reverse: true, limit: 2 }, { lte: hi, reverse: true, limit: 1 }][i]
        const conv = {}; for (const k of Object.keys(r)) conv[k] = typeof r[k] === 'string' ? b4a.from(r[k], 'hex') : r[k]
        const keys = []; for await (const e of bee.createReadStream(conv)) keys.push(hex(e.key))
        q.push({ range: r, keys })
      }
      rec.ranges = q
      const gets = []
      for (let i = 0; i < 4; i++) { const k = i < 3 ? d.pick(id + 'g' + i, ks) : hex(d.bytes(id + 'miss', 5)); gets.push({ key: k, entry: ent(await bee.get(b4a.from(k, 'hex'))) }) }
      rec.gets = gets
    }
    if (version > 4) {
      const hist = []; for await (const e of bee.createHistoryStream()) hist.push({ type: e.type, ...ent(e) })
      rec.history = hist.length <= 80 ? hist : undefined
      const old = d.pick(id + 'co', boundaries.length > 1 ? boundaries.slice(0, -1) : boundaries)
      const co = bee.checkout(old)
      const diff = []; for await (const { left, right } of bee.createDiffStream(old)) diff.push({ left: ent(left), right: ent(right) })
      rec.checkout = { version: old, entries: (await dump(co)).map((e) => [e.key, e.seq]) }
      rec.diffFrom = { version: old, changes: diff }
      await co.close()
    }
    add('bee', id, rec)
    await bee.close()
  }

  const H = (s) => hex(b4a.from(s))
  const P = (k, v) => ({ put: [H(k), v === null ? null : H(v)] })
  const D = (k) => ({ del: H(k) })

  await script('one-put', [P('a', '1')])
  await script('overwrite', [P('a', '1'), P('a', '2'), P('a', '2')])
  await script('no-duplicate-option', [P('a', '1'), P('a', '1'), P('b', '1'), P('b', '2')], { alwaysDuplicate: false })
  await script('del-missing', [P('a', '1'), D('zz'), P('b', '2')])
  await script('put-del', [P('a', '1'), P('b', '2'), D('a'), D('b'), P('c', '3')])
  await script('null-and-empty-values', [P('n', null), P('e', ''), P('x', 'y')])
  await script('empty-key', [P('', 'root'), P('a', 'b')])
  await script('ascending-splits', Array.from({ length: 24 }, (_, i) => P('k' + String(i).padStart(3, '0'), 'v' + i)))
  await script('descending-splits', Array.from({ length: 24 }, (_, i) => P('k' + String(99 - i).padStart(3, '0'), 'v' + i)))
  await script('one-batch', [{ batch: Array.from({ length: 30 }, (_, i) => P('b' + String((i * 7) % 30).padStart(2, '0'), 'v' + i)) }])
  await script('batch-with-dels', [{ batch: Array.from({ length: 20 }, (_, i) => P('b' + String(i).padStart(2, '0'), 'v' + i)) }, { batch: [D('b03'), D('b04'), P('b05', 'new'), D('b19'), D('b00'), P('zz', 'last')] }])
  await script('empty-batch', [P('a', '1'), { batch: [] }, P('b', '2')])

  // random mixes
  for (let s = 0; s < 4; s++) {
    const size = d.int('rs' + s, 60, 110); const space = d.int('sp' + s, 15, 60); const ops = []
    for (let i = 0; i < size; i++) {
      const k = hex(b4a.from('r' + d.int('k' + s + '/' + i, 0, space)))
      const roll = d.int('roll' + s + '/' + i, 0, 9)
      if (roll < 6) ops.push({ put: [k, hex(d.bytes('v' + s + i, d.int('vl' + s + i, 0, 24)))] })
      else if (roll < 9) ops.push({ del: k })
      else {
        const b = []
        for (let j = 0; j < d.int('bn' + s + i, 2, 9); j++) {
          const kk = hex(b4a.from('r' + d.int('bk' + s + i + j, 0, space)))
          b.push(d.int('br' + s + i + j, 0, 3) ? { put: [kk, hex(d.bytes('bv' + s + i + j, 6))] } : { del: kk })
        }
        ops.push({ batch: b })
      }
    }
    await script('random-' + s, ops)
  }
  { // grow big in one batch, then delete most one by one: exercises borrow and merge at several levels
    const keys = []; const n = d.int('big', 180, 240)
    for (let i = 0; i < n; i++) keys.push(hex(d.bytes('bigk' + i, 4)))
    const ops = [{ batch: keys.map((k, i) => ({ put: [k, hex(b4a.from(String(i)))] })) }]
    const order = keys.map((k, i) => [hex(d.bytes('ord' + i, 4)), k]).sort((a, b) => (a[0] < b[0] ? -1 : 1)).map((x) => x[1])
    for (const k of order.slice(0, Math.floor(n * 0.8))) ops.push({ del: k })
    await script('grow-then-shrink', ops)
  }

  // sub databases: how the key bytes come out
  {
    const { core, bee } = await make()
    const s1 = bee.sub('files'); const s2 = s1.sub('deep'); const s3 = bee.sub('x', { sep: '!' })
    await s1.put('one', 'a'); await s2.put('two', 'b'); await s3.put('three', 'c'); await bee.put('plain', 'd')
    const se = new SubEncoder('files', 'utf-8'); const se2 = se.sub('deep', 'utf-8')
    const list = async (x) => { const o = []; for await (const e of x.createReadStream()) o.push(hex(e.key)); return o }
    add('sub', 0, {
      puts: [{ path: ['files'], key: 'one' }, { path: ['files', 'deep'], key: 'two' }, { path: ['x'], sep: '!', key: 'three' }, { path: [], key: 'plain' }],
      rawKeys: (await dump(bee)).map((e) => e.key), blocks: await rawBlocks(core),
      listing: { files: await list(s1), 'files/deep': await list(s2), x: await list(s3) },
      subEncoder: { 'files:one': hex(se.encode('one')), 'files/deep:two': hex(se2.encode('two')), rangeOfFiles: plain(se.encodeRange({})), rangeGtLt: plain(se.encodeRange({ gt: '/a/', lt: '/a0' })) }
    })
    await bee.close()
  }

  // headers
  for (const [id, metadata] of [['none', null], ['contentFeed', { contentFeed: d.bytes('cf') }], ['userData', { userData: d.bytes('ud', 7) }], ['both', { contentFeed: d.bytes('cf2'), userData: d.bytes('ud2', 3) }], ['empty-object', { contentFeed: null }]]) {
    add('header', id, { protocol: 'hyperbee', metadata: plain(metadata), encoded: hex(Header.encode({ protocol: 'hyperbee', metadata })) })
  }
  for (const [id, buf] of [['empty', ''], ['no-protocol', '1200'], ['garbage', 'ff']]) {
    let ok = true; try { Header.decode(b4a.from(buf, 'hex')) } catch { ok = false }
    add('headerReject', id, { encoded: buf, decodes: ok })
  }

  // extension messages
  const exts = {
    get: { get: { version: d.int('ev', 2, 70000), key: b4a.from('hello') } },
    'iterator-open': { iterator: { version: 9, gte: null, gt: null, lte: null, lt: null, limit: 0, reverse: false, checkpoint: [] } },
    'iterator-range': { iterator: { version: d.int('ev2', 2, 900), gte: b4a.from('a'), gt: null, lte: null, lt: b4a.from('b'), limit: 10, reverse: true, checkpoint: [5, 0, 1, 7, 1, 300] } },
    cache: { cache: { start: d.int('cs', 0, 99), end: d.int('ce', 300, 999), blocks: [3, 1, 70000] } }
  }
  for (const [id, m] of Object.entries(exts)) {
    const enc = Extension.encode(m)
    add('extension', id, { encoded: hex(enc), decoded: plain(Extension.decode(enc)) })
  }

  write(dir, '13-hyperbee.json', {
    sheet: '13', seed,
    fields: {
      bee: 'ops run in order on an empty bee with no header metadata and binary encodings: {put:[keyHex,valueHex|null]}, {del:keyHex}, {batch:[...]}. blocksAppended per op counts core blocks added by that op (the very first write also adds the header block). blocks = all raw blocks, byte for byte. entries = full listing in key order',
      'bee.decoded': 'levels[i] = tree node i of that block: keys are seqs, children are flat pairs (seq, offset)',
      'bee.ranges / gets / history / checkout / diffFrom': 'queries on the final state; checkout.entries = [key, seq] pairs; diffFrom lists left = now, right = at that version. Versions used here always sit on an operation boundary, a version inside a batch is not readable',
      sub: 'raw key bytes produced by sub databases and by the encoder that hyperdrive uses',
      header: 'block 0', headerReject: 'decodes tells whether a decoder may accept it',
      extension: 'payload of the hypercore extension message named hyperbee'
    },
    cases
  })
}

require('./lib/cores').main(module)
