"""Which sounds contrast with which in AVSBench-Robust (Li et al. 2025, arXiv 2502.00358). Imports no torch."""

from __future__ import annotations

from avseg.data.scenarios import Contrast

S4_CONTRAST = Contrast(
    groups={
        "music": frozenset(
            f"playing_{name}" for name in ("acoustic_guitar", "glockenspiel", "piano", "tabla", "ukulele", "violin")
        ),
        "human": frozenset({"baby_laughter", "female_singing", "male_speech"}),
        "animal": frozenset(
            {"cat_meowing", "coyote_howling", "dog_barking", "horse_clip-clop", "lions_roaring", "mynah_bird_singing"}
        ),
        "device": frozenset(
            {
                "driving_buses",
                "helicopter",
                "race_car",
                "ambulance_siren",
                "cap_gun_shooting",
                "chainsawing_trees",
                "lawn_mowing",
                "typing_on_computer_keyboard",
            }
        ),
    },
    # There is no group of vehicles: as published, devices avoid nothing but themselves.
    avoided={"music": "human", "human": "music", "animal": "human", "device": "vehicle"},
    by_class=True,
    clips_per_group=2,
)
MS3_CONTRAST = Contrast(
    groups={
        "music": frozenset({"guitar", "tabla", "violin", "ukulele", "piano", "marimba"}),
        "human": frozenset({"man", "woman", "baby"}),
        "animal": frozenset({"dog", "cat", "lion", "bird", "wolf"}),
        "device": frozenset({"mower", "background", "bus", "car", "gun", "saw", "emergency-car", "keyboard"}),
    },
    avoided={"music": "human", "human": "music", "animal": "human", "device": "music"},
    clips_per_group=1,
)
CONTRASTS = {"s4": S4_CONTRAST, "ms3": MS3_CONTRAST}
