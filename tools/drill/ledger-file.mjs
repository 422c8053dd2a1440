// Reads what the players wrote down.
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';

/** Entries of all players by what names them; `taken` when the log had acknowledged it. A last line cut short does not count. */
export function readLedgers(files) {
  const ledger = { samples: new Map(), allocations: new Map(), findings: new Map(), heartbeats: 0 };
  for (const file of files) {
    if (!existsSync(file)) continue;
    for (const line of readFileSync(file, 'utf8').split('\n').slice(0, -1)) {
      const cut = line.indexOf(' ');
      const [word, entry] = [line.slice(0, cut), JSON.parse(line.slice(cut + 1))];
      const [table, name] = nameOf(entry);
      if (!table) {
        ledger.heartbeats++;
        continue;
      }
      if (word === 'made') ledger[table].set(name, { made: entry, taken: false, player: basename(file, '.ledger') });
      else ledger[table].get(name).taken = true;
    }
  }
  return ledger;
}

function nameOf({ kind, node, run, seq, trace, id }) {
  if (kind === 'samples') return ['samples', `${node} ${run} ${seq}`];
  if (kind === 'allocations') return ['allocations', `${trace} ${run} ${seq}`];
  if (kind === 'finding') return ['findings', id];
  return [];
}
