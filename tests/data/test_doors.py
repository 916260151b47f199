"""Names and configs are there before torch is."""

from __future__ import annotations

import subprocess
import sys


def test_the_table_imports_no_torch() -> None:
    code = (
        "import sys\nimport avseg.data, avseg.data.config, avseg.prepare\n"
        "from avseg.datasets.avss.classes import avss_classes\nfrom avseg.datasets.vpo.classes import vpo_classes\n"
        "assert (len(avss_classes()), len(vpo_classes())) == (71, 22)\n"
        "assert {'s4', 'avss', 'vpo_ss', 'synth'} < set(avseg.data.DATASETS)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
