// The binary without a cluster: help, usage errors, exit codes, what it says.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ERRORS, EraftError, type ErrorCode } from '../../ts/base/errors.js';
import { ADVICE } from '../../ts/cli/advice.js';
import { EXIT, exitCodeOf, renderError } from '../../ts/cli/exit.js';
import { eraft } from './run.js';

const COMMANDS = [
  'serve',
  'cluster',
  'get',
  'scan',
  'put',
  'append',
  'delete',
  'increment',
  'cas',
  'status',
  'bench',
  'completion',
];

test('--version prints the version of the package', async () => {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  const ran = await eraft(['--version']);
  assert.deepEqual([ran.code, ran.stdout], [0, `${version}\n`]);
});

test('--help is everywhere', async () => {
  const top = await eraft(['--help']);
  assert.equal(top.code, 0);
  for (const command of COMMANDS) assert.match(top.stdout, new RegExp(`^  ${command} `, 'm'));
  const each = await Promise.all(COMMANDS.map((command) => eraft([command, '--help'])));
  for (const [i, ran] of each.entries()) {
    assert.equal(ran.code, 0, COMMANDS[i]);
    assert.match(ran.stdout, new RegExp(`^Usage: eraft ${COMMANDS[i]} `));
  }
});

test('wrong usage exits with 2, says why, and touches nothing', async () => {
  const wrong: [string[], RegExp][] = [
    [[], /Usage: eraft/],
    [['gte', 'a'], /unknown command 'gte'[\s\S]*Did you mean get\?/],
    [['get'], /missing required argument 'key'/],
    [['get', 'a', 'b'], /too many arguments/],
    [['get', 'a', '--jsn'], /unknown option '--jsn'[\s\S]*Did you mean --json\?/],
    [['get', 'a', '--hex', '--json'], /--hex and --json together/],
    [['get', 'a', '--consistency', 'eventual'], /unknown consistency "eventual"/],
    [['get', 'a', '--timeout', 'soon'], /bad value "soon" for --timeout/],
    [['get', 'xyz', '--hex-key'], /not hexadecimal/],
    [['put', 'a'], /no value/],
    [['put', 'a', 'b', '--file', 'c'], /a value and --file together/],
    [['put', 'a', '--file', '/nowhere/at/all'], /cannot read \/nowhere\/at\/all/],
    [['increment', 'a', '1.5'], /whole number/],
    [['cas', 'a', 'b'], /0 conditions/],
    [['cas', 'a', 'b', '--if-absent', '--if-present'], /2 conditions/],
    [['scan', '--limit', '0'], /bad value "0" for --limit/],
    [['bench', 'delete'], /Allowed choices are put, get, mixed/],
    [['bench', 'put', '--keys', '100000', '--key-size', '3'], /they need 5 digits/],
    [['cluster', '--client-port-base', '70000'], /whole number from 0 to 65533/],
    [['cluster', '--peer-port-base', '2461'], /overlap/],
    [['cluster', '--log-level', 'loud'], /must be one of debug/],
    [['serve', '--config', '/nowhere.toml'], /cannot read the configuration file/],
    [['serve', '--listen', '0.0.0.0:2460'], /reachable from other machines/],
    [['status', '--endpoints', ','], /no endpoints/],
    [['completion', 'tcsh'], /Allowed choices are bash, zsh, fish/],
  ];
  const all = await Promise.all(wrong.map(([args]) => eraft(args)));
  for (const [i, ran] of all.entries()) {
    const [args, message] = wrong[i] ?? [[], /./];
    assert.equal(ran.code, EXIT.usage, `eraft ${args.join(' ')}: ${ran.stderr}`);
    assert.match(ran.stderr, message);
    assert.equal(ran.stdout, '');
  }
});

test('nobody listening: exit 1, the write did not happen', async () => {
  const ran = await eraft(['put', 'a', 'b', '--endpoints', '127.0.0.1:1', '--timeout', '300']);
  assert.equal(ran.code, EXIT.failure, ran.stderr);
  assert.match(ran.stderr, /^eraft: /);
  assert.match(ran.stderr, /code: ERAFT_UNAVAILABLE \(exit 1\); nothing was changed/);
});

test('--print-config needs no addon and starts nothing', async () => {
  const ran = await eraft(['serve', '--print-config', '--cache-bytes', '1GiB'], { env: { ERAFT_ID: '4' } });
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, /^cacheBytes +1GiB +flag --cache-bytes$/m);
  assert.match(ran.stdout, /^id +4 +environment ERAFT_ID$/m);
});

test('every error ends with an exit code, what to do and what was touched', () => {
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const text = renderError(new EraftError(code, 'something happened', { outcome: 'unknown' }));
    assert.match(text, new RegExp(`^eraft: something happened\n  do:   .+\n  code: ${code} \\(exit [1-5]\\)`), code);
  }
  assert.equal(exitCodeOf(new EraftError('ERAFT_TIMEOUT', '')), EXIT.outcomeUnknown);
  assert.equal(exitCodeOf(new EraftError('ERAFT_ABORTED', '', { outcome: 'unknown' })), EXIT.outcomeUnknown);
  assert.equal(exitCodeOf(new EraftError('ERAFT_DATA_LOCKED', '')), EXIT.environment);
  assert.equal(exitCodeOf(new EraftError('ERAFT_CONFIG', '')), EXIT.usage);
  assert.equal(exitCodeOf(new EraftError('ERAFT_OVERLOADED', '')), EXIT.failure);
  assert.equal(exitCodeOf(new TypeError('a defect')), EXIT.failure);
});

test('the advice at the terminal is the advice of docs/errors.md', () => {
  const lines = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8').split('\n');
  const documented = lines
    .filter((line) => line.startsWith('| `ERAFT_'))
    .map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')))
    .map((cells) => [cells[1], (cells[6] ?? '').replace(/\.$/, '').toLowerCase()]);
  assert.deepEqual(
    Object.entries(ADVICE).map(([code, text]) => [code, text.toLowerCase()]),
    documented,
  );
});

test('completion scripts name every command, and flags of two names by both', async () => {
  const scripts = await Promise.all(['bash', 'zsh', 'fish'].map((shell) => eraft(['completion', shell])));
  for (const ran of scripts) {
    assert.equal(ran.code, 0);
    for (const command of COMMANDS) assert.ok(ran.stdout.includes(command), command);
    for (const name of ['dir', 'data-dir']) assert.match(ran.stdout, new RegExp(`restore.*(--|-l )${name}\\b`));
  }
});
