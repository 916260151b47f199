"""The tables of models in README.md and docs/how-to/choose-a-model.md, and docs/llms.txt.

    python docs/make_tables.py             write them
    python docs/make_tables.py --check     exit with status 1 if one of them is out of date

The tables come from docs/models.toml (published figures), docs/models.json (parameters, time and memory, by
benchmarks/model_table.py), the recipes, the families' records and the records of official weights. llms.txt comes from
the navigation of mkdocs.yml and the first sentence of each page.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from avseg.models import FAMILIES
from avseg.models.record import NOT_STATED, Record
from avseg.models.zeroshot.catalogue import STAGES, Checkpoint
from avseg.recipes import get_recipe
from avseg.weights import RECORDS

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
PAGE, README, LLMS = DOCS / "how-to" / "choose-a-model.md", ROOT / "README.md", DOCS / "llms.txt"
MEASURED = DOCS / "models.json"
NONE = "–"
BACKBONES = {
    "resnet50": "ResNet-50",
    "resnet50_deep": "ResNet-50, deep stem",
    "resnet101_deep": "ResNet-101, deep stem",
    "hrnet_w48": "HRNetV2-W48",
    "pvt_v2_b5": "PVT-v2-b5",
    "swin_tiny_patch4_window7_224": "Swin-T",
    "swin_large_patch4_window12_384": "Swin-L",
    "video_swin_tiny": "Video-Swin-T",
}
Row = dict[str, Any]


@cache
def told() -> dict[str, Any]:
    """What docs/models.toml holds."""
    return tomllib.loads((DOCS / "models.toml").read_text(encoding="utf-8"))


def rows_of(family: str) -> list[Row]:
    """The settings of one family."""
    return [row for row in told()["row"] if get_recipe(row["recipe"]).model.family == family]


@cache
def measured() -> dict[str, Any]:
    """What docs/models.json holds: parameters, and where they have been measured time and memory."""
    found: dict[str, Any] = json.loads(MEASURED.read_text(encoding="utf-8"))
    return found


def parameters(recipe: str) -> tuple[int, int]:
    """How many parameters of a recipe's model learn, and how many belong to a frozen network of sound."""
    found = measured()["rows"][recipe]
    return found["learn"], found["frozen"]


def millions(count: int) -> str:
    return f"{count / 1e6:.1f} M"


def backbone_of(recipe: str) -> str:
    """In words, with CAVP's second decoder of HRNet."""
    config = get_recipe(recipe).model
    name = getattr(config, "backbone", "")
    return BACKBONES.get(name, name) + (" with OCR" if getattr(config, "decoder", "") == "ocr" else "")


def record_of(row: Row) -> Record | None:
    return next((one for one in RECORDS if one.name == row.get("weights")), None)


def weights_cell(row: Row) -> str:
    """The record of official weights, if there are any."""
    record = record_of(row)
    return f"`{record.name}`" if record is not None and record.published else "never published"


def table(rows: list[list[str]]) -> str:
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def family_table(family: str) -> str:
    """All settings of one family, and under it the sources of the figures."""
    rows = rows_of(family)
    timed = all("milliseconds" in found for found in measured()["rows"].values())
    sources: list[str] = []
    lines = [
        ["setting", "backbone", "parameters", "published figures", "suite, protocol", "official weights", "recipe"]
    ]
    if timed:
        lines[0][3:3] = ["forward", "memory"]
    for row in rows:
        learn, frozen = parameters(row["recipe"])
        figures = ", ".join(f"{name} {value}" for name, value in row.get("figures", {}).items())
        if figures:
            source = told()["sources"][row["source"]]
            sources += [source] if source not in sources else []
            figures += f" [{sources.index(source) + 1}]"
        count = millions(learn) + (f" + {millions(frozen)} frozen" if frozen else "")
        cells = [row["setting"], backbone_of(row["recipe"]), count, figures or NONE, row.get("protocol", NONE)]
        cells += [weights_cell(row), f"`{row['recipe']}`"]
        if timed:
            found = measured()["rows"][row["recipe"]]
            cells[3:3] = [f"{found['milliseconds']:.0f} ms", f"{found['mib']:.0f} MiB"]
        lines.append(cells)
    parts = [table(lines)]
    if sources:
        parts.append("Sources: " + "; ".join(f"[{n}] {source}" for n, source in enumerate(sources, 1)) + ".")
    if timed:
        found = measured()["conditions"]
        where = f"{found['machine']}, {found['clock']}, PyTorch {found['torch']}"
        parts.append(f"Time and memory: {where} (`benchmarks/model_table.py`).")
    return "\n\n".join(parts)


def commands_of(family: str) -> str:
    """Where each published file of a family is, and the command that takes it."""
    lines = [["record", "file", "from", "licence", "command"]]
    for one in RECORDS:
        if one.family == family and one.published:
            files = ", ".join(f"`{file}`" if " " not in file else file for file in one.files) or NOT_STATED
            lines.append([f"`{one.name}`", files, one.place, one.licence, f"`{one.command}`"])
    return table(lines) if len(lines) > 1 else ""


def zeroshot_parts() -> list[tuple[str, list[Checkpoint]]]:
    """The settings that open by name, with the open weights of their parts."""
    found = []
    for name, preset in FAMILIES["zeroshot"].presets.items():
        parts = preset().parts
        files = [
            next(file for file in STAGES[stage].find(part.kind).checkpoints if file.id == part.checkpoint)
            for stage, part in parts.items()
        ]
        found.append((f"zeroshot-{name}", files))
    return found


def zeroshot_table() -> str:
    """Those settings: parts, sizes, licences, and how to get them."""
    lines = [["name", "parts", "parameters", "download", "licences", "command"]]
    for name, files in zeroshot_parts():
        cells = [f"`{name}`", ", ".join(f"`{file.id}`" for file in files)]
        cells += [f"{sum(file.parameters for file in files)} M"]
        cells += [f"{sum(file.megabytes for file in files) / 1000:.1f} GB"]
        cells += [", ".join(file.licence for file in files), f"`avseg weights fetch {name}`"]
        lines.append(cells)
    return table(lines)


def page_tables() -> str:
    """What stands between the marks of choose-a-model.md."""
    parts = []
    for family in told()["family"]:
        name = family["name"]
        link = f"[{family['title']}](../{family['page']})".replace("(../how-to/", "(")
        paper = FAMILIES[name].paper
        head = f"### {family['title']}\n\n{link}, {paper}: {family['gives']}."
        parts += [head, zeroshot_table()] if name == "zeroshot" else [head, family_table(name)]
        if commands := commands_of(name):
            parts.append(f"Official weights of {family['title']}:\n\n{commands}")
    return "\n\n".join(parts)


def readme_table() -> str:
    """A row a method."""
    lines = [["method", "gives", "settings", "parameters", "official weights", "paper"]]
    for family in told()["family"]:
        spec, rows = FAMILIES[family["name"]], rows_of(family["name"])
        counts = [sum(parameters(row["recipe"])) / 1e6 for row in rows] or [sum(file.parameters for file in files)
                  for _, files in zeroshot_parts()]  # fmt: skip
        known = list(dict.fromkeys(row["setting"].split(",")[0] for row in rows if has_weights(row)))
        weights = ", ".join(known) or ("none" if rows else "open weights of the parts")
        count = " to ".join(dict.fromkeys(f"{number:.0f}" for number in (min(counts), max(counts)))) + " M"
        link = f"[{family['title']}](docs/{family['page']})"
        lines.append([link, family["gives"], spec.settings, count, weights, spec.paper])
    return table(lines)


def has_weights(row: Row) -> bool:
    record = record_of(row)
    return record is not None and record.published


def between(text: str, mark: str, new: str) -> str:
    """The text with what stands between `<!-- mark -->` and `<!-- /mark -->` replaced.

    Raises:
        ValueError: no such marks, or several.
    """
    pattern = re.compile(rf"(<!-- {mark} -->\n).*?(\n<!-- /{mark} -->)", re.DOTALL)
    text, count = pattern.subn(lambda found: f"{found[1]}{new}{found[2]}", text)
    if count != 1:
        raise ValueError(f"wanted one pair of marks <!-- {mark} -->, found {count}")
    return text


def navigation() -> Any:
    """`nav` of mkdocs.yml."""

    class Loader(yaml.SafeLoader):
        """Takes tags of Python that mkdocs knows as nothing."""

    Loader.add_multi_constructor("", lambda *_: None)
    return yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)["nav"]


def llms() -> str:
    """Title, summary, and the pages by section: name, address and first sentence."""
    lines = ["# avseg", "", f"> {first_sentence(DOCS / 'index.md')}", ""]

    def add(entries: list[Any]) -> None:
        for entry in entries:
            ((name, target),) = entry.items() if isinstance(entry, dict) else ((Path(entry).stem, entry),)
            if isinstance(target, list):
                lines.extend(["", f"## {name}", ""])
                add(target)
            elif (DOCS / target).exists():
                address = target.removesuffix("index.md").removesuffix(".md")
                address = f"{address}/" if address and not address.endswith("/") else address or "./"
                lines.append(f"- [{name}]({address}): {first_sentence(DOCS / target)}")

    add(navigation())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"


def first_sentence(page: Path) -> str:
    """Of the first paragraph that is one, without Markdown's marks."""
    text = re.sub(r"```.*?```|<!--.*?-->|^---\n.*?\n---\n", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for block in re.split(r"\n\s*\n", text):
        if re.match(r"\s*(#|\||!\[|:::|[-*] |\d+\. |$)", block):
            continue
        pattern = r"`([^`]*)`|\[([^\]]*)\]\([^)]*\)|\*+"
        plain = re.sub(pattern, lambda found: found[1] or found[2] or "", " ".join(block.split())).replace("`", "")
        return re.split(r"(?<=[.!?]) (?=[A-Z]|avseg )", plain)[0].rstrip(":")
    return ""


def written() -> dict[Path, str]:
    """What the files should hold."""
    return {
        PAGE: between(PAGE.read_text(encoding="utf-8"), "models", page_tables()),
        README: between(README.read_text(encoding="utf-8"), "models", readme_table()),
        LLMS: llms(),
    }


def main() -> int:
    """Write what is out of date, or name it."""
    stale = [path for path, text in written().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(ROOT)} is out of date; run: python docs/make_tables.py\n")
        return int(bool(stale))
    for path, text in written().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
