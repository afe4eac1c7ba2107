export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': '<rootDir>/test/strip.mjs' },
  setupFiles: ['<rootDir>/test/realm.mjs'],
  globalSetup: '<rootDir>/test/global-setup.mjs',
  globalTeardown: '<rootDir>/test/global-teardown.mjs',
  testTimeout: 60000,
  coverageProvider: 'v8',
  maxWorkers: 2,
  workerIdleMemoryLimit: '1500MB',
}
