"""What a processing job says at its end, or when it can't go on: one sentence, in its log and as its ExitMessage."""

from __future__ import annotations

import sys
from pathlib import Path

# API reference, DescribeProcessingJob, ExitMessage.
LENGTH = 1024


def tell(sentence: str, ml: Path) -> None:
    """Says why it can't go on. ml: /opt/ml, whose output/message SageMaker returns as ExitMessage."""
    print(f"error: {sentence}", file=sys.stderr, flush=True)
    _leave(sentence, ml)


def say(sentence: str, ml: Path) -> None:
    """Says what has come of it."""
    print(sentence, flush=True)
    _leave(sentence, ml)


def _leave(sentence: str, ml: Path) -> None:
    message = ml / "output" / "message"
    try:
        message.parent.mkdir(parents=True, exist_ok=True)
        message.write_text(sentence[:LENGTH])
    except OSError as error:
        print(f"(couldn't write {message}: {error})", file=sys.stderr)
