"""Text: cut, joined, searched, formatted, generated, saved, and drawn on pictures."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from comfystub.media.pictures import Picture, Pixels
from comfystub.nodes.families.logic import grown
from comfystub.nodes.invocation import Behaviour, Invocation, Result
from comfystub.nodes.values import Images, Several
from comfystub.nodes.writing import write

if TYPE_CHECKING:
    from PIL import ImageDraw

#: How much of a prompt an answer to it quotes.
QUOTED_WORDS = 8


def answer(prompt: str, digest: bytes) -> str:
    """What a language model says to a prompt: a sentence that quotes its first words."""
    words = " ".join(prompt.split()[:QUOTED_WORDS])
    return f'Answer {digest.hex()[:6]} to "{words}".'


def _text(run: Invocation, name: str = "string") -> str:
    return run.value(name, "")


# Comparing


def _both(run: Invocation, one: str, other: str) -> tuple[str, str]:
    """Two texts, in lower case where case does not count."""
    texts = _text(run, one), _text(run, other)
    return texts if run.value("case_sensitive", True) else (texts[0].lower(), texts[1].lower())


def contains(run: Invocation) -> bool:
    text, part = _both(run, "string", "substring")
    return part in text


COMPARISONS: Mapping[str, Callable[[str, str], bool]] = {
    "Starts With": str.startswith,
    "Ends With": str.endswith,
    "Equal": str.__eq__,
}


def compare(run: Invocation) -> bool:
    compared = COMPARISONS.get(run.value("mode", "Equal"), str.__eq__)
    return compared(*_both(run, "string_a", "string_b"))


# Regular expressions


def _matches(run: Invocation) -> Iterator[re.Match[str]]:
    """Where the pattern fits; a pattern that is none fits nowhere."""
    try:
        return re.finditer(_text(run, "regex_pattern"), _text(run), _flags(run))
    except re.error:
        return iter(())


def _flags(run: Invocation) -> int:
    return (
        re.IGNORECASE * run.value("case_insensitive", True)
        | re.MULTILINE * run.value("multiline", False)
        | re.DOTALL * run.value("dotall", False)
    )


def extract(run: Invocation) -> str:
    """RegexExtract: a match or all of them, a line each, whole or a group of it; ``""`` without any."""
    which, _, part = run.value("mode", "First Match").partition(" ")
    group = run.value("group_index", 1) if part.startswith("Group") else 0
    texts = [found[group] or "" for found in _matches(run) if group <= found.re.groups]
    return "\n".join(texts[:1] if which == "First" else texts)


def replace(run: Invocation) -> str:
    """RegexReplace: ``count`` of 0 replaces all."""
    pattern = re.compile(_text(run, "regex_pattern"), _flags(run))
    return pattern.sub(_text(run, "replace"), _text(run), count=run.value("count", 0))


# JSON


def json_value(run: Invocation) -> str:
    """JsonExtractString: a value of the first JSON object that stands in a text."""
    text, decoder = _text(run, "json_string"), json.JSONDecoder()
    for brace in re.finditer("{", text):
        try:
            found, _ = decoder.raw_decode(text, brace.start())
        except (ValueError, RecursionError):
            continue
        value = found.get(_text(run, "key"))
        return "" if value is None else str(value)
    return ""


def _as_json(value: Any, indent: int) -> str:
    return json.dumps(value, indent=indent or None, ensure_ascii=False, default=str)


def ideogram_prompt(run: Invocation) -> Any:
    """BuildJsonPromptIdeogram: what Ideogram 4 takes as a prompt, as a dict."""
    style = run.value("style", "none")
    described = {name: _text(run, name) for name in ("aesthetics", "lighting", "medium")}
    described = {style: _text(run, f"style.{style}"), **described}
    if palette := run.inputs.get("color_palette"):
        described["color_palette"] = palette
    parts = {
        "high_level_description": _text(run, "high_level_description"),
        "style_description": described if style != "none" else {},
        "compositional_deconstruction": {
            "background": _text(run, "background"),
            "elements": run.inputs.get("element") or [],
        },
    }
    return {name: part for name, part in parts.items() if part}


# The rest


def format_string(run: Invocation) -> str:
    """StringFormat: Python's own format, of the values ``a`` to ``z``."""
    return run.value("f_string", "{a}").format(**grown(run, "values"))


CASES: Mapping[str, Callable[[str], str]] = {
    "UPPERCASE": str.upper,
    "lowercase": str.lower,
    "Capitalize": str.capitalize,
    "Title Case": str.title,
}
TRIMMINGS: Mapping[str, Callable[[str], str]] = {
    "Both": str.strip,
    "Left": str.lstrip,
    "Right": str.rstrip,
}

#: Class to what its one output is.
VALUES: Mapping[str, Callable[[Invocation], Any]] = {
    "AddTextPrefix": lambda run: _text(run, "prefix") + _text(run, "texts"),
    "AddTextSuffix": lambda run: _text(run, "texts") + _text(run, "suffix"),
    "BuildJsonPromptIdeogram": ideogram_prompt,
    "CaseConverter": lambda run: CASES.get(run.value("mode", ""), str.upper)(_text(run)),
    "ConvertArrayToString": lambda run: _as_json(run.inputs.get("array"), run.value("indent", 2)),
    "ConvertDictionaryToString": lambda run: _as_json(run.inputs.get("dictionary"), run.value("indent", 2)),
    "JsonExtractString": json_value,
    # One value, which is a list: that is what ComfyUI's own says of it.
    "MergeTextLists": lambda run: list(run.inputs.get("texts", Several())),
    "RegexExtract": extract,
    "RegexMatch": lambda run: any(_matches(run)),
    "RegexReplace": replace,
    "ReplaceText": lambda run: _text(run, "texts").replace(_text(run, "find"), _text(run, "replace")),
    "StringCompare": compare,
    "StringConcatenate": lambda run: (
        _text(run, "string_a") + _text(run, "delimiter") + _text(run, "string_b")
    ),
    "StringContains": contains,
    "StringFormat": format_string,
    "StringLength": lambda run: len(_text(run)),
    "StringReplace": lambda run: _text(run).replace(_text(run, "find"), _text(run, "replace")),
    "StringSubstring": lambda run: _text(run)[run.value("start", 0) : run.value("end", 0)],
    "StringTrim": lambda run: TRIMMINGS.get(run.value("mode", ""), str.strip)(_text(run)),
    "StripWhitespace": lambda run: _text(run, "texts").strip(),
    "TextGenerate": lambda run: answer(_text(run, "prompt"), run.signature),
    "TextGenerateLTX2Prompt": lambda run: answer(_text(run, "prompt"), run.signature),
    "TextToLowercase": lambda run: _text(run, "texts").lower(),
    "TextToUppercase": lambda run: _text(run, "texts").upper(),
    "TruncateText": lambda run: _text(run, "texts")[: run.value("max_length", 77)],
}


def _giving(value_of: Callable[[Invocation], Any]) -> Behaviour:
    return lambda run: Result((value_of(run),))


def save_text(run: Invocation) -> Result:
    """SaveText: JSON is set out in lines, if it is any."""
    text, kind = _text(run, "text"), run.value("format", "txt")
    saved = text
    if kind == "json":
        try:
            saved = _as_json(json.loads(text), 2)
        except ValueError:
            pass  # what is no JSON is saved as it is
    return Result((text,), {"files": [write(run, f".{kind}", saved.encode())], "text": [text]})


# Text on pictures


def overlay(run: Invocation) -> Result:
    """TextOverlay: lines at the top or the bottom; the size of the font is in percent of the height."""
    images = run.images("images")
    drawn = {id(picture): _overlaid(run, picture) for picture in images}
    return Result((Images(drawn[id(picture)] for picture in images),))


def _overlaid(run: Invocation, picture: Picture) -> Picture:
    from PIL import ImageDraw

    text = _text(run, "text").expandtabs(4)
    if not text.strip():
        return picture
    image = picture.pixels().copy()
    _write_lines(run, ImageDraw.Draw(image), text.split("\n"), *image.size)
    return Pixels(image)


def _write_lines(
    run: Invocation, draw: ImageDraw.ImageDraw, lines: list[str], width: int, height: int
) -> None:
    size = max(1, round(height * run.value("font_size", 5.0) / 100))
    font, margin, step = _font(size), size // 2, round(size * 1.25)
    top = margin if run.value("position", "top") == "top" else height - margin - step * len(lines)
    part = {"center": 0.5, "right": 1.0}.get(run.value("align", "left"), 0.0)
    for number, line in enumerate(lines):
        room = width - 2 * margin - font.getbbox(line)[2]
        draw.text(
            (margin + room * part, top + number * step),
            line,
            fill=run.value("color", "#ffffff"),
            font=font,
            stroke_width=max(1, size // 16) * run.value("outline", True),
            stroke_fill="black",
        )


def _font(size: int) -> Any:
    from PIL import ImageFont

    try:
        return ImageFont.load_default(size)
    except TypeError:  # before Pillow 10.1 it had one size only
        return ImageFont.load_default()


BEHAVIOURS: Mapping[str, Behaviour] = {
    **{name: _giving(value_of) for name, value_of in VALUES.items()},
    "SaveText": save_text,
    "TextOverlay": overlay,
}
