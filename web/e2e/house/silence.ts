import { execFileSync } from 'node:child_process';

/** Why the spec that needs it cannot run here; null: it can. */
export const cannotBeSilent =
  process.env.TEAHOUSE_NETNS === '1' ? null : 'it needs a network namespace, so root, iproute2 and iptables, and TEAHOUSE_NETNS=1';

/** A network of two addresses, behind a cable of its own, in which packets can be dropped. Nothing else is touched. */
export class Network {
  /** Two of the server's end of the cable. */
  readonly addresses: readonly [string, string];
  readonly namespace = `teahouse-e2e-${process.pid}`;
  private readonly cable = `thouse${process.pid % 100_000}`;

  constructor() {
    // Of the range that is kept for tests of networks (RFC 2544), so that it is nobody's.
    const net = `198.18.${process.pid % 256}`;
    this.addresses = [`${net}.2`, `${net}.3`];
    this.remove();
    ip('netns', 'add', this.namespace);
    ip('link', 'add', this.cable, 'type', 'veth', 'peer', 'name', 'inside', 'netns', this.namespace);
    // A second later it would have an IPv6 address, and a browser breaks off what it is opening when a new address comes.
    ip('link', 'set', this.cable, 'addrgenmode', 'none');
    ip('address', 'add', `${net}.1/24`, 'dev', this.cable);
    ip('link', 'set', this.cable, 'up');
    for (const address of this.addresses) this.inside('ip', 'address', 'add', `${address}/24`, 'dev', 'inside');
    this.inside('ip', 'link', 'set', 'inside', 'up');
    this.inside('ip', 'link', 'set', 'lo', 'up');
  }

  /** From now on nothing comes from this address, and nobody is told. What is sent to it arrives. */
  dropAnswers(address: string): void {
    this.inside('iptables', '-A', 'OUTPUT', '-s', address, '-j', 'DROP');
  }

  /** From now on nothing arrives at this address. */
  dropQuestions(address: string): void {
    this.inside('iptables', '-A', 'INPUT', '-d', address, '-j', 'DROP');
  }

  mend(): void {
    this.inside('iptables', '-F');
  }

  remove(): void {
    for (const line of [['link', 'delete', this.cable], ['netns', 'delete', this.namespace]]) {
      try {
        ip(...line);
      } catch {
        // It is not there, which is what is wanted.
      }
    }
  }

  private inside(program: string, ...line: string[]): void {
    ip('netns', 'exec', this.namespace, program, ...line);
  }
}

function ip(...line: string[]): void {
  execFileSync('ip', line, { stdio: 'pipe' });
}
