// What everybody tries first. Compared in lower case; `password-policy` undoes stand-ins such as 0 for o before it looks.

/** Words that weak passwords are built around, and this service's own name. */
export const COMMON_WORDS = [
  ...['gatehouse', 'password', 'passwort', 'passphrase', 'passcode', 'secret', 'geheim', 'motdepasse', 'contraseña'],
  ...['welcome', 'willkommen', 'bienvenue', 'letmein', 'login', 'logon', 'signin', 'changeme', 'change', 'default'],
  ...['admin', 'administrator', 'root', 'user', 'guest', 'test', 'demo', 'account', 'access', 'oauth', 'openid'],
  ...['server', 'computer', 'internet', 'security', 'company', 'hello', 'please', 'whatever', 'trustno'],
  ...['iloveyou', 'love', 'sunshine', 'princess', 'monkey', 'dragon', 'master', 'shadow', 'freedom', 'starwars'],
  ...['football', 'baseball', 'basketball', 'soccer', 'hockey', 'superman', 'batman', 'spiderman', 'pokemon'],
  ...['michael', 'jessica', 'jennifer', 'jordan', 'daniel', 'ashley', 'charlie', 'liverpool', 'chelsea', 'arsenal'],
  ...['spring', 'summer', 'autumn', 'winter', 'january', 'february', 'march', 'april', 'june', 'july', 'august'],
  ...['september', 'october', 'november', 'december', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday'],
  ...['saturday', 'sunday'],
]

/** Whole sentences that are famous as passwords, or from songs, films and prayers. */
export const COMMON_PHRASES = [
  'correct horse battery staple',
  'this is my password',
  'this is a password',
  'this is a very long password',
  'a very long password',
  'my very long password',
  'i love you so much',
  'i love you very much',
  'i love you forever',
  'let me in right now',
  'open sesame please',
  'to be or not to be',
  'to be or not to be that is the question',
  'the quick brown fox',
  'the quick brown fox jumps over the lazy dog',
  'never gonna give you up',
  'may the force be with you',
  'once upon a time',
  'live long and prosper',
  'in the beginning was the word',
  'our father who art in heaven',
  'jesus christ is lord',
]

/** Keys in a row: on keyboards of several countries, up and down their columns, and in the alphabet. */
export const KEY_ROWS = [
  ...['abcdefghijklmnopqrstuvwxyz', '1234567890', '!@#$%^&*()', '!"§$%&/()='],
  ...['qwertyuiop', 'asdfghjkl', 'zxcvbnm', 'qwertzuiop', 'yxcvbnm', 'azertyuiop', 'qsdfghjklm', 'wxcvbn'],
  ...['1qaz', '2wsx', '3edc', '4rfv', '5tgb', '6yhn', '7ujm', '8ik,', '9ol.', '0p;'],
  ...['1q2w3e4r5t6y7u8i9o0p', 'q1w2e3r4t5y6u7i8o9p0', '147258369', '741852963', '13579', '24680'],
]
