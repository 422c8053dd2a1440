import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { visible } from '../format.js';

/** Addresses visited: the first view of the page leaves the focus where the browser put it. */
let visits = 0;

/** The name of a view: also of the window, and where those who hear the page begin after a link. */
export function Heading(props: { title: string; over?: ComponentChildren; children?: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  const title = visible(props.title);
  useEffect(() => {
    document.title = `${title} · Tidemark`;
  }, [title]);
  useEffect(() => {
    if (visits++ === 0) return;
    heading.current?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }, []);
  return (
    <div class="heading">
      {props.over && <div class="over">{props.over}</div>}
      <h1 ref={heading} tabIndex={-1}>
        <bdi>{title}</bdi> {props.children}
      </h1>
    </div>
  );
}
