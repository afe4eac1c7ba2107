// A wait with an end.
import { outage } from './outage.ts'

/**
 * @param milliseconds how long to wait; afterwards the promise is left to itself
 * @param options `more` is asked when time is over, for milliseconds to go on; `onLate` is handed what the promise brings when
 *   nobody waits any more
 * @throws what the promise throws; an outage with code 08006 when time is over
 */
export function within<T>(
  milliseconds: number,
  promise: Promise<T>,
  { more = () => 0, onLate = () => {} }: { more?: () => number; onLate?: (late: T) => void } = {},
): Promise<T> {
  return new Promise((resolve, reject) => {
    const begun = performance.now()
    let over = false
    // When this process was busy all along, the answer may lie in a buffer: it is read before the wait is called vain.
    const arm = (left: number) => setTimeout(() => setImmediate(() => setImmediate(expire)), left)
    let timer = arm(milliseconds)
    const expire = () => {
      const left = more()
      if (over) return
      if (left > 0) {
        timer = arm(left)
        return
      }
      over = true
      reject(outage('08006', `The database did not answer within ${Math.round(performance.now() - begun)} ms.`))
    }
    promise.then(
      (value) => {
        clearTimeout(timer)
        if (over) onLate(value)
        else {
          over = true
          resolve(value)
        }
      },
      (error) => {
        clearTimeout(timer)
        over = true
        reject(error)
      },
    )
  })
}
