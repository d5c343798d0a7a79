import type { MemberJoined, MemberLeft, Renamed, RoomEvent, UserId } from '../protocol/types';

export type MembershipEvent = MemberJoined | MemberLeft | Renamed;

export function isMembership(event: RoomEvent): event is MembershipEvent {
  return event.type === 'member_joined' || event.type === 'member_left' || event.type === 'renamed';
}

/** The net effect of consecutive membership events; each user occurs once. */
export interface MembershipSummary {
  joined: string[];
  left: string[];
  /** Joined and left. */
  visited: string[];
  /** Left and joined again. */
  returned: string[];
  renamed: { oldName: string; name: string }[];
}

/** Summarizes consecutive `member_joined`, `member_left` and `renamed` events, so that they take one row. */
export function summarizeMembership(run: readonly MembershipEvent[]): MembershipSummary {
  const users = new Map<UserId, { name: string; first: MembershipEvent['type'] | null; last: MembershipEvent['type'] | null; oldName: string | null }>();
  for (const event of run) {
    const together = event.type === 'member_joined' && event.also_joined ? [event.by, ...event.also_joined] : [event.by];
    for (const { id, name } of together) {
      let user = users.get(id);
      if (!user) users.set(id, (user = { name, first: null, last: null, oldName: null }));
      user.name = name;
      if (event.type === 'renamed') user.oldName ??= event.old_name;
      else {
        user.first ??= event.type;
        user.last = event.type;
      }
    }
  }
  const summary: MembershipSummary = { joined: [], left: [], visited: [], returned: [], renamed: [] };
  for (const { name, first, last, oldName } of users.values()) {
    if (first === 'member_joined') (last === 'member_joined' ? summary.joined : summary.visited).push(name);
    else if (first === 'member_left') (last === 'member_left' ? summary.left : summary.returned).push(name);
    else if (oldName !== null && oldName !== name) summary.renamed.push({ oldName, name });
  }
  return summary;
}
