// 1Password's own wrapper of `op`, @1password/op-js, drives the stand-in that is first on the PATH. Each line that it
// prints is one question and what the wrapper made of the answer: a value as JSON, or an error with its status.
const { read, inject, item, vault, whoami, validateCli, CLIError } = require('@1password/op-js');

const ask = (name, question) => {
  try {
    console.log(`${name}: ${JSON.stringify(question())}`);
  } catch (error) {
    console.log(`${name}: ${error instanceof CLIError ? 'CLIError' : 'error'} ${error.status}: ${error.message}`);
  }
};

(async () => {
  await validateCli('>=2.30.0');
  console.log('validateCli: ok');
  ask('read', () => read.parse('op://Prod/postgres/password'));
  ask('read of a section', () => read.parse('op://Prod/postgres/admin/token'));
  ask('read of a one-time password', () => read.parse('op://Prod/postgres/one-time password?attribute=otp'));
  ask('inject', () => inject.data('a={{ op://Prod/postgres/username }}\nb={{op://Prod/postgres/admin/token}}'));
  ask('item get', () => {
    const got = item.get('postgres', { vault: 'Prod' });
    return [got.id, got.vault.name, got.fields.map((field) => field.reference)];
  });
  ask('item list', () => item.list({ vault: 'Prod' }).map((one) => one.title));
  ask('vault list', () => vault.list().map((one) => one.name));
  ask('whoami', () => whoami().ServiceAccountType);
  for (const reference of ['op://Nope/x/y', 'op://Prod/nope/y', 'op://Prod/postgres/nope', 'op://Prod/twice/password',
    'op://Prod/x', 'op://Prod/a(b)/c']) {
    ask(`read ${reference}`, () => read.parse(reference));
  }
  ask('inject of a missing item', () => inject.data('{{ op://Prod/nope/y }}'));
  ask('inject of other braces', () => inject.data('{{ x }}'));
  delete process.env.OP_SERVICE_ACCOUNT_TOKEN;
  ask('signed out', () => read.parse('op://Prod/postgres/password'));
  process.env.OP_SERVICE_ACCOUNT_TOKEN = 'no-token';
  ask('malformed token', () => read.parse('op://Prod/postgres/password'));
  process.env.OP_SERVICE_ACCOUNT_TOKEN = 'ops_deleted';
  ask('deleted account', () => vault.list());
})();
