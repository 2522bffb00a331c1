// The part of uWebSockets.js that front-uws.ts uses, and its loading. The package is an optional peer dependency, so its
// own types must not be needed by whoever compiles against eraft.
import { EraftError } from '../base/errors.js';

export interface UwsRequest {
  getHeader(name: string): string;
  getUrl(): string;
  getCaseSensitiveMethod(): string;
  /** undefined without a question mark. */
  getQuery(): string | undefined;
}

export interface UwsResponse {
  writeStatus(status: string): UwsResponse;
  writeHeader(name: string, value: string): UwsResponse;
  /** @returns false: it was buffered; wait for onWritable */
  write(chunk: string | Uint8Array): boolean;
  end(body?: string | Uint8Array, closeConnection?: boolean): UwsResponse;
  close(): UwsResponse;
  onWritable(handler: (offset: number) => boolean): UwsResponse;
  onAborted(handler: () => void): UwsResponse;
  onData(handler: (chunk: ArrayBuffer, last: boolean) => void): UwsResponse;
  cork(action: () => void): UwsResponse;
  upgrade<T>(data: T, key: string, protocol: string, extensions: string, context: unknown): void;
}

export interface UwsSocket<T> {
  /** 1 sent, 0 buffered, 2 dropped. */
  send(message: Uint8Array, binary: boolean): number;
  getBufferedAmount(): number;
  end(code: number, reason: string): void;
  close(): void;
  cork(action: () => void): UwsSocket<T>;
  getRemoteAddressAsText(): ArrayBuffer;
  getUserData(): T;
}

export interface UwsBehavior<T> {
  maxPayloadLength: number;
  maxBackpressure: number;
  closeOnBackpressureLimit: boolean;
  idleTimeout: number;
  sendPingsAutomatically: boolean;
  compression: number;
  upgrade(response: UwsResponse, request: UwsRequest, context: unknown): void;
  open(socket: UwsSocket<T>): void;
  message(socket: UwsSocket<T>, message: ArrayBuffer, binary: boolean): void;
  drain(socket: UwsSocket<T>): void;
  close(socket: UwsSocket<T>, code: number, message: ArrayBuffer): void;
}

export interface UwsApp {
  ws<T>(pattern: string, behavior: UwsBehavior<T>): UwsApp;
  any(pattern: string, handler: (response: UwsResponse, request: UwsRequest) => void): UwsApp;
  listen(host: string, port: number, options: number, listening: (token: unknown) => void): UwsApp;
  close(): UwsApp;
}

export interface Uws {
  App(): UwsApp;
  us_listen_socket_close(token: unknown): void;
  us_socket_local_port(token: unknown): number;
  readonly DISABLED: number;
  readonly LIBUS_LISTEN_EXCLUSIVE_PORT?: number;
}

/** Without it, Linux lets two processes share a port silently (SO_REUSEPORT), and a port in use is never noticed. */
export const LISTEN_EXCLUSIVELY = 1;

/** @throws EraftError ERAFT_CONFIG: the package is not installed, or has no binary for this Node and system */
export async function loadUws(): Promise<Uws> {
  let module: unknown;
  try {
    module = await import('uWebSockets.js');
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    const missing = (cause as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND';
    const why = missing
      ? 'the optional package uWebSockets.js is not installed'
      : `the installed uWebSockets.js does not load here: ${text.split('\n')[0]}`;
    throw new EraftError(
      'ERAFT_CONFIG',
      `cannot serve with uWebSockets.js on Node ${process.versions.node}, ${process.platform} ${process.arch}\n` +
        `  why:  ${why}\n` +
        '  do:   npm install uWebSockets.js@npm:uwebsockets@3.0.6 (Node 20 on glibc), or choose the server "ws", which needs nothing',
      { cause },
    );
  }
  return ((module as { default?: unknown }).default ?? module) as Uws;
}
