"""Send a video to `avseg serve` and unpack the result: python client.py film.mp4 [http://127.0.0.1:8000 [KEY]]

Needs httpx: pip install httpx"""

import io
import sys
import zipfile

import httpx

video, url, key = (*sys.argv[1:], *("http://127.0.0.1:8000", "")[len(sys.argv) - 2 :])
with httpx.Client(base_url=url, headers={"X-API-Key": key}, timeout=None) as service, open(video, "rb") as file:
    answer = service.post("/v1/predictions", files={"video": file}, data={"save": "overlay,masks"})
    job = answer.raise_for_status().json()
    with service.stream("GET", job["links"]["events"]) as events:
        print(*(line.removeprefix("event: ") for line in events.iter_lines() if line.startswith("event: ")))
    packed = service.get(job["links"]["self"] + "/files/all").raise_for_status().content
    zipfile.ZipFile(io.BytesIO(packed)).extractall(".")
