"""The page that `avseg ui` shows: drop a video, see and hear what sounds in it (docs/how-to/ui.md).

Only `avseg.ui.page` needs gradio; what it does stands in modules that do not.
"""
