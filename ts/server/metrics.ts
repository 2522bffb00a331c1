// /metrics: the counters of replica and server as Prometheus text. They are kept elsewhere and read when somebody asks.
import { type Metric, Registry } from 'prom-client';
import type { ConnectionCounts } from './connection-hub.js';
import type { HttpCounts } from './http-api.js';
import type { MetricsSnapshot, ServedReplica } from './served.js';

interface Sample {
  readonly value: number;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly metricName?: string;
}

type Stats = NonNullable<MetricsSnapshot['storage']>;
type Kind = 'counter' | 'gauge' | 'histogram';

/** Counts per bucket with upper bounds, one more count than bounds. */
interface Buckets {
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
  readonly sum: number;
  readonly count: number;
}

/** What prom-client's registry asks of a metric: its own classes count by themselves, ours are told. */
class ReadMetric {
  readonly name: string;
  readonly help: string;
  readonly type: Kind;
  readonly aggregator = 'sum';
  readonly #read: () => readonly Sample[];

  constructor(name: string, help: string, type: Kind, read: () => readonly Sample[]) {
    this.name = name;
    this.help = help;
    this.type = type;
    this.#read = read;
  }

  get(): Promise<object> {
    const { name, help, type, aggregator } = this;
    return Promise.resolve({ name, help, type, aggregator, values: this.#read() });
  }
}

export interface MetricsSources {
  readonly replica: ServedReplica;
  readonly connections: ConnectionCounts;
  readonly http: HttpCounts;
}

const ROLES = ['leader', 'follower', 'candidate', 'preCandidate', 'blank', 'unknown', 'failed'] as const;

/** The metrics of one server, in a registry of its own. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #sources: MetricsSources;
  #now: MetricsSnapshot;

  constructor(sources: MetricsSources) {
    this.#sources = sources;
    this.#now = sources.replica.metrics();
    this.#registry.setDefaultLabels({ replica: String(sources.replica.service.replica) });
    this.#registerRaft();
    this.#registerWork();
    this.#registerStorage();
    this.#registerServer();
  }

  /** One snapshot for all metrics of a scrape. */
  async read(): Promise<{ type: string; text: string }> {
    this.#now = this.#sources.replica.metrics();
    return { type: this.#registry.contentType, text: await this.#registry.metrics() };
  }

  #registerRaft(): void {
    const role = (): Sample[] =>
      ROLES.map((name) => ({ value: this.#now.role === name ? 1 : 0, labels: { role: name } }));
    this.#add('eraft_role', '1 for the role that the replica has', 'gauge', role);
    this.#gauge('eraft_term', 'Raft term', (now) => now.term);
    this.#gauge('eraft_leader', 'Replica id of the leader, 0 when none is known', (now) => now.leader);
    this.#gauge('eraft_commit_index', 'Last log index known to be committed', (now) => now.commitIndex);
    this.#gauge('eraft_applied_index', 'Last log index applied to the store', (now) => now.appliedIndex);
    this.#gauge('eraft_last_index', 'Last log index', (now) => now.lastIndex);
    this.#gauge('eraft_revision', 'Last revision applied', (now) => now.revision);
    this.#counter('eraft_leader_changes_total', 'Changes of leader seen', (now) => now.leaderChanges);
    const peers = (read: (peer: MetricsSnapshot['peers'][number]) => number) => (): Sample[] =>
      this.#now.peers.map((peer) => ({ value: read(peer), labels: { peer: peer.id } }));
    this.#add(
      'eraft_peer_connected',
      '1 while the link to the peer is up',
      'gauge',
      peers((p) => (p.connected ? 1 : 0)),
    );
    this.#add(
      'eraft_peer_sent_bytes_total',
      'Bytes sent to the peer',
      'counter',
      peers((p) => p.sentBytes),
    );
    this.#add(
      'eraft_peer_received_bytes_total',
      'Bytes received from the peer',
      'counter',
      peers((p) => p.receivedBytes),
    );
    const dropped = 'Messages to the peer dropped since its queue was full';
    this.#add(
      'eraft_peer_dropped_messages_total',
      dropped,
      'counter',
      peers((p) => p.droppedMessages),
    );
    this.#add(
      'eraft_peer_garbage_total',
      'Malformed frames from the peer',
      'counter',
      peers((p) => p.garbage),
    );
  }

  #registerWork(): void {
    this.#counter('eraft_proposals_total', 'Log records proposed', (now) => now.proposals);
    this.#counter('eraft_proposed_batches_total', 'Client batches proposed', (now) => now.proposedBatches);
    this.#counter('eraft_proposed_commands_total', 'Commands proposed', (now) => now.proposedCommands);
    this.#counter('eraft_proposed_bytes_total', 'Bytes of proposed log records', (now) => now.proposedBytes);
    this.#counter('eraft_committed_records_total', 'Log records committed', (now) => now.committedRecords);
    this.#counter('eraft_applied_records_total', 'Log records applied', (now) => now.appliedRecords);
    this.#counter('eraft_reads_total', 'Read batches', (now) => now.reads);
    this.#counter('eraft_read_rounds_total', 'Quorum rounds that confirmed reads', (now) => now.readRounds);
    this.#counter('eraft_scans_total', 'Scan pages', (now) => now.scans);
    this.#counter('eraft_forwarded_total', 'Frames forwarded to the leader', (now) => now.forwarded);
    this.#counter('eraft_forwarded_in_total', 'Frames forwarded here by followers', (now) => now.forwardedIn);
    this.#gauge('eraft_proposals_in_flight', 'Batches proposed and not answered', (now) => now.proposalsInFlight);
    this.#gauge('eraft_reads_waiting', 'Read batches not answered', (now) => now.readsWaiting);
    this.#gauge(
      'eraft_frames_waiting_for_leader',
      'Frames that wait for a leader',
      (now) => now.framesWaitingForLeader,
    );
    this.#gauge('eraft_forwards_pending', 'Forwarded frames not answered', (now) => now.forwardsPending);
    this.#histogram('eraft_commit_seconds', 'From proposal to reply', (now) => now.commitSeconds);
    this.#histogram('eraft_batch_commands', 'Commands in one log record', (now) => now.batchCommands);
    this.#add('eraft_rejected_total', 'Requests refused by replica or server, by error code', 'counter', () =>
      this.#rejected(),
    );
  }

  #registerStorage(): void {
    this.#gauge('eraft_log_bytes', 'Bytes of the log on disk', (now) => now.logBytes);
    this.#gauge('eraft_store_bytes', 'Bytes of the store on disk', (now) => now.storeBytes);
    this.#gauge('eraft_snapshot_bytes', 'Bytes of the last complete snapshot', (now) => now.snapshotBytes);
    this.#gauge('eraft_snapshot_index', 'Last log index in it, 0 if there is none', (now) => now.snapshotIndex);
    this.#gauge('eraft_snapshot_streams', 'Snapshots on their way to followers', (now) => now.snapshotStreams);
    this.#gauge('eraft_snapshot_installing', '1 while one replaces the state', (now) => now.snapshotInstalling);
    this.#counter('eraft_snapshots_made_total', 'Snapshots made', (now) => now.snapshotsMade);
    this.#counter('eraft_snapshots_sent_total', 'Snapshots taken by followers', (now) => now.snapshotsSent);
    this.#counter('eraft_snapshots_installed_total', 'Snapshots installed', (now) => now.snapshotsInstalled);
    this.#counter('eraft_snapshot_sent_bytes_total', 'Bytes of snapshots sent', (now) => now.snapshotSentBytes);
    this.#counter('eraft_snapshot_received_bytes_total', 'Bytes received', (now) => now.snapshotReceivedBytes);
    this.#gauge('eraft_log_queued_bytes', 'Log bytes that are not yet durable', (now) => now.queuedBytes);
    this.#gauge(
      'eraft_log_damaged',
      '1 while this replica does not vote since its log was damaged',
      (now) => now.logDamaged,
    );
    this.#gauge('eraft_disk_full', '1 while writes are refused since the disk is full', (now) => now.diskFull);
    const pending = 'How long the present sync of the log has been running, 0 when none is';
    this.#gauge('eraft_log_sync_pending_seconds', pending, (now) => now.syncPendingSeconds);
    this.#histogram('eraft_log_sync_seconds', 'Duration of a sync of the log', (now) => syncSeconds(now.storage));
    const part = (name: string, help: string, read: (stats: Stats) => number): void =>
      this.#add(name, help, 'gauge', () => (this.#now.storage ? [{ value: read(this.#now.storage), labels: {} }] : []));
    part('eraft_log_segments', 'Files of the log', (stats) => stats.logSegments);
    part(
      'eraft_store_memtable_bytes',
      'Memory of writes that are not yet flushed',
      (stats) => stats.storeMemtableBytes,
    );
    part('eraft_store_cache_bytes', 'Memory of the block cache', (stats) => stats.storeCacheBytes);
    part('eraft_store_keys_estimate', 'Keys, roughly', (stats) => stats.storeKeysEstimate);
    part('eraft_store_compaction_pending_bytes', 'Bytes to be compacted', (stats) => stats.storeCompactionPendingBytes);
    part('eraft_store_stalled', '1 while writes to the store are held back', (stats) => (stats.storeStalled ? 1 : 0));
    part('eraft_store_views', 'Pinned views of scans', (stats) => stats.storeViews);
  }

  #registerServer(): void {
    const { connections: ws, http } = this.#sources;
    const one = (read: () => number) => (): Sample[] => [{ value: read(), labels: {} }];
    this.#add(
      'eraft_connections',
      'WebSocket connections of clients',
      'gauge',
      one(() => ws.connectionsNow),
    );
    this.#add(
      'eraft_connections_opened_total',
      'WebSocket connections opened',
      'counter',
      one(() => ws.opened),
    );
    const slow = 'Connections closed since their answers were not read';
    this.#add(
      'eraft_connections_closed_slow_total',
      slow,
      'counter',
      one(() => ws.closedSlow),
    );
    this.#add(
      'eraft_connections_paused_total',
      'Pauses of slow readers',
      'counter',
      one(() => ws.paused),
    );
    this.#add(
      'eraft_client_frames_total',
      'Frames received from clients',
      'counter',
      one(() => ws.frames),
    );
    this.#add(
      'eraft_client_frames_in_flight',
      'Frames not answered',
      'gauge',
      one(() => ws.framesInFlightNow),
    );
    this.#add(
      'eraft_client_bytes_in_flight',
      'Their bytes',
      'gauge',
      one(() => ws.bytesInFlightNow),
    );
    this.#add(
      'eraft_http_requests_total',
      'HTTP requests',
      'counter',
      one(() => http.requests),
    );
    this.#add(
      'eraft_http_requests_in_flight',
      'HTTP requests not answered',
      'gauge',
      one(() => http.inFlightNow),
    );
    const rss = 'Resident memory of the process';
    this.#add(
      'process_resident_memory_bytes',
      rss,
      'gauge',
      one(() => process.memoryUsage.rss()),
    );
    const cpu = (): number => (process.cpuUsage().user + process.cpuUsage().system) / 1e6;
    this.#add('process_cpu_seconds_total', 'CPU time of the process', 'counter', one(cpu));
  }

  #rejected(): Sample[] {
    const sum = new Map<string, number>(Object.entries(this.#now.rejected));
    for (const [code, count] of this.#sources.connections.rejected) sum.set(code, (sum.get(code) ?? 0) + count);
    const { rejected } = this.#sources.http;
    if (rejected > 0) sum.set('ERAFT_OVERLOADED', (sum.get('ERAFT_OVERLOADED') ?? 0) + rejected);
    return [...sum].map(([code, value]) => ({ value, labels: { code } }));
  }

  #gauge(name: string, help: string, read: (now: MetricsSnapshot) => number): void {
    this.#add(name, help, 'gauge', () => [{ value: read(this.#now), labels: {} }]);
  }

  #counter(name: string, help: string, read: (now: MetricsSnapshot) => number): void {
    this.#add(name, help, 'counter', () => [{ value: read(this.#now), labels: {} }]);
  }

  #histogram(name: string, help: string, read: (now: MetricsSnapshot) => Buckets | undefined): void {
    this.#add(name, help, 'histogram', () => histogramSamples(name, read(this.#now)));
  }

  #add(name: string, help: string, type: Kind, read: () => readonly Sample[]): void {
    // The registry calls get() and nothing else of what `Metric` has.
    this.#registry.registerMetric(new ReadMetric(name, help, type, read) as unknown as Metric);
  }
}

function syncSeconds(stats: Stats | undefined): Buckets | undefined {
  if (stats === undefined) return undefined;
  const bounds = stats.syncBucketMicros.map((micros: number) => micros / 1e6);
  return { bounds, counts: stats.syncBuckets, sum: stats.syncMicros / 1e6, count: stats.syncCount };
}

/** Cumulative, as Prometheus wants it. */
function histogramSamples(name: string, buckets: Buckets | undefined): Sample[] {
  if (buckets === undefined) return [];
  const samples: Sample[] = [];
  let below = 0;
  for (let i = 0; i < buckets.bounds.length; i += 1) {
    below += buckets.counts[i] ?? 0;
    samples.push({ metricName: `${name}_bucket`, value: below, labels: { le: buckets.bounds[i] ?? 0 } });
  }
  samples.push({ metricName: `${name}_bucket`, value: buckets.count, labels: { le: '+Inf' } });
  samples.push({ metricName: `${name}_sum`, value: buckets.sum, labels: {} });
  samples.push({ metricName: `${name}_count`, value: buckets.count, labels: {} });
  return samples;
}
