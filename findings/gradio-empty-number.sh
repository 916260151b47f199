#!/usr/bin/env bash
# Gradio: an empty number field with a placeholder, which its documentation says stays empty, becomes 0 as soon as it is
# in sight, also below its minimum; the function gets 0 in place of None, or an error of a value that nobody wrote.
# Needs Chromium on PATH.
set -euo pipefail
browser=$(command -v chromium) || { echo "needs Chromium on PATH: apt-get install chromium"; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check gradio==6.31.0 pillow==12.3.0 playwright==1.65.2
cd "$folder"
export GRADIO_ANALYTICS_ENABLED=False GRADIO_TEMP_DIR="$folder/files"
BROWSER="$browser" "$folder/venv/bin/python" - <<'PYTHON'
import os
import sys
from importlib.metadata import version

import gradio as gr
from playwright.sync_api import sync_playwright

for package in ["gradio", "playwright"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


got = []
with gr.Blocks() as demo:
    free = gr.Number(None, label="free", placeholder="none")
    bounded = gr.Number(None, label="bounded", placeholder="none", minimum=1, maximum=60)
    with gr.Accordion("more", open=False):
        hidden = gr.Number(None, label="hidden", placeholder="none", minimum=1, maximum=60)
    button, count = gr.Button("go"), gr.Textbox(label="count")
    fields = [free, bounded, hidden]
    button.click(lambda *values: (got.append(values), str(len(got)))[1], fields, count, preprocess=False)
_, address, _ = demo.launch(prevent_thread_lock=True, quiet=True, share=False)
with sync_playwright() as playwright:
    chromium = playwright.chromium.launch(executable_path=os.environ["BROWSER"], args=["--no-sandbox"])
    page = chromium.new_page()
    page.set_default_timeout(120_000)
    print("browser", chromium.version)
    page.goto(address)
    for times in ("1", "2"):
        page.get_by_role("button", name="go", exact=True).click()
        page.wait_for_function("times => document.querySelector('textarea').value === times", arg=times)
        page.get_by_text("more", exact=True).click()
        page.wait_for_timeout(1500)
    chromium.close()
demo.close()
for values in got:
    print("free, bounded, hidden:", values)
expect(got[0] == (0, 0, None), "the two fields in sight, which nobody touched, hold 0; the one out of sight is empty")
expect(got[1] == (0, 0, 0), "it holds 0 as soon as the accordion around it is opened")
PYTHON
