// What a command is about, by the name that the operator gave. What is not there is a fault that tells what may have been meant.
import type { Account } from '../accounts/account.ts'
import type { Client } from '../clients/client.ts'
import type { OperatorFault } from '../vocabulary/fault.ts'
import { unknownFault } from './command.ts'
import type { Rooms } from './rooms.ts'

/** @throws OperatorFault when there is no such user */
export async function findUser(rooms: Rooms, email: string): Promise<Account> {
  const account = await rooms.accounts.findByEmail(email)
  if (account) return account
  const known = (await rooms.accounts.list()).map((one) => one.email)
  throw unknownFault('user', email, known)
}

/** @throws OperatorFault when there is no such client */
export async function findClient(rooms: Rooms, id: string): Promise<Client> {
  const client = await rooms.clients.find(id)
  if (client) return client
  throw await unknownClient(rooms, id)
}

/** @returns the fault about a client that is not there, for acts that find out themselves */
export async function unknownClient(rooms: Rooms, id: string): Promise<OperatorFault> {
  const known = (await rooms.clients.list()).map((one) => one.id)
  return unknownFault('client', id, known)
}
