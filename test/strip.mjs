import { stripTypeScriptTypes } from 'node:module'

// Jest runs what the server runs: types are stripped, nothing is rewritten, so line numbers stay true.
export default {
  process: (source) => ({ code: stripTypeScriptTypes(source, { mode: 'strip' }) }),
  canInstrument: false,
}
