export type Cut = 'stall' | 'drop' | 'reset';

export interface Links {
  open(to: string, target: () => { host: string; port: number }): Promise<string>;
  cut(match: (from: string, to: string) => boolean, how: Cut): () => void;
  close(): Promise<void>;
}

export const CUTS: readonly Cut[];
export function createLinks(options: { names: Record<string, string> }): Links;
