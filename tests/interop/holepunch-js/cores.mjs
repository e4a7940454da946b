// Cores and commands on stdin: writes its own, reads others', over TCP.
//   node cores.mjs --storage DIR [--connect HOST:PORT ...] [--listen HOST:PORT]
import Corestore from 'corestore'
import crypto from 'hypercore-crypto'
import b4a from 'b4a'
import {
  commands, emit, fail, hex, onStop, options, parseAddress, tcpConnect, tcpListen
} from './lib.mjs'

const USAGE = `cores.mjs --storage DIR
  --connect HOST:PORT  a peer to replicate with (may repeat)
  --listen HOST:PORT   wait for peers too
stdin takes JSON commands: see the list below; blocks are text, keys hex`

const opts = options(USAGE, {
  storage: { type: 'string' },
  connect: { type: 'string', multiple: true },
  listen: { type: 'string' }
})
if (!opts.storage) {
  fail('--storage is required')
  process.exit()
}

const store = new Corestore(opts.storage)
await store.ready()
const cores = new Map()
const heard = []
const snapshots = []
const streams = new Set()

function onstream (stream) {
  streams.add(stream)
  stream.on('error', () => {})
  stream.on('close', () => streams.delete(stream))
  store.replicate(stream)
}

const bytes = (text) => (text ? b4a.from(text, 'hex') : null)
const text = (block) => (block === null ? null : b4a.toString(block))

function describe (core) {
  return {
    key: hex(core.key),
    length: core.length,
    byteLength: core.byteLength,
    fork: core.fork,
    contiguous: core.contiguousLength,
    writable: core.writable
  }
}

const COMMANDS = {
  async open ({ core: id, name, key, seed, manifest, encryptionKey, allowPush }) {
    const how = { allowPush: !!allowPush }
    if (name) how.name = name
    if (key) how.key = bytes(key)
    if (encryptionKey) how.encryption = { key: bytes(encryptionKey) }
    if (seed) {
      how.keyPair = crypto.keyPair(bytes(seed))
      how.manifest = { signers: [{ publicKey: how.keyPair.publicKey }], ...manifest }
      if (manifest && manifest.userData) how.manifest.userData = b4a.from(manifest.userData)
    }
    const core = store.get(how)
    await core.ready()
    cores.set(id, core)
    const extension = core.registerExtension('test', {
      onmessage (message, peer) {
        heard.push(text(message))
        if (!text(message).endsWith('!')) extension.send(b4a.from(text(message) + '!'), peer)
      }
    })
    core.extension = extension
    core.on('conflict', () => emit('conflict', { core: id }))
    return describe(core)
  },
  async append ({ core, blocks }) {
    await cores.get(core).append(blocks.map((block) => b4a.from(block)))
    return describe(cores.get(core))
  },
  async truncate ({ core, length }) {
    await cores.get(core).truncate(length)
    return describe(cores.get(core))
  },
  async clear ({ core, start, end }) {
    await cores.get(core).clear(start, end)
    return describe(cores.get(core))
  },
  // Waits until the core is this long, in this fork.
  async reach ({ core, length, fork }) {
    const it = cores.get(core)
    while (it.length !== length || it.fork !== (fork || 0)) {
      await it.update()
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    return describe(it)
  },
  async get ({ core, start, end }) {
    const it = cores.get(core)
    const blocks = []
    for (let i = start; i < end; i++) blocks.push(it.get(i, { timeout: 20000 }))
    return { blocks: (await Promise.all(blocks)).map(text) }
  },
  async download ({ core, start, end }) {
    await cores.get(core).download({ start, end }).done()
    return describe(cores.get(core))
  },
  async has ({ core, index }) {
    return { has: await cores.get(core).has(index) }
  },
  async seek ({ core, at }) {
    return { found: await cores.get(core).seek(at) }
  },
  async snapshot ({ core }) {
    snapshots.push(cores.get(core).snapshot())
    await snapshots.at(-1).ready()
    return { length: snapshots.at(-1).length }
  },
  async old ({ index }) {
    return { block: text(await snapshots.at(-1).get(index, { wait: false })) }
  },
  async say ({ core, message }) {
    cores.get(core).extension.broadcast(b4a.from(message))
  },
  async heard () {
    return { heard }
  },
  async push ({ core, index }) {
    await cores.get(core).core.replicator.push(index)
  },
  async connect ({ tcp }) {
    onstream(await tcpConnect(parseAddress(tcp), false))
  },
  async info ({ core }) {
    return describe(cores.get(core))
  }
}

const server = opts.listen ? await tcpListen(parseAddress(opts.listen), false, onstream) : null
for (const address of opts.connect || []) onstream(await tcpConnect(parseAddress(address), false))

onStop(async () => {
  for (const stream of streams) stream.destroy()
  if (server) server.close()
  await store.close()
  emit('closed')
})

commands((command) => COMMANDS[command.cmd](command))
const address = server && server.address()
emit('ready', { tcp: address ? address.address + ':' + address.port : null })
