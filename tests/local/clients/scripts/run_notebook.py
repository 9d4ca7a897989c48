"""Runs a notebook in its own folder, in this Python's environment, as Jupyter does.

Arguments: the notebook. Prints as its last line one JSON object: {"shown": [each code cell's text, in order]}.
"""

import json
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

path = Path(sys.argv[1]).resolve()
notebook = nbformat.read(path, as_version=4)
NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}).execute()


def text(output):
    return output.get("text") or output.get("data", {}).get("text/plain", "")


shown = ["".join(map(text, cell.outputs)) for cell in notebook.cells if cell.cell_type == "code"]
print()
print(json.dumps({"shown": shown}))
