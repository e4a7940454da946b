'use strict'
// Reference peer of the matrix, built on the public API of the npm packages hyperdht, hyperswarm
// and blind-relay.  It keeps the contract in peer.py: options on the command line, one
// JSON object per line on stdout, end of stdin means stop.  Find the packages with NODE_PATH.

const crypto = require('crypto')
const DHT = require('hyperdht')

const started = performance.now()
const role = process.argv[2]
const opt = {}
for (let i = 3; i + 1 < process.argv.length; i += 2) opt[process.argv[i].slice(2)] = process.argv[i + 1]
const bootstrap = (opt.bootstrap || '').split(',').filter(Boolean).map((s) => {
  const [host, port] = s.split(':')
  return { host, port: Number(port) }
})

const round = (x) => Math.round(x * 10) / 10
const say = (event, more) => process.stdout.write(JSON.stringify({ event, at: round(performance.now() - started), ...more }) + '\n')
const relayThrough = opt['relay-key'] ? Buffer.from(opt['relay-key'], 'hex') : null
const FIREWALL = ['unknown', 'open', 'consistent', 'random']

process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
process.on('uncaughtException', (err) => {
  say('error', { error: err.code || err.message })
  process.exit(2)
})

function remoteOf (socket) {
  const raw = socket.rawStream
  return raw && raw.remoteHost ? raw.remoteHost + ':' + raw.remotePort : null
}

function about (dht) {
  const p = dht.stats.punches
  return { punches: { open: p.open, consistent: p.consistent, random: p.random, tryLater: p.tryLater } }
}

// When a relay is in use the stream may move to a direct path later: report that as well.
function watchUpgrade (socket, dht) {
  let seen = remoteOf(socket)
  const timer = setInterval(() => {
    const now = remoteOf(socket)
    if (now && now !== seen) say('moved', { remote: (seen = now), ...about(dht) })
  }, 50)
  socket.on('close', () => clearInterval(timer))
}

function echo (socket) {
  socket.on('error', () => {})
  socket.on('data', (data) => socket.write(data))
  socket.on('end', () => socket.end())
}

// Send random bytes, get them back, compare.
function exchange (socket, size) {
  return new Promise((resolve, reject) => {
    const sent = crypto.randomBytes(size)
    const begun = performance.now()
    const parts = []
    let got = 0
    socket.on('data', (data) => {
      parts.push(data)
      got += data.byteLength
      if (got < size) return
      if (Buffer.compare(Buffer.concat(parts), sent)) reject(new Error('echo differs'))
      else resolve(round(performance.now() - begun))
    })
    for (let i = 0; i < size; i += 16384) socket.write(sent.subarray(i, i + 16384))
  })
}

async function runDht () {
  const port = Number(opt.port)
  const first = DHT.bootstrapper(port, opt.host, { bootstrap })
  await first.fullyBootstrapped()
  const all = bootstrap.length ? bootstrap : [{ host: opt.host, port }]
  for (let i = 1; i < Number(opt.count || 1); i++) {
    // ports below the kernel's range for sockets without a fixed port
    const node = new DHT({ bootstrap: all, port: 20000 + i, ephemeral: false, firewalled: false, anyPort: false })
    await node.fullyBootstrapped()
  }
  say('ready', { host: opt.host, port })
}

async function bootedNode () {
  const dht = new DHT({ bootstrap })
  await dht.fullyBootstrapped()
  say('booted', { firewalled: dht.firewalled, host: dht.host, port: dht.port })
  return dht
}

async function runServer () {
  const dht = await bootedNode()
  const nats = {}
  const server = dht.createServer({
    relayThrough,
    holepunch (remote, local) {
      Object.assign(nats, { local: FIREWALL[local], remote: FIREWALL[remote] })
      return true
    }
  }, (socket) => {
    say('connection', { remote: remoteOf(socket), nats, ...about(dht) })
    watchUpgrade(socket, dht)
    echo(socket)
  })
  await server.listen(DHT.keyPair(opt.seed ? Buffer.from(opt.seed, 'hex') : undefined))
  say('listening', { key: server.publicKey.toString('hex') })
}

async function runClient () {
  const dht = await bootedNode()
  const nats = {}
  const begun = performance.now()
  const socket = dht.connect(Buffer.from(opt.key, 'hex'), {
    relayThrough,
    holepunch (remote, local) {
      Object.assign(nats, { local: FIREWALL[local], remote: FIREWALL[remote] })
      return true
    }
  })
  const fail = (error) => {
    say('failed', { ms: round(performance.now() - begun), error, nats, ...about(dht) })
    process.exit(1)
  }
  const timer = setTimeout(fail, Number(opt.timeout || 60) * 1000, 'TIMEOUT')
  socket.on('error', (err) => fail(err.code || err.message))
  socket.on('open', async () => {
    clearTimeout(timer)
    say('connected', { ms: round(performance.now() - begun), remote: remoteOf(socket), nats, ...about(dht) })
    watchUpgrade(socket, dht)
    try {
      const ms = await exchange(socket, Number(opt.bytes || 65536))
      say('echoed', { ms, bytes: Number(opt.bytes || 65536) })
    } catch (err) {
      fail(err.message)
    }
    setTimeout(() => {
      say('end', { remote: remoteOf(socket), ...about(dht) })
      process.exit(0)
    }, Number(opt.linger || 0) * 1000)
  })
}

async function runSwarm () {
  const Hyperswarm = require('hyperswarm')
  const swarm = new Hyperswarm({ bootstrap, relayThrough: relayThrough || undefined })
  await swarm.dht.fullyBootstrapped()
  say('booted', { firewalled: swarm.dht.firewalled, host: swarm.dht.host, port: swarm.dht.port })
  const begun = performance.now()
  swarm.on('connection', async (socket, info) => {
    say('connected', { ms: round(performance.now() - begun), remote: remoteOf(socket), client: info.client, ...about(swarm.dht) })
    watchUpgrade(socket, swarm.dht)
    if (opt.echo) return echo(socket)
    socket.on('error', () => {})
    try {
      say('echoed', { ms: await exchange(socket, Number(opt.bytes || 65536)) })
      process.exit(0)
    } catch (err) {
      say('failed', { error: err.message })
      process.exit(1)
    }
  })
  const discovery = swarm.join(Buffer.from(opt.topic, 'hex'), { server: true, client: true })
  await discovery.flushed()
  say('joined', {})
  setTimeout(() => {
    say('failed', { ms: round(performance.now() - begun), error: 'TIMEOUT', ...about(swarm.dht) })
    process.exit(1)
  }, Number(opt.timeout || 60) * 1000)
}

// A pair that should never lose each other: both sides send a tick every 100 ms and report every
// pause of more than a second in what they hear.
async function runStay () {
  const Hyperswarm = require('hyperswarm')
  const swarm = new Hyperswarm({ bootstrap, keyPair: DHT.keyPair(Buffer.from(opt.seed, 'hex')) })
  let heard = 0
  swarm.on('connection', (socket, info) => {
    say('connected', { remote: remoteOf(socket), client: info.client })
    const timer = setInterval(() => socket.write(Buffer.from('tick')), 100)
    socket.on('data', () => {
      const now = performance.now()
      if (heard && now - heard > 1000) say('resumed', { gap_ms: round(now - heard) })
      heard = now
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      clearInterval(timer)
      say('closed', {})
    })
  })
  setInterval(() => say('pulse', { silent_ms: heard ? round(performance.now() - heard) : null }), 250)
  const discovery = swarm.join(Buffer.from(opt.topic, 'hex'), { server: true, client: true })
  await discovery.flushed()
  say('joined', {})
}

async function runRelay () {
  const relay = require('blind-relay')
  const dht = await bootedNode()
  const hub = new relay.Server({ createStream: (opts) => dht.createRawStream({ ...opts, framed: true }) })
  const server = dht.createServer({ shareLocalAddress: false }, (socket) => {
    socket.on('error', () => {})
    hub.accept(socket, { id: socket.remotePublicKey }).on('error', () => {})
  })
  await server.listen(DHT.keyPair())
  say('listening', { key: server.publicKey.toString('hex') })
}

const roles = { dht: runDht, server: runServer, client: runClient, swarm: runSwarm, stay: runStay, relay: runRelay }
roles[role]().catch((err) => {
  say('failed', { error: err.code || err.message })
  process.exit(1)
})
