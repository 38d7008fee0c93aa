"""Node classes that a test defines in Python."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image, ImageOps

import comfystub

URL = "http://comfy.test:8188"
Graph = dict[str, Any]


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


def node(class_type: str, **inputs: Any) -> Graph:
    return {"class_type": class_type, "inputs": inputs}


EMPTY = node("EmptyImage", width=40, height=30, batch_size=2, color=0x204060)
SAVE = node("SaveImage", images=["x", 0], filename_prefix="p")


def submit(stub: comfystub.Stub, graph: Graph, **body: Any) -> Any:
    with stub.client() as client:
        return client.post("/prompt", json={"prompt": graph, **body}).json()


def run(stub: comfystub.Stub, graph: Graph) -> comfystub.Job:
    answer = submit(stub, graph)
    assert "error" not in answer
    stub.finish()
    return stub.jobs[-1]


def upscale(image: list[Image.Image], factor: float) -> list[Image.Image]:
    return [ImageOps.scale(picture, factor) for picture in image]


class TestRunning:
    def test_pictures_go_in_and_out_as_pillow_images(self, stub: comfystub.Stub) -> None:
        inputs = {"image": "IMAGE", "factor": ("FLOAT", {"default": 2.0, "max": 4.0})}
        stub.add_node("MyUpscaler", upscale, inputs=inputs, outputs=["IMAGE"])
        job = run(stub, {"e": EMPTY, "x": node("MyUpscaler", image=["e", 0], factor=1.5), "s": SAVE})
        assert [output.image.size for output in job.outputs] == [(60, 45)] * 2

    def test_its_inputs_are_judged_as_any_others(self, stub: comfystub.Stub) -> None:
        inputs = {"image": "IMAGE", "factor": ("FLOAT", {"max": 4.0}), "mode": ["fast", "good"]}
        stub.add_node("MyUpscaler", upscale, inputs=inputs, outputs="IMAGE")
        bad = {"e": EMPTY, "x": node("MyUpscaler", image=["e", 0], factor=9, mode="slow"), "s": SAVE}
        errors = submit(stub, bad)["node_errors"]["x"]["errors"]
        assert sorted(error["type"] for error in errors) == ["value_bigger_than_max", "value_not_in_list"]

    def test_optional_and_hidden_inputs(self, stub: comfystub.Stub) -> None:
        seen: list[dict[str, Any]] = []
        inputs = {
            "required": {"text": ("STRING", {})},
            "optional": {"extra": ("INT", {"default": 3})},
            "hidden": {"me": "UNIQUE_ID", "whole": "PROMPT"},
        }
        stub.add_node("Look", lambda **given: seen.append(given), inputs=inputs)
        graph = {"7": node("Look", text=5, unheard_of=1)}
        run(stub, graph)
        assert seen == [{"text": "5", "me": "7", "whole": {"7": node("Look", text="5", unheard_of=1)}}]

    def test_several_outputs(self, stub: comfystub.Stub) -> None:
        def split(value: int) -> tuple[int, str]:
            return value + 1, f"<{value}>"

        stub.add_node("Split", split, inputs={"value": "INT"}, outputs={"next": "INT", "shown": "STRING"})
        graph = {"a": node("Split", value=4), "1": node("PreviewAny", source=["a", 0])}
        graph["2"] = node("PreviewAny", source=["a", 1])
        assert run(stub, graph).status == "completed"
        assert stub.jobs[-1].ui == {"1": {"text": ["5"]}, "2": {"text": ["<4>"]}}
        with stub.client() as client:
            info = client.get("/object_info/Split").json()["Split"]
        assert (info["output"], info["output_name"], info["output_node"]) == (
            ["INT", "STRING"],
            ["next", "shown"],
            False,
        )

    def test_masks(self, stub: comfystub.Stub) -> None:
        def half(mask: list[Image.Image]) -> Image.Image:
            assert [one.mode for one in mask] == ["L"]
            return Image.new("L", mask[0].size, 128)

        stub.add_node("Half", half, inputs={"mask": "MASK"}, outputs=["MASK"])
        graph = {
            "m": node("SolidMask", value=1.0, width=24, height=16),
            "h": node("Half", mask=["m", 0]),
            "x": node("MaskToImage", mask=["h", 0]),
            "s": SAVE,
        }
        picture = run(stub, graph).outputs[0].image.convert("L")
        assert (picture.size, picture.getpixel((3, 3))) == ((24, 16), 128)

    def test_progress(self, stub: comfystub.Stub) -> None:
        def slow(n: int) -> Iterator[tuple[int, int]]:
            for step in range(1, n + 1):
                yield step, n

        stub.add_node("Slow", slow, inputs={"n": "INT"})
        job = run(stub, {"1": node("Slow", n=3)})
        progress = [event.data for event in job.events if event.type == "progress"]
        assert [(data["value"], data["max"], data["node"]) for data in progress] == [
            (1, 3, "1"),
            (2, 3, "1"),
            (3, 3, "1"),
        ]

    def test_what_it_raises_is_the_jobs_error(self, stub: comfystub.Stub) -> None:
        def fail() -> None:
            raise RuntimeError("no such thing")

        stub.add_node("Fail", fail)
        error = run(stub, {"1": node("Fail")}).error
        assert error is not None
        assert (error["node_type"], error["exception_message"]) == ("Fail", "no such thing\n")

    @pytest.mark.parametrize("answer", [None, (), (1, 2), {"result": (1, 2)}], ids=str)
    def test_as_many_values_as_outputs(self, stub: comfystub.Stub, answer: Any) -> None:
        stub.add_node("One", lambda: answer, outputs=["INT"])
        error = run(stub, {"1": node("One"), "2": node("PreviewAny", source=["1", 0])}).error
        assert error is not None
        assert "One has 1 outputs" in error["exception_message"]

    def test_it_is_cached_as_any_other(self, stub: comfystub.Stub) -> None:
        calls: list[int] = []
        stub.add_node("Count", lambda n: calls.append(n), inputs={"n": "INT"})
        for n in (1, 1, 2):
            run(stub, {"1": node("Count", n=n)})
        assert calls == [1, 2]


class TestShowing:
    def test_pictures_and_files_are_saved(self, stub: comfystub.Stub, tmp_path: pathlib.Path) -> None:
        clip = tmp_path / "clip.mp4"
        clip.write_bytes(b"not really a film")

        def combine(images: list[Image.Image], filename_prefix: str) -> Any:
            return {"ui": {"gifs": [clip, images[0]], "note": "two"}, "result": ()}

        inputs = {"images": "IMAGE", "filename_prefix": "STRING"}
        stub.add_node("Combine", combine, inputs=inputs)
        job = run(stub, {"e": EMPTY, "c": node("Combine", images=["e", 0], filename_prefix="v/a")})
        film, picture = job.outputs
        assert (film.kind, film.filename, film.subfolder) == ("gifs", "a_00001_.mp4", "v")
        assert film.path.read_bytes() == clip.read_bytes()
        assert (picture.filename, picture.image.size) == ("a_00002_.png", (40, 30))
        assert job.ui["c"]["note"] == ["two"]

    def test_without_a_function_an_output_node_saves_what_came(self, stub: comfystub.Stub) -> None:
        stub.add_node("MySaver", inputs={"images": "IMAGE"})
        job = run(stub, {"e": EMPTY, "s": node("MySaver", images=["e", 0])})
        assert [output.filename for output in job.outputs] == ["ComfyUI_00001_.png", "ComfyUI_00002_.png"]

    def test_without_a_function_others_pass_on(self, stub: comfystub.Stub) -> None:
        stub.add_node("Pass", inputs={"image": "IMAGE"}, outputs=["IMAGE", "INT"])
        job = run(stub, {"e": EMPTY, "x": node("Pass", image=["e", 0]), "s": SAVE})
        assert job.outputs[0].image.size == (40, 30)

    def test_an_output_node_may_have_outputs(self, stub: comfystub.Stub) -> None:
        stub.add_node("Show", lambda n: {"ui": {"text": [n]}, "result": (n,)}, inputs={"n": "INT"},
                      outputs=["INT"], output_node=True)  # fmt: skip
        assert run(stub, {"1": node("Show", n=3)}).outputs == []
        assert stub.jobs[-1].ui == {"1": {"text": [3]}}


class TestReplacing:
    def test_what_a_class_of_comfyuis_does(self, stub: comfystub.Stub) -> None:
        def blank(image: list[Image.Image], **_: Any) -> Image.Image:
            return Image.new("RGB", (8, 8), "white")

        stub.add_node("ImageInvert", blank)
        job = run(stub, {"e": EMPTY, "x": node("ImageInvert", image=["e", 0]), "s": SAVE})
        assert job.outputs[0].image.size == (8, 8)

    def test_a_whole_class(self, stub: comfystub.Stub) -> None:
        stub.add_node("ImageInvert", lambda n: n, inputs={"n": "INT"}, outputs=["INT"])
        stub.add_node("ImageInvert", lambda s: s * 2, inputs={"s": "STRING"}, outputs=["STRING"])
        run(stub, {"a": node("ImageInvert", s="x"), "b": node("PreviewAny", source=["a", 0])})
        assert stub.jobs[-1].ui == {"b": {"text": ["xx"]}}

    def test_in_one_stub_alone(self, stub: comfystub.Stub) -> None:
        stub.add_node("Mine", lambda: None)
        with comfystub.patch("http://other.test:8188") as other, other.client() as client:
            assert client.get("/object_info/Mine").json() == {}

    def test_gone_after_a_reset(self, stub: comfystub.Stub) -> None:
        stub.add_node("Mine", lambda: None)
        stub.reset()
        with stub.client() as client:
            assert client.get("/object_info/Mine").json() == {}

    def test_in_the_whole_list(self, stub: comfystub.Stub) -> None:
        stub.add_node("Mine", lambda: None, category="mine/tests")
        with stub.client() as client:
            info = client.get("/object_info").json()
        assert (len(info), info["Mine"]["category"]) == (888, "mine/tests")


class TestLists:
    def test_a_node_runs_once_for_each_item(self, stub: comfystub.Stub) -> None:
        stub.add_node("Words", lambda text: text.split(), inputs={"text": "STRING"}, outputs=["STRING"],
                      output_is_list=[True])  # fmt: skip
        stub.add_node("Up", lambda text: text.upper(), inputs={"text": "STRING"}, outputs=["STRING"])
        graph = {"w": node("Words", text="a b c"), "u": node("Up", text=["w", 0])}
        graph["p"] = node("PreviewAny", source=["u", 0])
        run(stub, graph)
        assert stub.jobs[-1].ui == {"p": {"text": ["A", "B", "C"]}}

    def test_shorter_lists_repeat_their_last_item(self, stub: comfystub.Stub) -> None:
        stub.add_node(
            "Count", lambda n: (list(range(n)),), inputs={"n": "INT"}, outputs=["INT"], output_is_list=[True]
        )
        stub.add_node("Pair", lambda a, b: f"{a}{b}", inputs={"a": "INT", "b": "INT"}, outputs=["STRING"])
        graph = {"3": node("Count", n=3), "2": node("Count", n=2), "x": node("Pair", a=["3", 0], b=["2", 0])}
        graph["p"] = node("PreviewAny", source=["x", 0])
        run(stub, graph)
        assert stub.jobs[-1].ui == {"p": {"text": ["00", "11", "21"]}}

    def test_a_class_that_takes_lists_gets_them_whole(self, stub: comfystub.Stub) -> None:
        stub.add_node(
            "Count", lambda n: (list(range(n)),), inputs={"n": "INT"}, outputs=["INT"], output_is_list=[True]
        )
        stub.add_node("Sum", lambda n, sep: sep[0].join(map(str, n)), inputs={"n": "INT", "sep": "STRING"},
                      outputs=["STRING"], is_input_list=True)  # fmt: skip
        graph = {"c": node("Count", n=4), "s": node("Sum", n=["c", 0], sep="+")}
        graph["p"] = node("PreviewAny", source=["s", 0])
        run(stub, graph)
        assert stub.jobs[-1].ui == {"p": {"text": ["0+1+2+3"]}}

    def test_pictures_of_a_list_are_saved_one_by_one(self, stub: comfystub.Stub) -> None:
        sizes = [(8, 8), (16, 8)]
        stub.add_node("Make", lambda: ([Image.new("RGB", size) for size in sizes],), outputs=["IMAGE"],
                      output_is_list=[True])  # fmt: skip
        job = run(stub, {"x": node("Make"), "s": SAVE})
        assert [output.image.size for output in job.outputs] == sizes
        assert [output.filename for output in job.outputs] == ["p_00001_.png", "p_00002_.png"]

    def test_an_empty_list_runs_nothing(self, stub: comfystub.Stub) -> None:
        stub.add_node("None", lambda: ([],), outputs=["IMAGE"], output_is_list=[True])
        job = run(stub, {"x": node("None"), "s": SAVE})
        assert (job.status, job.outputs) == ("completed", [])

    def test_a_failing_nodes_inputs_are_shown_item_by_item(self, stub: comfystub.Stub) -> None:
        stub.add_node(
            "Count", lambda n: (list(range(n)),), inputs={"n": "INT"}, outputs=["INT"], output_is_list=[True]
        )
        stub.add_node("Divide", lambda n: 1 // n, inputs={"n": "INT"}, outputs=["INT"])
        graph = {
            "c": node("Count", n=2),
            "d": node("Divide", n=["c", 0]),
            "p": node("PreviewAny", source=["d", 0]),
        }
        error = run(stub, graph).error
        assert error is not None
        assert (error["exception_type"], error["current_inputs"]) == ("ZeroDivisionError", {"n": [0, 1]})


class TestLazyInputs:
    GRAPH = {
        "no": node("EmptyImage", width=8, height=8, batch_size=1, color=0),
        "yes": node("EmptyImage", width=16, height=8, batch_size=1, color=0),
        "flag": node("PrimitiveBoolean", value=True),
        "x": node("ComfySwitchNode", switch=["flag", 0], on_false=["no", 0], on_true=["yes", 0]),
        "s": SAVE,
    }

    def test_only_the_branch_that_is_wanted_runs(self, stub: comfystub.Stub) -> None:
        job = run(stub, self.GRAPH)
        assert job.outputs[0].image.size == (16, 8)
        began = [event.data["node"] for event in job.events if event.type == "executing"]
        assert began == ["flag", "x", "yes", "x", "s", None]
        last = [event.data for event in job.events if event.type == "progress_state"][-1]
        assert "no" not in last["nodes"]

    def test_a_branch_that_another_node_wants_runs_once(self, stub: comfystub.Stub) -> None:
        graph = {**self.GRAPH, "s2": node("SaveImage", images=["yes", 0], filename_prefix="q")}
        job = run(stub, graph)
        began = [event.data["node"] for event in job.events if event.type == "executing"]
        assert began.count("yes") == 1
        assert sorted(output.filename[0] for output in job.outputs) == ["p", "q"]

    def test_a_cached_branch_is_not_waited_for(self, stub: comfystub.Stub) -> None:
        run(stub, {"yes": self.GRAPH["yes"], "s": node("PreviewImage", images=["yes", 0])})
        job = run(stub, self.GRAPH)
        began = [event.data["node"] for event in job.events if event.type == "executing"]
        assert began == ["flag", "x", "s", None]

    def test_a_class_of_ones_own_wants_all(self, stub: comfystub.Stub) -> None:
        lazy = ("IMAGE", {"lazy": True})
        stub.add_node("Both", lambda a, b: [*a, *b], inputs={"a": lazy, "b": lazy}, outputs=["IMAGE"])
        graph = {**self.GRAPH, "x": node("Both", a=["no", 0], b=["yes", 0])}
        assert [output.image.size for output in run(stub, graph).outputs] == [(8, 8), (16, 8)]

    def test_switches_in_a_row(self, stub: comfystub.Stub) -> None:
        inner = node("ComfySwitchNode", switch=False, on_false=["no", 0], on_true=["yes", 0])
        outer = node("ComfySwitchNode", switch=True, on_false=["yes", 0], on_true=["inner", 0])
        job = run(stub, {**self.GRAPH, "inner": inner, "x": outer})
        assert job.outputs[0].image.size == (8, 8)
        assert [e.data["node"] for e in job.events if e.type == "executing"][:5] == [
            "x",
            "inner",
            "no",
            "inner",
            "x",
        ]


class TestWhatIsRefused:
    @pytest.mark.parametrize("inputs", [5, {"a": 5}, {"a": ()}, {"a": ("INT", {}, 1)}, ["a"]], ids=str)
    def test_inputs(self, stub: comfystub.Stub, inputs: Any) -> None:
        with pytest.raises(TypeError, match=r"inputs=|input 'a'"):
            stub.add_node("Bad", inputs=inputs)

    def test_outputs(self, stub: comfystub.Stub) -> None:
        with pytest.raises(TypeError, match="outputs= takes types"):
            stub.add_node("Bad", outputs=[5])  # type: ignore[list-item]
