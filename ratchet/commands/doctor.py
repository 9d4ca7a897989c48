"""`doctor`: what Ratchet needs, what of it is there, and what to do about the rest."""

from __future__ import annotations

from ratchet.command import Answer, Context, command

_MARKS = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "missing": "[red]✗[/]"}


@command("doctor")
def doctor(context: Context) -> Answer:
    """Check what Ratchet needs, and say what to do about what is missing. Exits with 1 if something is."""
    from rich.markup import escape

    from ratchet import checks

    found = []
    for check in checks.run(context.project, context.environment_name):
        found.append(check)
        context.say_styled(f"{_MARKS[check.state]} {check.name:<20} {escape(check.found)}")
        if check.todo:
            context.say(f"  {'':<20} {check.todo}")
    missing = sum(check.state == "missing" for check in found)
    document = {"ok": missing == 0, "checks": [check.document() for check in found]}
    return Answer(document, "" if missing else "everything is there", 1 if missing else 0)
