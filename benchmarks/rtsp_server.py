"""Debian's GStreamer RTSP server, run by Debian's own Python: `/usr/bin/python3 rtsp_server.py PORT FILM.mp4`.

It serves an MP4 file of H.264 and AAC at rtsp://127.0.0.1:PORT/film, from its beginning for every client, and prints
`ready`. Without words it only looks whether everything is there, and its exit status tells.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402  the versions come first

Gst.init(None)
if len(sys.argv) == 1:
    needed = ("qtdemux", "h264parse", "aacparse", "rtph264pay", "rtpmp4gpay")
    sys.exit(0 if all(Gst.ElementFactory.find(name) for name in needed) else 1)
server, factory = GstRtspServer.RTSPServer(), GstRtspServer.RTSPMediaFactory()
server.set_address("127.0.0.1")
server.set_service(sys.argv[1])
factory.set_launch(
    f"( filesrc location={sys.argv[2]} ! qtdemux name=film "
    "film.video_0 ! queue ! h264parse ! rtph264pay name=pay0 config-interval=-1 "
    "film.audio_0 ! queue ! aacparse ! rtpmp4gpay name=pay1 )"
)
server.get_mount_points().add_factory("/film", factory)
server.attach(None)
print("ready", flush=True)
GLib.MainLoop().run()
