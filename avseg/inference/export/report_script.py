"""The player of the report page, and the script that connects clicks to it."""

from __future__ import annotations

PLAYER = """<style>
#player {{ display: block; width: 100%; max-height: 60vh; background: #000; border-radius: 8px; }}
.stage {{ position: sticky; top: 0; z-index: 1; padding: .4rem 0; background: var(--paper); }}
.chart, [data-time] {{ cursor: pointer; }}
[data-time]:focus-visible {{ outline: 3px solid var(--accent); }}
figure img[data-time] {{ max-height: 24rem; object-fit: contain; }}
td:first-child {{ white-space: nowrap; }}
button[data-time] {{ font: inherit; font-size: .85rem; margin: .1rem 0; padding: .1rem .5rem; color: inherit;
  background: var(--card); border: 1px solid var(--line); border-radius: 4px; }}
.dot {{ display: inline-block; width: .8rem; height: .8rem; margin-right: .5rem; border-radius: 50%; }}
</style>
<div class="stage"><video id="player" controls preload="auto" playsinline aria-label="{label}"{source}></video></div>
<noscript><p>The player of this page needs JavaScript.</p></noscript>"""

SCRIPT = """
"use strict";
const player = document.getElementById("player");
const copy = document.getElementById("copy").textContent;
if (copy) {
  const parts = [];
  for (let at = 0; at < copy.length; at += 1 << 20)
    parts.push(Uint8Array.from(atob(copy.slice(at, at + (1 << 20))), (sign) => sign.charCodeAt(0)));
  player.src = URL.createObjectURL(new Blob(parts, { type: "video/mp4" }));
}
function jump(time) {
  player.currentTime = Math.max(0, time);
  player.play().catch(() => {});
}
document.addEventListener("click", (event) => {
  const target = event.target.closest("[data-time]");
  if (target) jump(Number(target.dataset.time));
});
document.addEventListener("keydown", (event) => {
  const target = event.target.closest("[data-time]");
  if (target && target.tagName !== "BUTTON" && (event.key === "Enter" || event.key === " ")) {
    event.preventDefault();
    jump(Number(target.dataset.time));
  }
});
for (const chart of document.querySelectorAll(".chart")) {
  const begin = Number(chart.dataset.begin), end = Number(chart.dataset.end), seconds = Number(chart.dataset.seconds);
  const { width, height } = chart.viewBox.baseVal;
  const now = document.createElementNS("http://www.w3.org/2000/svg", "path");
  now.setAttribute("style", "stroke: var(--accent); stroke-width: 2; pointer-events: none");
  chart.append(now);
  chart.addEventListener("click", (event) => {
    const frame = chart.getBoundingClientRect();
    const x = ((event.clientX - frame.left) / frame.width) * width;
    if (x >= begin) jump(Math.min((x - begin) / (end - begin), 1) * seconds);
  });
  const show = () => {
    const x = begin + (end - begin) * Math.min(player.currentTime / seconds, 1);
    now.setAttribute("d", `M${x.toFixed(1)},0V${height - 24}`);
    if (!player.paused) requestAnimationFrame(show);
  };
  for (const name of ["play", "seeked", "timeupdate", "loadedmetadata"]) player.addEventListener(name, show);
}
"""
