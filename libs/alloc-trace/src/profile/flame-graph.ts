import { baseName } from './frame-name.js';
import { FLAME_SCRIPT, FLAME_STYLE, MODULE_COLOURS } from './flame-style.js';
import { flameTree, modulesOf, type FlameBox } from './flame-tree.js';
import { readableBytes, readableCount, readableDuration, readableShare } from './quantities.js';
import { isLeaking, measured, type ProfileMeasure, type TraceProfile } from './trace-profile.js';

export interface FlameGraphOptions {
  /** What the width of a box stands for. Default LIVE. */
  measure?: ProfileMeasure;
  /** Boxes drawn, about; smaller ones are put together. Default 4,000. */
  maxBoxes?: number;
}

const ROW = 20;
const MARGIN = 12;
const HEADER = 92;
const LEGEND_ROW = 20;
const LEGEND_COLUMNS = 4;
const LEGEND_ENTRIES = 12;

/**
 * A picture of where the bytes are, as one SVG file without outside parts: the program on top, what it calls below, as wide
 * as the bytes that were allocated underneath. Coloured by object; what leaks is red, and each box above it carries a red
 * line as long as its leaking part. Opened as a file it zooms and searches; as an image it is whole without.
 */
export function flameGraph(profile: TraceProfile, options: FlameGraphOptions = {}): string {
  const measure = options.measure ?? 'LIVE';
  const root = flameTree(profile, measure, Math.max(1, options.maxBoxes ?? 4000));
  const colours = colourOf(root);
  const boxes = placed(root);
  const rows = Math.max(...boxes.map(({ box }) => box.depth)) + 1;
  const legend = legendOf(root, colours);
  const bottom = HEADER + rows * ROW;
  const height = bottom + 16 + Math.ceil(legend.length / LEGEND_COLUMNS) * LEGEND_ROW + MARGIN;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<svg xmlns="http://www.w3.org/2000/svg" width="100%" height="${height}" style="min-width:640px" data-total="${root.bytes}">`,
    `<style><![CDATA[${FLAME_STYLE}]]></style>`,
    '<rect class="page" width="100%" height="100%"/>',
    ...headerLines(profile, measure, root),
    `<svg x="1%" y="${HEADER}" width="98%" height="${rows * ROW}">`,
    ...boxes.map((one) => boxMarkup(one, root, colours)),
    '</svg>',
    ...legend.map((entry, index) => legendMarkup(entry, index, bottom + 16)),
    `<script><![CDATA[${FLAME_SCRIPT}]]></script>`,
    '</svg>',
    '',
  ].join('\n');
}

interface PlacedBox {
  box: FlameBox;
  /** Percent of the width. */
  x: number;
  width: number;
}

/** Children lie at the left of their parent, side by side: what is left at the right was allocated by itself. */
export function placed(root: FlameBox): PlacedBox[] {
  const all: PlacedBox[] = [];
  const open: PlacedBox[] = [{ box: root, x: 0, width: 100 }];
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    all.push(one);
    let before = 0;
    const inside: PlacedBox[] = [];
    for (const box of one.box.children) {
      inside.push({ box, x: one.x + share(before, one), width: share(box.bytes, one) });
      before += box.bytes;
    }
    open.push(...inside.reverse());
  }
  return all;
}

function share(bytes: number, { box, width }: PlacedBox): number {
  return box.bytes > 0 ? (bytes / box.bytes) * width : 0;
}

/** Class of colour for each object: the largest have their own. */
function colourOf(root: FlameBox): (box: FlameBox) => string {
  const ranks = new Map(modulesOf(root).map((module, index) => [module, Math.min(index, MODULE_COLOURS - 1)]));
  return ({ module }) => (module === null ? 'none' : `c${ranks.get(baseName(module)) ?? MODULE_COLOURS - 1}`);
}

function headerLines(profile: TraceProfile, measure: ProfileMeasure, root: FlameBox): string[] {
  const { process, mode, startedAt, durationMs, totals, sampleInterval } = profile;
  const what = measure === 'LIVE' ? 'Live heap' : 'All allocations';
  const began = Number.isFinite(startedAt) && Math.abs(startedAt) < 8e15 ? new Date(startedAt).toISOString() : '';
  const facts = [
    `${readableBytes(root.bytes)} in ${readableCount(root.blocks)} blocks`,
    sampleInterval === null
      ? mode.toLowerCase()
      : `${mode.toLowerCase()} every ${readableBytes(sampleInterval)}: estimates`,
    `traced for ${readableDuration(durationMs)}`,
    ...(began === '' ? [] : [`from ${began.slice(0, 19).replace('T', ' ')} UTC`]),
    ...(totals.dropped > 0 ? [`${readableCount(totals.dropped)} calls lost for want of room`] : []),
  ];
  const leaking = profile.sites.filter(isLeaking);
  const bytes = leaking.reduce((sum, site) => sum + measured(site, measure).bytes, 0);
  const verdict =
    leaking.length === 0
      ? '<tspan class="soft">No site leaks by its verdict.</tspan>'
      : `<tspan class="hotink">${readableBytes(bytes)} (${readableShare(bytes, root.bytes)}) at ${leaking.length} ` +
        `${leaking.length === 1 ? 'site' : 'sites'} suspected or confirmed to leak.</tspan>`;
  return [
    `<text class="title ink" x="1%" y="30">${what} of ${escaped(process.program)} (pid ${process.pid})</text>`,
    `<text class="sub soft" x="1%" y="52">${escaped(facts.join(' · '))} · ${verdict}</text>`,
    `<text class="info soft" x="1%" y="78">Wide boxes hold much memory.</text>`,
    `<svg x="99%" y="12" overflow="visible" width="1" height="1"><foreignObject class="search" x="-260" y="0" ` +
      'width="260" height="30"/></svg>',
  ];
}

function boxMarkup({ box, x, width }: PlacedBox, root: FlameBox, colours: (box: FlameBox) => string): string {
  // A box of which the smaller part leaks has the line alone.
  const hot = box.leaks && 2 * box.leakingBytes >= box.bytes;
  const classes = ['b', hot ? 'hot' : '', box.inlined ? 'inl' : '', box.merged > 0 ? 'merged' : ''];
  const leak = box.bytes > 0 ? box.leakingBytes / box.bytes : 0;
  const stripe = leak > 0 ? `<rect class="leak" y="${ROW - 3}" width="${percent(leak * 100)}" height="2"/>` : '';
  return (
    `<svg class="${classes.filter(Boolean).join(' ')}" x="${percent(x)}" y="${box.depth * ROW}" ` +
    `width="${percent(width)}" height="${ROW}"><title>${escaped(titleOf(box, root))}</title>` +
    `<rect class="f ${colours(box)}" width="100%" height="${ROW}" rx="2"/>${stripe}` +
    `<text x="5" y="13.5">${escaped(box.name)}</text></svg>`
  );
}

function titleOf(box: FlameBox, root: FlameBox): string {
  return [
    box.merged > 1 ? `${box.merged} smaller ones` : box.name,
    box.place,
    box.module === null ? '' : `${box.module}${box.inlined ? ' (inlined)' : ''}`,
    `${readableBytes(box.bytes)} (${readableShare(box.bytes, root.bytes)}) in ${readableCount(box.blocks)} blocks`,
    box.ownBytes > 0 && box.children.length > 0 ? `${readableBytes(box.ownBytes)} by itself` : '',
    box.leakingBytes > 0 ? `leaking: ${readableBytes(box.leakingBytes)}` : '',
  ]
    .filter(Boolean)
    .join('\n');
}

interface LegendEntry {
  colour: string;
  text: string;
}

function legendOf(root: FlameBox, colours: (box: FlameBox) => string): LegendEntry[] {
  const modules = modulesOf(root);
  const entries = modules
    .slice(0, LEGEND_ENTRIES)
    .map((module) => ({ colour: colours({ ...root, module }), text: module }));
  if (modules.length > LEGEND_ENTRIES) {
    entries.push({ colour: `c${MODULE_COLOURS - 1}`, text: `and ${modules.length - LEGEND_ENTRIES} more` });
  }
  return root.leakingBytes > 0 ? [{ colour: 'leak', text: 'leaks by its verdict' }, ...entries] : entries;
}

function legendMarkup({ colour, text }: LegendEntry, index: number, top: number): string {
  const column = index % LEGEND_COLUMNS;
  const y = top + Math.floor(index / LEGEND_COLUMNS) * LEGEND_ROW;
  return (
    `<svg x="${percent(1 + (column * 98) / LEGEND_COLUMNS)}" y="${y}" width="${98 / LEGEND_COLUMNS}%" height="${LEGEND_ROW}">` +
    `<rect class="${colour}" x="0" y="3" width="12" height="12" rx="2"/>` +
    `<text class="key soft" x="18" y="13">${escaped(text)}</text></svg>`
  );
}

/** Exact enough that a thousand boxes side by side do not drift by a pixel. */
function percent(value: number): string {
  return `${Number(value.toFixed(6))}%`;
}

/** Names come from the traced program: nothing in them is markup, breaks XML 1.0 or turns the direction of the text. */
function escaped(text: string): string {
  return (
    text
      .replace(/\p{Surrogate}/gu, '\ufffd')
      // What XML 1.0 forbids (section 2.2), other control characters, and the marks of direction.
      .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]/g, '\ufffd')
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
      .replaceAll("'", '&#39;')
  );
}
