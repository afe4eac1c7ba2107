// Bundles the authorizer: one minified ESM file, and a zip that is the same, byte for byte, wherever it is built.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { build } from 'esbuild'
import { strToU8, zipSync } from 'fflate'

const ROOT = join(import.meta.dirname, '..')
// The only code that may end up in front of every API (the picture of arrows in ARCHITECTURE.md).
const ALLOWED = [/^src\/(?:authorizer|verifier|vocabulary)\//, /^node_modules\/jose\//]

export interface BuiltAuthorizer {
  /** path of the zip */
  readonly zip: string
  readonly zipBytes: number
  /** bytes of index.mjs */
  readonly codeBytes: number
  /** hex SHA-256 of the zip */
  readonly sha256: string
}

/**
 * Writes `authorizer/index.mjs` and `authorizer.zip`; the zip holds `index.mjs` with the export `handler`, and the licence
 * of the one library that is bundled.
 * @param folder where to write; made if need be
 * @throws where a file from outside the allowed rooms would be bundled
 */
export async function buildAuthorizer(folder: string): Promise<BuiltAuthorizer> {
  const { outputFiles, metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: ['src/authorizer/lambda.ts'],
    outfile: 'index.mjs',
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    metafile: true,
    write: false,
  })
  const strangers = Object.keys(metafile.inputs).filter((path) => !ALLOWED.some((room) => room.test(path)))
  if (strangers.length > 0) throw new Error(`The authorizer must not contain ${strangers.join(', ')}`)
  const code = outputFiles[0]!.contents
  const zip = zipSync(
    {
      'index.mjs': code,
      'THIRD-PARTY.txt': strToU8(`jose\n\n${readFileSync(join(ROOT, 'node_modules/jose/LICENSE.md'), 'utf8')}`),
    },
    // The same time in any zone, and files that everybody may read: Lambda runs them as another user.
    { level: 9, mtime: new Date(1980, 0, 1), os: 3, attrs: 0o100644 << 16 },
  )
  mkdirSync(join(folder, 'authorizer'), { recursive: true })
  writeFileSync(join(folder, 'authorizer/index.mjs'), code)
  const path = join(folder, 'authorizer.zip')
  writeFileSync(path, zip)
  const sha256 = createHash('sha256').update(zip).digest('hex')
  return { zip: path, zipBytes: zip.length, codeBytes: code.length, sha256 }
}

if (import.meta.main) {
  const { zip, zipBytes, codeBytes, sha256 } = await buildAuthorizer(join(ROOT, 'dist'))
  console.log(`${relative(process.cwd(), zip)}  ${zipBytes} bytes (index.mjs ${codeBytes} bytes)\nsha256 ${sha256}`)
}
