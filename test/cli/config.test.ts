import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadSettings, printSettings, settingsAsJson, suspiciousVariables } from '../../ts/cli/config/load.js';
import { nearest } from '../../ts/cli/config/nearest.js';
import { flagOf, OPTIONS, variableOf } from '../../ts/cli/config/options.js';
import { serveConfig } from '../../ts/cli/config/replica.js';
import { EXIT, exitCodeOf, UsageError } from '../../ts/cli/exit.js';
import { REPLICA_LIMITS } from '../../ts/host/options.js';
import { SERVER_LIMITS } from '../../ts/server/limits.js';
import { STORAGE_DEFAULTS } from '../../ts/storage/options.js';

const folder = mkdtempSync(join(tmpdir(), 'eraft-config-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function load(flags: Record<string, unknown> = {}, environment: Record<string, string> = {}, path?: string) {
  return loadSettings({ flags, environment, file: path });
}

function refused(work: () => unknown): UsageError {
  let found: unknown;
  assert.throws(work, (error) => {
    found = error;
    return true;
  });
  assert.ok(found instanceof UsageError, String(found));
  assert.equal(exitCodeOf(found), EXIT.usage);
  return found;
}

test('flags go before the environment, the environment before the file, the file before the default', () => {
  const toml = file('a.toml', 'id = 3\ndataDir = "file"\ncacheBytes = "32MiB"\nlogLevel = "warn"\n');
  const settings = load({ dataDir: 'flag' }, { ERAFT_DATA_DIR: 'variable', ERAFT_LOG_LEVEL: 'debug' }, toml);
  const shown = (name: string) => [settings.get(name)?.value, settings.get(name)?.source];
  assert.deepEqual(shown('dataDir'), ['flag', 'flag --data-dir']);
  assert.deepEqual(shown('logLevel'), ['debug', 'environment ERAFT_LOG_LEVEL']);
  assert.deepEqual(shown('cacheBytes'), [32 * 1024 * 1024, `file ${toml}`]);
  assert.deepEqual(shown('listen'), ['127.0.0.1:2460', 'default']);
});

test('a JSON file and a TOML file say the same', () => {
  const values = { id: 2, peers: { 1: '127.0.0.1:1', 2: '127.0.0.1:2' }, directIo: false, maxLogBytes: -1 };
  const json = load({}, {}, file('same.json', JSON.stringify(values)));
  const toml = load(
    {},
    {},
    file('same.toml', 'id = 2\ndirectIo = false\nmaxLogBytes = -1\n[peers]\n1 = "127.0.0.1:1"\n2 = "127.0.0.1:2"\n'),
  );
  for (const name of Object.keys(values)) assert.deepEqual(json.get(name)?.value, toml.get(name)?.value, name);
  assert.deepEqual(serveConfig(toml).peers, values.peers);
  assert.equal(serveConfig(toml).peerListen, '127.0.0.1:2');
  assert.equal(serveConfig(toml).limits.maxLogBytes, -1);
});

test('an unknown key of the file is refused with the nearest one', () => {
  const error = refused(() => load({}, {}, file('b.toml', 'dataDri = "x"\n')));
  assert.match(error.message, /unknown option "dataDri"/);
  assert.match(error.advice, /did you mean dataDir\?/);
});

test('a file that is missing or malformed is refused', () => {
  assert.match(refused(() => load({}, {}, join(folder, 'none.toml'))).message, /cannot read/);
  assert.match(refused(() => load({}, {}, file('c.toml', 'a = = 1'))).message, /not valid TOML/);
  assert.match(refused(() => load({}, {}, file('c.json', '{'))).message, /not valid JSON/);
  assert.match(refused(() => load({}, {}, file('d.json', '[1]'))).message, /no table/);
});

test('every bad value is refused, with the place where it stands', () => {
  const bad: [string, string][] = [
    ['id', '0'],
    ['id', 'one'],
    ['listen', 'localhost'],
    ['listen', '1.2.3.4:99999'],
    ['peers', '1'],
    ['peers', 'a=b:1'],
    ['peers', '1=h:1,1=h:2'],
    ['cacheBytes', '64MB'],
    ['cacheBytes', '-1'],
    ['logLevel', 'loud'],
    ['directIo', 'maybe'],
    ['electionTimeoutMs', '1.5'],
    ['dataDir', ''],
  ];
  for (const [name, value] of bad) {
    assert.match(refused(() => load({ [name]: value })).message, new RegExp(`for ${name} \\(flag ${flagOf(name)}\\)`));
    assert.match(refused(() => load({}, { [variableOf(name)]: value })).message, new RegExp(variableOf(name)));
  }
});

test('values that contradict each other are refused', () => {
  const peers = '1=127.0.0.1:1,2=127.0.0.1:2';
  assert.match(refused(() => serveConfig(load({ id: '3', peers }))).message, /not among the peers/);
  assert.match(refused(() => serveConfig(load({ peerListen: '127.0.0.1:1' }))).message, /no peers/);
  assert.throws(() => serveConfig(load({ electionTimeoutMs: '100' })), { code: 'ERAFT_CONFIG' });
  assert.throws(() => serveConfig(load({ idleSeconds: '9' })), { code: 'ERAFT_CONFIG' });
});

test('listening beyond this machine needs to be said', () => {
  assert.match(refused(() => serveConfig(load({ listen: '10.0.0.1:2460' }))).message, /reachable from other machines/);
  const peers = '1=10.0.0.1:2470,2=10.0.0.2:2470';
  assert.match(refused(() => serveConfig(load({ peers }))).message, /peerListen 10\.0\.0\.1:2470 is reachable/);
  assert.equal(
    serveConfig(load({ peers, listen: '10.0.0.1:2460', allowInsecureListen: true })).listen.host,
    '10.0.0.1',
  );
  assert.match(
    refused(() => serveConfig(load({ listen: '0.0.0.0:2460', allowInsecureListen: 'true' }))).advice,
    /--advertise/,
  );
  for (const host of ['localhost', '127.0.0.1', '127.8.8.8', '[::1]']) serveConfig(load({ listen: `${host}:1` }));
});

test('a variable that looks misspelt is told, one of others is not', () => {
  const warnings = suspiciousVariables({
    ERAFT_DATA_DRI: 'x',
    ERAFT_SERVICE_HOST: 'x',
    ERAFT_ENDPOINTS: 'x',
    HOME: '/',
  });
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /ERAFT_DATA_DRI .* did you mean ERAFT_DATA_DIR\?/);
});

test('every tuning value of storage, replica and server is an option, with their defaults', () => {
  const byName = new Map(OPTIONS.map((option) => [option.name, option]));
  assert.equal(byName.size, OPTIONS.length, 'no name twice');
  for (const [name, value] of Object.entries({ ...STORAGE_DEFAULTS, ...REPLICA_LIMITS, ...SERVER_LIMITS })) {
    assert.equal(byName.get(name)?.default, value, name);
  }
  const config = serveConfig(load());
  assert.deepEqual(config.storage, STORAGE_DEFAULTS);
  assert.deepEqual(config.limits, REPLICA_LIMITS);
  assert.deepEqual(config.serverLimits, SERVER_LIMITS);
});

test('every default survives being shown and read again', () => {
  for (const { name, kind, default: value } of OPTIONS) {
    if (value !== undefined) assert.deepEqual(kind.parse(kind.show(value)), value, name);
  }
});

test('docs/configuration.md lists exactly the options, with defaults and meaning', () => {
  const lines = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8').split('\n');
  const documented = lines.filter((line) => /^\| `[a-z]\w*` \|/.test(line));
  const known = OPTIONS.map(
    ({ name, kind, default: value, about }) =>
      `| \`${name}\` | ${value === undefined ? 'none' : `\`${kind.show(value)}\``} | ${about} |`,
  );
  assert.deepEqual(documented, known);
});

test('what is printed has every option, its value and its source', () => {
  const settings = load({ id: '7' });
  const text = printSettings(settings);
  assert.match(text, /^id +7 +flag --id$/m);
  assert.match(text, /^memtableBytes +64MiB +default$/m);
  const json = JSON.parse(settingsAsJson(settings)) as Record<string, { value: unknown; source: string }>;
  assert.deepEqual(json.id, { value: 7, source: 'flag --id' });
  assert.equal(Object.keys(json).length, OPTIONS.length);
});

test('the nearest word', () => {
  assert.equal(nearest('dataDri', ['listen', 'dataDir']), 'dataDir');
  assert.equal(nearest('memtablebytes', ['memtableBytes', 'tailBytes']), 'memtableBytes');
  assert.equal(nearest('entirelyDifferent', ['id', 'listen']), undefined);
});
