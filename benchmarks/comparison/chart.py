"""The main results as bars: one SVG that can be read on light and on dark pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from . import decode, end_to_end, windows
from .results import Results, Sample, median, three_digits

# Middle tones, all at least 3.7 to 1 against white and against GitHub's dark background.
_TEXT, _OURS, _FLOOR, _OTHERS = "#6e7781", "#2f81f7", "#9a6700", "#848d97"
_WIDTH, _LEFT, _RIGHT, _BAR, _GAP, _TITLE = 760, 200, 130, 16, 6, 34

_LEAST = 1.5  # of a bar, so that there is something to see


@dataclass(frozen=True)
class _Panel:
    title: str
    unit: str
    bars: list[tuple[str, float]]

    @property
    def height(self) -> int:
        return _TITLE + len(self.bars) * (_BAR + _GAP) + 12


def svg(results: Results) -> str:
    panels = [panel for panel in _panels(results) if panel.bars]
    height = sum(panel.height for panel in panels) + 24
    title = "netsession beside its peers: " + "; ".join(panel.title for panel in panels)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
        f'height="{height}" font-family="system-ui, sans-serif" font-size="13" fill="{_TEXT}">',
        f"<title>{escape(title)}</title>",
    ]
    top = 0
    for panel in panels:
        lines += _draw(panel, top)
        top += panel.height
    note = "Each group has a scale of its own, from zero; shorter is better."
    lines.append(f'<text x="8" y="{top + 12}" font-size="11">{note}</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"


def _panels(results: Results) -> Iterator[_Panel]:
    each = [
        (windows.SECTION, 502, "cpu", "ns an entry", "One buffer to Python, Windows CPython"),
        (decode.SECTION, 502, "cpu", "ns an entry", "Decoding a reply, Linux"),
        (end_to_end.SECTION, 1, "wall", "ms", "End to end on a real smbd"),
        (end_to_end.FAR, 1, "wall", "s", "A server 20 ms of round trip away"),
    ]
    for section, level, kind, unit, title in each:
        samples = [s for s in results.samples if (s.section, s.level) == (section, level)]
        if not samples:
            continue
        entries = results.main_case(section, level)
        chosen = _largest(samples, entries)
        bars = sorted(
            ((_name(s, entries), _value(s, kind, unit)) for s in chosen), key=lambda b: b[1]
        )
        yield _Panel(f"{title}: level {level}, {entries:,} sessions, {unit}", unit, bars)


def _largest(samples: list[Sample], entries: int) -> Iterator[Sample]:
    """Each contender's sample nearest below that number: who is slow was given fewer."""
    for name in dict.fromkeys(sample.contender for sample in samples):
        fitting = [s for s in samples if s.contender == name and s.entries <= entries]
        if fitting and name != "server only":
            yield max(fitting, key=lambda sample: sample.entries)


def _name(sample: Sample, entries: int) -> str:
    return sample.contender + ("" if sample.entries == entries else f" ({sample.entries:,})")


def _value(sample: Sample, kind: str, unit: str) -> float:
    if unit == "ns an entry":
        return median(sample.per_entry(kind))
    return median(getattr(sample, kind)) * (1000 if unit == "ms" else 1)


def _colour(name: str) -> str:
    if name.startswith("netsession"):
        return _OURS
    return _FLOOR if name.startswith("bare") else _OTHERS


def _draw(panel: _Panel, top: int) -> Iterator[str]:
    yield f'<text x="8" y="{top + 22}" font-weight="600">{escape(panel.title)}</text>'
    longest = max(value for _, value in panel.bars)
    for number, (name, value) in enumerate(panel.bars):
        y = top + _TITLE + number * (_BAR + _GAP)
        length = max(_LEAST, (_WIDTH - _LEFT - _RIGHT) * value / longest)
        yield f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>'
        yield (
            f'<rect x="{_LEFT}" y="{y}" width="{length:.1f}" height="{_BAR}" rx="2" '
            f'fill="{_colour(name)}"/>'
        )
        label = f"{three_digits(value)} {'ns' if panel.unit == 'ns an entry' else panel.unit}"
        yield f'<text x="{_LEFT + length + 6:.1f}" y="{y + 13}">{label}</text>'
