import { expect, it } from 'vitest';
import { cityHash128 } from './city-hash.js';

/** Made with github.com/go-faster/city 1.0.1 (CH128), the library of ClickHouse's own Go client. */
const vectors: readonly (readonly [length: number, hash: string])[] = [
  [0, '3df09dfc64c09a2b3cb540c392e51e29'],
  [1, '5a03ab4f802b3f6c58a88a3c8a31e91a'],
  [3, '3108fa6b1da1698632301bf0c250612d'],
  [4, '2b36229ba99aa33425e1c052f6408d75'],
  [7, '4d6955e1bc4624e3252e8c015f4c9bd0'],
  [8, '9feb346ce8e35a98f2f9f1185545d8ba'],
  [9, '80885008a99d77f20854364fe84aef88'],
  [15, '1443b6470aa1c7ff70f998835a684c59'],
  [16, '4e7e2890890c933d9b6511d6440477c7'],
  [17, 'f0e9ed04b1c7f44e8a17c6d04d5431ae'],
  [24, '3a34086b235ecfbb0cb65080ace6058f'],
  [31, '99f185112aa9cd7ed42762edf0508928'],
  [32, 'adf0df935f46a6c945c6069d82f7b2fc'],
  [33, '8a065e613be6ff1135542546810ca846'],
  [40, '67dc93f5738b71342042215927bfdd08'],
  [100, 'ced681c78ad6c6cf8522ef787e570a9c'],
  [127, '2484cd18dc147d2c461eb40c3963012e'],
  [128, '51bff79056911c9028a897f9bc9c1b9f'],
  [143, '2306b4d414b0d326e980bd41eb516895'],
  [144, '9ba176029dbc7f22a99caea46164a108'],
  [145, '594221bdaeb6df1a9eb4a68bece02725'],
  [160, '8d2443f7aca2006dcb91be098bba4d35'],
  [176, '6e705dc8e6483661e684198697a28e51'],
  [200, 'af07d3bba57a0d5b0981ef4f519d4454'],
  [255, '32b46037f4fa27ea0da1aa5956d29bae'],
  [256, 'eae169bbd0ef6f45d4401532927cd83f'],
  [272, '48b20684ded0330910163f6def1291c2'],
  [300, '3c9b61da9a18081cf9d9975c31955c7b'],
  [1000, '99dd0d90658d442470f54ed52c308cc0'],
  [5000, '8442c8b0bc6180c9c42341b18c3a2f68'],
];

it.each(vectors)('hashes %i bytes as ClickHouse does', (length, expected) => {
  const data = Buffer.from(Array.from({ length }, (_, index) => (index * 7 + length) & 255));
  const hash = cityHash128(data);
  const halves = [hash.readBigUInt64LE(0), hash.readBigUInt64LE(8)];
  expect(halves.map((half) => half.toString(16).padStart(16, '0')).join('')).toBe(expected);
});
