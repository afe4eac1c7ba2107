// How the server is set up. All of it goes on the command line, where no file and no ALTER SYSTEM overrides it.
import { PORT } from './socket.ts'

/**
 * @param paths the socket folder and the two access files
 * @param noSync tests only: fast, and lost with the machine
 * @returns arguments for `postgres`
 */
export function serverSettings(
  { socket, hba, ident }: { socket: string; hba: string; ident: string },
  noSync: boolean,
): string[] {
  const settings: Record<string, string> = {
    listen_addresses: '',
    port: `${PORT}`,
    unix_socket_directories: socket,
    unix_socket_permissions: '0700',
    hba_file: hba,
    ident_file: ident,
    max_connections: '200', // for sixteen workers, and commands beside them
    shared_buffers: '128MB',
    fsync: noSync ? 'off' : 'on',
    synchronous_commit: noSync ? 'off' : 'on',
    full_page_writes: noSync ? 'off' : 'on',
    timezone: 'UTC',
    // The log tells of the server's own life only. Errors of statements reach whoever sent them, and their texts can quote
    // what people typed ("invalid input syntax ..."): level `log` leaves them out, and so do the settings after it.
    logging_collector: 'off',
    log_destination: 'stderr',
    log_min_messages: 'log',
    log_min_error_statement: 'panic',
    log_error_verbosity: 'terse',
    log_statement: 'none',
    log_min_duration_statement: '-1',
    log_min_duration_sample: '-1',
    log_autovacuum_min_duration: '-1',
    log_temp_files: '-1',
    log_parameter_max_length: '0',
    log_parameter_max_length_on_error: '0',
    log_checkpoints: 'off',
    log_line_prefix: '%m [%p] ',
    log_timezone: 'UTC',
  }
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

/** The environment of the server's programs: none of PostgreSQL's own variables (PGDATA, PGPORT, ...) may leak in. */
export function serverEnvironment(): NodeJS.ProcessEnv {
  return { ...(process.env.PATH ? { PATH: process.env.PATH } : {}), LC_ALL: 'C', TZ: 'UTC' }
}
