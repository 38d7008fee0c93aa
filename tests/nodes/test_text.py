"""Text nodes: what they make of texts, the files they save, what they draw."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image, ImageChops

import comfystub
from nodes.graphs import graph_around, node, run, watched

URL = "http://comfy.test:8188"


@pytest.fixture(scope="module")
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


def value(stub: comfystub.Stub, name: str, **inputs: Any) -> Any:
    """What the first output of a node gives."""
    return watched(stub, graph_around(name, **inputs))[0][0]


class TestStrings:
    @pytest.mark.parametrize(
        ("name", "inputs", "expected"),
        [
            ("AddTextPrefix", {"texts": "fox", "prefix": "a "}, "a fox"),
            ("AddTextSuffix", {"texts": "fox", "suffix": "es"}, "foxes"),
            ("CaseConverter", {"string": "a Red fox", "mode": "UPPERCASE"}, "A RED FOX"),
            ("CaseConverter", {"string": "a Red fox", "mode": "lowercase"}, "a red fox"),
            ("CaseConverter", {"string": "a Red fox", "mode": "Capitalize"}, "A red fox"),
            ("CaseConverter", {"string": "a Red fox", "mode": "Title Case"}, "A Red Fox"),
            ("ReplaceText", {"texts": "aXbX", "find": "X", "replace": "-"}, "a-b-"),
            ("StringConcatenate", {"string_a": "a", "string_b": "b", "delimiter": ", "}, "a, b"),
            ("StringContains", {"string": "A fox", "substring": "FOX"}, False),
            ("StringContains", {"string": "A fox", "substring": "FOX", "case_sensitive": False}, True),
            ("StringLength", {"string": "füchse"}, 6),
            ("StringReplace", {"string": "a'b'", "find": "'", "replace": '"'}, 'a"b"'),
            ("StringSubstring", {"string": "a red fox", "start": 2, "end": 5}, "red"),
            ("StringSubstring", {"string": "a red fox", "start": 2, "end": -1}, "red fo"),
            ("StringTrim", {"string": " a\n", "mode": "Both"}, "a"),
            ("StringTrim", {"string": " a\n", "mode": "Left"}, "a\n"),
            ("StringTrim", {"string": " a\n", "mode": "Right"}, " a"),
            ("StripWhitespace", {"texts": "\ta "}, "a"),
            ("TextToLowercase", {"texts": "Fox"}, "fox"),
            ("TextToUppercase", {"texts": "Fox"}, "FOX"),
            ("TruncateText", {"texts": "a red fox", "max_length": 5}, "a red"),
        ],
    )
    def test_what_becomes_of_a_text(
        self, stub: comfystub.Stub, name: str, inputs: dict[str, Any], expected: Any
    ) -> None:
        assert value(stub, name, **inputs) == expected

    @pytest.mark.parametrize(
        ("mode", "other", "case_sensitive", "expected"),
        [
            ("Starts With", "A re", True, True),
            ("Starts With", "a re", True, False),
            ("Starts With", "a re", False, True),
            ("Ends With", "fox", True, True),
            ("Ends With", "red", True, False),
            ("Equal", "A red fox", True, True),
            ("Equal", "a RED fox", True, False),
            ("Equal", "a RED fox", False, True),
        ],
    )
    def test_comparing(
        self, stub: comfystub.Stub, mode: str, other: str, case_sensitive: bool, expected: bool
    ) -> None:
        texts = {"string_a": "A red fox", "string_b": other, "case_sensitive": case_sensitive}
        assert value(stub, "StringCompare", mode=mode, **texts) is expected

    def test_a_format_of_values_of_any_kind(self, stub: comfystub.Stub) -> None:
        graph = graph_around("StringFormat", f_string="{b:.2f} of {a}, {{not {c}}}")
        graph |= {"a": node("PrimitiveString", value="foxes"), "b": node("PrimitiveFloat", value=2.5)}
        graph["x"]["inputs"] |= {"values.a": ["a", 0], "values.b": ["b", 0], "values.c": 7}
        assert watched(stub, graph) == [["2.50 of foxes, {not 7}"]]

    def test_a_format_that_wants_a_value_that_is_not_there(self, stub: comfystub.Stub) -> None:
        graph = {**graph_around("StringFormat", f_string="{a}"), "p": node("PreviewAny", source=["x", 0])}
        with stub.client() as client:
            client.post("/prompt", json={"prompt": graph})
        error = stub.jobs[-1].error
        assert error is not None
        assert (error["node_id"], error["exception_type"]) == ("x", "KeyError")

    def test_lists_of_texts_go_through_one_by_one_and_merge_into_one_value(
        self, stub: comfystub.Stub
    ) -> None:
        graph = {
            "list": node("CreateList", **{"inputs.input0": ["a", 0], "inputs.input1": ["b", 0]}),
            "a": node("PrimitiveString", value="a"),
            "b": node("PrimitiveString", value="b"),
            "upper": node("TextToUppercase", texts=["list", 0]),
            "x": node("MergeTextLists", texts=["upper", 0]),
        }
        assert watched(stub, graph) == [[["A", "B"]]]

    def test_a_generated_text_quotes_the_prompt_and_follows_it(self, stub: comfystub.Stub) -> None:
        texts = [value(stub, "TextGenerate", prompt=prompt) for prompt in ("a red fox", "a red fox", "a cat")]
        assert "a red fox" in texts[0]
        assert texts[0] == texts[1] != texts[2]


class TestPatterns:
    @pytest.mark.parametrize(
        ("inputs", "expected"),
        [
            ({"regex_pattern": "FOX"}, True),
            ({"regex_pattern": "FOX", "case_insensitive": False}, False),
            ({"regex_pattern": "^two"}, False),
            ({"regex_pattern": "^two", "multiline": True}, True),
            ({"regex_pattern": "fox.two"}, False),
            ({"regex_pattern": "fox.two", "dotall": True}, True),
            ({"regex_pattern": "("}, False),
        ],
        ids=str,
    )
    def test_matching(self, stub: comfystub.Stub, inputs: dict[str, Any], expected: bool) -> None:
        assert value(stub, "RegexMatch", string="one fox\ntwo foxes", **inputs) is expected

    @pytest.mark.parametrize(
        ("mode", "group", "expected"),
        [
            ("First Match", 1, "a=1"),
            ("All Matches", 1, "a=1\nb=22"),
            ("First Group", 1, "a"),
            ("First Group", 2, "1"),
            ("First Group", 3, ""),
            ("All Groups", 2, "1\n22"),
            ("All Groups", 3, ""),
            ("All Groups", 0, "a=1\nb=22"),
        ],
    )
    def test_extracting(self, stub: comfystub.Stub, mode: str, group: int, expected: str) -> None:
        inputs = {"regex_pattern": r"(\w)=(\d+)", "mode": mode, "group_index": group}
        assert value(stub, "RegexExtract", string="a=1, b=22", **inputs) == expected

    def test_extracting_nothing(self, stub: comfystub.Stub) -> None:
        assert value(stub, "RegexExtract", string="a", regex_pattern="b", mode="First Match") == ""

    @pytest.mark.parametrize(("count", "expected"), [(0, "<a> <b> <c>"), (2, "<a> <b> c")])
    def test_replacing(self, stub: comfystub.Stub, count: int, expected: str) -> None:
        inputs = {"regex_pattern": r"(\w)", "replace": r"<\1>", "count": count}
        assert value(stub, "RegexReplace", string="a b c", **inputs) == expected


class TestJson:
    @pytest.mark.parametrize(
        ("text", "key", "expected"),
        [
            ('Here: ```json\n{"a": "x", "b": 2}\n```', "b", "2"),
            ('{not json} {"a": "x"}', "a", "x"),
            ('{"a": {"b": true}}', "a", "{'b': True}"),
            ('{"a": null}', "a", ""),
            ('{"a": 1}', "b", ""),
            ("[1, 2]", "a", ""),
        ],
    )
    def test_a_value_of_the_first_object(
        self, stub: comfystub.Stub, text: str, key: str, expected: str
    ) -> None:
        assert value(stub, "JsonExtractString", json_string=text, key=key) == expected

    @pytest.mark.parametrize("style", ["none", "photo"])
    def test_a_prompt_for_ideogram_as_text(self, stub: comfystub.Stub, style: str) -> None:
        described = {"style.photo": "35mm"} if style == "photo" else {}
        inputs = {"high_level_description": "a fox, naïve", "background": "snow", "lighting": "dusk"}
        graph = graph_around("BuildJsonPromptIdeogram", style=style, **described, **inputs)
        graph = {**graph, "built": graph["x"], "x": node("ConvertDictionaryToString", indent=0)}
        graph["x"]["inputs"]["dictionary"] = ["built", 0]
        [[text]] = watched(stub, graph)
        built = json.loads(text)
        assert ("naïve" in text, "\n" in text) == (True, False)
        assert built["high_level_description"] == "a fox, naïve"
        assert built["compositional_deconstruction"] == {"background": "snow", "elements": []}
        assert built.get("style_description", {}).get("photo") == (None if style == "none" else "35mm")

    def test_an_array_as_text(self, stub: comfystub.Stub) -> None:
        graph = graph_around("ConvertArrayToString", indent=1)
        boxes = [{"x": 0, "y": 0, "width": 512, "height": 256, "desc": "a fox"}]
        graph["boxes"] = node(
            "CreateBoundingBoxes", width=1024, height=512, editor_state={"__value__": boxes}
        )
        graph["x"]["inputs"]["array"] = ["boxes", 2]
        [[text]] = watched(stub, graph)
        assert json.loads(text) == [{"type": "obj", "bbox": [0, 0, 500, 500], "desc": "a fox"}]
        assert text.startswith("[\n {")


class TestSaving:
    def save(self, text: str, kind: str) -> tuple[comfystub.Job, str]:
        graph = {
            "t": node("PrimitiveString", value=text),
            "s": node("SaveText", text=["t", 0], filename_prefix="notes/day", format=kind),
        }
        with comfystub.patch(URL) as stub:
            job = run(stub, graph)
            return job, (stub.output_dir / "notes" / f"day_00001_.{kind}").read_text("utf-8")

    @pytest.mark.parametrize("kind", ["txt", "csv", "md", "json"])
    def test_the_file_and_what_is_shown(self, kind: str) -> None:
        job, saved = self.save("füchse", kind)
        file = {"filename": f"day_00001_.{kind}", "subfolder": "notes", "type": "output"}
        assert saved == "füchse"
        assert job.ui == {"s": {"files": [file], "text": ["füchse"]}}

    def test_json_is_set_out_in_lines(self) -> None:
        assert self.save('{"a":[1]}', "json")[1] == '{\n  "a": [\n    1\n  ]\n}'
        assert self.save('{"a":[1]}', "txt")[1] == '{"a":[1]}'

    def test_a_client_can_fetch_it(self) -> None:
        graph = {"t": node("PrimitiveString", value="hello"), "s": node("SaveText", text=["t", 0])}
        graph["s"]["inputs"] |= {"filename_prefix": "a", "format": "txt"}
        with comfystub.patch(URL) as stub, stub.client() as client:
            run(stub, graph)
            assert client.get("/view", params=stub.jobs[0].ui["s"]["files"][0]).text == "hello"
            assert client.get("/api/jobs").json()["jobs"][0]["preview_output"]["filename"] == "a_00001_.txt"


class TestOverlay:
    def drawn(self, stub: comfystub.Stub, **inputs: Any) -> tuple[int, int, int, int] | None:
        """The smallest box around what a text changed of a picture."""
        graph = graph_around("TextOverlay", **inputs)
        graph["x"]["inputs"]["images"] = ["picture", 0]
        graph["picture"] = node("EmptyImage", width=200, height=100, batch_size=1, color=0x404040)
        [[pictures]] = watched(stub, graph)
        return ImageChops.difference(pictures[0].pixels(), Image.new("RGB", (200, 100), 0x404040)).getbbox()

    @pytest.mark.parametrize(
        ("position", "align", "place"),
        [("top", "left", (0, 0)), ("bottom", "right", (1, 1)), ("top", "right", (1, 0))],
    )
    def test_where_it_is_drawn(
        self, stub: comfystub.Stub, position: str, align: str, place: tuple[int, int]
    ) -> None:
        box = self.drawn(stub, text="fox", font_size=10.0, position=position, align=align)
        assert box is not None
        left, top, right, bottom = box
        assert (left > 100, top > 50) == (right > 100, bottom > 50) == (place[0] == 1, place[1] == 1)

    def test_lines_make_it_higher_and_longer_ones_wider(self, stub: comfystub.Stub) -> None:
        boxes = [self.drawn(stub, text=text, font_size=10.0) for text in ("fox", "fox\nfox", "fox fox")]
        widths, heights = zip(*((box[2] - box[0], box[3] - box[1]) for box in boxes if box))
        assert heights[1] > 1.5 * heights[0]
        assert widths[2] > 1.5 * widths[0]

    def test_without_a_text_nothing_changes(self, stub: comfystub.Stub) -> None:
        assert self.drawn(stub, text=" ") is None

    def test_its_colour(self, stub: comfystub.Stub) -> None:
        graph = graph_around("TextOverlay", text="MMM", font_size=50.0, color="#ff0000", outline=False)
        [[pictures]] = watched(stub, graph)
        red = [pixel for _, pixel in pictures[0].pixels().getcolors(1 << 16) if pixel == (255, 0, 0)]
        assert red
