'use strict'
const z32 = require('z32')
const ID = require('hypercore-id-encoding')
const { Det, crypto, b4a, hex, tmp, manifestOut, write, Hypercore, Corestore } = require('./lib/cores')

module.exports = async function (dir, seed) {
  const d = new Det(seed + '/16')
  const cases = []
  const add = (kind, id, x) => cases.push({ id: kind + '/' + id, kind, ...x })
  for (let p = 0; p < 3; p++) {
    const pk = d.bytes('pk' + p)
    for (const mv of [1, 2]) {
      const store = new Corestore(tmp(), { primaryKey: pk, unsafe: true, manifestVersion: mv }); await store.ready()
      const paths = [[], ['one'], ['one', 'two'], [hex(d.bytes('nsname' + p, 6))]]
      for (const ns of paths) {
        let s = store
        for (const n of ns) s = s.namespace(n)
        for (const name of ['db', 'name with space', hex(d.bytes('nm' + p + ns.length, 3))].slice(0, mv === 1 ? 3 : 1)) {
          const core = s.get({ name }); await core.ready()
          const kp = await s.createKeyPair(name)
          if (!b4a.equals(kp.publicKey, core.keyPair.publicKey)) throw new Error('key pair mismatch')
          add('named', [p, mv, ns.join('.'), name].join('/'), {
            primaryKey: hex(pk), manifestVersion: mv, namespaces: ns, namespace: hex(s.ns), name,
            seed: hex(kp.secretKey.subarray(0, 32)), publicKey: hex(kp.publicKey), manifest: manifestOut(core.manifest), key: hex(core.key), discoveryKey: hex(core.discoveryKey), textId: core.id
          })
          await core.close()
        }
      }
      await store.close()
    }
  }
  { // same name twice in one store is one core, other namespace is another core; binary names
    const pk = d.bytes('pkx'); const store = new Corestore(tmp(), { primaryKey: pk, unsafe: true }); await store.ready()
    const bin = d.bytes('bin', 9)
    const kp = await store.createKeyPair(bin)
    add('binaryName', 0, { primaryKey: hex(pk), name: hex(bin), publicKey: hex(kp.publicKey) })
    const a = store.get({ name: 'x' }); const b = store.get({ name: 'x' }); await a.ready(); await b.ready()
    add('alias', 0, { same: b4a.equals(a.key, b.key), aliasesListed: await (async () => { const o = []; for await (const dk of store.list()) o.push(hex(dk)); return o })(), discoveryKey: hex(a.discoveryKey) })
    await store.close()
  }
  for (let i = 0; i < 4; i++) {
    const key = d.bytes('id' + i)
    add('id', i, { key: hex(key), z32: z32.encode(key), hex: hex(key), pear: 'pear://' + z32.encode(key) + '/some/path' })
  }
  const k = d.bytes('idr')
  for (const [id, s] of [['short', z32.encode(k).slice(1)], ['bad-char', 'l' + z32.encode(k).slice(1)], ['hex-63', hex(k).slice(1)], ['empty', ''], ['http', 'http://' + z32.encode(k)]]) {
    let ok = true; try { ID.decode(s) } catch { ok = false }
    add('idReject', id, { input: s, accepted: ok })
  }
  write(dir, '16-corestore.json', {
    sheet: '16', seed,
    fields: {
      named: 'primary key, namespace path, name -> derived namespace tag, ed25519 seed, public key, manifest, core key, discovery key, text id',
      binaryName: 'names may be bytes', id: 'the four accepted spellings of one key', idReject: 'accepted tells what the real decoder says'
    },
    cases
  })
}

require('./lib/cores').main(module)
