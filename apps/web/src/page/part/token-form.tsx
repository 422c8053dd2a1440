import { useEffect, useRef } from 'preact/hooks';
import { setToken, token, tokenWanted } from '../api/session.js';

/** Asks for the API's token when the API does. */
export function TokenForm() {
  const why = tokenWanted.value;
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (why !== undefined) field.current?.focus();
  }, [why]);
  if (why === undefined) return null;
  return (
    <form
      class="token"
      aria-labelledby="token-title"
      onSubmit={(event) => {
        event.preventDefault();
        setToken(field.current?.value.trim() ?? '');
      }}
    >
      <h2 id="token-title">The API asks for a token</h2>
      <p>{why}. It is kept in this tab only.</p>
      <div class="tools">
        <label class="field">
          <span>Token</span>
          <input
            ref={field}
            type="password"
            autoComplete="off"
            spellcheck={false}
            required
            defaultValue={token.value}
          />
        </label>
        <button type="submit">Use it</button>
        <button type="button" class="plain-button" onClick={() => (tokenWanted.value = undefined)}>
          Not now
        </button>
      </div>
    </form>
  );
}

TokenForm.Forget = function Forget() {
  return (
    <button type="button" class="plain-button" onClick={() => setToken('')}>
      Forget the token
    </button>
  );
};
