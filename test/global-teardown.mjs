import { removeDatabase } from './global-setup.mjs'

export default async function tearDown() {
  const { database, dataDir } = globalThis.__testDatabase ?? {}
  if (!database) return
  await database.stop()
  await removeDatabase(database.place, dataDir)
}
