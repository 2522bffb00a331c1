import { eraftError, loadAddon } from './native.js';
import { engineOptions, type StorageOptions } from './options.js';

/** A group in a log that was inspected. */
export interface InspectedLogGroup {
  readonly group: number;
  readonly term: number;
  readonly vote: number;
  readonly commit: number;
  readonly compactedIndex: number;
  readonly compactedTerm: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly lastTime: number;
  readonly nextRevision: number;
  readonly recordBytes: number;
  /** Absent: no membership was saved. `conf`: a ConfState in hexadecimal digits. */
  readonly confIndex?: number;
  readonly conf?: string;
}

export interface InspectedSnapshot {
  readonly kind: 'snapshot';
  readonly version: number;
  readonly id: string;
  readonly cluster: string;
  readonly group: number;
  readonly index: number;
  readonly term: number;
  /** Log time, ms. */
  readonly time: number;
  readonly revision: number;
  readonly nextRevision: number;
  readonly confIndex: number;
  /** In hexadecimal digits; '' if none was saved. */
  readonly conf: string;
  /** Of the file. */
  readonly bytes: number;
  /** Those with rows: header and trailer do not count. */
  readonly chunks: number;
  readonly rows: number;
  readonly rawBytes: number;
  readonly keys: number;
  readonly sessions: number;
  readonly largestValueBytes: number;
}

export interface InspectedLog {
  readonly kind: 'log';
  readonly segments: number;
  readonly bytes: number;
  readonly groups: readonly InspectedLogGroup[];
}

/** A group of a store, as flushed: the log has what is behind it. */
export interface InspectedStoreGroup {
  readonly group: number;
  readonly index: number;
  readonly term: number;
  readonly revision: number;
  /** The installation of a snapshot was interrupted; opening the folder completes it. */
  readonly replacing: boolean;
  readonly keys: number;
  readonly sessions: number;
  readonly bytes: number;
}

export interface InspectedFolder {
  readonly kind: 'data';
  readonly cluster: string;
  readonly replica: number;
  readonly uid: string;
  readonly blank: boolean;
  /** Id of the snapshot that the folder was made of; absent: it was begun empty. */
  readonly backup?: string;
  /** Index of the snapshot whose installation opening would complete. */
  readonly installing: number | null;
  readonly log?: InspectedLog;
  /** null: nothing was ever flushed. */
  readonly store: readonly InspectedStoreGroup[] | null;
  readonly snapshots: readonly InspectedSnapshot[];
}

export type Inspected = InspectedSnapshot | InspectedLog | InspectedFolder;

/**
 * Says what is in a snapshot file, in the folder of a log, or in a data folder; reads and verifies all of it, on another
 * thread, and changes nothing. Of a folder that is in use, what is being written may look damaged.
 *
 * @throws EraftError (rejects) ERAFT_DATA_DAMAGED with the place, ERAFT_DATA_VERSION, ERAFT_IO, ERAFT_CONFIG when the path is
 * none of these
 */
export async function inspectFiles(path: string): Promise<Inspected> {
  try {
    return JSON.parse(await loadAddon().Engine.inspectFiles(path)) as Inspected;
  } catch (thrown) {
    throw eraftError(thrown);
  }
}

/**
 * Makes a data folder, absent or empty, of the snapshot `file`: that of replica `options.replica` in a new cluster, whose
 * membership is `conf`. It is opened as `options.cluster`; its own id is made of that and of the backup's, so each replica of
 * the new cluster is made of the same file. Revisions and log go on behind those of the backup. A crash leaves an empty folder, one that is refused, or the restored one.
 *
 * @throws EraftError (rejects) ERAFT_DATA_DAMAGED or ERAFT_DATA_VERSION for such a file, ERAFT_CONFIG for a folder that is not
 * empty: nothing has changed then; ERAFT_IO, ERAFT_DISK_FULL: empty the folder and try again
 */
export async function restoreFolder(
  file: string,
  conf: Uint8Array,
  options: Omit<StorageOptions, 'onProgress'>,
): Promise<void> {
  try {
    await loadAddon().Engine.restore(file, conf, engineOptions({ ...options, onProgress: () => undefined }));
  } catch (thrown) {
    throw eraftError(thrown);
  }
}
