import { useEffect, useRef } from 'preact/hooks';

const QUIET_MS = 250;

/** Searches when the typing pauses. */
export function SearchField(props: { label: string; value: string; onSearch(value: string): void }) {
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  return (
    <label class="field search">
      <span class="unseen">{props.label}</span>
      <input
        type="search"
        placeholder={props.label}
        defaultValue={props.value}
        autoComplete="off"
        spellcheck={false}
        onInput={(event) => {
          const { value } = event.currentTarget;
          clearTimeout(timer.current);
          timer.current = setTimeout(() => props.onSearch(value.trim()), QUIET_MS);
        }}
      />
    </label>
  );
}
