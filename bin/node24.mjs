#!/usr/bin/env node
// Runs its arguments on Node 24 or later: this very Node if it is new enough, else the one that npm installed beside us
// (an optional dependency of exactly one platform). Plain JavaScript that any Node from 18 on can parse.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

const REQUIRED_MAJOR = 24

/**
 * @returns {string | undefined} the path of a Node 24 or later, or undefined where there is none
 */
export function findNode24() {
  if (Number(process.versions.node.split('.')[0]) >= REQUIRED_MAJOR) return process.execPath
  const roots = ['../node_modules', '../../..'] // in a checkout; installed as a dependency of another project
  const candidates = roots.map((root) =>
    fileURLToPath(new URL(`${root}/node-${process.platform}-${process.arch}/bin/node`, import.meta.url)),
  )
  return candidates.find((path) => existsSync(path))
}

/**
 * Runs Node 24 with `args`, hands signals through, and ends as the child ends.
 * @param {string[]} args
 * @param {import('node:child_process').StdioOptions} stdio
 */
export function runOnNode24(args, stdio = 'inherit') {
  const node = findNode24()
  if (!node) {
    process.stderr.write(
      `Gatehouse runs on Node ${REQUIRED_MAJOR}; this is Node ${process.versions.node} on ${process.platform} ${process.arch}.\n` +
        `On Linux, "npm ci" brings Node ${REQUIRED_MAJOR} along (do not use --omit=optional). On macOS, install Node ${REQUIRED_MAJOR} from nodejs.org.\n` +
        'On Windows, use WSL.\n',
    )
    process.exit(1)
  }
  const child = spawn(node, args, { stdio })
  // A terminal sends Ctrl-C to the whole process group: the child has it already and decides when to end. A signal sent to
  // this process alone is handed on.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
    })
  }
  if (process.env.npm_command) endWithParent(child)
  child.on('error', (error) => {
    process.stderr.write(`Could not run ${node}: ${error.message}\n`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)))
}

/**
 * npm hands SIGTERM to the shell between it and us, which ends without a word. Nobody is left then who could stop us: so we
 * stop as if we had got the signal.
 */
function endWithParent(child) {
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    child.kill('SIGTERM')
  }, 250)
}

if (process.argv[1] && fileURLToPath(import.meta.url) === process.argv[1]) runOnNode24(process.argv.slice(2))
