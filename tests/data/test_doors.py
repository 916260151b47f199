"""Names and configs are there before torch is."""

from __future__ import annotations

import subprocess
import sys


def test_the_table_imports_no_torch() -> None:
    code = (
        "import sys\nimport avseg.data, avseg.data.config, avseg.prepare, avseg.data.classes as c\n"
        "assert len(c.avss_classes()) == 71 and set(avseg.data.DATASETS) == {'s4', 'ms3', 'avss', 'synth'}\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
