#!/usr/bin/env bash
# Gradio: an empty number field becomes 0 as soon as the closed accordion around it is opened, without being touched, and
# the function gets 0 in place of None. One that is in sight from the beginning stays empty. Needs Chromium on PATH.
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
    seen = gr.Number(None, label="seen", placeholder="none", minimum=0, maximum=1)
    with gr.Accordion("more", open=False):
        hidden = gr.Number(None, label="hidden", placeholder="none", minimum=0, maximum=1)
    button, done = gr.Button("go"), gr.Textbox(label="done")
    button.click(lambda *values: (got.append(values), str(len(got)))[1], [seen, hidden], done)
_, address, _ = demo.launch(prevent_thread_lock=True, quiet=True, share=False)
with sync_playwright() as playwright:
    chromium = playwright.chromium.launch(executable_path=os.environ["BROWSER"], args=["--no-sandbox"])
    page = chromium.new_page()
    page.set_default_timeout(120_000)
    print("browser", chromium.version)
    page.goto(address)
    for count in ("1", "2"):
        page.get_by_role("button", name="go", exact=True).click()
        page.wait_for_function("count => document.querySelector('textarea').value === count", arg=count)
        page.get_by_text("more", exact=True).click()
        page.wait_for_timeout(1500)
    chromium.close()
demo.close()
print("before the accordion is opened:", got[0])
print("after it was opened:", got[1])
expect(got[0] == (None, None), "both fields are empty at first, and the function gets None twice")
expect(got[1] == (None, 0), "opening the accordion makes 0 of the empty field in it")
PYTHON
