import { alerts, putAllAway, putAway } from '../api/alerts.js';
import type { Finding } from '../api/types.js';
import { count } from '../format.js';
import { href } from '../route.js';
import { Name, Time } from './basics.js';
import { Subject, toneOf } from './finding-card.js';
import { LeakBadge } from './state.js';

/** More would lie over what somebody is at work with. */
const SHOWN = 2;

/** Findings as they come in; each stays until somebody puts it away. */
export function Alerts() {
  const all = alerts.value;
  return (
    <div class="alerts" role="region" aria-label="Alerts" aria-live="assertive" aria-relevant="additions">
      {all.length > SHOWN && (
        <p class="toast more">
          <a href={href.findings()}>{count(all.length - SHOWN)} more</a>
          <button type="button" class="plain-button" onClick={putAllAway}>
            Put all away
          </button>
        </p>
      )}
      {all.slice(0, SHOWN).map((finding) => (
        <Toast key={`${finding.id} ${finding.state}`} finding={finding} />
      ))}
    </div>
  );
}

function Toast({ finding }: { finding: Finding }) {
  return (
    <div class={`toast ${toneOf(finding)}`}>
      <div class="toast-head">
        <LeakBadge state={finding.state} imminent={finding.imminent} />
        <span class="quiet">
          <Time at={finding.at} />
        </span>
        <button type="button" class="plain-button" aria-label="Put this alert away" onClick={() => putAway(finding.id)}>
          ✕
        </button>
      </div>
      <p>
        <strong>
          <Subject finding={finding} />
        </strong>
      </p>
      <p class="clipped">
        <Name text={finding.message} long />
      </p>
      <a href={href.finding(finding.id)} onClick={() => putAway(finding.id)}>
        Evidence and acknowledgement
      </a>
    </div>
  );
}
