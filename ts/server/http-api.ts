// HTTP: for people, curl and other languages. docs/http.md is the description; each path has its handler below.
import { EraftError } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import type { FrontRequest, FrontResponse } from './front.js';
import { type Exchange, type Handler, type Served, timeoutOf } from './http-exchange.js';
import { KEY_PATH, keyRequest } from './http-key.js';
import { forbidden } from './http-origin.js';
import { type Answer, answerOf, HttpProblem, json, text } from './http-problem.js';
import { scan } from './http-scan.js';
import { makeSnapshot, streamSnapshot } from './http-snapshot.js';
import { badRequest, Query } from './http-text.js';
import { transact } from './http-transact.js';
import type { ServerLimits } from './limits.js';

export interface HttpCounts {
  requests: number;
  inFlightNow: number;
  rejected: number;
}

export class HttpApi {
  readonly counts: HttpCounts = { requests: 0, inFlightNow: 0, rejected: 0 };
  readonly #limits: ServerLimits;
  readonly #logger: Logger;
  readonly #loopback: boolean;
  #served: Served | undefined;
  #closing = false;
  #idle: (() => void) | undefined;

  /** loopback: the server listens on a loopback address alone. */
  constructor(limits: ServerLimits, logger: Logger, loopback: boolean) {
    this.#limits = limits;
    this.#logger = logger;
    this.#loopback = loopback;
  }

  serve(served: Served): void {
    this.#served = served;
  }

  /** Never throws; always sends a response, sooner or later. */
  request(request: FrontRequest, response: FrontResponse): void {
    this.counts.requests += 1;
    this.counts.inFlightNow += 1;
    void this.#answer(request, response).finally(() => {
      this.counts.inFlightNow -= 1;
      if (this.counts.inFlightNow === 0) this.#idle?.();
    });
  }

  /** Why a browser page of another site must not get through, or undefined. */
  forbidden(request: Pick<FrontRequest, 'header'>): string | undefined {
    return forbidden(request, this.#loopback);
  }

  /** Refuses new requests, and waits at most `drainMs` for those that are being answered. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.counts.inFlightNow === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, this.#limits.drainMs);
      this.#idle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #answer(request: FrontRequest, response: FrontResponse): Promise<void> {
    const abort = new AbortController();
    response.onAborted = () => abort.abort();
    let answer: Answer | undefined;
    try {
      // No await before the handler is called: a body must be asked for while the request is new.
      answer = await this.#handle(request, response, abort.signal);
    } catch (error) {
      answer = answerOf(error, request.header('idempotency-key') !== '');
      if (answer.status === 429) this.counts.rejected += 1;
      if (answer.status === 500) this.#logger.error('an HTTP request failed', { path: request.path, error });
    }
    if (answer === undefined || response.aborted) return;
    const closing = this.#closing ? { Connection: 'close' } : {};
    response.send(answer.status, { ...answer.headers, ...closing }, answer.body);
  }

  #handle(request: FrontRequest, response: FrontResponse, signal: AbortSignal): Promise<Answer | undefined> | Answer {
    const reason = this.forbidden(request);
    if (reason !== undefined) throw new HttpProblem(403, 'FORBIDDEN', 'not-applied', reason);
    const methods = this.#route(request.path);
    const handler = methods[request.method];
    if (handler === undefined) {
      const allow = Object.keys(methods).join(', ');
      const why = `${request.method} is not allowed here; allowed: ${allow}`;
      throw new HttpProblem(405, 'METHOD_NOT_ALLOWED', 'not-applied', why, {}, { Allow: allow });
    }
    if (request.path === '/health') return this.#health();
    const served = this.#served;
    if (served === undefined || this.#closing) {
      const state = served === undefined ? 'this replica is still recovering its data' : 'this server is closing';
      throw new EraftError('ERAFT_UNAVAILABLE', `${state}: ask another replica, or again`);
    }
    if (this.counts.inFlightNow > this.#limits.httpRequestsMax) {
      const why = `${this.#limits.httpRequestsMax} HTTP requests are being answered, the limit of this server`;
      throw new EraftError('ERAFT_OVERLOADED', why);
    }
    return handler({ request, response, served, limits: this.#limits, signal });
  }

  #route(path: string): Readonly<Record<string, Handler>> {
    if (path.startsWith(KEY_PATH)) return { GET: keyRequest, PUT: keyRequest, DELETE: keyRequest, POST: keyRequest };
    switch (path) {
      case '/v1/transact':
        return { POST: transact };
      case '/v1/scan':
        return { GET: scan };
      case '/v1/sessions':
        return { POST: openSession };
      case '/v1/snapshot':
        return { GET: streamSnapshot, POST: makeSnapshot };
      case '/v1/status':
        return { GET: status };
      case '/health':
        return { GET: () => this.#health() };
      case '/ready':
        return { GET: ready };
      case '/metrics':
        return { GET: metrics };
      default:
        throw new HttpProblem(
          404,
          'PATH_NOT_FOUND',
          'not-applied',
          `no such path: see docs/http.md for those that exist`,
        );
    }
  }

  /** The process answers. Recovering is healthy, a failed replica is not. */
  #health(): Answer {
    const role = this.#served?.service.status().role;
    return role === 'failed' ? text(503, 'failed\n') : text(200, 'ok\n');
  }
}

async function openSession({ request, served }: Exchange): Promise<Answer> {
  if (request.header('idempotency-key') !== '') throw badRequest('a session is opened without an Idempotency-Key');
  const session = await served.idempotent.register(timeoutOf(new Query(request.query, ['timeout'])));
  return json(201, { session, idempotencyKey: `${session}-1` });
}

async function status({ request, served }: Exchange): Promise<Answer> {
  new Query(request.query, []);
  return json(200, await served.service.clusterStatus());
}

/** Ready to serve: a leader is known, and this replica is in good order. */
function ready({ served }: Exchange): Answer {
  const { role } = served.service.status();
  const { id } = served.service.leader;
  const good = id !== 0 && role !== 'failed' && role !== 'unknown' && role !== 'blank';
  return json(
    good ? 200 : 503,
    { ready: good, role, leader: id === 0 ? null : id },
    good ? {} : { 'Retry-After': '1' },
  );
}

async function metrics({ served }: Exchange): Promise<Answer> {
  const { type, text: body } = await served.metrics();
  return { status: 200, headers: { 'Content-Type': type }, body };
}
