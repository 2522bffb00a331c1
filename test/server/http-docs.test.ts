// docs/http.md says which status has which code: it says what the code does.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ERRORS, EraftError, type ErrorCode } from '../../ts/base/errors.js';
import { answerOf } from '../../ts/server/http-problem.js';
import { SERVER_LIMITS } from '../../ts/server/limits.js';

const text = readFileSync('docs/http.md', 'utf8');

test('every error has the status that the table of docs/http.md gives it', () => {
  const documented = new Map<string, number>();
  for (const [, status, codes] of text.matchAll(/^\| (\d{3}) \| (.*) \|$/gm)) {
    for (const [, code] of (codes ?? '').matchAll(/`(ERAFT_[A-Z_]+)`/g)) {
      assert.ok(code !== undefined && !documented.has(code), `${code} stands there once`);
      documented.set(code, Number(status));
    }
  }
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    assert.equal(documented.get(code) ?? 500, answerOf(new EraftError(code, 'x')).status, code);
  }
});

test('an error body has code, outcome and retryable; with an Idempotency-Key, what is unknown may be repeated', () => {
  const body = (repeatable: boolean): Record<string, unknown> => {
    const error = new EraftError('ERAFT_OUTCOME_UNKNOWN', 'lost', { leader: { id: 2, address: 'a:1' } });
    return JSON.parse(String(answerOf(error, repeatable).body));
  };
  const leader = { id: 2, address: 'a:1' };
  const plain = { code: 'ERAFT_OUTCOME_UNKNOWN', message: 'lost', outcome: 'unknown', retryable: false, leader };
  assert.deepEqual(body(false), plain);
  assert.deepEqual(body(true), { ...plain, retryable: true });
  const stranger = JSON.parse(String(answerOf(new Error('a defect')).body));
  assert.deepEqual([stranger.code, stranger.outcome], ['ERAFT_FAILED', 'unknown']);
});

test('docs/http.md has the limits of the server', () => {
  const digits = (value: number): string => value.toLocaleString('en-US');
  assert.ok(text.includes(`${digits(SERVER_LIMITS.httpRequestsMax)} HTTP requests`));
  assert.ok(text.includes(`${digits(SERVER_LIMITS.connectionsMax)} WebSocket connections`));
});
