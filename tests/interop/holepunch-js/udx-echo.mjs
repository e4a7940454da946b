// One raw UDX stream, below the secret stream: for testing and timing UDX itself.
//   node udx-echo.mjs --id 2 --remote-id 1 [--mode echo|sink|source|quiet|relay]
// It binds a socket, says `ready` with its port, and connects when told to on stdin:
//   {"cmd":"connect","port":N}   {"cmd":"write","text":"..."}  {"cmd":"end"}  {"cmd":"destroy"}
//   {"cmd":"message","text":"..."}  {"cmd":"move","port":N,"remoteId":N}  {"cmd":"keepalive","ms":N}
//   {"cmd":"socket"} opens a second socket   {"cmd":"stats"}
// echo: what arrives is sent back, and the end too. sink: it is counted, the end is answered.
// source: N bytes are sent after connecting, then the end. quiet: what arrives is only reported.
// relay: two streams tied together; see `relay` below.
import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import { once } from 'node:events'
import { commands, deadline, emit, now, onStop, options, seconds, usage } from './lib.mjs'

// udx-native comes with hyperdht: the very version that the swarm uses.
const UDX = createRequire(createRequire(import.meta.url).resolve('hyperdht'))('udx-native')

const opts = options('udx-echo.mjs --id N --remote-id N --mode echo|sink|source|quiet|relay --bytes N --chunk N', {
  id: { type: 'string', default: '2' },
  'remote-id': { type: 'string', default: '1' },
  mode: { type: 'string', default: 'echo' },
  bytes: { type: 'string', default: '1048576' },
  chunk: { type: 'string', default: '65536' },
  timeout: { type: 'string', default: '60' },
  accept: { type: 'boolean', default: false } // connect to whoever sends first, as hyperdht does
})
const total = Number(opts.bytes)
const udx = new UDX()
const socket = udx.createSocket()
socket.bind(Number(opts.port || 0), opts.host)
const sockets = [socket]

if (opts.mode === 'relay') relay()
else single()

deadline(Number(opts.timeout), 'udx-echo')
onStop(() => emit('closed'))

function single () {
  const hash = createHash('sha256')
  let received = 0
  let started = null
  const stream = udx.createStream(Number(opts.id), {
    firewall (from, port, host) {
      emit('firewall', { port, host })
      if (!opts.accept) return false
      connect(port, host)
      return false
    }
  })
  stream.on('data', (data) => {
    if (started === null) started = now()
    received += data.byteLength
    hash.update(data)
    if (opts.mode === 'echo') stream.write(data)
    if (opts.mode === 'quiet') emit('data', { text: data.toString() })
  })
  stream.on('end', () => {
    const fields = { bytes: received, sha256: hash.digest('hex'), ...usage() }
    if (started !== null) fields.seconds = seconds(started)
    emit('received', fields)
    if (opts.mode !== 'quiet') stream.end()
  })
  stream.on('message', (data) => {
    emit('message', { text: data.toString() })
    if (opts.mode === 'echo') stream.trySend(data)
  })
  stream.on('error', (err) => emit('broken', { message: err.message, code: err.code }))
  stream.on('close', () => emit('stream-closed', { ...stats(), ...usage() }))

  function stats () {
    const { mtu, rtt, cwnd, inflight, retransmits, rtoCount, fastRecoveries } = stream
    return { mtu, rtt, cwnd, inflight, retransmits, rtoCount, fastRecoveries }
  }

  function connect (port, host = '127.0.0.1') {
    if (stream.connected) return
    stream.connect(socket, Number(opts['remote-id']), port, host)
    if (opts.mode === 'source') source()
  }

  async function source () {
    const chunk = Buffer.alloc(Number(opts.chunk))
    const sent = createHash('sha256')
    let number = 0
    for (let left = total; left > 0; left -= chunk.byteLength) {
      // Each chunk differs, so that one in the wrong place shows.
      const data = Buffer.from(chunk.subarray(0, Math.min(left, chunk.byteLength)))
      if (data.byteLength >= 4) data.writeUInt32LE(number++)
      sent.update(data)
      if (!stream.write(data)) await once(stream, 'drain')
    }
    stream.end()
    emit('sent', { bytes: total, sha256: sent.digest('hex') })
  }

  commands(async (cmd) => {
    switch (cmd.cmd) {
      case 'connect': connect(cmd.port); break
      case 'write': stream.write(Buffer.from(cmd.text)); break
      case 'end': stream.end(); break
      case 'destroy': stream.destroy(); break
      case 'message': await stream.send(Buffer.from(cmd.text)); break
      case 'keepalive': stream.setKeepalive(cmd.ms); break
      case 'datagram': await socket.send(Buffer.from(cmd.text), cmd.port, '127.0.0.1'); break
      case 'socket': {
        const next = udx.createSocket()
        next.bind(0, opts.host)
        sockets.push(next)
        return { port: next.address().port }
      }
      case 'move':
        // null when nothing was on its way: then the move is done at once
        Promise.resolve(stream.changeRemote(sockets.at(-1), cmd.remoteId ?? Number(opts['remote-id']), cmd.port, '127.0.0.1'))
          .then(() => emit('moved'), (err) => emit('not-moved', { message: err.message }))
        break
      case 'stats': return stats()
      default: throw new Error('Unknown command: ' + cmd.cmd)
    }
    return {}
  })
  socket.on('message', (data, from) => emit('datagram', { text: data.toString(), port: from.port }))
  emit('ready', { port: socket.address().port })
}

// Streams 101 and 102 pass packets between whoever they are connected to.
function relay () {
  const streams = [101, 102].map((id) => udx.createStream(id))
  for (const stream of streams) {
    stream.on('error', () => {})
    stream.on('close', () => emit('stream-closed', { id: stream.id }))
  }
  commands(async (cmd) => {
    if (cmd.cmd !== 'connect') throw new Error('Unknown command: ' + cmd.cmd)
    streams.forEach((stream, i) => stream.connect(socket, cmd.ids[i], cmd.ports[i], '127.0.0.1'))
    streams[0].relayTo(streams[1])
    streams[1].relayTo(streams[0])
    return {}
  })
  emit('ready', { port: socket.address().port, ids: [101, 102] })
}
