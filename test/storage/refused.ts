import { EraftError, type ErrorCode } from '../../ts/base/errors.js';

/** For assert.throws and assert.rejects: an EraftError with this code, and a text that matches. */
export function refused(code: ErrorCode, message = /./): (error: unknown) => boolean {
  return (error) => {
    if (!EraftError.is(error)) return false;
    return error.code === code && message.test(error.message);
  };
}
