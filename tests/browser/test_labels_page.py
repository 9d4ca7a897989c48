"""The page of an audit in a real browser, without a network: marked by mouse and by keys, given as a file that the
command takes; in light and dark, wide and narrow; and what means harm, which comes to nothing."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from chromium import NO_BROWSER, PATIENCE, Chromium, Page, faint
from view_documents import pixels

from contract.held_out import Reading
from ratchet.labels import corrections, page
from ratchet.labels.audits import Audit, Pair, Suspect

pytestmark = NO_BROWSER

AUDIT_ID = "20261127-101112-abcd"
EVIL = "</script><img src=x onerror='window.evil = 1'><script>window.evil = 1</script>"
PICTURE = f"data:image/png;base64,{base64.b64encode(pixels(100)).decode()}"
CLASSES = tuple(map(str, range(10)))


def suspect(number: int, **changes: Any) -> Suspect:
    given, suggested = str(number % 10), str((number + 3) % 10)
    text = f"{number},0,5,13,9,1 " * (1 + 30 * (number % 4))
    picture = PICTURE if number % 2 else None
    told = {"place": f"digits.csv:{number}", "given": given, "suggested": suggested, "text": text, "picture": picture}
    return Suspect(**{**told, "given_probability": 0.02, "suggested_probability": 0.91, "confident": True, **changes})


def audit(*suspects: Suspect, **changes: Any) -> Audit:
    told: dict[str, Any] = {
        "channel": "train",
        "format": "csv",
        "reading": Reading(),
        "examples": 1797,
        "classes": CLASSES,
        "learner": "a forest of 300 extremely randomised trees, of 61 columns of numbers",
        "folds": 5,
        "agreement": 0.934,
        "estimated_errors": 94.8,
        "pairs": (Pair("8", "1", 12), Pair("9", "4", 7)),
        "suspects": suspects,
    }
    return Audit(**{**told, **changes})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("labels")
    where = page.Where("digits-forest", "local", "digits/train/", AUDIT_ID, datetime(2026, 11, 27, tzinfo=UTC))
    hostile = suspect(1, place=f"{EVIL}.csv:1", given=EVIL, suggested="\u202eman", text=f"{EVIL}\x1b[31m")
    made = {
        "digits": audit(*map(suspect, range(1, 41))),
        "hostile": audit(hostile, classes=(EVIL, "\u202eman"), learner=EVIL, pairs=(Pair(EVIL, EVIL, 1),)),
        "clean": audit(estimated_errors=0.0, pairs=()),
    }
    for name, each in made.items():
        page.write(each, where, found / f"{name}.html")
    return found


def opened(browser: Chromium, folder: Path, name: str = "digits", **looks: Any) -> Page:
    found = browser.open((folder / f"{name}.html").as_uri(), **looks)
    if looks.get("scripts", True):
        found.wait("document.documentElement.dataset.ready === 'yes'")
    return found


def marks(found: Page) -> dict[str, str]:
    """What is marked, by the suspects' numbers."""
    told: dict[str, str] = found.ask(
        "Object.fromEntries([...document.querySelectorAll('.suspect[data-mark]')]"
        ".map(article => [article.dataset.index, article.dataset.mark]))"
    )
    return told


def focus(found: Page, index: int) -> None:
    found.ask(f"document.querySelectorAll('.suspect')[{index}].focus()")


def test_what_is_marked_by_keys_is_a_file_that_the_command_takes(
    browser: Chromium, folder: Path, tmp_path: Path
) -> None:
    found = opened(browser, folder)
    assert found.ask("document.getElementById('download').disabled") is True
    focus(found, 0)
    for key in ("Enter", "k", "x", "Enter", "ArrowUp", "u"):
        found.press(key)
    assert marks(found) == {"0": "suggested", "1": "keep", "2": "out"}
    assert found.ask("document.activeElement.dataset.index") == "3"
    found.press("o")
    assert found.ask("document.activeElement.tagName") == "SELECT"
    assert found.ask("document.activeElement.length") == len(CLASSES), "every class but the given one, and none"
    found.ask("(() => { const s = document.activeElement; s.value = '5'; s.dispatchEvent(new Event('change')); })()")
    assert found.ask("document.getElementById('told').textContent") == (
        "2 corrected, 1 left out, 1 right as they are, 36 not looked at."
    )
    browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    found.ask("document.getElementById('download').click()")
    path = tmp_path / f"corrections-digits-forest-train-{AUDIT_ID}.json"
    end = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < end, "nothing was downloaded"
        time.sleep(0.02)
    read = corrections.read(path)
    assert (read.pipeline, read.environment, read.channel, read.audit) == ("digits-forest", "local", "train", AUDIT_ID)
    assert read.by_place == {
        "digits.csv:1": corrections.Correction("1", "4"),
        "digits.csv:3": corrections.Correction("3", None),
        "digits.csv:4": corrections.Correction("4", "5"),
    }
    corrections.check(read, audit(), "digits-forest", "local")
    assert found.complaints == [] and found.asked_for == []
    found.close()


def test_buttons_do_the_same_and_are_undone_by_themselves(browser: Chromium, folder: Path) -> None:
    found = opened(browser, folder)
    button = "document.querySelectorAll('.suspect')[4].querySelector('button[data-mark={}]')"
    for mark in ("suggested", "keep", "out"):
        found.ask(f"{button.format(mark)}.click()")
        assert marks(found) == {"4": mark}
        assert found.ask(f"{button.format(mark)}.getAttribute('aria-pressed')") == "true"
    found.ask(f"{button.format('out')}.click()")
    assert marks(found) == {} and found.ask("document.getElementById('told').textContent") == "Nothing is marked yet."
    found.ask("document.querySelector('.suspect select').focus()")
    found.press("x")
    assert marks(found) == {}, "a key in a field is the field's"
    found.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_can_be_read_and_nothing_hangs_over(browser: Chromium, folder: Path, width: int, dark: bool) -> None:
    found = opened(browser, folder, width=width, dark=dark)
    for key in ("Enter", "k", "x"):
        focus(found, 0)
        found.press(key)
        assert found.ask(faint("h1, h2, p, dt, dd, small, li, pre, span, b, s, button, select, kbd")) == []
    assert found.ask("document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert found.ask(
        "[...document.querySelectorAll('.suspect, .suspect *')].every(e => "
        "e.getBoundingClientRect().right <= window.innerWidth + 1)"
    )
    found.ask("document.querySelector('.look img').scrollIntoView()")
    found.wait("document.querySelector('.look img').naturalWidth > 0")
    assert found.complaints == []
    found.close()


def test_what_means_harm_is_text(browser: Chromium, folder: Path) -> None:
    found = opened(browser, folder, "hostile")
    focus(found, 0)
    found.press("o")
    focus(found, 0)
    found.press("Enter")
    assert found.ask("window.evil === undefined && document.querySelectorAll('img').length === 1") is True
    assert EVIL in found.ask("document.querySelector('.suspect header').textContent")
    told = "document.body.innerText + document.querySelector('select').textContent"
    assert "man" in found.ask(told) and "\u202e" not in found.ask(told), "it would make the page read otherwise"
    assert found.ask("document.querySelector('.suspect').dataset.mark") == "suggested"
    assert found.complaints == [] and found.asked_for == []
    found.close()


def test_without_scripts_and_without_suspects_it_says_so(browser: Chromium, folder: Path) -> None:
    clean = opened(browser, folder, "clean")
    assert "each example is predicted as it is labelled" in clean.ask("document.body.textContent")
    assert clean.complaints == []
    clean.close()
    found = opened(browser, folder, scripts=False)
    text = json.dumps(found.call("DOM.getDocument", depth=-1))
    assert "this page needs its script" in text and "digits.csv:40" in text
    found.close()
