import { useEffect, useRef, useState } from 'preact/hooks';
import type { Point } from '../api/types.js';
import { absolute, bytes, percent } from '../format.js';
import { timeTicks, valueScale, type Measure, type Tick } from './scale.js';

export interface ChartProps {
  title: string;
  points: readonly Point[];
  measure: Measure;
  /** Epoch milliseconds. */
  from: number;
  to: number;
  /** A line across: the total, or a limit. */
  line?: { value: number; text: string } | undefined;
  loading: boolean;
}

interface Step {
  at: number;
  value: number;
  min: number;
  max: number;
}

const HEIGHT = 240;
const MARGIN = { top: 12, right: 12, bottom: 24, left: 72 };

/** One series over time with its range in each step; the arrow keys or the pointer read single values. */
export function Chart(props: ChartProps) {
  const frame = useRef<HTMLDivElement>(null);
  const width = useWidth(frame);
  const [read, setRead] = useState<number | undefined>(undefined);
  const steps = stepsOf(props.points);
  const area = areaOf(props, steps, width);
  const shown = read === undefined ? undefined : steps[Math.min(read, steps.length - 1)];
  const tell = (value: number) => tellValue(value, props.measure);

  const point = (event: PointerEvent) => {
    const left = frame.current?.getBoundingClientRect().left ?? 0;
    const at = props.from + ((event.clientX - left - MARGIN.left) / area.width) * (props.to - props.from);
    setRead(nearest(steps, at));
  };
  const press = (event: KeyboardEvent) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === 'Escape') setRead(undefined);
    if (move === undefined || steps.length === 0) return;
    event.preventDefault();
    setRead(Math.min(steps.length - 1, Math.max(0, (read ?? steps.length) + move)));
  };

  return (
    <figure class="chart">
      <div
        ref={frame}
        class="plot"
        role="img"
        tabIndex={0}
        aria-label={summaryOf(props.title, steps, tell)}
        onPointerMove={point}
        onPointerLeave={() => setRead(undefined)}
        onKeyDown={press}
        onBlur={() => setRead(undefined)}
      >
        <svg width={width} height={HEIGHT} aria-hidden="true">
          <Axes area={area} from={props.from} to={props.to} />
          {runsOf(steps).map((run) => (
            <g key={run[0]!.at}>
              <path class="range" d={rangePath(run, area.x, area.y)} />
              <path class="line" d={linePath(run, area.x, area.y)} />
            </g>
          ))}
          {props.line && <Across line={props.line} area={area} />}
          {shown && <Reading step={shown} area={area} />}
        </svg>
        {steps.length === 0 && <p class="nothing">{props.loading ? 'Asking…' : 'Nothing is known of this time.'}</p>}
      </div>
      <figcaption aria-live="polite">
        {shown ? `${tell(shown.value)}${rangeText(shown, tell)} at ${absolute(shown.at)}` : captionOf(steps, tell)}
      </figcaption>
    </figure>
  );
}

/** Where values lie, in pixels. */
interface Area {
  width: number;
  height: number;
  ticks: readonly Tick[];
  x: Axis;
  y: Axis;
}

function areaOf({ from, to, line, measure }: ChartProps, steps: readonly Step[], frameWidth: number): Area {
  const width = Math.max(60, frameWidth - MARGIN.left - MARGIN.right);
  const height = HEIGHT - MARGIN.top - MARGIN.bottom;
  const { ticks, top } = valueScale(Math.max(0, line?.value ?? 0, ...steps.map(({ max }) => max)), measure);
  return {
    ...{ width, height, ticks },
    x: (at) => MARGIN.left + ((at - from) / Math.max(1, to - from)) * width,
    y: (value) => MARGIN.top + height - (value / top) * height,
  };
}

function Axes({ area, from, to }: { area: Area; from: number; to: number }) {
  const { width, ticks, x, y } = area;
  return (
    <>
      {ticks.map(({ value, text }) => (
        <g key={value}>
          <line class="grid" x1={MARGIN.left} x2={MARGIN.left + width} y1={y(value)} y2={y(value)} />
          <text class="tick" x={MARGIN.left - 8} y={y(value)} text-anchor="end" dominant-baseline="middle">
            {text}
          </text>
        </g>
      ))}
      {timeTicks(from, to, Math.max(2, Math.floor(width / 64))).map(({ value, text }) => (
        <text key={value} class="tick" x={x(value)} y={HEIGHT - 6} text-anchor="middle">
          {text}
        </text>
      ))}
    </>
  );
}

function Across({ line, area }: { line: { value: number; text: string }; area: Area }) {
  const right = MARGIN.left + area.width;
  return (
    <g class="limit">
      <line x1={MARGIN.left} x2={right} y1={area.y(line.value)} y2={area.y(line.value)} />
      <text class="tick" x={right} y={area.y(line.value) + 14} text-anchor="end">
        {line.text}
      </text>
    </g>
  );
}

function Reading({ step, area }: { step: Step; area: Area }) {
  const x = area.x(step.at);
  return (
    <g class="reading">
      <line x1={x} x2={x} y1={MARGIN.top} y2={MARGIN.top + area.height} />
      <circle cx={x} cy={area.y(step.value)} r="4" />
    </g>
  );
}

function useWidth(frame: { current: HTMLElement | null }): number {
  const [width, setWidth] = useState(640);
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    setWidth(element.clientWidth);
    return () => observer.disconnect();
  }, []);
  return width;
}

function stepsOf(points: readonly Point[]): Step[] {
  return points.map(({ at, value, min, max }) => ({
    ...{ at: Date.parse(at), value, min: min ?? value, max: max ?? value },
  }));
}

/** Stretches without a hole: a host that was silent is not drawn as if it had been heard. */
function runsOf(steps: readonly Step[]): Step[][] {
  const gaps = steps.slice(1).map((step, at) => step.at - steps[at]!.at);
  const usual = gaps.toSorted((a, b) => a - b)[Math.floor(gaps.length / 2)] ?? 0;
  const runs: Step[][] = [];
  for (const [at, step] of steps.entries()) {
    if (at === 0 || gaps[at - 1]! > usual * 3.5) runs.push([]);
    runs.at(-1)!.push(step);
  }
  return runs;
}

type Axis = (value: number) => number;

function linePath(run: readonly Step[], x: Axis, y: Axis): string {
  const [only] = run;
  if (run.length === 1) return `M${x(only!.at) - 2},${y(only!.value)}h4`;
  return run.map(({ at, value }, index) => `${index === 0 ? 'M' : 'L'}${round(x(at))},${round(y(value))}`).join('');
}

function rangePath(run: readonly Step[], x: Axis, y: Axis): string {
  const up = run.map(({ at, max }) => `${round(x(at))},${round(y(max))}`);
  const down = run.toReversed().map(({ at, min }) => `${round(x(at))},${round(y(min))}`);
  return `M${[...up, ...down].join('L')}Z`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function nearest(steps: readonly Step[], at: number): number | undefined {
  if (steps.length === 0) return undefined;
  let best = 0;
  for (const [index, step] of steps.entries())
    if (Math.abs(step.at - at) < Math.abs(steps[best]!.at - at)) best = index;
  return best;
}

function tellValue(value: number, measure: Measure): string {
  if (measure === 'bytes') return bytes(value);
  return measure === 'percent' ? percent(value) : value.toFixed(2);
}

function rangeText({ min, max, value }: Step, tell: (value: number) => string): string {
  return min === value && max === value ? '' : ` (${tell(min)} to ${tell(max)})`;
}

function captionOf(steps: readonly Step[], tell: (value: number) => string): string {
  if (steps.length === 0) return '\u00a0';
  const low = Math.min(...steps.map(({ min }) => min));
  const high = Math.max(...steps.map(({ max }) => max));
  return `Newest ${tell(steps.at(-1)!.value)}, lowest ${tell(low)}, highest ${tell(high)}`;
}

function summaryOf(title: string, steps: readonly Step[], tell: (value: number) => string): string {
  if (steps.length === 0) return `${title}: nothing known`;
  const first = steps[0]!;
  const last = steps.at(-1)!;
  return `${title} from ${absolute(first.at)} to ${absolute(last.at)}: ${tell(first.value)} to ${tell(last.value)}. ${captionOf(steps, tell)}. Arrow keys read single values.`;
}
