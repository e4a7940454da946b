'use strict'
// Runs every generator, each in a process of its own: node all.js [--seed TEXT] [--out DIR]
const { spawnSync } = require('child_process')
const fs = require('fs')
const path = require('path')

const scripts = fs.readdirSync(__dirname).filter((name) => /^[0-9].*\.js$/.test(name)).sort()
let failed = 0
for (const name of scripts) {
  const argv = [path.join(__dirname, name), ...process.argv.slice(2)]
  const { status } = spawnSync(process.execPath, argv, { stdio: 'inherit', timeout: 300000 })
  if (status !== 0) {
    failed++
    console.error(name + ': failed with status ' + status)
  }
}
process.exit(failed ? 1 : 0)
