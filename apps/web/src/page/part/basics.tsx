import type { ComponentChildren } from 'preact';
import { serverNow } from '../api/session.js';
import type { Problem } from '../api/ask.js';
import { absolute, bytes, relative, UNKNOWN, visible, type Bytes } from '../format.js';

/** Text of a host, as text: kept apart from what surrounds it, and with what cannot be seen made visible. */
export function Name({ text, long = false }: { text: string | null | undefined; long?: boolean }) {
  if (text === null || text === undefined) return <span class="quiet">{UNKNOWN}</span>;
  const shown = visible(text);
  return (
    <bdi class={long ? 'name long' : 'name'} title={shown}>
      {shown}
    </bdi>
  );
}

/** Relative, with the absolute time in the title. `at` is RFC 3339. */
export function Time({ at }: { at: string | null | undefined }) {
  if (!at) return <span class="quiet">{UNKNOWN}</span>;
  const time = Date.parse(at);
  return (
    <time dateTime={at} title={absolute(time)}>
      {relative(time, serverNow())}
    </time>
  );
}

/** Bytes in a readable unit, with the exact number in the title. */
export function Size({ of }: { of: Bytes | null | undefined }) {
  const known = of !== null && of !== undefined;
  return <span title={known ? `${of} bytes` : 'not known'}>{bytes(of)}</span>;
}

export function Card({
  title,
  note,
  children,
}: {
  title: string;
  note?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <div class="card">
      <dt>{title}</dt>
      <dd>
        <div class="figure">{children}</div>
        {note !== undefined && <div class="note">{note}</div>}
      </dd>
    </div>
  );
}

/** How much of a whole is taken; `label` says of what. A plain one does not say whether that is much. */
export function Meter(props: { part: number | null; whole: number | null; label: string; plain?: boolean }) {
  const { part, whole, label, plain = false } = props;
  const share = part !== null && whole ? Math.min(1, Math.max(0, part / whole)) : null;
  const level = share === null || plain ? 'fine' : share > 0.95 ? 'bad' : share > 0.85 ? 'warn' : 'fine';
  return (
    <div
      class="meter"
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={share === null ? 0 : Math.round(share * 100)}
      aria-valuetext={share === null ? 'not known' : `${(share * 100).toFixed(0)} %`}
    >
      <div class={`fill ${level}`} style={{ width: `${(share ?? 0) * 100}%` }} />
    </div>
  );
}

/** What the API could not answer, in its own words, field by field. */
export function Problems({ problems, failure }: { problems: readonly Problem[]; failure?: string | undefined }) {
  const shown = problems.filter(({ code }) => code !== 'UNAUTHENTICATED');
  if (shown.length === 0 && failure === undefined) return null;
  return (
    <ul class="problems" role="alert">
      {failure !== undefined && <li>{failure}</li>}
      {shown.map(({ message, path, code }) => (
        <li key={`${path} ${code}`}>
          {path !== '' && <code>{path}</code>} {message} {code !== '' && <small>({code})</small>}
        </li>
      ))}
    </ul>
  );
}

export function Section({
  title,
  aside,
  children,
}: {
  title: string;
  aside?: ComponentChildren;
  children: ComponentChildren;
}) {
  const id = `section-${title.toLowerCase().replace(/\W+/g, '-')}`;
  return (
    <section aria-labelledby={id}>
      <header class="section-head">
        <h2 id={id}>{title}</h2>
        {aside}
      </header>
      {children}
    </section>
  );
}

/** One of a few, as a row of radio buttons. */
export function Choice<T extends string>(props: {
  label: string;
  name: string;
  value: T;
  options: readonly (readonly [value: T, text: string])[];
  onChoose(value: T): void;
}) {
  return (
    <fieldset class="choice">
      <legend class="unseen">{props.label}</legend>
      {props.options.map(([value, text]) => (
        <label key={value}>
          <input
            type="radio"
            name={props.name}
            value={value}
            checked={value === props.value}
            onChange={() => props.onChoose(value)}
          />
          <span>{text}</span>
        </label>
      ))}
    </fieldset>
  );
}

export function Select<T extends string>(props: {
  label: string;
  value: T;
  options: readonly (readonly [value: T, text: string])[];
  onChoose(value: T): void;
}) {
  return (
    <label class="field">
      <span>{props.label}</span>
      <select value={props.value} onChange={(event) => props.onChoose(event.currentTarget.value as T)}>
        {props.options.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Figures in pairs of name and value. */
export function Facts({ rows }: { rows: readonly (readonly [name: string, value: ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
