// The Chromium of the browser tests. It comes inside an npm package, packed; here it is unpacked once per run into a private
// folder, with the libraries and the font that it needs, so that a bare machine can run it. CHROMIUM_PATH names another one.
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Browser, chromium, type LaunchOptions } from 'playwright-core'

const PREFIX = 'gatehouse-test-chromium-'
const HOUR = 3_600_000

/**
 * Starts a headless Chromium with its web security on.
 * The unpacked browser (about 210 MB) is shared by all workers of a run when GATEHOUSE_TEST_TMP names a folder that the run
 * deletes at its end; without it every launch unpacks its own and deletes it when the browser goes.
 *
 * @returns the browser; the caller closes it
 */
export async function launchChromium(): Promise<Browser> {
  const other = process.env.CHROMIUM_PATH
  if (other) return launchSandboxed({ executablePath: other })

  const shared = process.env.GATEHOUSE_TEST_TMP
  if (!shared) await removeLeftovers()
  const home = shared ?? (await mkdtemp(join(tmpdir(), PREFIX)))
  try {
    const browser = await launchSandboxed(await unpackOnce(home))
    if (!shared) browser.on('disconnected', () => void rm(home, { recursive: true, force: true }))
    return browser
  } catch (error) {
    if (!shared) await rm(home, { recursive: true, force: true })
    throw error
  }
}

// Root cannot use Chromium's sandbox, and some machines (containers, Ubuntu since 23.10) deny it to everybody. The sandbox
// protects the machine from the page; the pages here are our own, and the rules between origins hold without it.
async function launchSandboxed(options: LaunchOptions): Promise<Browser> {
  if (process.getuid?.() !== 0) {
    try {
      return await chromium.launch({ ...options, chromiumSandbox: true })
    } catch {
      // the launch below succeeds, or its error tells more
    }
  }
  return chromium.launch({ ...options, chromiumSandbox: false })
}

/** Unpacks into `home/chromium`; of several processes that try at once the first to rename wins, the others use its copy. */
async function unpackOnce(home: string): Promise<LaunchOptions> {
  const place = join(home, 'chromium')
  if (!existsSync(place)) {
    const scratch = await mkdtemp(join(home, 'chromium-unpacking-'))
    await unpack(scratch)
    // The font configuration of the package names a shared folder that anybody on the machine may have filled.
    await writeFile(join(scratch, 'fonts', 'fonts.conf'), fontConfiguration(place))
    try {
      await rename(scratch, place)
    } catch (error) {
      await rm(scratch, { recursive: true, force: true })
      if (!existsSync(place)) throw error
    }
  }
  return {
    executablePath: join(place, 'chromium'),
    env: {
      ...process.env,
      HOME: place,
      TMPDIR: home,
      FONTCONFIG_PATH: join(place, 'fonts'),
      LD_LIBRARY_PATH: join(place, 'al2023', 'lib'),
    },
  }
}

/** A run that was killed leaves its copy behind; no run lasts an hour. */
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    if (!name.startsWith(PREFIX)) continue
    const folder = join(tmpdir(), name)
    const { mtimeMs, uid } = await stat(folder).catch(() => ({ mtimeMs: Date.now(), uid: -1 }))
    const ours = uid === process.getuid?.()
    if (ours && Date.now() - mtimeMs > HOUR) await rm(folder, { recursive: true, force: true })
  }
}

// In a process of its own: the package reads TMPDIR while it is imported, and changes the environment of its process.
async function unpack(folder: string): Promise<void> {
  const script =
    "import chromium from '@sparticuz/chromium'\nprocess.stdout.write(String(await chromium.executablePath()))"
  await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: import.meta.dirname,
    env: { PATH: process.env.PATH, TMPDIR: folder, HOME: folder, AWS_LAMBDA_JS_RUNTIME: 'nodejs22.x' },
    timeout: 120_000,
  })
}

function fontConfiguration(place: string): string {
  return `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${join(place, 'fonts')}</dir>
  <cachedir>${join(place, 'fonts-cache')}</cachedir>
</fontconfig>
`
}
