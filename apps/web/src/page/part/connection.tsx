import { deafSince, silentSince } from '../api/session.js';
import { absolute } from '../format.js';

/** Says while the page is cut off, and that it comes back by itself. */
export function Connection() {
  const silent = silentSince.value;
  const since = silent ?? deafSince.value;
  return (
    <div role="status" class="connection-frame">
      {since !== undefined && (
        <p class="connection" title={absolute(since)}>
          {silent === undefined
            ? 'Alerts are interrupted; connecting again…'
            : `No connection to the API since ${absolute(since).slice(11, 19)}: what you see is from before. Connecting again…`}
        </p>
      )}
    </div>
  );
}
