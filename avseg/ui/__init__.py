"""The page of `avseg ui`: drop a video, see and hear its sounding objects (docs/how-to/ui.md).

Only `avseg.ui.page` needs gradio; the other modules do not.
"""
