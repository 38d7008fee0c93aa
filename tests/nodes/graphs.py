"""A graph around a node of any class of the catalogue, which fills or links every input that it wants."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator
from typing import Any

import comfystub
from comfystub.nodes.catalogue import Catalogue, builtin
from comfystub.nodes.invocation import Invocation, Result
from comfystub.nodes.schema import AUTOGROW, DYNAMIC_COMBO, Input, NodeClass

Graph = dict[str, Any]

#: Types whose values a client sends; a value that is linked has any other.
PLAIN = {"INT": 0, "FLOAT": 0.0, "STRING": "", "BOOLEAN": False, "LOAD_3D": {}, "IMAGECOMPARE": {}}

#: Where values of a type come from: a class, and the number of its output.  Others are looked for.
SOURCES = {
    "*": ("PrimitiveString", 0),
    "AUDIO": ("EmptyAudio", 0),
    "CLIP": ("CheckpointLoaderSimple", 1),
    "COMFY_MATCHTYPE_V3": ("EmptyImage", 0),
    "CONDITIONING": ("CLIPTextEncode", 0),
    # No class gives a point cloud but those that want one.
    "FILE_3D_PLY": ("CreateList", 0),
    "IMAGE": ("EmptyImage", 0),
    "LATENT": ("EmptyLatentImage", 0),
    "MASK": ("SolidMask", 0),
    "MODEL": ("CheckpointLoaderSimple", 0),
    "SIGMAS": ("BasicScheduler", 0),
    "VAE": ("CheckpointLoaderSimple", 2),
    "VIDEO": ("CreateVideo", 0),
}

#: Values in place of defaults: small pictures, and files that are there.
VALUES: dict[str, Graph] = {
    "ComfyMathExpression": {"expression": "a"},
    "EmptyImage": {"width": 64, "height": 48},
    "EmptyLatentImage": {"width": 64, "height": 64},
    "LoadAudio": {"audio": "sound.flac"},
    "LoadImageOutput": {"image": "picture_00001_.png [output]"},
    "LoadLatent": {"latent": "one.latent"},
    "LoadVideo": {"file": "film.mp4"},
    "RecordAudio": {"audio": "sound.flac"},
    "StringFormat": {"f_string": "no value"},
    "SolidMask": {"width": 64, "height": 48},
    "WebcamCapture": {"image": "example.png"},
}

#: Inputs that are called optional, and without which a node fails all the same.
WANTED_AS_WELL = {"SAM3_VideoTrack": {"initial_mask"}}

SPY = "SpyOfTheTests"


def node(class_type: str, **inputs: Any) -> Graph:
    return {"class_type": class_type, "inputs": inputs}


def graph_around(name: str, **inputs: Any) -> Graph:
    """A graph whose node ``"x"`` is of this class, with these inputs and whatever else it wants."""
    builder = _Builder()
    builder.add("x", name, inputs)
    return builder.graph


def prepare(stub: comfystub.Stub) -> None:
    """Have the files that ``VALUES`` names: what the server saves, in its input folder."""
    savers = {
        "SaveAudio": ("sound.flac", {"filename_prefix": "sound"}),
        "SaveImage": ("picture.png", {"filename_prefix": "picture"}),
        "SaveLatent": ("one.latent", {"filename_prefix": "one"}),
        "SaveVideo": ("film.mp4", {"filename_prefix": "film"}),
    }
    builder = _Builder()
    for name, (_, inputs) in savers.items():
        builder.add(name, name, inputs)
    run(stub, builder.graph)
    folder = stub.input_dir / "3d"
    folder.mkdir()
    for output in stub.jobs[-1].outputs:
        shutil.copy(output.path, stub.input_dir / savers[builder.graph[output.node_id]["class_type"]][0])
    for name in ("film.mp4", "example.png"):
        shutil.copy(stub.input_dir / name, folder)


def run(stub: comfystub.Stub, graph: Graph) -> comfystub.Job:
    """Run a graph to its end, which must be a good one."""
    with stub.client() as client:
        answer = client.post("/prompt", json={"prompt": graph})
    assert answer.status_code == 200, answer.text
    job = stub.jobs[-1]
    assert job.error is None, job.error
    return job


def watched(stub: comfystub.Stub, graph: Graph) -> list[Any]:
    """Run a graph to its end; what the outputs of its node ``"x"`` give, each as a list."""
    slots = len(_class(graph["x"]["class_type"]).output)
    seen: list[Any] = []
    if slots:
        stub._engine.known.catalogue.add(_spy(slots, seen))
        links = {f"value{slot}": ["x", slot] for slot in range(slots)}
        # Another input each time, lest the server should find that it has run already.
        graph = {**graph, "spy": node(SPY, turn=len(stub.jobs), **links)}
    run(stub, graph)
    return seen


def _spy(slots: int, seen: list[Any]) -> NodeClass:
    """An output node that notes what it is given."""

    def note(run: Invocation) -> Result:
        seen[:] = [run.inputs[f"value{slot}"] for slot in range(slots)]
        return Result()

    inputs = {f"value{slot}": ["*", {}] for slot in range(slots)}
    entry = {"input": {"optional": inputs}, "output_node": True, "is_input_list": True}
    return NodeClass(SPY, entry, note)


def _class(name: str) -> NodeClass:
    found = builtin(name)
    assert found is not None, name
    return found


@functools.cache
def producers() -> dict[str, list[tuple[str, int]]]:
    """Type to the classes that give it, and with which output; those that want least come first."""
    found: dict[str, list[tuple[int, str, int]]] = {}
    for name in Catalogue():
        node_class = _class(name)
        wants = sum(_is_linked(wanted) for wanted in node_class.inputs({}) if wanted.required)
        for slot, kind in enumerate(node_class.output):
            if isinstance(kind, str):
                found.setdefault(kind, []).append((wants, name, slot))
    return {kind: [(name, slot) for _, name, slot in sorted(all_)] for kind, all_ in found.items()}


def _is_linked(wanted: Input) -> bool:
    kind = wanted.type
    if not isinstance(kind, str) or "default" in wanted.config or kind in PLAIN:
        return False
    return kind not in ("COMBO", DYNAMIC_COMBO, AUTOGROW)


class _Builder:
    """A graph in the making; nodes that give a type are shared."""

    def __init__(self) -> None:
        self.graph: Graph = {}
        self._sources: dict[str, list[Any]] = {}
        self._wanted: list[str] = []

    def add(self, node_id: str, name: str, given: Graph) -> None:
        """Add a node and all that it needs."""
        node_class = _class(name)
        inputs = {**VALUES.get(name, {}), **given}
        self.graph[node_id] = {"class_type": name, "inputs": inputs}
        while missing := list(self._missing(node_class, inputs)):
            for wanted in missing:
                inputs[wanted.name] = self._value(wanted)

    def _missing(self, node_class: NodeClass, inputs: Graph) -> Iterator[Input]:
        as_well = WANTED_AS_WELL.get(node_class.name, ())
        for wanted in node_class.inputs(inputs):
            if wanted.name not in inputs and (wanted.required or wanted.name in as_well):
                yield wanted

    def _value(self, wanted: Input) -> Any:
        if _is_linked(wanted):
            return self._link(wanted.type)
        config, choices = wanted.config, wanted.choices
        if wanted.type == DYNAMIC_COMBO:
            return config.get("default", config["options"][0]["key"])
        if isinstance(choices, dict):
            return "example.png" if choices["$files"] == ["input"] else "any.safetensors"
        if choices is not None:
            first = choices[0] if choices else "anything"
            return [first] if config.get("multiselect") else config.get("default", first)
        value = config.get("default", PLAIN.get(wanted.type))
        if wanted.type in ("INT", "FLOAT"):
            return min(max(value, config.get("min", value)), config.get("max", value))
        return {"__value__": value} if isinstance(value, (list, dict)) else value

    def _link(self, kinds: str) -> list[Any]:
        for kind in kinds.split(","):
            if kind in self._sources:
                return self._sources[kind]
        for kind in kinds.split(","):
            for name, slot in [SOURCES[kind]] if kind in SOURCES else producers().get(kind, ()):
                if name not in self._wanted:
                    node_id = str(len(self.graph))
                    self._wanted.append(name)
                    self.add(node_id, name, {})
                    self._wanted.remove(name)
                    return self._sources.setdefault(kind, [node_id, slot])
        raise LookupError(f"nothing gives {kinds}")
