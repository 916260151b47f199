"""The record of a folder of videos. Imports no torch."""

from avseg.datasets.folder.config import FolderConfig, FolderOptions
from avseg.datasets.spec import DatasetSpec
from avseg.synth.options import SoundOptions

FOLDER = DatasetSpec(
    name="folder",
    config=FolderConfig,
    open="avseg.datasets.folder.reader:open_folder",
    suite="avsbench_object",
    what="your own videos, with masks or annotation files next to them",
    check="avseg.datasets.folder.check:check",
    save="avseg.datasets.folder.save:FolderWriter",
    check_options=FolderOptions(),
    write="avseg.datasets.folder.layout:write",
    write_options=SoundOptions(),
    recount="labels",
)
