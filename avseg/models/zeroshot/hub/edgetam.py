"""EdgeTAM as a follower: SAM 2 with a lighter encoder and memory, run by the same code.

Source: Zhou et al., "EdgeTAM: On-Device Track Anything Model", CVPR 2025, arXiv:2501.07256; weights and code of
`transformers`.
"""

from __future__ import annotations

from transformers import EdgeTamVideoModel

from avseg.models.zeroshot.hub.sam2 import SAM2


class EdgeTAM(SAM2):
    """See `avseg.models.zeroshot.parts.Follower`."""

    architecture = EdgeTamVideoModel
