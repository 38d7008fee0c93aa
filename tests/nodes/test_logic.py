"""Primitives, switches, numbers, sums, boxes and curves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import comfystub
from nodes.graphs import Graph, graph_around, node, run, watched

URL = "http://comfy.test:8188"


@pytest.fixture(scope="module")
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


def values(stub: comfystub.Stub, name: str, **inputs: Any) -> list[Any]:
    """What the outputs of a node give."""
    return [given[0] for given in watched(stub, graph_around(name, **inputs))]


def error_of(stub: comfystub.Stub, graph: Graph) -> Any:
    with stub.client() as client:
        client.post("/prompt", json={"prompt": {**graph, "p": node("PreviewAny", source=["x", 0])}})
    return stub.jobs[-1].error


class TestPrimitives:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("PrimitiveInt", 7),
            ("PrimitiveFloat", 0.5),
            ("PrimitiveString", "a"),
            ("PrimitiveStringMultiline", "a\nb"),
            ("PrimitiveBoolean", True),
        ],
    )
    def test_a_primitive_gives_its_value(self, stub: comfystub.Stub, name: str, value: Any) -> None:
        assert values(stub, name, value=value) == [value]

    def test_a_whole_float_stays_one(self, stub: comfystub.Stub) -> None:
        assert type(values(stub, "PrimitiveFloat", value=2)[0]) is float

    def test_a_seed(self, stub: comfystub.Stub) -> None:
        assert values(stub, "SeedNode", seed=2**62) == [2**62]

    def test_a_choice_of_ones_own(self, stub: comfystub.Stub) -> None:
        assert values(stub, "CustomCombo", choice="Turbo", index=3, option1="Quality") == ["Turbo", 3]


class TestLogic:
    @pytest.mark.parametrize(("value", "expected"), [(0, True), ("", True), ("a", False), (False, True)])
    def test_not(self, stub: comfystub.Stub, value: Any, expected: bool) -> None:
        assert values(stub, "ComfyNotNode", value=value) == [expected]

    @pytest.mark.parametrize(
        ("given", "both", "either"),
        [((1, "a"), True, True), ((1, 0), False, True), ((0, ""), False, False), ((2,), True, True)],
    )
    def test_and_and_or(self, stub: comfystub.Stub, given: tuple[Any, ...], both: bool, either: bool) -> None:
        inputs = {f"values.value{index}": value for index, value in enumerate(given)}
        found = [values(stub, name, **inputs) for name in ("ComfyAndNode", "ComfyOrNode")]
        assert found == [[both], [either]]

    @pytest.mark.parametrize(("on", "branch", "other"), [(True, "yes", "no"), (False, "no", "yes")])
    def test_a_switch_runs_the_chosen_branch_alone(
        self, stub: comfystub.Stub, on: bool, branch: str, other: str
    ) -> None:
        graph = {
            "x": node("ComfySwitchNode", switch=on, on_true=["yes", 0], on_false=["no", 0]),
            "yes": node("PrimitiveString", value=f"yes {on}"),
            "no": node("PrimitiveString", value=f"no {on}"),
        }
        assert watched(stub, graph) == [[f"{branch} {on}"]]
        nodes = [own for kind, own in stub.jobs[-1].marks if kind == "executing"]
        assert branch in nodes
        assert other not in nodes

    def test_a_list_is_made_of_all_that_is_linked(self, stub: comfystub.Stub) -> None:
        graph = {
            "x": node("CreateList", **{"inputs.input0": ["pair", 0], "inputs.input1": ["three", 0]}),
            "pair": node("CreateList", **{"inputs.input0": ["one", 0], "inputs.input1": ["two", 0]}),
            **{name: node("PrimitiveInt", value=n) for n, name in enumerate(("one", "two", "three"), 1)},
        }
        assert watched(stub, graph) == [[1, 2, 3]]


class TestNumbers:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (3, [3.0, 3]),
            (-2.9, [-2.9, -2]),
            (" 12 ", [12.0, 12]),
            ("9007199254740993", [9007199254740992.0, 9007199254740993]),
            ("1.5e1", [15.0, 15]),
            (True, [1.0, 1]),
        ],
    )
    def test_converting(self, stub: comfystub.Stub, value: Any, expected: list[Any]) -> None:
        found = values(stub, "ComfyNumberConvert", value=value)
        assert (found, [type(one) for one in found]) == (expected, [float, int])

    @pytest.mark.parametrize("value", ["", "a fox", "inf", "nan"])
    def test_what_is_no_number_fails(self, stub: comfystub.Stub, value: str) -> None:
        error = error_of(stub, graph_around("ComfyNumberConvert", value=value))
        assert (error["node_id"], error["exception_type"]) == ("x", "ValueError")

    @pytest.mark.parametrize(
        ("ratio", "megapixels", "multiple", "size"),
        [
            ("1:1 (Square)", 1.0, 8, [1024, 1024]),
            ("16:9 (Widescreen)", 1.0, 8, [1368, 768]),
            ("9:16 (Portrait Widescreen)", 1.0, 64, [768, 1344]),
            ("3:2 (Photo)", 0.25, 8, [624, 416]),
            ("21:9 (Ultrawide)", 2.0, 16, [2208, 944]),
        ],
    )
    def test_a_resolution(
        self, stub: comfystub.Stub, ratio: str, megapixels: float, multiple: int, size: list[int]
    ) -> None:
        inputs = {"aspect_ratio": ratio, "megapixels": megapixels, "multiple": multiple}
        assert values(stub, "ResolutionSelector", **inputs) == size

    def test_a_colour(self, stub: comfystub.Stub) -> None:
        assert values(stub, "ColorToRGBInt", color="#FF5733") == [0xFF5733, "#FF5733", 1.0]
        assert values(stub, "ColorToRGBInt", color="#01020333") == [0x010203, "#010203", 0.2]

    @pytest.mark.parametrize("color", ["#fff", "FF5733", "#GG5733", "#FF57331"])
    def test_what_is_no_colour_fails(self, stub: comfystub.Stub, color: str) -> None:
        assert error_of(stub, graph_around("ColorToRGBInt", color=color))["exception_type"] == "ValueError"


class TestMath:
    def evaluated(self, stub: comfystub.Stub, expression: str, **given: float) -> list[Any]:
        inputs = {f"values.{name}": value for name, value in given.items()}
        return values(stub, "ComfyMathExpression", expression=expression, **inputs)

    @pytest.mark.parametrize(
        ("expression", "expected"),
        [
            ("a + b", 11.5),
            ("max(((a + 15) // 16) * 16, 256)", 256),
            ("a * b + 1", 29.0),
            ("a % 3 - -b", 5.5),
            ("a ** 2 / 4", 16.0),
            ("(a > b) + (b >= 3.5) * 2 + (a == 8) * 4 + (a != 8) * 8", 7),
            ("1 < b < a <= 8", True),
            ("not a", False),
            ("a and b", 3.5),
            ("a - 8 or b", 3.5),
            ("a if b > 9 else b", 3.5),
            ("sum(values) + min(values) + max(a, b, 9)", 24.0),
            ("round(b) + floor(b) + ceil(b) + int(b) + abs(-a)", 22),
            ("sqrt(2 * a) + pow(2, 3) + log2(a) + log10(100) + log(1)", 17.0),
            ("sin(0) + cos(0) + tan(0) + float(a)", 9.0),
            (" a\n", 8),
        ],
    )
    def test_expressions(self, stub: comfystub.Stub, expression: str, expected: float) -> None:
        found = self.evaluated(stub, expression, a=8, b=3.5)
        assert found == [float(expected), int(expected), bool(expected)]
        assert [type(one) for one in found] == [float, int, bool]

    def test_the_integer_is_cut_off(self, stub: comfystub.Stub) -> None:
        assert self.evaluated(stub, "-a", a=2.9) == [-2.9, -2, True]

    @pytest.mark.parametrize(
        ("expression", "kind", "says"),
        [
            ("", "ValueError", "empty"),
            (" ", "ValueError", "empty"),
            ("a +", "ValueError", "Invalid expression"),
            ("a / 0", "ZeroDivisionError", "division"),
            ("b", "ValueError", "b is not known"),
            ("'a'", "ValueError", "'a' is not known"),
            ("a.real", "ValueError", "a.real is not known"),
            ("__import__('os')", "ValueError", "is not known"),
            ("(lambda: 1)()", "ValueError", "is not known"),
            ("[a][0]", "ValueError", "is not known"),
            ("a in values", "ValueError", "is not known"),
            ("round(a, ndigits=1)", "ValueError", "is not known"),
            ("values", "ValueError", "no number"),
            ("values * 9", "ValueError", "is not known"),
            ("(0 - a) ** 0.5", "ValueError", "no number"),
            ("9 ** 9 ** 9", "ValueError", "too large"),
            ("1e308 * 10", "ValueError", "not finite"),
            ("10 ** 400", "OverflowError", "too large"),
        ],
    )
    def test_what_cannot_be_worked_out(
        self, stub: comfystub.Stub, expression: str, kind: str, says: str
    ) -> None:
        graph = graph_around("ComfyMathExpression", expression=expression, **{"values.a": 2})
        error = error_of(stub, graph)
        assert (error["node_id"], error["exception_type"]) == ("x", kind)
        assert says in error["exception_message"]


class TestDrawing:
    def test_a_bounding_box(self, stub: comfystub.Stub) -> None:
        box = {"x": 1, "y": 2, "width": 3, "height": 4}
        assert values(stub, "PrimitiveBoundingBox", **box) == [box]

    def test_boxes_that_were_drawn(self, stub: comfystub.Stub) -> None:
        box = {"x": 64, "y": 0, "width": 128, "height": 64}
        state = [{**box, "type": "text", "text": "HI", "desc": "a sign", "palette": ["#ff0000"]}]
        graph = graph_around("CreateBoundingBoxes", width=256, height=128, editor_state={"__value__": state})
        [preview], [boxes], [elements] = watched(stub, graph)
        assert (preview[0].size, boxes) == ((256, 128), [box])
        assert elements == [
            {
                "type": "text",
                "bbox": [0, 250, 500, 750],
                "text": "HI",
                "desc": "a sign",
                "color_palette": ["#ff0000"],
            }
        ]
        inside, edge = preview[0].pixels().getpixel((100, 30)), preview[0].pixels().getpixel((64, 30))
        assert inside != edge
        shown = stub.jobs[-1].outputs[0]
        assert (shown.type, shown.image.size) == ("temp", (256, 128))

    @pytest.mark.parametrize("upstream", ['[{"x": 8, "width": 16, "height": 16}]', "no JSON"])
    def test_boxes_that_came_over_a_link(self, stub: comfystub.Stub, upstream: str) -> None:
        graph = graph_around("CreateBoundingBoxes", width=64, height=64, bboxes=upstream)
        expected = [{"x": 8, "y": 0, "width": 16, "height": 16}] if upstream.startswith("[") else []
        assert watched(stub, graph)[1] == [expected]

    def test_boxes_are_drawn_over_the_background(self, stub: comfystub.Stub) -> None:
        graph = graph_around("CreateBoundingBoxes", width=64, height=64)
        graph["behind"] = node("EmptyImage", width=8, height=8, batch_size=1, color=0x102030)
        graph["x"]["inputs"]["background"] = ["behind", 0]
        [preview], _, _ = watched(stub, graph)
        assert preview[0].pixels().getcolors() == [(64 * 64, (0x10, 0x20, 0x30))]

    def test_histograms(self, stub: comfystub.Stub) -> None:
        graph = graph_around("ImageHistogram")
        graph["picture"] = node("EmptyImage", width=10, height=6, batch_size=2, color=0xFF8000)
        graph["x"]["inputs"]["image"] = ["picture", 0]
        rgb, luminance, red, green, blue = (given[0] for given in watched(stub, graph))
        assert [len(counts) for counts in (rgb, luminance, red, green, blue)] == [256] * 5
        assert (red[255], green[128], blue[0]) == (60, 60, 60)
        assert (rgb[255], rgb[128], rgb[0], luminance[146]) == (20, 20, 20, 60)

    def test_a_curve_shows_what_it_is_drawn_over(self, stub: comfystub.Stub) -> None:
        curve = {"points": [[0, 0], [1, 1]], "interpolation": "linear"}
        graph = graph_around("CurveEditor", curve={"__value__": curve})
        assert watched(stub, graph) == [[curve]]
        assert stub.jobs[-1].ui == {}
        graph |= {"h": node("ImageHistogram", image=["e", 0]), "e": node("EmptyImage", width=8, height=8)}
        graph["e"]["inputs"] |= {"batch_size": 1, "color": 0}
        graph["x"]["inputs"]["histogram"] = ["h", 0]
        graph["p"] = node("PreviewAny", source=["x", 0])
        assert run(stub, graph).ui["x"] == {"histogram": [[64] + [0] * 255]}
