"""`export`: a run's compiled model as a folder that answers without AWS."""

from __future__ import annotations

from pathlib import Path

import click

from ratchet.command import Answer, Context, command


@command("export")
@click.argument("run")
@click.option("--to", "folder", required=True, type=click.Path(path_type=Path), help="A folder that isn't there yet.")
def export(context: Context, run: str, folder: Path) -> Answer:
    """Write the compiled model of RUN (a run's id, or a pipeline's name for its newest) into a folder.

    It answers there as the endpoint does, on a bare Python with onnxruntime and NumPy: README.md says how.
    """
    from rich.markup import escape

    from ratchet import exporting
    from ratchet.runs import RunTable

    found = RunTable(context.account).find(context.pipelines(), run)
    written = exporting.export(context.account, found, folder)
    document = {
        "run_id": found.run_id,
        "pipeline": found.pipeline,
        "folder": str(folder),
        "bytes": written.size,
        "compiled": written.figures,
    }
    size = f"{written.size / 1e6:.3g} MB"
    return Answer(document, f"{escape(str(folder))}  {size}; [dim]{escape(str(folder / exporting.README))} says how[/]")
