"""The command `avseg codes`. No torch is imported before it runs."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from avseg.commands.names import model_path
from avseg.commands.words import File, ModelFile, Video
from avseg.data.config import DataConfig


def codes(
    model: Positional[ModelFile[str]],
    videos: Positional[Video[tuple[Path, ...]]] = (),
    out: File[Path] = Path("codes.html"),
    data: DataConfig = DataConfig(),
    split: Literal["train", "val", "test"] = "test",
    clips: int = 8,
    device: str = "auto",
) -> int:
    """Write a page that shows when each code of a QDFormer is active, next to spectrogram and masks.

    Args:
        model: A QDFormer model: a file, or a Hugging Face Hub id.
        videos: Video files. Without them the page shows clips of the data set.
        out: The page to write.
        data: The data set: --data.name s4 --data.root DIR.
        split: Split of the data set.
        clips: Number of clips of the split to show, evenly spread; for a video, number of its first parts.
        device: Device to run the model on: auto, cpu, cuda, cuda:1 or mps.
    """
    from avseg.datasets import build_dataset
    from avseg.device import find_device
    from avseg.models import load_model
    from avseg.models.qdformer.inspect.clips import check_codes, coded_clips, coded_video, use_of_codes
    from avseg.models.qdformer.inspect.page import codes_page

    if clips < 1:
        raise ValueError(f"got {clips} clips for the page, wanted 1 or more")
    if out.is_dir():
        raise ValueError(f"--out {out} is a folder; give the name of a file in it, such as {out / 'codes.html'}")
    loaded = load_model(model_path(model)).to(find_device(device))
    number = check_codes(loaded)
    if videos:
        found = [clip for video in videos for clip in islice(coded_video(loaded, video), clips)]
    else:
        dataset = build_dataset(data, split)
        count = min(clips, len(dataset))
        found = list(coded_clips(loaded, dataset, [len(dataset) * place // count for place in range(count)]))
    print(codes_page(Path(model).name, found, use_of_codes(found, number)).write(out))
    return 0
