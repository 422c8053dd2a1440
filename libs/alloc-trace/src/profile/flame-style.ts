/** How many classes of colours for objects there are: the last one is for all that have none of their own. */
export const MODULE_COLOURS = 9;

const LIGHT = ['#f6c28b', '#a9cdea', '#b4dbab', '#cfc0ea', '#ecdc8c', '#9fd8d1', '#e3bfdc', '#ccd597', '#d5d3cd'];
const DARK = ['#8d5d26', '#2f6288', '#3b6f3d', '#5f4a8a', '#766219', '#25675f', '#74447a', '#5e682a', '#54524e'];

function rules(colours: readonly string[]): string {
  return colours.map((colour, index) => `.c${index}{fill:${colour}}`).join('');
}

/** Colours follow the reader's preference for light or dark. */
export const FLAME_STYLE = `
svg{font-family:system-ui,-apple-system,'Segoe UI',sans-serif;color-scheme:light dark}
:root{background:#fdfcfa}
.page{fill:#fdfcfa}.ink{fill:#211f1c}.soft{fill:#6d6961}
${rules(LIGHT)}.none{fill:#e9e6e0}
.title{font-size:18px;font-weight:600}.sub{font-size:13px}.info{font-size:12.5px}.key{font-size:12px}
.b{cursor:pointer}
.b text{font-family:ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace;font-size:12px;fill:#211f1c;
pointer-events:none;white-space:pre}
.b rect.f{stroke:#fdfcfa;stroke-width:1}
.b:hover rect.f{stroke:#211f1c;stroke-width:2}
.merged text,.inl text{font-style:italic}
.leak,.b.hot rect.f{fill:#d9363e}.b.hot text{fill:#fff;font-weight:600}.b.hot .leak{fill:#7f1018}
.hotink{fill:#c02730}
.up{opacity:.55}.searching .b:not(.hit){opacity:.25}
input{box-sizing:border-box;width:100%;height:28px;padding:2px 10px;font:13px system-ui,sans-serif;border:1px solid #b8b3a8;
border-radius:6px;background:#fff;color:#211f1c}
@media (prefers-color-scheme:dark){
:root{background:#1a1917}
.page{fill:#1a1917}.ink{fill:#efece6}.soft{fill:#a39e94}
${rules(DARK)}.none{fill:#38362f}
.b text{fill:#f4f1eb}.b rect.f{stroke:#1a1917}.b:hover rect.f{stroke:#fff}
.hotink{fill:#ff7b80}.b:not(.hot) .leak{fill:#ff6067}
input{background:#26241f;color:#efece6;border-color:#57534a}}
`;

/**
 * Zoom by clicking, search by text or regular expression. Without it the picture is whole: labels are clipped by their boxes.
 * It reads positions and titles from the picture alone, and writes text as text.
 */
export const FLAME_SCRIPT = `
(function () {
  var script = document.currentScript, svg = (script && script.ownerSVGElement) || document.documentElement;
  var total = Number(svg.getAttribute('data-total'));
  var info = svg.querySelector('.info'), hint = info.textContent, zoomed = null;
  var boxes = Array.prototype.map.call(svg.querySelectorAll('svg.b'), function (node) {
    var title = node.querySelector('title').textContent;
    return { node: node, x: parseFloat(node.getAttribute('x')), w: parseFloat(node.getAttribute('width')),
      y: Number(node.getAttribute('y')), title: title, name: title.split('\\n')[0], text: node.querySelector('text') };
  });
  var byNode = new Map(boxes.map(function (box) { return [box.node, box]; }));
  function fit(box, width) {
    var room = Math.floor((width / 100 * 0.98 * svg.getBoundingClientRect().width - 8) / 7.25);
    box.text.textContent = box.name.length <= room ? box.name : room < 3 ? '' : box.name.slice(0, room - 1) + '\\u2026';
  }
  function draw() {
    var from = zoomed ? zoomed.x : 0, over = zoomed ? zoomed.w : 100, slack = 1e-6;
    boxes.forEach(function (box) {
      var above = zoomed && box.y < zoomed.y && box.x <= from + slack && box.x + box.w >= from + over - slack;
      var inside = !zoomed || (box.y >= zoomed.y && box.x >= from - slack && box.x + box.w <= from + over + slack);
      box.node.style.display = above || inside ? '' : 'none';
      if (!above && !inside) return;
      var width = above ? 100 : box.w / over * 100;
      box.node.setAttribute('x', (above ? 0 : (box.x - from) / over * 100) + '%');
      box.node.setAttribute('width', width + '%');
      box.node.classList.toggle('up', Boolean(above));
      fit(box, width);
    });
  }
  function bytes(value) {
    var units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'], unit = 0;
    while (value >= 1024 && unit < 4) { value /= 1024; unit += 1; }
    return (unit ? value.toFixed(1) : Math.round(value)) + ' ' + units[unit];
  }
  function search(text) {
    var pattern = null;
    try { pattern = text && new RegExp(text, 'i'); }
    catch (error) { pattern = new RegExp(text.replace(/[.*+?^$(){}|[\\]\\\\]/g, '\\\\$&'), 'i'); }
    svg.classList.toggle('searching', Boolean(pattern));
    var hits = boxes.filter(function (box) {
      var hit = Boolean(pattern) && pattern.test(box.title);
      box.node.classList.toggle('hit', hit);
      return hit;
    });
    hits.sort(function (a, b) { return a.x - b.x || a.y - b.y; });
    var end = -1, share = 0;
    hits.forEach(function (box) {
      if (box.x + 1e-9 < end) return;
      share += box.w; end = box.x + box.w;
    });
    hint = pattern ? hits.length + ' boxes match, ' + share.toFixed(1) + ' % \\u00b7 ' + bytes(share / 100 * total) : start;
    info.textContent = hint;
  }
  var start = hint + ' Click to zoom, click the top or press Escape to go back.';
  info.textContent = hint = start;
  var place = svg.querySelector('.search'), input = document.createElementNS('http://www.w3.org/1999/xhtml', 'input');
  input.setAttribute('placeholder', 'Search functions, files, objects');
  input.setAttribute('aria-label', 'Search');
  place.appendChild(input);
  input.addEventListener('input', function () { search(input.value); });
  svg.addEventListener('click', function (event) {
    var node = event.target.closest('svg.b');
    if (!node) return;
    var box = byNode.get(node);
    zoomed = box.w > 99.9999 ? null : box;
    draw();
  });
  svg.addEventListener('mouseover', function (event) {
    var node = event.target.closest('svg.b');
    info.textContent = node ? byNode.get(node).title.split('\\n').join('  \\u00b7  ') : hint;
  });
  window.addEventListener('keydown', function (event) {
    if (event.key !== 'Escape') return;
    zoomed = null; input.value = ''; search(''); draw();
  });
  window.addEventListener('resize', draw);
  draw();
})();
`;
