// Runs a transcript: blocks of commands, a line ----, and what they must cause.
//
//   cluster voters=1,2,3 [leader=1 term=2 last=4] [disks=slow] [election=10] [jitter=0] [prevote=off] [checkquorum=off]
//           [inflight=2] [inflight-bytes=n] [append-bytes=n] [uncommitted=n] [catch-up=n]
//   log 1 terms=1,1,4 [term=4] [vote=0] [commit=0]     what lies on the disk of 1; before the cluster's first step
//   propose 1 "x" ["y" …] · campaign 1 · tick 1 [n] · pause 1 · read 1 7 · compact 1 5 · unreachable 1 2
//   offer 1 3 [index]   the host of 3 holds a snapshot of 1, whole (of what 1 has applied); snapshot-failed 1 3   it never will
//   stray 1->3 snapshot 7 [term=2]   a snapshot message that got lost on the way and is delivered now
//   install-failed 3    … and finds it damaged when it is to be installed
//   stalled 1 on|off · may-campaign 1 on|off
//   deliver 1->2 [n]   the n oldest messages, else all · newest 1->2   the newest one first · repeat 1->2   without taking it
//   durable 1 [n]      the oldest writes of 1 reach its disk, and its core hears of it
//   durable-unreported 1 n · report 1 [n]   … or hears of it later
//   drop 1->2 [n] · cut 1 2 · heal · crash 1 · restart 1
//   a + b              two commands in one turn
//   settle [quiet]     until nothing moves; quiet tells only what becomes of the replicas, not how
//   state [1] · progress 1 · logs · links
//
// Entries take 100 bytes. Disks are instant unless they are slow: then a write waits for `durable`.

import assert from 'node:assert/strict';
import { entryText, linksText, logText, messageText, progressText, stateText } from './describe.js';
import { Cluster, type ClusterOptions, type Disk, diskWith, type Event, type Member } from './harness.js';

interface Block {
  readonly head: readonly string[]; // comments and commands, as they stand
  readonly commands: readonly string[];
  readonly expected: readonly string[];
}

/** Splits a transcript. Blocks end with an empty line after their output. */
export function parse(text: string): Block[] {
  const blocks: Block[] = [];
  for (const part of text.trim().split(/\n{2,}/)) {
    const lines = part.split('\n');
    const rule = lines.indexOf('----');
    const head = rule < 0 ? lines : lines.slice(0, rule);
    blocks.push({
      head,
      commands: head.filter((l) => !l.startsWith('#')),
      expected: rule < 0 ? [] : lines.slice(rule + 1),
    });
  }
  return blocks;
}

/** The transcript with the output that its commands cause now. */
export function run(text: string): string {
  const story = new Story();
  const told = parse(text).map((block) => {
    const output = block.commands.flatMap((command) => story.do(command));
    const rule = block.commands.length === 0 || (output.length === 0 && block.expected.length === 0) ? [] : ['----'];
    return [...block.head, ...rule, ...output].join('\n');
  });
  return `${told.join('\n\n')}\n`;
}

class Story {
  #cluster: Cluster | null = null;
  #slow = false;
  #quiet = false;
  readonly #disks: { [id: number]: Disk } = {};
  #output: string[] = [];
  readonly #known = new Map<number, string>();

  do(command: string): string[] {
    this.#output = [];
    this.#quiet = false;
    for (const part of command.split(' + ')) {
      const [verb = '', ...words] = part.match(/"[^"]*"|\S+/g) ?? [];
      this.#run(verb, words, command);
    }
    if (this.#cluster !== null) this.#takeTurns(this.#cluster);
    return this.#output;
  }

  #run(verb: string, words: string[], command: string): void {
    if (verb === 'log') {
      this.#log(words);
      return;
    }
    if (verb === 'cluster') {
      this.#open(words);
      return;
    }
    const cluster = this.#cluster;
    assert.ok(cluster, `a cluster comes first: ${command}`);
    const act = COMMANDS[verb];
    assert.ok(act, `no such command: ${command}`);
    const id = Number(words[0]);
    this.#quiet = words.at(-1) === 'quiet';
    act({ cluster, id, words, tell: (...lines) => this.#output.push(...lines) });
  }

  #takeTurns(cluster: Cluster): void {
    for (const member of cluster.members.values()) {
      if (member.alive) cluster.turn(member.id);
      this.#tellChange(member);
    }
  }

  #log(words: string[]): void {
    const o = options(words.slice(1));
    const hardState = { term: Number(o.term ?? 0), vote: Number(o.vote ?? 0), commit: Number(o.commit ?? 0) };
    const terms = list(o.terms);
    this.#disks[Number(words[0])] = diskWith(terms, { ...hardState, term: Math.max(hardState.term, ...terms) });
  }

  #open(words: string[]): void {
    const o = options(words);
    this.#slow = o.disks === 'slow';
    const voters = list(o.voters);
    const leader = Number(o.leader ?? 0);
    if (leader > 0) this.#preset(voters, Number(o.term), Number(o.last));
    const cluster = new Cluster({
      ...configOf(o),
      voters,
      slowDisks: this.#slow,
      disks: this.#disks,
      onEvent: (e) => this.#tell(e),
    });
    if (leader > 0) cluster.elect(leader);
    this.#output = [];
    this.#cluster = cluster;
    for (const member of cluster.members.values()) this.#known.set(member.id, changeable(member));
  }

  /** Disks on which the election of `term` makes the entry `last`. */
  #preset(voters: number[], term: number, last: number): void {
    for (const id of voters) {
      const terms = new Array<number>(last - 1).fill(term - 1);
      this.#disks[id] ??= diskWith(terms, { term: term - 1, vote: 0, commit: last - 1 });
    }
  }

  #tell(e: Event): void {
    if (e.kind === 'send') {
      if (!this.#quiet) this.#output.push(messageText(e.message));
      return;
    }
    const { id, ready } = e;
    const { hardState } = ready;
    if (hardState !== null && !this.#quiet && this.#slow) {
      this.#output.push(`${id}: write term=${hardState.term} vote=${hardState.vote} commit=${hardState.commit}`);
    }
    if (e.records.length > 0 && !this.#quiet) this.#output.push(`${id}: append ${e.records.map(entryText).join(', ')}`);
    for (const { context, index } of ready.reads) this.#output.push(`${id}: read ${context} at ${index}`);
    for (const context of ready.readsLost) this.#output.push(`${id}: read ${context} lost`);
    for (const to of ready.needSnapshot) this.#output.push(`${id}: needs a snapshot for ${to}`);
    if (ready.install !== null) this.#output.push(`${id}: install ${ready.install.term}/${ready.install.index}`);
  }

  /** What a reader wants to know without asking: role, term, commit. */
  #tellChange(member: Member): void {
    const now = changeable(member);
    if (this.#known.get(member.id) === now) return;
    this.#known.set(member.id, now);
    this.#output.push(`${member.id}: ${now}`);
  }
}

function changeable(member: Member): string {
  if (!member.alive) return 'crashed';
  const { role, term, leader, commit } = member.node;
  const whom = role === 'follower' ? ` of ${leader === 0 ? 'nobody' : leader}` : '';
  const applied = member.applied === commit ? '' : ` applied=${member.applied}`;
  return `${role}${whom} term=${term} commit=${commit}${applied}`;
}

interface Act {
  readonly cluster: Cluster;
  readonly id: number;
  readonly words: readonly string[];
  readonly tell: (...lines: string[]) => void;
}

/** What a command does, and says. The Readys it causes are taken afterwards, by all replicas. */
const COMMANDS: { readonly [verb: string]: (a: Act) => void } = {
  propose: ({ cluster, id, words, tell }) => {
    for (const word of words.slice(1)) {
      if (cluster.member(id).propose(word.replaceAll('"', '')) === 0) tell(`${id}: refuses ${word}`);
    }
  },
  campaign: ({ cluster, id }) => cluster.node(id).campaign(),
  tick: ({ cluster, id, words }) => cluster.tick(id, Number(words[1] ?? 1)),
  pause: ({ cluster, id }) => cluster.node(id).tick(true),
  read: ({ cluster, id, words, tell }) => {
    for (const word of words.slice(1)) {
      if (!cluster.node(id).readIndex(Number(word))) tell(`${id}: refuses read ${word}`);
    }
  },
  compact: ({ cluster, id, words }) => cluster.member(id).compact(Number(words[1])),
  offer: ({ cluster, id, words, tell }) => {
    const index = words[2] === undefined ? undefined : Number(words[2]);
    if (!cluster.member(id).offer(Number(words[1]), index)) tell(`${id}: no longer of use to ${words[1]}`);
  },
  stray: ({ cluster, words }) => {
    const [from, to] = link(words[0]);
    const { node } = cluster.member(from);
    const index = Number(words[2]);
    const term = Number(options(words.slice(3)).term ?? node.term);
    const point = { index, logTerm: node.termAt(index) || node.termAt(node.firstIndex - 1), commit: node.commit };
    const session =
      cluster
        .node(from)
        .progress()
        .filter((p) => p.id !== from)
        .findIndex((p) => p.id === to) + 1;
    cluster.member(to).step({ type: 'snapshot', from, to, term, session, truncatable: 0, round: 0, ...point });
    cluster.turn(to);
  },
  'snapshot-failed': ({ cluster, id, words }) => cluster.node(id).snapshotFailed(Number(words[1])),
  'install-failed': ({ cluster, id }) => cluster.member(id).failInstall(),
  unreachable: ({ cluster, id, words }) => cluster.node(id).onUnreachable(Number(words[1])),
  forgot: ({ cluster, id, words }) => cluster.node(id).onUnreachable(Number(words[1]), true),
  stalled: ({ cluster, id, words }) => cluster.node(id).diskStalled(words[1] === 'on'),
  'may-campaign': ({ cluster, id, words }) => cluster.node(id).mayCampaign(words[1] === 'on'),
  deliver: ({ cluster, words }) => {
    const [from, to] = link(words[0]);
    cluster.deliver(from, to, words[1] === undefined ? undefined : Number(words[1]));
  },
  newest: ({ cluster, words }) => {
    const [from, to] = link(words[0]);
    const newest = cluster.links.get(`${from}->${to}`)?.pop();
    assert.ok(newest, `nothing from ${from} to ${to}`);
    cluster.member(to).step(newest);
    cluster.turn(to);
  },
  repeat: ({ cluster, words }) => {
    const [from, to] = link(words[0]);
    for (const m of [...(cluster.links.get(`${from}->${to}`) ?? [])]) cluster.member(to).step(m);
    cluster.turn(to);
  },
  drop: ({ cluster, words, tell }) => {
    const [from, to] = link(words[0]);
    if (cluster.take(from, to, Number(words[1] ?? 1_000)).length === 0) tell('nothing was dropped');
  },
  durable: ({ cluster, id, words }) => cluster.complete(id, words[1] === undefined ? undefined : Number(words[1])),
  'durable-unreported': ({ cluster, id, words }) => cluster.member(id).complete(Number(words[1])),
  report: ({ cluster, id, words }) => {
    cluster.member(id).report(Number(words[1] ?? 1));
    cluster.turn(id);
  },
  cut: ({ cluster, id, words }) => {
    for (const word of words.slice(1)) cluster.cut(id, Number(word));
  },
  heal: ({ cluster }) => cluster.heal(),
  crash: ({ cluster, id }) => cluster.member(id).crash(),
  restart: ({ cluster, id }) => cluster.member(id).restart(),
  settle: ({ cluster }) => cluster.settle(),
  state: ({ cluster, words, id, tell }) => {
    for (const member of cluster.members.values()) if (words.length === 0 || member.id === id) tell(stateText(member));
  },
  progress: ({ cluster, id, tell }) => {
    const node = cluster.node(id);
    tell(...node.progress().map(progressText), `truncatable=${node.truncatable} first=${node.firstIndex}`);
  },
  logs: ({ cluster, tell }) => tell(...[...cluster.members.values()].map(logText)),
  links: ({ cluster, tell }) => tell(...linksText(cluster)),
};

function options(words: readonly string[]): { [name: string]: string | undefined } {
  return Object.fromEntries(words.map((w) => w.split('=') as [string, string]));
}

function list(text: string | undefined): number[] {
  return (text ?? '')
    .split(',')
    .filter((w) => w !== '')
    .map(Number);
}

function link(text: string | undefined): [from: number, to: number] {
  const [from, to] = (text ?? '').split('->').map(Number);
  return [from ?? 0, to ?? 0];
}

function configOf(o: { [name: string]: string | undefined }): Partial<ClusterOptions> {
  const numbers = {
    electionTicks: o.election,
    heartbeatTicks: o.heartbeat,
    inflightMessagesMax: o.inflight,
    inflightBytesMax: o['inflight-bytes'],
    appendBytesMax: o['append-bytes'],
    uncommittedBytesMax: o.uncommitted,
    catchUpBytesPerTick: o['catch-up-per-tick'],
    catchUpBytesMax: o['catch-up'],
  };
  const given = Object.entries(numbers).filter(([, value]) => value !== undefined);
  return {
    ...Object.fromEntries(given.map(([name, value]) => [name, Number(value)])),
    preVote: o.prevote !== 'off',
    checkQuorum: o.checkquorum !== 'off',
    electionJitter: () => Number(o.jitter ?? 0),
  };
}
