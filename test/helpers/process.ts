// Gatehouse as an operator runs it: a process of its own, started by the command line.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { Agent as SecureAgent, request as secureRequest } from 'node:https'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '../..')
const READY_WITHIN = 20_000

export interface ServerProcess {
  readonly port: number
  readonly child: ChildProcess
  /** everything that it wrote to standard error */
  readonly log: () => string
  /** Stops it as Ctrl-C does. @returns the exit code */
  stop(): Promise<number | null>
  /** Kills it without warning. */
  kill(): Promise<void>
}

/** @returns environment for a child: ours without settings of Gatehouse or PostgreSQL */
export function cleanEnv(settings: Record<string, string>): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(GATEHOUSE_|PG|DATABASE_URL|PORT$|HOST$|NODE_OPTIONS|TEST_PG)/.test(name),
  )
  return { ...Object.fromEntries(inherited), ...settings }
}

/**
 * Starts a server and waits until it says that it is ready.
 * @param settings environment; PORT is required
 * @param program another one than the command line, which says the same when it is ready
 * @param stderr an open file that takes its standard error instead of `log`
 */
export async function startProcess(
  settings: Record<string, string> & { PORT: string },
  program: readonly string[] = ['src/main.ts', 'start', '--json'],
  stderr: number | 'pipe' = 'pipe',
): Promise<ServerProcess> {
  const [script, ...args] = program
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(ROOT, script!), ...args], {
    cwd: ROOT,
    env: cleanEnv(settings),
    stdio: ['ignore', 'pipe', stderr],
  })
  let log = ''
  child.stderr?.on('data', (data) => {
    log += data
  })
  let said = ''
  let late: NodeJS.Timeout | undefined
  await new Promise<void>((resolve, reject) => {
    late = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`not ready in time:\n${log}`))
    }, READY_WITHIN)
    child.stdout!.on('data', (data) => {
      said += data
      if (said.includes('"ready":true')) resolve()
    })
    // At its `exit` some of what it said may still be on its way.
    child.once('close', (code) => reject(new Error(`ended with ${code}:\n${log}`)))
  }).finally(() => clearTimeout(late))
  const ended = once(child, 'exit')
  return {
    port: Number(settings.PORT),
    child,
    log: () => log,
    async stop() {
      child.kill('SIGTERM')
      const [code] = await ended
      return code as number | null
    },
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

export interface RawAnswer {
  readonly status: number
  readonly headers: Record<string, string | string[] | undefined>
  readonly text: string
  /** the body as JSON; `{}` where it is none */
  readonly body: Record<string, unknown>
}

// More connections than a browser would open: a race needs its requests to leave together.
const agent = new Agent({ keepAlive: true, maxSockets: 120 })
const secureAgent = new SecureAgent({ keepAlive: true, maxSockets: 120 })

/**
 * Sends a request to a port of this machine, under whatever Host header.
 * @param options `secure` asks over TLS for that name, and trusts that certificate; `agent` is another one than the tests', which
 *   keeps connections
 * @throws also when an answer is cut short
 */
export function send(
  port: number,
  path: string,
  {
    method = 'GET',
    form,
    headers = {},
    secure,
    agent: own,
  }: {
    method?: string
    form?: Record<string, string>
    headers?: Record<string, string>
    secure?: { servername: string; ca: string }
    agent?: Agent
  } = {},
): Promise<RawAnswer> {
  const body = form && new URLSearchParams(form).toString()
  return new Promise((resolve, reject) => {
    const outgoing = (secure ? secureRequest : request)(
      {
        ...secure,
        host: '127.0.0.1',
        port,
        path,
        method: form ? 'POST' : method,
        agent: own ?? (secure ? secureAgent : agent),
        headers: {
          ...(body && {
            'content-type': 'application/x-www-form-urlencoded',
            'content-length': Buffer.byteLength(body),
          }),
          ...headers,
        },
      },
      (answer) => {
        let text = ''
        answer.setEncoding('utf8')
        answer.on('data', (chunk) => {
          text += chunk
        })
        answer.on('error', reject)
        answer.on('end', () =>
          resolve({ status: answer.statusCode!, headers: answer.headers, text, body: parse(text) }),
        )
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text)
  } catch {
    return {}
  }
}

/** Closes the connections that `send` keeps; the next request opens new ones. */
export function hangUp(): void {
  agent.destroy()
}

export interface CommandRun {
  /** null: a signal ended it */
  readonly code: number | null
  readonly out: string
  readonly err: string
  /** stdout as JSON; undefined where it is none */
  // biome-ignore lint/suspicious/noExplicitAny: tests look at many shapes
  readonly json: any
}

/** Runs a command as an operator does. @param settings environment */
export function runCommand(settings: Record<string, string>, args: readonly string[]): Promise<CommandRun> {
  const command = ['--disable-warning=ExperimentalWarning', join(ROOT, 'src/main.ts'), ...args]
  return new Promise((resolve) => {
    const child = execFile(process.execPath, command, { cwd: ROOT, env: cleanEnv(settings) }, (_error, out, err) =>
      resolve({ code: child.exitCode, out, err, json: out.startsWith('{') ? JSON.parse(out) : undefined }),
    )
  })
}
