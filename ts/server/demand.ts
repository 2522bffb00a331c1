import { EraftError } from '../base/errors.js';

/** @throws EraftError ERAFT_CONFIG with `message` unless `condition` holds */
export function demand(condition: boolean, message: string): asserts condition {
  if (!condition) throw new EraftError('ERAFT_CONFIG', message);
}
