// HAProxy and nginx before the servers, with the settings that the README shows: they are read from it, and only names of files and
// addresses are others. TLS ends there, as it says.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { blocksOf, readDocument } from '../test/helpers/documents.ts'
import { freePort } from '../test/helpers/server.ts'
import { findProgram } from './needs.ts'

/** The name that the README's settings are for. */
export const NAME = 'login.example.com'

const NODES = ['10.0.0.1:3000', '10.0.0.2:3000']
const COMES_UP_WITHIN = 5000

export interface Front {
  readonly port: number
  /** the certificate of NAME, which nobody has signed but itself */
  readonly ca: string
  /** what it wrote */
  readonly log: () => string
  stop(): Promise<void>
}

interface FrontParts {
  /** for its files */
  readonly folder: string
  /** the ports of two servers */
  readonly nodes: readonly number[]
}

/** @throws when it does not take the settings */
export async function startHaproxy({ folder, nodes }: FrontParts): Promise<Front> {
  const { pem, cert } = await makeCertificate(folder)
  const port = await freePort()
  const [settings] = settingsFor('haproxy')
  const text = replaceAll(settings!, [
    [':443', `127.0.0.1:${port}`],
    [`/etc/ssl/${NAME}.pem`, pem],
    ...NODES.map((node, index): [string, string] => [node, `127.0.0.1:${nodes[index]}`]),
  ])
  const file = join(folder, 'haproxy.cfg')
  await writeFile(file, text)
  return run('haproxy', ['-db', '-f', file], port, cert)
}

/** @throws when it does not take the settings */
export async function startNginx({ folder, nodes }: FrontParts): Promise<Front> {
  const { key, cert } = await makeCertificate(folder)
  const port = await freePort()
  const [server, upstream] = settingsFor('nginx')
  const text = replaceAll(`${upstream}${server}`, [
    ['listen 443', `listen 127.0.0.1:${port}`],
    [`/etc/ssl/${NAME}.pem`, cert],
    [`/etc/ssl/${NAME}.key`, key],
    ['proxy_pass http://127.0.0.1:3000;', 'proxy_pass http://gatehouse;'],
    ...NODES.map((node, index): [string, string] => [node, `127.0.0.1:${nodes[index]}`]),
  ])
  const own = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`)
  const file = join(folder, 'nginx.conf')
  const around = `daemon off; pid ${folder}/nginx.pid; error_log stderr; ${process.getuid?.() === 0 ? 'user root;' : ''} events {}`
  await writeFile(file, `${around}\nhttp {\naccess_log off;\n${own.join('\n')}\n${text}}\n`)
  return run('nginx', ['-p', folder, '-e', 'stderr', '-c', file], port, cert)
}

/** @returns the README's settings in a language, block by block */
function settingsFor(language: string): string[] {
  return blocksOf(readDocument('README.md')).flatMap((block) => (block.language === language ? [block.text] : []))
}

/** @throws when the settings have not got what is to be replaced */
function replaceAll(settings: string, changes: readonly [string, string][]): string {
  return changes.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`the README's settings have no ${from}`)
    return text.replaceAll(from, to)
  }, settings)
}

async function makeCertificate(folder: string): Promise<{ key: string; cert: string; pem: string }> {
  const [key, cert, pem] = ['front.key', 'front.crt', 'front.pem'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  const ask =
    `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=${NAME} -addext subjectAltName=DNS:${NAME}`.split(
      ' ',
    )
  await promisify(execFile)(findProgram('openssl')!, [...ask, '-keyout', key, '-out', cert])
  await writeFile(pem, `${await readFile(cert, 'utf8')}${await readFile(key, 'utf8')}`, { mode: 0o600 })
  return { key, cert, pem }
}

async function run(program: string, args: readonly string[], port: number, cert: string): Promise<Front> {
  const child = spawn(findProgram(program)!, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data) => {
      log += data
    })
  }
  const exited = once(child, 'exit')
  const since = performance.now()
  while (!(await isOpen(port))) {
    if (child.exitCode !== null || performance.now() - since > COMES_UP_WITHIN) {
      child.kill('SIGTERM')
      throw new Error(`${program} does not come up: ${log}`)
    }
    await sleep(50)
  }
  return {
    port,
    ca: await readFile(cert, 'utf8'),
    log: () => log,
    async stop() {
      child.kill('SIGTERM')
      await exited
    },
  }
}

async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
