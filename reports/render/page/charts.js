// The charts of a report: error bars, a Pareto front, curves. Everything is drawn from the rows that pass the filter.
'use strict';

const kShown = 30;  // rows of a bar chart; more are not readable

function cssColour(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }
function seriesColour(i) { return cssColour('--c' + (i % 8 + 1)); }

// Names come from files: marks that turn the direction of text around and control characters go.
function clean(text) { return String(text).replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, ''); }
function shorten(text, length) { const t = clean(text); return t.length > length ? t.slice(0, length - 1) + '\u2026' : t; }

function figure(value) {
  if (value === null || value === undefined || !isFinite(value)) return 'n/a';
  const size = Math.abs(value);
  if (size >= 10000) return Math.round(value).toLocaleString('en');
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  if (size >= 1) return value.toFixed(2);
  return size === 0 ? '0' : value.toPrecision(3);
}
function bytes(value) {
  if (value === null || value === undefined) return 'n/a';
  for (const [unit, step] of [['GB', 1e9], ['MB', 1e6], ['kB', 1e3]]) if (value >= step) return figure(value / step) + ' ' + unit;
  return value + ' B';
}

// Draws low and high of each bar.
const errorBars = {
  id: 'errorBars',
  afterDatasetsDraw(chart) {
    const c = chart.ctx;
    chart.data.datasets.forEach((set, index) => {
      if (!set.intervals || !chart.isDatasetVisible(index)) return;
      c.save();
      c.strokeStyle = cssColour('--ink');
      c.lineWidth = 1.5;
      chart.getDatasetMeta(index).data.forEach((bar, i) => {
        const interval = set.intervals[i];
        if (!interval) return;
        const [from, to] = interval.map(v => chart.scales.x.getPixelForValue(v));
        c.beginPath();
        c.moveTo(from, bar.y); c.lineTo(to, bar.y);
        for (const x of [from, to]) { c.moveTo(x, bar.y - 4); c.lineTo(x, bar.y + 4); }
        c.stroke();
      });
      c.restore();
    });
  }
};

function axis(title, more) {
  const a = {title: {display: true, text: title, color: cssColour('--soft')}, ticks: {color: cssColour('--soft')}, grid: {color: cssColour('--line'), borderColor: cssColour('--line')}};
  return Object.assign(a, more || {});
}

const drawn = [];
function clearCharts() {
  while (drawn.length) drawn.pop().destroy();
  document.getElementById('charts').replaceChildren();
}

function addChart(title, note, height, config) {
  const box = document.createElement('div');
  box.className = 'chart';
  const heading = document.createElement('h3');
  heading.textContent = title;
  const text = document.createElement('p');
  text.className = 'note';
  text.textContent = note;
  const holder = document.createElement('div');
  holder.className = 'canvas';
  holder.style.height = height + 'px';
  const canvas = document.createElement('canvas');
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', title + '. ' + note);
  holder.append(canvas);
  box.append(heading, text, holder);
  document.getElementById('charts').append(box);
  config.options = Object.assign({responsive: true, maintainAspectRatio: false, animation: false}, config.options);
  const plugins = config.options.plugins = Object.assign({legend: {display: config.data.datasets.length > 1, labels: {color: cssColour('--ink'), boxWidth: 14}}}, config.options.plugins);
  plugins.legend.labels = Object.assign({color: cssColour('--ink'), boxWidth: 14}, plugins.legend.labels);
  drawn.push(new Chart(canvas, config));
}

// Models of very different sizes share a chart only on a logarithmic scale.
function scaleFor(values) {
  const positive = values.filter(v => v > 0);
  return positive.length && Math.max(...positive) > 100 * Math.min(...positive) ? 'logarithmic' : 'linear';
}

function rowName(row) {
  return row.model + (row.test ? ' ' + row.test : '') + (row.engine && row.engine !== 'assay' ? ' (' + row.engine + ')' : '') + (row.variant ? ' ' + row.variant : '');
}

function bars(title, note, rows, sets, unit) {
  const found = rows.filter(r => sets.some(s => s.value(r) !== null));
  const shown = found.slice(0, kShown);
  if (!shown.length) return;
  const datasets = sets.map((s, i) => ({
    label: s.label, data: shown.map(s.value), backgroundColor: seriesColour(s.colour === undefined ? i : s.colour), borderRadius: 3, maxBarThickness: 18,
    intervals: s.interval ? shown.map(s.interval) : null
  })).filter(d => d.data.some(v => v !== null));
  const scale = scaleFor(datasets.flatMap(d => d.data));
  const logarithmic = scale === 'logarithmic' ? ' The scale is logarithmic.' : '';
  const cut = found.length > shown.length ? ' The first ' + shown.length + ' of ' + found.length + '; the filter chooses.' : '';
  addChart(title, note + logarithmic + cut, 70 + shown.length * 36, {
    type: 'bar', data: {labels: shown.map(r => [shorten(r.model, 32), shorten(rowName(r).slice(r.model.length).trim(), 32)].filter(t => t)), datasets}, plugins: [errorBars],
    options: {indexAxis: 'y', scales: {x: axis(unit, {type: scale, beginAtZero: scale === 'linear'}), y: {ticks: {color: cssColour('--ink'), autoSkip: false, font: {size: 11}}, grid: {display: false}}},
      plugins: {tooltip: {callbacks: {title: items => clean(rowName(shown[items[0].dataIndex])), label: item => item.dataset.label + ': ' + figure(item.raw) + ' ' + unit}}}}
  });
}

const median = m => m ? m[0] : null;
const interval = m => m ? [m[1], m[2]] : null;

function speedBars(rows) {
  bars('Generation', 'Tokens a second, the longer the better; the line is the 95 % interval.', rows, [{label: 'decode', value: r => median(r.decode), interval: r => interval(r.decode), colour: 0}], 'tok/s');
  bars('Prompt', 'Tokens of a prompt a second, with the 95 % interval.', rows, [{label: 'prefill', value: r => median(r.prefill), interval: r => interval(r.prefill), colour: 1}], 'tok/s');
  bars('Both together', 'Prompt and generation as one, where no more is known.', rows.filter(r => !r.decode && !r.prefill), [{label: 'end to end', value: r => median(r.e2e), interval: r => interval(r.e2e), colour: 4}], 'tok/s');
  bars('Share of the machine\u2019s limit', 'Generation of the measured read bandwidth, prompt of the measured multiply-add peak.', rows, [{label: 'decode', value: r => r.decode_limit, colour: 0}, {label: 'prefill', value: r => r.prefill_limit, colour: 1}], '%');
}

// Nothing has both less memory and more speed.
function paretoFront(points) {
  const out = [];
  for (const p of [...points].sort((a, b) => a.x - b.x || b.y - a.y)) if (!out.length || p.y > out[out.length - 1].y) out.push(p);
  return out;
}

// From good (green) over middle (amber) to bad (red).
function qualityColour(share) {
  const hue = 140 - 130 * Math.min(1, Math.max(0, share));
  return 'hsl(' + hue.toFixed(0) + ' 65% ' + (matchMedia('(prefers-color-scheme: dark)').matches ? '60%' : '40%') + ')';
}

function memoryScatter(rows) {
  const found = rows.filter(r => r.decode && r.peak);
  if (found.length < 2) return;
  const quality = found.every(r => r.kl !== null) ? ['KL divergence from the reference', r => r.kl] : found.every(r => r.perplexity !== null) ? ['perplexity', r => r.perplexity] : ['bits per weight', r => -r.bits];
  const values = found.map(quality[1]), least = Math.min(...values), most = Math.max(...values);
  const points = found.map((r, i) => ({x: r.peak / 1e6, y: r.decode[0], row: r, colour: qualityColour(most > least ? (values[i] - least) / (most - least) : 0)}));
  addChart('Speed and memory', 'Up and left is better. Colour: ' + quality[0] + ', green is best. The line joins what nothing beats in both.', 360, {
    type: 'scatter',
    data: {datasets: [
      {label: 'cases', data: points, backgroundColor: points.map(p => p.colour), pointRadius: 6, pointHoverRadius: 8},
      {label: 'Pareto front', data: paretoFront(points), showLine: true, pointRadius: 0, borderColor: cssColour('--soft'), borderDash: [5, 4], borderWidth: 1.5, stepped: 'before'}
    ]},
    options: {scales: {x: axis('peak memory, MB', {type: scaleFor(points.map(p => p.x)), beginAtZero: true}), y: axis('generation, tok/s', {type: scaleFor(points.map(p => p.y)), beginAtZero: true})},
      plugins: {tooltip: {callbacks: {label: item => clean(rowName(item.raw.row)) + ': ' + figure(item.raw.y) + ' tok/s, ' + bytes(item.raw.row.peak)}}}}
  });
}

function lines(title, note, series, xTitle, yTitle, more) {
  if (!series.length) return;
  addChart(title, note, 320, {
    type: 'line',
    data: {datasets: series.slice(0, 12).map((s, i) => ({label: shorten(s.label, 40), data: s.data, borderColor: seriesColour(i), backgroundColor: seriesColour(i), borderWidth: 2, pointRadius: s.radius === undefined ? 4 : s.radius}))},
    options: {scales: {x: axis(xTitle, Object.assign({type: 'linear'}, more)), y: axis(yTitle, {beginAtZero: true})}}
  });
}

function latencyCurves(rows) {
  const series = rows.filter(r => r.latency).slice(0, 8).map(r => ({label: rowName(r), radius: 0, data: r.latency.map((v, i) => ({x: Math.min(99, 100 * i / (r.latency.length - 1)), y: v}))}));
  lines('Time between tokens', 'Read at 50: half of the tokens came faster. A flat line is a steady flow.' + (rows.filter(r => r.latency).length > 8 ? ' The first 8 cases.' : ''), series, 'percentile', 'ms', {min: 0, max: 100});
}

function depthCurves(rows) {
  const groups = new Map();
  for (const r of rows) if (r.decode) {
    const key = JSON.stringify([r.model, r.engine, r.variant, r.generated]);
    if (!groups.has(key)) groups.set(key, {label: r.model + (r.variant ? ' ' + r.variant : '') + (r.engine !== 'assay' ? ' (' + r.engine + ')' : ''), data: []});
    groups.get(key).data.push({x: r.depth, y: r.decode[0]});
  }
  const series = [...groups.values()].filter(s => new Set(s.data.map(p => p.x)).size > 1);
  series.forEach(s => s.data.sort((a, b) => a.x - b.x));
  lines('Depth', 'Generation after so many tokens.', series, 'tokens before', 'tok/s');
}

function history(rows) {
  const groups = new Map();
  for (const r of rows) if (r.decode || r.prefill) {
    if (!groups.has(r.key)) groups.set(r.key, []);
    groups.get(r.key).push(r);
  }
  const several = [...groups.values()].map(g => g.sort((a, b) => a.time < b.time ? -1 : 1)).filter(g => new Set(g.map(r => r.commit)).size > 1);
  if (!several.length) return;
  const commits = [...new Set(several.flat().sort((a, b) => a.time < b.time ? -1 : 1).map(r => r.commit))];
  const datasets = several.slice(0, 8).map((g, i) => ({
    label: shorten(rowName(g[0]), 40), borderColor: seriesColour(i), backgroundColor: seriesColour(i), borderWidth: 2, spanGaps: true,
    data: commits.map(c => { const found = g.filter(r => r.commit === c).pop(); return found ? (found.decode || found.prefill)[0] : null; })
  }));
  addChart('History', 'The newest result of each commit, oldest commit first; generation where there is one, else prompt.', 320, {
    type: 'line', data: {labels: commits.map(c => shorten(c, 10)), datasets}, options: {scales: {x: axis('commit'), y: axis('tok/s', {beginAtZero: true})}}
  });
}

function drawCharts(rows) {
  clearCharts();
  const good = rows.filter(r => r.status === 'ok');
  speedBars(good);
  memoryScatter(good);
  latencyCurves(good);
  depthCurves(good);
  history(good);
}
