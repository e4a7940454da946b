// One drive and commands on stdin: reads somebody else's, or writes its own, over TCP.
//   node drive.mjs --storage DIR [--key KEY --connect HOST:PORT ...] [--listen HOST:PORT]
import Corestore from 'corestore'
import Hyperdrive from 'hyperdrive'
import { createHash } from 'node:crypto'
import b4a from 'b4a'
import {
  commands, decodeKey, emit, encryptionKey, fail, hex, keys, onStop, options, parseAddress, tcpConnect, tcpListen
} from './lib.mjs'

const USAGE = `drive.mjs --storage DIR
  --key KEY            somebody else's drive (z32 or hex); without it our own
  --connect HOST:PORT  a peer to replicate with (may repeat)
  --listen HOST:PORT   wait for peers too
  --encryption-key HEX
stdin takes JSON commands: see the switch below`

const opts = options(USAGE, {
  storage: { type: 'string' },
  key: { type: 'string' },
  connect: { type: 'string', multiple: true },
  listen: { type: 'string' }
})
if (!opts.storage) {
  fail('--storage is required')
  process.exit()
}

const store = new Corestore(opts.storage)
const drive = new Hyperdrive(store, opts.key ? decodeKey(opts.key) : null, { encryptionKey: encryptionKey(opts) })
await drive.ready()

const streams = new Set()
function onstream (stream) {
  streams.add(stream)
  stream.on('error', () => {})
  stream.on('close', () => streams.delete(stream))
  store.replicate(stream)
}

const server = opts.listen ? await tcpListen(parseAddress(opts.listen), false, onstream) : null
for (const address of opts.connect || []) onstream(await tcpConnect(parseAddress(address), false))

onStop(async () => {
  for (const stream of streams) stream.destroy()
  if (server) server.close()
  await drive.close()
  await store.close()
  emit('closed')
})

const address = server && server.address()
emit('ready', {
  ...keys(drive.key),
  discoveryKey: hex(drive.discoveryKey),
  contentKey: hex(drive.contentKey || null),
  version: drive.version,
  writable: drive.writable,
  tcp: address ? address.address + ':' + address.port : null
})

// Waits until the drive is at a version (and forks) that the test knows of.
async function reach (cmd) {
  for (;;) {
    if (drive.version >= (cmd.atLeast || 0) && drive.core.fork >= (cmd.fork || 0)) {
      const blobs = cmd.blobsFork ? await drive.getBlobs() : null
      if (!blobs || blobs.core.fork >= cmd.blobsFork) return
      await blobs.core.update({ wait: true })
    } else {
      await drive.update({ wait: true })
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function everything (view, folder) {
  const files = {}
  for await (const entry of view.list(folder)) {
    const data = entry.value.blob ? await view.get(entry) : null
    files[entry.key] = {
      sha256: data ? createHash('sha256').update(data).digest('hex') : null,
      executable: entry.value.executable,
      linkname: entry.value.linkname,
      metadata: entry.value.metadata,
      blob: entry.value.blob
    }
  }
  return files
}

const done = () => ({
  version: drive.version,
  fork: drive.core.fork,
  blobsFork: drive.blobs ? drive.blobs.core.fork : 0
})

commands(async (cmd) => {
  const view = cmd.version === undefined ? drive : drive.checkout(cmd.version)
  switch (cmd.cmd) {
    case 'all': // every file with what is in it
      await reach(cmd)
      return { files: await everything(view, cmd.folder || '/'), ...done(), blobs: (await drive.getBlobs()).core.length }
    case 'range': {
      await reach(cmd)
      const parts = []
      for await (const part of view.createReadStream(cmd.path, { start: cmd.start, length: cmd.length })) parts.push(part)
      return { base64: b4a.toString(b4a.concat(parts), 'base64'), ...done() }
    }
    case 'readdir': {
      await reach(cmd)
      const names = []
      for await (const name of view.readdir(cmd.folder || '/')) names.push(name)
      return { names, ...done() }
    }
    case 'diff': {
      await reach(cmd)
      const changes = []
      for await (const { left, right } of view.diff(cmd.since, cmd.folder || '/')) {
        changes.push([left ? left.key : null, right ? right.key : null])
      }
      return { changes, ...done() }
    }
    case 'put':
      await drive.put(cmd.path, b4a.from(cmd.base64 || '', 'base64'), {
        executable: !!cmd.executable,
        metadata: cmd.metadata ?? null
      })
      return done()
    case 'copy': {
      const { value } = await drive.entry(cmd.path)
      await drive.putEntry(cmd.to, value)
      return done()
    }
    case 'del':
      await drive.del(cmd.path)
      return done()
    case 'symlink':
      await drive.symlink(cmd.path, cmd.target)
      return done()
    case 'truncate':
      await drive.truncate(cmd.to)
      return done()
    default:
      throw new Error('Unknown command: ' + cmd.cmd)
  }
})
