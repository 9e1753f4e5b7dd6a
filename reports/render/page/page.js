// The page of a report: cards, table, failures, machines. Text from files is only ever set as text.
'use strict';

const data = JSON.parse(document.getElementById('data').textContent);
const rows = data.rows;

function element(name, text, className) {
  const e = document.createElement(name);
  if (text !== undefined) e.textContent = clean(text);
  if (className) e.className = className;
  return e;
}
const within = m => m ? figure(m[0]) + (m[3] !== null ? ' \u00b1 ' + m[3].toFixed(1) + ' %' : '') : '';

// title, what is shown, what it is sorted by, and whether it is text
const columns = [
  ['Model', r => r.model, r => r.model, 'name'],
  ['Test', r => r.test, r => r.test, 'text'],
  ['Settings', r => r.variant, r => r.variant, 'text'],
  ['Engine', r => r.engine, r => r.engine, 'text'],
  ['Prompt tok/s', r => within(r.prefill), r => median(r.prefill)],
  ['Generation tok/s', r => within(r.decode), r => median(r.decode)],
  ['End to end tok/s', r => within(r.e2e), r => median(r.e2e)],
  ['TTFT ms', r => r.ttft === null ? '' : figure(r.ttft), r => r.ttft],
  ['p50 ms', r => r.p50 === null ? '' : figure(r.p50), r => r.p50],
  ['p99 ms', r => r.p99 === null ? '' : figure(r.p99), r => r.p99],
  ['Peak memory', r => r.peak ? bytes(r.peak) : '', r => r.peak],
  ['Plan error', r => r.plan_error === null ? '' : r.plan_error.toFixed(0) + ' %', r => r.plan_error],
  ['Load ms', r => r.load === null ? '' : figure(r.load), r => r.load],
  ['Cold ms', r => r.cold === null ? '' : figure(r.cold), r => r.cold],
  ['of limit', r => r.decode_limit !== null ? r.decode_limit.toFixed(0) + ' %' : r.prefill_limit !== null ? r.prefill_limit.toFixed(0) + ' %' : '', r => r.decode_limit !== null ? r.decode_limit : r.prefill_limit],
  ['Bits/weight', r => r.bits ? r.bits.toFixed(2) : '', r => r.bits || null],
  ['Perplexity', r => r.perplexity === null ? '' : r.perplexity.toFixed(3), r => r.perplexity],
  ['KL', r => r.kl === null ? '' : figure(r.kl), r => r.kl],
  ['J/token', r => r.joules === null ? '' : figure(r.joules), r => r.joules],
  ['Rounds', r => r.rounds || '', r => r.rounds],
  ['Commit', r => r.commit, r => r.commit, 'text'],
  ['Answer', r => r.answer, r => r.answer, 'long'],
  ['Status', r => r.status + (r.noisy ? ', noisy' : ''), r => r.status + (r.noisy ? '1' : '0'), 'text']
];
// A column without a value in any row would only take space.
const shownColumns = columns.filter(c => rows.some(r => { const v = c[1](r); return v !== '' && v !== null && v !== undefined; }));

let sortedBy = null, isDescending = false;

function passing() {
  const words = document.getElementById('filter').value.toLowerCase().split(/\s+/).filter(w => w);
  const status = document.getElementById('status').value;
  const out = rows.filter(r => {
    if (status && (status === 'noisy' ? !r.noisy : r.status !== status)) return false;
    const text = [r.model, r.test, r.variant, r.engine, r.commit, r.tag, r.status, r.format].join(' ').toLowerCase();
    return words.every(w => text.includes(w));
  });
  if (sortedBy === null) return out;
  const value = shownColumns[sortedBy][2];
  return out.sort((a, b) => {
    const x = value(a), y = value(b);
    const isNone = v => v === null || v === undefined || v === '';
    if (isNone(x) || isNone(y)) return isNone(x) - isNone(y);  // what is not known stands last either way
    const order = typeof x === 'number' ? x - y : String(x).localeCompare(String(y), 'en', {numeric: true});
    return isDescending ? -order : order;
  });
}

function sortBy(column) {
  // Numbers begin with the largest, text with A.
  if (sortedBy === column) isDescending = !isDescending;
  else { sortedBy = column; isDescending = !shownColumns[column][3]; }
  update();
}

function drawHead() {
  const line = element('tr');
  shownColumns.forEach((column, i) => {
    const cell = element('th', undefined, column[3] ? 'text' : '');
    cell.scope = 'col';
    const button = element('button', column[0]);
    button.type = 'button';
    button.addEventListener('click', () => sortBy(i));
    cell.append(button);
    line.append(cell);
  });
  document.querySelector('#table thead').replaceChildren(line);
}

function drawTable(found) {
  document.querySelectorAll('#table th').forEach((cell, i) => {
    if (i === sortedBy) cell.setAttribute('aria-sort', isDescending ? 'descending' : 'ascending');
    else cell.removeAttribute('aria-sort');
  });
  const body = document.querySelector('#table tbody');
  body.replaceChildren(...found.map(row => {
    const line = element('tr', undefined, row.status === 'ok' ? '' : 'bad');
    for (const [title, shown, , kind] of shownColumns) {
      const cell = element('td', undefined, kind === 'name' ? 'text name' : kind === 'long' ? 'text long' : kind || '');
      const text = element('bdi', shown(row));
      if (title === 'Status') text.className = row.status !== 'ok' ? 'bad-text' : row.noisy ? 'warn-text' : '';
      cell.append(text);
      line.append(cell);
    }
    return line;
  }));
  document.getElementById('count').textContent = found.length === rows.length ? rows.length + ' cases' : found.length + ' of ' + rows.length + ' cases';
}

function card(label, value, row) {
  const box = element('div', undefined, 'card');
  box.append(element('div', label, 'label'), element('div', value, 'value'));
  const who = element('div', undefined, 'who');
  who.append(element('bdi', rowName(row)));
  box.append(who);
  document.getElementById('cards').append(box);
}

function best(value, isHigh) {
  const found = rows.filter(r => r.status === 'ok' && value(r) !== null && value(r) !== undefined);
  return found.length ? found.reduce((a, b) => (isHigh ? value(b) > value(a) : value(b) < value(a)) ? b : a) : null;
}

function drawCards() {
  const add = (label, value, isHigh, text) => { const row = best(value, isHigh); if (row) card(label, text(value(row)), row); };
  add('Fastest generation', r => median(r.decode), true, v => figure(v) + ' tok/s');
  add('Fastest prompt', r => median(r.prefill), true, v => figure(v) + ' tok/s');
  add('First token soonest', r => r.ttft, false, v => figure(v) + ' ms');
  add('Least memory', r => r.peak || null, false, bytes);
  add('Best perplexity', r => r.perplexity, false, v => v.toFixed(3));
  add('Nearest to the reference', r => r.kl || null, false, v => 'KL ' + figure(v));
}

function drawFailures() {
  const failed = rows.filter(r => r.status !== 'ok');
  if (!failed.length) return;
  const section = document.getElementById('failures');
  section.hidden = false;
  section.querySelector('ul').append(...failed.map(r => {
    const item = element('li');
    item.append(element('bdi', rowName(r)), ': ', element('span', r.status, 'bad-text'), ': ', element('bdi', r.reason));
    return item;
  }));
}

function drawNoise() {
  const noisy = rows.filter(r => r.noisy);
  if (!noisy.length) return;
  const section = document.getElementById('noise');
  section.hidden = false;
  section.querySelector('summary').textContent = noisy.length + (noisy.length === 1 ? ' case is' : ' cases are') + ' noisy';
  section.querySelector('ul').append(...noisy.map(r => {
    const item = element('li');
    item.append(element('bdi', rowName(r)), ': ' + clean(r.noise.join('; ')));
    return item;
  }));
}

function drawHosts() {
  for (const host of data.hosts) {
    const list = element('dl', undefined, 'facts');
    for (const [name, value] of host) list.append(element('dt', name), element('dd', value));
    document.getElementById('hosts').append(list);
  }
}

function drawStatuses() {
  const found = [...new Set(rows.map(r => r.status))];
  if (rows.some(r => r.noisy)) found.push('noisy');
  for (const status of found) { const option = element('option', status); option.value = status; document.getElementById('status').append(option); }
}

function update() {
  const found = passing();
  drawTable(found);
  drawCharts(found);
}

drawHead();
drawCards();
drawFailures();
drawNoise();
drawHosts();
drawStatuses();
document.getElementById('made').textContent = clean(data.made);
let waiting = 0;
document.getElementById('filter').addEventListener('input', () => { clearTimeout(waiting); waiting = setTimeout(update, 120); });
document.getElementById('status').addEventListener('change', update);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', update);
addEventListener('beforeprint', () => drawn.forEach(chart => chart.resize()));
update();
