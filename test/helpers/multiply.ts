// One row that a real flow has made becomes many.
import type pg from 'pg'

/**
 * Copies one row of a table, each time under another key.
 * @param key the column of the primary key, a hash
 * @param where which row, where there are several: the last one of the table need not be the newest
 */
export async function multiply(
  pool: pg.Pool,
  { table, key, many, where = 'true' }: { table: string; key: string; many: number; where?: string },
): Promise<void> {
  const columns = await pool.query<{ name: string }>(
    'select attname as name from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped',
    [table],
  )
  const others = columns.rows.map(({ name }) => name).filter((name) => name !== key)
  await pool.query(
    `insert into ${table} (${key}, ${others}) select decode(md5($2::text || n), 'hex'), ${others.map((name) => `one.${name}`)}
      from (select * from ${table} where ${where} order by ctid desc limit 1) one, generate_series(1, $1) n`,
    [many, `${table} ${where}`],
  )
}
