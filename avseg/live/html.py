"""The page of a stream: one self-contained document."""

from __future__ import annotations

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>avseg live</title>
<link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; --ink: #1c2024; --soft: #5b6470; --ground: #fafafa; --card: #fff; --line: #d8dce2; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaed; --soft: #a2abb6; --ground: #15181c; --card: #1d2126; --line: #343a42; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.45 system-ui, sans-serif; }
h1 { font-size: 1.15rem; margin: 0; }
header { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline; margin-bottom: .75rem; }
#state { color: var(--soft); overflow-wrap: anywhere; }
#state.bad { color: #c0392b; font-weight: 600; }
img { display: block; width: 100%; max-height: 72vh; object-fit: contain; background: #000; border-radius: 6px;
  min-height: 8rem; }
#sounding { min-height: 2.2rem; margin: .75rem 0; display: flex; flex-wrap: wrap; gap: .4rem; align-items: center; }
#sounding b { background: #1f6feb; color: #fff; padding: .1rem .7rem; border-radius: 1rem; font-weight: 600; }
#sounding span { color: var(--soft); }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .6rem; margin: 0; }
dl div { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .5rem .75rem; }
dt { color: var(--soft); font-size: .85rem; }
dd { margin: 0; font-size: 1.3rem; font-variant-numeric: tabular-nums; }
dd small { font-size: .8rem; color: var(--soft); }
</style>
<header><h1>avseg live</h1><span id="state" role="status">connecting</span></header>
<img src="stream" alt="the newest picture with its masks">
<div id="sounding" aria-live="polite"><span>nothing sounds</span></div>
<dl>
<div><dt>Latency</dt><dd id="latency">-</dd></div>
<div><dt>Median, 95 %</dt><dd id="latencies">-</dd></div>
<div><dt>Masks per second</dt><dd id="rate">-</dd></div>
<div><dt>Frames per second</dt><dd id="pictures">-</dd></div>
<div><dt>Skipped</dt><dd id="dropped">-</dd></div>
<div><dt>Time</dt><dd id="time">-</dd></div>
</dl>
<script>
"use strict";
const at = (name) => document.getElementById(name);
const clock = (s) => Math.floor(s / 60) + ":" + (s % 60).toFixed(1).padStart(4, "0");
function names(list) {
  const parts = list.map((name) => { const b = document.createElement("b"); b.textContent = name; return b; });
  if (!parts.length) {
    const none = document.createElement("span");
    none.textContent = "nothing sounds";
    parts.push(none);
  }
  at("sounding").replaceChildren(...parts);
}
let last = "";
async function look() {
  let found;
  try {
    found = await (await fetch("figures", { cache: "no-store" })).json();
  } catch (error) {
    at("state").textContent = "avseg live has ended";
    at("state").className = "bad";
    setTimeout(look, 2000);
    return;
  }
  at("state").textContent = found.state;
  at("state").className = found.good ? "" : "bad";
  at("latency").textContent = Math.round(found.latency_ms) + " ms";
  at("latencies").textContent = Math.round(found.latency_median_ms) + ", " + Math.round(found.latency_95_ms) + " ms";
  at("rate").textContent = found.masks_per_second.toFixed(1);
  at("pictures").textContent = found.frames_per_second.toFixed(1);
  at("dropped").textContent = Math.round(100 * found.dropped) + " %";
  at("time").textContent = clock(found.time);
  const now = JSON.stringify(found.sounding);
  if (now !== last) { names(found.sounding); last = now; }
  setTimeout(look, 300);
}
look();
</script>
</html>
"""
