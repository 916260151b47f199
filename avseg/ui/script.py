"""Style and script of the page."""

from __future__ import annotations

PLAYER, INPUT = "avseg-player", "avseg-video"
"""Ids of the two players."""

STYLE = """
.gradio-container { --soft: #5b6570; --calm: #f1f3f5; --accent: #2563b0; }
.dark .gradio-container, .gradio-container.dark, .dark { --soft: #a9b2bb; --calm: #23272c; --accent: #7fb2ee; }
.html-container.html-container { padding: 0; }
.avseg-head h1 { font-size: 1.5rem; margin: .2rem 0; }
.avseg-head p { margin: 0; color: var(--soft); max-width: 52rem; }
.avseg-note, .avseg-fault, .avseg-state { padding: .45rem .7rem; border-radius: 6px; font-size: .92rem; }
.avseg-note { background: var(--calm); color: var(--body-text-color); }
.avseg-fault { background: #fdeceb; color: #8c1d12; border-left: 4px solid #c8372a; overflow-wrap: anywhere; }
.dark .avseg-fault { background: #43201d; color: #ffd2cc; }
.avseg-state { background: var(--calm); }
.avseg-bar { height: .5rem; margin-top: .4rem; border-radius: 4px; overflow: hidden;
  background: color-mix(in srgb, var(--accent) 18%, transparent); }
.avseg-bar div { height: 100%; border-radius: 4px; background: var(--accent); }
.avseg-bar .avseg-unknown { width: 30%; animation: avseg-go 1.6s ease-in-out infinite alternate; }
@keyframes avseg-go { from { margin-left: 0; } to { margin-left: 70%; } }
@media (prefers-reduced-motion: reduce) { .avseg-bar .avseg-unknown { animation: none; } }
.avseg-empty { display: flex; align-items: center; justify-content: center; min-height: 16rem; padding: 1rem;
  text-align: center; color: var(--soft); border: 2px dashed var(--border-color-primary); border-radius: 8px; }
#PLAYER video { max-height: 62vh; }
#INPUT video { max-height: 20rem; }
.avseg-soft { color: var(--soft); font-size: .9rem; }
.avseg-told p { margin: 0 0 .2rem; font-size: 1.05rem; overflow-wrap: anywhere; }
.avseg-told small { color: var(--soft); overflow-wrap: anywhere; }
.avseg-dot { display: inline-block; width: .7rem; height: .7rem; margin-right: .4rem; border-radius: 50%; }
.avseg-timeline { position: relative; --names: clamp(5rem, 24%, 12rem); user-select: none; }
.avseg-row { display: grid; grid-template-columns: var(--names) 1fr; align-items: center; margin: .25rem 0; }
.avseg-row > span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; padding-right: .6rem;
  font-size: .9rem; }
.avseg-lane { position: relative; height: 1.6rem; cursor: pointer; border-radius: 4px;
  background: var(--calm); }
.avseg-lane button { position: absolute; top: 0; height: 100%; min-width: 3px; padding: 0; border: 0;
  border-radius: 3px; cursor: pointer; }
.avseg-axis .avseg-lane { background: none; height: 1.2rem; }
.avseg-axis .avseg-lane span { position: absolute; font-size: .75rem;
  color: var(--soft); white-space: nowrap; }
@media (max-width: 640px) {
  .avseg-timeline { --names: 0px; }
  .avseg-row { grid-template-columns: 1fr; margin: .5rem 0; }
  .avseg-row > span { white-space: normal; overflow-wrap: anywhere; }
}
.avseg-cover { position: absolute; top: 0; bottom: 1.4rem; right: 0; left: var(--names); pointer-events: none; }
.avseg-now { position: absolute; top: 0; bottom: 0; left: 0; border-left: 2px solid var(--body-text-color); }
.avseg-objects { display: grid; gap: .6rem; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); }
.avseg-objects button { display: flex; flex-direction: column; gap: .15rem; padding: .5rem; text-align: left;
  border: 1px solid var(--border-color-primary); border-radius: 8px; cursor: pointer; overflow: hidden;
  background: var(--background-fill-primary); }
#avseg-kind input { text-overflow: ellipsis; padding-right: 1.6rem; }
.avseg-objects button, .avseg-objects button * { margin: 0; }
.avseg-objects button i { margin-right: .4rem; }
.avseg-objects b { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; max-width: 100%; }
.avseg-objects small { color: var(--soft); font-weight: 400; }
.avseg-picture { display: flex; align-items: center; justify-content: center; width: 100%; height: 7rem;
  border-radius: 4px; background: repeating-conic-gradient(#e4e7ea 0 25%, #f6f7f8 0 50%) 0 0 / 16px 16px; }
.avseg-picture img { max-width: 100%; max-height: 100%; }
.avseg-objects button:hover, .avseg-objects button:focus-visible, .avseg-lane button:focus-visible {
  outline: 2px solid var(--accent); }
""".replace("PLAYER", PLAYER).replace("INPUT", INPUT)

SCRIPT = """
<script>
(() => {
  "use strict";
  const player = () => document.querySelector("#PLAYER video");
  const jump = (time) => {
    const video = player();
    if (!video) return;
    video.currentTime = Math.max(0, time);
    video.play().catch(() => {});
  };
  document.addEventListener("click", (event) => {
    const lane = event.target.closest(".avseg-lane"), thing = event.target.closest("[data-time]");
    if (lane && event.detail > 0) {
      const frame = lane.getBoundingClientRect(), share = (event.clientX - frame.left) / frame.width;
      jump(Math.min(Math.max(share, 0), 1) * Number(lane.closest(".avseg-timeline").dataset.seconds));
    } else if (thing) jump(Number(thing.dataset.time));
  });
  const show = () => {
    const video = player(), line = document.querySelector(".avseg-timeline");
    if (!video || !line) return;
    const share = Math.min(video.currentTime / Number(line.dataset.seconds), 1);
    line.querySelector(".avseg-now").style.left = (100 * share).toFixed(2) + "%";
    if (!video.paused) requestAnimationFrame(show);
  };
  for (const name of ["play", "seeked", "timeupdate", "loadedmetadata"]) document.addEventListener(name, show, true);
})();
</script>
""".replace("PLAYER", PLAYER)
