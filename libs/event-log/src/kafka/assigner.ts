/** What a member says of itself when it joins. */
export interface Claim {
  memberId: string;
  /** Partitions that it still serves. */
  owned: readonly number[];
  /** The generation in which it got them: of two claims the later one holds. */
  generation: number;
}

/** What the leader gives one member. */
export interface Share {
  partitions: number[];
  /** Further partitions that are meant for it and that another member has still to give back. */
  pending: number;
}

/**
 * Spreads partitions evenly, moving as few as possible: each member gets ⌊n/m⌋ or ⌈n/m⌉. A partition that is to move is
 * given to nobody while the member that has it still claims it; when that one has closed it, it asks for the next round.
 */
export function assignCooperatively(claims: readonly Claim[], partitions: number): Map<string, Share> {
  const members = claims.map(({ memberId }) => memberId).sort();
  const owners = ownersOf(claims, partitions);
  const wanted = spread(members, owners);
  const shares = new Map<string, Share>(members.map((member) => [member, { partitions: [], pending: 0 }]));
  wanted.forEach((member, partition) => {
    if (member === undefined) return;
    const owner = owners[partition];
    const share = shares.get(member)!;
    if (owner === undefined || owner === member) share.partitions.push(partition);
    else share.pending++;
  });
  return shares;
}

/** Who has each partition: the member with the latest claim. */
function ownersOf(claims: readonly Claim[], partitions: number): (string | undefined)[] {
  const owners = new Array<string | undefined>(partitions).fill(undefined);
  const since = new Array<number>(partitions).fill(-Infinity);
  for (const { memberId, owned, generation } of claims) {
    for (const partition of owned) {
      if (!(partition >= 0 && partition < partitions) || generation <= since[partition]!) continue;
      owners[partition] = memberId;
      since[partition] = generation;
    }
  }
  return owners;
}

/** Everybody keeps what is not above the even share; the rest goes to those who have least. */
function spread(members: readonly string[], owners: readonly (string | undefined)[]): (string | undefined)[] {
  if (members.length === 0) return owners.map(() => undefined);
  const least = Math.floor(owners.length / members.length);
  let larger = owners.length % members.length;
  const counts = new Map(members.map((member) => [member, 0]));
  const had = new Map(members.map((member) => [member, 0]));
  for (const owner of owners) if (owner !== undefined && had.has(owner)) had.set(owner, had.get(owner)! + 1);
  // Who has most keeps the larger share, or a partition would move for nothing.
  const limits = new Map(
    [...members].sort((a, b) => had.get(b)! - had.get(a)!).map((member) => [member, larger-- > 0 ? least + 1 : least]),
  );
  const kept = owners.map((owner) => {
    const count = owner === undefined ? undefined : counts.get(owner);
    if (owner === undefined || count === undefined || count >= limits.get(owner)!) return undefined;
    counts.set(owner, count + 1);
    return owner;
  });
  return kept.map((owner) => {
    if (owner !== undefined) return owner;
    const next = members.find((member) => counts.get(member)! < limits.get(member)!)!;
    counts.set(next, counts.get(next)! + 1);
    return next;
  });
}
