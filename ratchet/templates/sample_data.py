"""Writes the template's sample data anew: python ratchet/templates/sample_data.py. Standard library only.

Readings of made-up pumps: temperature (°C), vibration (mm/s), pressure (bar). A pump is the likelier to fail the hotter
it is and the more it shakes; pressure has nothing to do with it.
"""

from __future__ import annotations

import math
import random
from pathlib import Path

HERE = Path(__file__).resolve().parent / "model" / "sample"
SEED = 0
FILES = {"train/pumps.csv": 300, "test/pumps.csv": 150}


def reading(chance: random.Random) -> str:
    """One line: ok or fault, temperature, vibration, pressure."""
    temperature, vibration, pressure = chance.gauss(60, 10), chance.gauss(4, 1.5), chance.gauss(6, 0.5)
    risk = 1 / (1 + math.exp(-(0.3 * (temperature - 60) + 2 * (vibration - 4.5))))
    label = "fault" if chance.random() < risk else "ok"
    return f"{label},{temperature:.1f},{vibration:.2f},{pressure:.2f}\n"


def files(seed: int = SEED) -> dict[str, str]:
    """File name -> content; the same seed gives the same."""
    chance = random.Random(seed)  # noqa: S311 - sample data, no secret
    return {name: "".join(reading(chance) for _ in range(count)) for name, count in FILES.items()}


if __name__ == "__main__":
    for name, text in files().items():
        (HERE / name).parent.mkdir(parents=True, exist_ok=True)
        (HERE / name).write_text(text)
