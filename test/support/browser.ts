import { existsSync } from 'node:fs';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';

const CHROMIUM = '/usr/bin/chromium';

/** Why pages cannot be looked at here; undefined when they can. Under CI they must be. */
export function whyNoBrowser(): string | undefined {
  if (process.env['CI'] === 'true' || existsSync(CHROMIUM)) return undefined;
  return `${CHROMIUM} is missing: apt-get install chromium`;
}

export function openBrowser(): Promise<Browser> {
  // A browser refuses to sandbox pages for root, as which containers run the tests.
  return chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

export interface WatchedPage {
  page: Page;
  /** Errors of scripts, of the security policy and of loading, and requests to anywhere else. */
  complaints: string[];
}

/** A page of its own, with nothing kept of others. */
export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<WatchedPage> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const complaints: string[] = [];
  const { origin } = new URL(url);
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(`${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`script: ${error.message}`));
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== origin) complaints.push(`asked ${request.url()}`);
  });
  await page.goto(url);
  return { page, complaints };
}

/**
 * What those who hear a page, use no mouse or see little contrast would miss, one line each: names of what can be used,
 * one first heading, captions, text that does not stand out (WCAG 2.2, 1.4.3) and text cut off at the side.
 */
export function barriers(page: Page): Promise<string[]> {
  return page.evaluate(`(${findBarriers})()`);
}

// Runs in the browser: a text, since the tests are compiled without the types of one.
const findBarriers = String.raw`() => {
  const found = [];
  const all = (selector) => [...document.querySelectorAll(selector)].filter((one) => one.checkVisibility());
  const textOf = (one) => (one?.textContent ?? '').trim();
  const nameOf = (one) =>
    one.getAttribute('aria-label') || textOf(document.getElementById(one.getAttribute('aria-labelledby'))) ||
    textOf(one.labels?.[0]) || (one.matches('a, button, summary') ? textOf(one) : '');
  const tell = (one) => one.outerHTML.slice(0, 120);
  for (const one of all('a, button, input, select, summary, [role=meter], [role=img], [role=region], nav, section')) {
    if (!nameOf(one)) found.push('no name: ' + tell(one));
  }
  if (all('h1').length !== 1) found.push(all('h1').length + ' first headings');
  for (const role of ['main', 'header', 'nav']) if (all(role).length === 0) found.push('no ' + role);
  for (const one of all('table')) {
    if (!textOf(one.caption)) found.push('no caption: ' + tell(one));
    for (const th of one.querySelectorAll('th')) if (th.scope !== 'col') found.push('no scope: ' + tell(th));
  }
  for (const one of all('img')) if (one.getAttribute('alt') === null) found.push('no alt: ' + tell(one));
  if (!document.documentElement.lang) found.push('no language');
  if (!document.title) found.push('no title');
  const ids = [...document.querySelectorAll('[id]')].map((one) => one.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.push('twice: #' + id);
  const aside = document.documentElement.scrollWidth - innerWidth;
  if (aside > 0) found.push(aside + ' px wider than the window');

  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const colors = new Map();
  const rgba = (color) => {
    if (!colors.has(color)) colors.set(color, paint(color));
    return colors.get(color);
  };
  const paint = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const light = (color) => {
    const [r, g, b] = [...rgba(color)].map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (rgba(color)[3] === 255) return color;
    }
    return 'white';
  };
  for (const one of all('body *')) {
    const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== '');
    if (!own || one.closest('.unseen, .skip, :disabled, svg')) continue;
    const style = getComputedStyle(one);
    const [a, b] = [light(style.color), light(behind(one))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) found.push('contrast ' + ratio.toFixed(2) + ': ' + tell(one));
  }
  return [...new Set(found)];
}`;
