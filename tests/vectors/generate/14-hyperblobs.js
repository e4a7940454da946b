'use strict'
const Hyperblobs = require('hyperblobs')
const blockMap = require('hyperblobs/lib/block-map')
const { Det, crypto, b4a, hex, tmp, rawBlocks, write, Hypercore } = require('./lib/cores')

module.exports = async function (dir, seed) {
  const d = new Det(seed + '/14')
  const cases = []
  const add = (kind, id, x) => cases.push({ id: kind + '/' + id, kind, ...x })
  const stream = async (s) => { const out = []; for await (const x of s) out.push(x); return b4a.concat(out) }

  for (const encrypted of [false, true]) {
    const tag = encrypted ? 'encrypted' : 'plain'
    const ek = encrypted ? d.bytes('ek') : null
    const core = new Hypercore(tmp(), { keyPair: d.keyPair('b' + tag), ...(encrypted ? { encryption: { key: ek } } : {}) }); await core.ready()
    const blobs = new Hyperblobs(core, { blockSize: 64 })
    const puts = []
    const sizes = [0, 1, 63, 64, 65, d.int('s' + tag, 129, 400), 200]
    for (let i = 0; i < sizes.length; i++) {
      const data = d.bytes('d' + tag + i, sizes[i])
      const id = await blobs.put(data)
      puts.push({ data: hex(data), id: { ...id } })
    }
    const reads = []
    const big = puts[5]; const len = big.id.byteLength
    for (let i = 0; i < 6; i++) {
      const start = d.int('rs' + tag + i, 0, len - 1); const rest = len - start; const n = d.int('rl' + tag + i, 1, rest)
      const opts = [{ start, length: n }, { start, end: start + n - 1 }, { start }, { length: n }, { start: 0, length: len }, { start, length: n }][i]
      reads.push({ id: big.id, opts, data: hex(await stream(blobs.createReadStream(big.id, opts))) })
    }
    add('blobs', tag, { blockSize: 64, encryptionKey: hex(ek), key: hex(core.key), puts, blocks: await rawBlocks(core), length: core.length, byteLengthUser: core.byteLength, byteLengthStored: core.core.state.byteLength, reads })
    await core.close()
  }

  { // default block size boundary, contents as hashes
    const core = new Hypercore(tmp(), { keyPair: d.keyPair('dflt') }); await core.ready()
    const blobs = new Hyperblobs(core)
    const puts = []
    for (const n of [65535, 65536, 65537, 200000]) {
      const data = Buffer.from(Uint8Array.from({ length: n }, (_, i) => (i * 7 + n) & 255))
      const id = await blobs.put(data)
      const sizes = []
      for (let i = 0; i < id.blockLength; i++) sizes.push((await core.get(id.blockOffset + i)).byteLength)
      puts.push({ size: n, rule: 'byte i = (7 i + size) & 255', id: { ...id }, blockSizes: sizes, blake2b: hex(crypto.hash(data)) })
    }
    add('defaultBlockSize', 0, { blockSize: 65536, puts })
    // batch api field order matters for json text only
    const b = blobs.batch(); const id = await b.put(Buffer.from('abc')); await b.flush()
    add('batchIdFieldOrder', 0, { json: JSON.stringify(id), streamJson: JSON.stringify(puts[0].id) })
    await core.close()
  }

  { // deduplicating writes with a block map
    const core = new Hypercore(tmp(), { keyPair: d.keyPair('dedup') }); await core.ready()
    const blobs = new Hyperblobs(core)
    const chunk = (l, n) => d.bytes('c' + l, n)
    const put = async (chunks, opts) => {
      const ws = blobs.createWriteStream(opts)
      for (const x of chunks) ws.write(x)
      ws.end()
      await new Promise((resolve, reject) => { ws.on('error', reject); ws.on('close', resolve) })
      return { ...ws.id }
    }
    const A = chunk('a', 40); const B = chunk('b', 50); const C = chunk('c', 30); const X = chunk('x', 20)
    const id1 = await put([A, B, A, C], { dedup: true })
    const id2 = await put([A, X, C], { dedup: true, blob: id1 })
    const id3 = await put([B, C], { blockMap: true })
    const out = []
    for (const id of [id1, id2, id3]) {
      const map = await blobs.getBlockMap(id)
      const full = await blobs.get(id)
      const rs = await stream(blobs.createReadStream(id, { start: 10, length: 60 }))
      out.push({ id, map: map.blocks, data: hex(full), byteLength: await blobs.getByteLength(id), range10to70: hex(rs) })
    }
    add('blockMap', 'dedup', { writes: [{ chunks: [A, B, A, C].map(hex), dedup: true }, { chunks: [A, X, C].map(hex), dedup: true, against: 0 }, { chunks: [B, C].map(hex), blockMap: true }], results: out, blocks: await rawBlocks(core) })
    await core.close()
  }
  for (let i = 0; i < 2; i++) {
    const blocks = []; for (let j = 0; j < d.int('bm' + i, 1, 6); j++) blocks.push({ index: d.int('bi' + i + j, 0, 99999), byteLength: d.int('bb' + i + j, 0, 99999) })
    add('blockMapEncoding', i, { blocks, encoded: blockMap.encode({ blocks }).map(hex) })
  }

  write(dir, '14-hyperblobs.json', {
    sheet: '14', seed,
    fields: {
      blobs: 'puts in order on an empty core: data -> id; blocks = raw stored blocks (encrypted case: 8 byte prefix + ciphertext); reads: options of a range read -> bytes',
      defaultBlockSize: 'ids and block sizes at the default block size', blockMap: 'chunks as handed to the writer -> id, map entries, content', blockMapEncoding: 'map -> core blocks that hold it'
    },
    cases
  })
}

require('./lib/cores').main(module)
