import { Heading } from '../part/heading.js';
import { href } from '../route.js';

export function Nothing({ title, text }: { title: string; text: string }) {
  return (
    <>
      <Heading title={title} over={<a href={href.cluster()}>Cluster</a>} />
      <p class="lead">{text}</p>
    </>
  );
}
