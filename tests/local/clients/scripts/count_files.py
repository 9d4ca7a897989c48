"""A processing job's script: writes how many files an input holds, and what it was called with."""

import sys
from pathlib import Path

count = len(list(Path("/opt/ml/processing/input/data").iterdir()))
Path("/opt/ml/processing/output/counted.txt").write_text(f"{count} {' '.join(sys.argv[1:])}")
