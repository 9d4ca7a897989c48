"""Questions as JSON lines: {"question", "context", "answers"}, and where it is known the "article" of the context.

An answer is {"text", "start"}, its place in the context counted in characters from 0; or a text alone, which then must
stand in the context, and whose first place counts. Without any answer, as [], the context holds none.
"""

import json
import random
from dataclasses import dataclass
from pathlib import Path

MAY_HAVE = ("question", "context", "answers", "article", "id")


class QuestionsError(Exception):
    """A file can't be used; the message says which line, what is wrong there, and what would be right."""


@dataclass(frozen=True)
class Question:
    """One question. answers: (first character, end) in the context; article: what its context belongs to."""

    question: str
    context: str
    answers: tuple
    article: str

    @property
    def texts(self):
        """The right answers."""
        return tuple(self.context[start:end] for start, end in self.answers)


def load(folder):
    """All questions of a channel's *.jsonl files. Raises QuestionsError."""
    files = sorted(Path(folder).rglob("*.jsonl"))
    if not files:
        raise QuestionsError(f"{folder} has no .jsonl file; a channel holds JSON lines, as facts.py writes them")
    found = [parsed(line, f"{file.name}:{number}") for file in files for number, line in lines(file)]
    if not found:
        raise QuestionsError(f"{folder}: its {len(files)} files are empty; a line is a question")
    return found


def lines(file):
    """The numbers, from 1, and texts of a file's lines that aren't empty."""
    try:
        with file.open(encoding="utf-8", newline="\n") as opened:
            yield from ((number, line) for number, line in enumerate(opened, start=1) if line.strip())
    except UnicodeDecodeError as error:
        raise QuestionsError(f"{file.name} isn't UTF-8: {error.reason} at byte {error.start}") from None


def parsed(line, where):
    """A line's question."""
    try:
        given = json.loads(line)
    except ValueError as error:
        raise QuestionsError(f"{where} is no JSON: {error}") from None
    if not isinstance(given, dict):
        raise QuestionsError(f'{where} is {type(given).__name__}; a line is an object: {{"question", "context", …}}')
    for key in ("question", "context"):
        if not isinstance(given.get(key), str) or not given[key].strip():
            raise QuestionsError(f"{where}: {key} is {given.get(key)!r}; it must be a text that isn't empty")
    if unknown := sorted(given.keys() - set(MAY_HAVE)):
        raise QuestionsError(f"{where}: {unknown[0]} is unknown; there are {', '.join(MAY_HAVE)}")
    answers = given.get("answers")
    if not isinstance(answers, list):
        raise QuestionsError(f"{where}: answers is {answers!r}; it must be a list, [] where the context has no answer")
    places = tuple(place(answer, given["context"], where) for answer in answers)
    return Question(given["question"], given["context"], places, str(given.get("article", given["context"])))


def place(answer, context, where):
    """Where an answer stands in the context, in characters: (first, end)."""
    text, start = (answer.get("text"), answer.get("start")) if isinstance(answer, dict) else (answer, None)
    if not isinstance(text, str) or not text.strip():
        raise QuestionsError(f'{where}: an answer is {answer!r}; write a text, or {{"text": …, "start": …}}')
    if start is None:
        start = context.find(text)
        if start < 0:
            raise QuestionsError(f"{where}: the answer {text!r} doesn't stand in the context")
    if not isinstance(start, int) or isinstance(start, bool) or start < 0:
        raise QuestionsError(f"{where}: start is {start!r}; it counts the context's characters, from 0")
    if context[start : start + len(text)] != text:
        stands = context[start : start + len(text)]
        raise QuestionsError(f"{where}: the answer {text!r} should start at character {start}, where {stands!r} stands")
    return start, start + len(text)


def split(questions, share, seed):
    """(to learn from, to judge by): whole articles, so that no context is in both; about `share` of the questions."""
    articles = sorted({question.article for question in questions})
    random.Random(seed).shuffle(articles)  # noqa: S311
    if len(articles) < 2:
        raise QuestionsError("all questions are of one article, so none can be held out; give each its article")
    judged, wanted = set(), share * len(questions)
    counted = 0
    for article in articles[:-1]:
        if judged and counted >= wanted:
            break
        judged.add(article)
        counted += sum(question.article == article for question in questions)
    return (
        [question for question in questions if question.article not in judged],
        [question for question in questions if question.article in judged],
    )
