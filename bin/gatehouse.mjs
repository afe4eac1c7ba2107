#!/usr/bin/env node
import { fileURLToPath } from 'node:url'
import { runOnNode24 } from './node24.mjs'

// The channel tells the server when this process is gone, even if it was killed.
runOnNode24(
  [
    '--disable-warning=ExperimentalWarning',
    fileURLToPath(new URL('../src/main.ts', import.meta.url)),
    ...process.argv.slice(2),
  ],
  ['inherit', 'inherit', 'inherit', 'ipc'],
)
