"""How the pictures look, in light and in dark: Vega-Lite configurations. The charts name styles, and no colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FONT = "system-ui, -apple-system, Segoe UI, Roboto, Helvetica Neue, sans-serif"
# M. Okabe, K. Ito, "Color Universal Design": eight colours that colour-blind people tell apart. White paper would
# swallow its yellow, so that is darker there; on the dark page, where blue and green would sink, all are lighter, and
# black is white. The page's style has the same, as --job0 to --job7.
ON_LIGHT = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#1D2127", "#9A8F00")
ON_DARK = ("#4BA3DC", "#F0803C", "#2FC79B", "#DE9CC0", "#F2B84B", "#8FD0F5", "#E8E6E1", "#F0E442")


@dataclass(frozen=True)
class Theme:
    """The colours of a page. `ramp` goes from the worst trial's to the best one's, its lightness always one way."""

    ink: str
    soft: str
    line: str
    card: str
    muted: str
    stopped: str
    palette: tuple[str, ...]
    ramp: tuple[str, ...]


LIGHT = Theme(
    ink="#1d2127",
    soft="#656c77",
    line="#e3e1db",
    card="#ffffff",
    muted="#c9c6be",
    stopped="#b3372f",
    palette=ON_LIGHT,
    ramp=("#e4e1d8", "#b9cbd6", "#7fabcb", "#3f86b9", "#0b5c94", "#06304f"),
)
DARK = Theme(
    ink="#e8e6e1",
    soft="#9aa1ad",
    line="#2d313a",
    card="#1c1f25",
    muted="#4a505c",
    stopped="#f0867c",
    palette=ON_DARK,
    ramp=("#33373f", "#3a4c60", "#40688a", "#4b8bbd", "#79b8e6", "#d9f0ff"),
)


def config(theme: Theme, background: str | None = None) -> dict[str, Any]:
    """The theme as a Vega-Lite configuration; a page's own background shows through unless one is given."""
    labels = {"font": FONT, "labelFont": FONT, "titleFont": FONT}
    return {
        "background": background,
        "font": FONT,
        "view": {"stroke": None, "cursor": "crosshair"},
        "axis": {
            **{name: labels[name] for name in ("labelFont", "titleFont")},
            "domain": False,
            "ticks": False,
            "gridColor": theme.line,
            "labelColor": theme.soft,
            "labelFontSize": 11,
            "labelPadding": 6,
            "titleColor": theme.soft,
            "titleFontSize": 11,
            "titleFontWeight": "normal",
            "labelOverlap": "greedy",
        },
        "axisX": {"grid": False, "domain": True, "domainColor": theme.line, "titleAnchor": "end", "titlePadding": 6},
        "axisY": {"tickCount": 5},
        "title": {"anchor": "start", "color": theme.ink, "fontSize": 13, "subtitleColor": theme.soft, "offset": 10},
        "range": {"category": list(theme.palette), "ramp": list(theme.ramp)},
        "style": _styles(theme),
    }


def _styles(theme: Theme) -> dict[str, Any]:
    return {
        "counted": {"color": theme.palette[0]},
        "muted": {"color": theme.muted},
        "failed": {"color": theme.stopped, "filled": False},
        "best": {"color": theme.ink, "strokeWidth": 1.8, "filled": False, "size": 150},
        "pointed": {"color": theme.ink, "strokeWidth": 2.2, "filled": False, "size": 190},
        "said": {"color": theme.ink, "fontSize": 12, "fontWeight": 600},
        "halo": {"color": theme.card, "stroke": theme.card, "strokeWidth": 4, "fontSize": 12, "fontWeight": 600},
        "soft": {"color": theme.soft, "fontSize": 11},
        "soft-halo": {"color": theme.card, "stroke": theme.card, "strokeWidth": 4, "fontSize": 11},
        "name": {"color": theme.ink, "fontSize": 11.5, "fontWeight": 600},
        "axis": {"color": theme.line, "strokeWidth": 1.5},
        "median": {"color": theme.ink, "strokeWidth": 2},
        "interval": {"color": theme.muted, "strokeWidth": 4},
    }
