// The entry of the bundle, and the only place that reads the environment. Built while the container starts: a wrong setting
// stops it there, with every fault in the log.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { readSettings } from './config.ts'
import { createHandler } from './handler.ts'

const settings = readSettings({
  env: process.env,
  readFile: (name) => readFileSync(resolve(import.meta.dirname, name), 'utf8'),
})

/** Lambda refuses handlers with a third parameter, and this one needs the event only. */
export const handler = createHandler(settings)
