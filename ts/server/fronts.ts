// Which front serves: the fast one where it loads, the portable one elsewhere.
import { EraftError } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import type { Front, FrontHandlers, FrontOptions } from './front.js';
import { openUwsFront } from './front-uws.js';
import { openNodeFront } from './front-ws.js';

/** auto: uWebSockets.js where it is installed and loads, else node:http with ws. */
export type FrontChoice = 'auto' | 'uws' | 'ws';

/** @throws EraftError ERAFT_PORT_IN_USE, ERAFT_IO; ERAFT_CONFIG when `uws` was asked for and does not load */
export async function openFront(
  choice: FrontChoice,
  options: FrontOptions,
  handlers: FrontHandlers,
  logger: Logger,
): Promise<Front> {
  if (choice === 'ws') return openNodeFront(options, handlers);
  try {
    return await openUwsFront(options, handlers);
  } catch (error) {
    if (choice === 'uws' || !(EraftError.is(error) && error.code === 'ERAFT_CONFIG')) throw error;
    logger.info('serving with node:http and ws, since uWebSockets.js did not load', { reason: error.message });
    return openNodeFront(options, handlers);
  }
}
