// Ends a connection without taking back the answer. Bytes that nobody reads make the kernel reset a connection that is closed,
// and what the client has not read yet is then lost to it (RFC 9112 section 9.6).
import type { Duplex } from 'node:stream'

/** Bytes that are still read; whoever sends more waits for the end of the time. */
export const MOST_REST = 256 * 1024
/** Milliseconds for the client to take its answer and to stop. */
const TIME = 2000

/** Closes a connection a little later, unless the client does it before. @returns keeps it open after all */
export function linger(socket: Duplex): () => void {
  const late = setTimeout(() => socket.destroy(), TIME).unref()
  const keep = () => clearTimeout(late)
  socket.once('close', keep)
  return () => {
    socket.off('close', keep)
    keep()
  }
}
