"""Send a video to `avseg serve` and unpack the result: python client.py film.mp4 [http://127.0.0.1:8000 [KEY]]

Needs httpx: pip install httpx"""

import io
import json
import sys
import zipfile

import httpx

video, url, key = (*sys.argv[1:], *("http://127.0.0.1:8000", "")[len(sys.argv) - 2 :])
with httpx.Client(base_url=url, headers={"X-API-Key": key}, timeout=None) as service, open(video, "rb") as file:
    answer = service.post("/v1/predictions", files={"video": file}, data={"save": "overlay,masks"})
    here = answer.raise_for_status().json()["links"]
    with service.stream("GET", here["events"]) as events:
        for line in (line for line in events.iter_lines() if line.startswith("data: ")):
            job = json.loads(line.removeprefix("data: "))
            progress = job.get("progress") or {"total": 0}
            percent = f"{progress['done'] / progress['total']:.0%}" if progress["total"] else ""
            print(f"\r{job.get('state')} {percent:4}", end="", flush=True)  # one line that changes
    print()
    if job.get("state") != "done":
        sys.exit(job.get("error") or "there is no result")
    packed = service.get(f"{here['self']}/files/all").raise_for_status().content
    zipfile.ZipFile(io.BytesIO(packed)).extractall(".")
