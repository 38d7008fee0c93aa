"""Nodes that find things in pictures: how much they find, and what is drawn of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

import comfystub
from comfystub.media.video import probe
from nodes.graphs import Graph, graph_around, node, run, watched
from nodes.looking import BLACK, WHITE, color, graph_of, looks, outputs, pixels, solid

URL = "http://comfy.test:8188"


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


def empty(batch_size: int = 2, size: tuple[int, int] = (100, 80)) -> Graph:
    return node("EmptyImage", width=size[0], height=size[1], batch_size=batch_size, color=0x204060)


def given(stub: comfystub.Stub, name: str, source: Graph | None = None, **inputs: Any) -> list[Any]:
    """What each output of a node gives for two pictures of 100 x 80."""
    key = "images" if name == "SAM3_VideoTrack" else "image"
    graph = {**graph_around(name, **{key: ["source", 0]}, **inputs), "source": source or empty()}
    if inputs.get("conditioning"):
        graph["text"] = graph_around("CLIPTextEncode", text="a fox")["x"]
        graph["text"]["inputs"]["clip"] = ["model", 1]
        graph["model"] = node("CheckpointLoaderSimple", ckpt_name="a.safetensors")
    return [values[0] for values in watched(stub, graph)]


def white(mask: Image.Image) -> int:
    """How many pixels of a mask are white."""
    return sum(count for count, level in mask.getcolors(99999) if level == WHITE)


def lies_within(box: Graph, size: tuple[int, int] = (100, 80)) -> bool:
    ends = box["x"] + box["width"], box["y"] + box["height"]
    return min(box["x"], box["y"]) >= 0 and ends[0] <= size[0] and ends[1] <= size[1] and box["width"] > 0


class TestBoxes:
    def test_every_picture_has_a_list_of_boxes(self, stub: comfystub.Stub) -> None:
        [frames] = given(stub, "RTDETR_detect", empty(3))
        assert len(frames) == 3
        for boxes in frames:
            assert 1 <= len(boxes) <= 3
            assert [sorted(box) for box in boxes] == [["height", "label", "score", "width", "x", "y"]] * len(
                boxes
            )
            assert all(lies_within(box) and 0.5 < box["score"] <= 1 for box in boxes)
            assert boxes == sorted(boxes, key=lambda box: -box["score"])

    @pytest.mark.parametrize(
        ("inputs", "most"),
        [({"threshold": 1.0}, 0), ({"max_detections": 1}, 1), ({"max_detections": 0}, 0)],
        ids=str,
    )
    def test_thresholds(self, stub: comfystub.Stub, inputs: Graph, most: int) -> None:
        [frames] = given(stub, "RTDETR_detect", **inputs)
        assert [len(boxes) for boxes in frames] == [most] * 2

    def test_one_class_is_looked_for(self, stub: comfystub.Stub) -> None:
        [frames] = given(stub, "RTDETR_detect", class_name="zebra")
        assert {box["label"] for boxes in frames for box in boxes} == {"zebra"}

    def test_boxes_can_be_seen_as_text(self, stub: comfystub.Stub) -> None:
        graph = {**graph_around("RTDETR_detect"), "p": node("PreviewAny", source=["x", 0])}
        [text] = run(stub, graph).ui["p"]["text"]
        assert text.startswith("[[{") and '"score"' in text

    BOX = {"x": 2, "y": 3, "width": 10, "height": 12}

    @pytest.mark.parametrize(
        ("boxes", "drawn"),
        [
            (BOX, [True, True]),
            ([BOX], [True, True]),
            ([[BOX], []], [True, False]),
            ([], [False, False]),
            ("no boxes", [False, False]),
        ],
    )
    def test_boxes_are_drawn(self, stub: comfystub.Stub, boxes: Any, drawn: list[bool]) -> None:
        images = looks(stub, "DrawBBoxes", image=[solid(BLACK, (40, 30))] * 2, bboxes={"__value__": boxes})
        assert [color(image, 2, 3) != BLACK for image in images] == drawn
        assert [color(image, 7, 25) for image in images] == [BLACK] * 2

    @pytest.mark.parametrize(
        ("boxes", "sizes"),
        [
            ([BOX], [(640, 640)]),
            ([{"x": 700, "y": 0, "width": 100, "height": 20}], [(800, 640)]),
            ([[BOX], [{"x": 0, "y": 0, "width": 9, "height": 900}]], [(640, 900)] * 2),
        ],
    )
    def test_a_canvas_has_room_for_all_boxes(
        self, stub: comfystub.Stub, boxes: Any, sizes: list[tuple[int, int]]
    ) -> None:
        assert [image.size for image in looks(stub, "DrawBBoxes", bboxes={"__value__": boxes})] == sizes


class TestMasks:
    def test_a_background_is_around_the_subject(self, stub: comfystub.Stub) -> None:
        masks = pixels(given(stub, "RemoveBackground")[0])
        assert [(mask.size, color(mask), color(mask, 50, 40)) for mask in masks] == [
            ((100, 80), BLACK, WHITE)
        ] * 2

    @pytest.mark.parametrize("separately", [False, True])
    def test_sam_gives_a_mask_for_each_picture_or_for_each_thing(
        self, stub: comfystub.Stub, separately: bool
    ) -> None:
        masks, frames = given(stub, "SAM3_Detect", conditioning=["text", 0], individual_masks=separately)
        assert len(frames) == 2
        assert len(masks) == (sum(map(len, frames)) if separately else 2)
        assert all(mask.size == (100, 80) and white(mask) > 0 for mask in pixels(masks))
        assert all(sorted(box) == ["height", "score", "width", "x", "y"] for boxes in frames for box in boxes)

    @pytest.mark.parametrize(
        ("prompt", "inside", "outside", "count"),
        [
            ({"bboxes": {"x": 10, "y": 10, "width": 20, "height": 20}}, (20, 20), (60, 60), 1),
            (
                {
                    "bboxes": {
                        "__value__": [
                            {"x": 0, "y": 0, "width": 9, "height": 9},
                            {"x": 60, "y": 60, "width": 20, "height": 20},
                        ]
                    }
                },
                (70, 70),
                (40, 40),
                2,
            ),
            ({"positive_coords": ["points", 0]}, (70, 20), (20, 60), 1),
        ],
        ids=["box", "boxes", "points"],
    )
    def test_sam_segments_what_it_is_pointed_at(
        self,
        stub: comfystub.Stub,
        prompt: Graph,
        inside: tuple[int, int],
        outside: tuple[int, int],
        count: int,
    ) -> None:
        graph = {**graph_around("SAM3_Detect", image=["source", 0], **prompt), "source": empty()}
        graph["points"] = node("PrimitiveString", value='[{"x": 68, "y": 18}, {"x": 72, "y": 22}]')
        [[masks], [frames]] = watched(stub, graph)
        assert [(color(mask, *inside), color(mask, *outside)) for mask in pixels(masks)] == [
            (WHITE, BLACK)
        ] * 2
        assert [len(boxes) for boxes in frames] == [count] * 2

    def test_nothing_that_is_certain_enough(self, stub: comfystub.Stub) -> None:
        masks, frames = given(stub, "SAM3_Detect", conditioning=["text", 0], threshold=1.0)
        assert (frames, [white(mask) for mask in pixels(masks)]) == ([[], []], [0, 0])


class TestTracking:
    def graph(self, stub: comfystub.Stub, name: str, **inputs: Any) -> Graph:
        """A node behind one that follows two masks through a film of nine pictures."""
        one, two = (Image.new("L", (64, 48)) for _ in range(2))
        one.paste(255, (0, 0, 16, 48))
        two.paste(255, (32, 0, 48, 48))
        graph = graph_of(stub, "SAM3_VideoTrack", images=["film", 0], initial_mask=[one, two])
        graph["track"] = graph.pop("x")
        last = graph_around(name, track_data=["track", 0], **inputs)["x"]
        return {**graph, "x": last, "film": empty(9, (64, 48))}

    @pytest.mark.parametrize(
        ("chosen", "seen"),
        [
            ("", (WHITE, WHITE)),
            ("0", (WHITE, BLACK)),
            (" 1 ", (BLACK, WHITE)),
            ("0,1", (WHITE, WHITE)),
            ("7", (BLACK, BLACK)),
        ],
    )
    def test_a_mask_for_each_picture(self, stub: comfystub.Stub, chosen: str, seen: tuple[Any, Any]) -> None:
        [[masks]] = watched(stub, self.graph(stub, "SAM3_TrackToMask", object_indices=chosen))
        images = pixels(masks)
        assert [(image.size, (color(image, 4, 4), color(image, 40, 4))) for image in images] == [
            ((64, 48), seen)
        ] * 9
        assert len({id(mask) for mask in masks}) == 1

    @pytest.mark.parametrize(("most", "count"), [(1, 1), (2, 2), (0, 2)])
    def test_there_are_no_more_than_asked_for(self, stub: comfystub.Stub, most: int, count: int) -> None:
        graph = self.graph(stub, "SAM3_TrackToMask", object_indices="")
        graph["track"]["inputs"]["max_objects"] = most
        [[masks]] = watched(stub, graph)
        assert (color(pixels(masks)[0], 40, 4) == WHITE) == (count == 2)

    def test_things_that_a_text_says_are_found(self, stub: comfystub.Stub) -> None:
        [track] = given(stub, "SAM3_VideoTrack", empty(5), conditioning=["text", 0], initial_mask=None)
        images, things = track.carried
        assert (len(images), track.type) == (5, "SAM3_TRACK_DATA")
        assert 1 <= len(things) <= 3 and all(thing.size == (100, 80) for thing in things)

    def test_it_has_to_be_told_what_to_follow(self, stub: comfystub.Stub) -> None:
        graph = self.graph(stub, "SAM3_TrackPreview")
        del graph["track"]["inputs"]["initial_mask"]
        with stub.client() as client:
            client.post("/prompt", json={"prompt": graph})
        error = stub.jobs[-1].error
        assert error is not None and error["exception_type"] == "ValueError"

    @pytest.mark.parametrize("behind", [False, True])
    def test_the_preview_is_a_film_in_the_temp_folder(self, stub: comfystub.Stub, behind: bool) -> None:
        own = {"images": ["film", 0]} if behind else {}
        job = run(stub, self.graph(stub, "SAM3_TrackPreview", fps=12.0, **own))
        assert job.ui["x"]["animated"] == [True]
        [output] = job.outputs
        assert (output.kind, output.type, output.path.suffix) == ("images", "temp", ".mp4")
        film = probe(output.path.read_bytes())
        assert film is not None
        assert (film.width, film.height, film.frames, film.fps) == (64, 48, 9, 12.0)


class TestFaces:
    @pytest.mark.parametrize(("most", "counts"), [(1, {1}), (0, {1, 2, 3}), (2, {1, 2})])
    def test_a_list_of_faces_for_each_picture(
        self, stub: comfystub.Stub, most: int, counts: set[int]
    ) -> None:
        _, frames = given(stub, "MediaPipeFaceLandmarker", empty(9), num_faces=most)
        assert len(frames) == 9 and {len(faces) for faces in frames} <= counts
        assert all(lies_within(face) and face["label"] == "face" for faces in frames for face in faces)

    def behind(self, name: str, **inputs: Any) -> Graph:
        graph = graph_around("MediaPipeFaceLandmarker", image=["source", 0])
        graph["faces"] = graph.pop("x")
        last = graph_around(name, face_landmarks=["faces", 0], **inputs)["x"]
        return {**graph, "x": last, "source": empty()}

    def test_a_mask_of_faces(self, stub: comfystub.Stub) -> None:
        def amount(**inputs: Any) -> list[int]:
            masks = pixels(watched(stub, self.behind("MediaPipeFaceMask", **inputs))[0][0])
            assert [mask.size for mask in masks] == [(100, 80)] * 2
            return [white(mask) for mask in masks]

        whole = amount(regions="all")
        parts = dict.fromkeys(("face_oval", "left_eye", "right_eye", "irises"), False)
        lips = amount(
            regions="custom",
            **{f"regions.{name}": on for name, on in parts.items()},
            **{"regions.lips": True},
        )
        assert all(0 < some < all_ for some, all_ in zip(lips, whole))

    @pytest.mark.parametrize(
        ("inputs", "seen"),
        [
            ({"connections": "all"}, True),
            ({"connections": "fill"}, True),
            ({"connections": "all", "thickness": 0}, True),
            ({"connections": "all", "point_size": 0}, True),
            ({"connections": "all", "thickness": 0, "point_size": 0}, False),
        ],
        ids=str,
    )
    def test_a_mesh_on_pictures_or_on_black(self, stub: comfystub.Stub, inputs: Graph, seen: bool) -> None:
        for own, ground in (({}, BLACK), ({"image": ["source", 0]}, (0x20, 0x40, 0x60))):
            graph = self.behind("MediaPipeFaceMeshVisualize", color="#ff0000", **inputs, **own)
            images = pixels(watched(stub, graph)[0][0])
            colors = [{shade for _, shade in image.getcolors(99999)} for image in images]
            assert [image.size for image in images] == [(100, 80)] * 2
            assert colors == [{ground, (255, 0, 0)} if seen else {ground}] * 2


class TestPoses:
    def poses(self, stub: comfystub.Stub, **inputs: Any) -> list[Any]:
        frames: list[Any] = given(stub, "SDPoseKeypointExtractor", **inputs)[0]
        return frames

    @pytest.mark.parametrize(
        ("boxes", "counts"),
        [
            (None, [1, 1]),
            (
                [{"x": 0, "y": 0, "width": 50, "height": 80}, {"x": 50, "y": 0, "width": 50, "height": 80}],
                [2, 2],
            ),
            ([[{"x": 0, "y": 0, "width": 50, "height": 80}], []], [1, 1]),
        ],
    )
    def test_people_of_each_picture(self, stub: comfystub.Stub, boxes: Any, counts: list[int]) -> None:
        frames = self.poses(stub, **({"bboxes": {"__value__": boxes}} if boxes else {}))
        assert [(frame["canvas_width"], frame["canvas_height"]) for frame in frames] == [(100, 80)] * 2
        assert [len(frame["people"]) for frame in frames] == counts
        lengths = {name: len(points) for name, points in frames[0]["people"][0].items()}
        assert lengths == {
            "pose_keypoints_2d": 54,
            "face_keypoints_2d": 210,
            "hand_left_keypoints_2d": 63,
            "hand_right_keypoints_2d": 63,
            "foot_keypoints_2d": 18,
        }

    def behind(self, name: str, **inputs: Any) -> Graph:
        boxes = {"x": 0, "y": 0, "width": 100, "height": 80}
        graph = graph_around("SDPoseKeypointExtractor", image=["source", 0], bboxes=boxes)
        graph["poses"] = graph.pop("x")
        return {**graph, "x": graph_around(name, keypoints=["poses", 0], **inputs)["x"], "source": empty()}

    @pytest.mark.parametrize("squares", [True, False])
    def test_boxes_of_faces(self, stub: comfystub.Stub, squares: bool) -> None:
        def box(scale: float) -> Graph:
            graph = self.behind("SDPoseFaceBBoxes", scale=scale, force_square=squares)
            found: Graph = watched(stub, graph)[0][0][0][0]
            return found

        one, three = box(1.0), box(3.0)
        assert (one["width"] == one["height"]) or not squares
        assert abs(three["width"] - 3 * one["width"]) <= 2

    def test_what_is_drawn_of_them(self, stub: comfystub.Stub) -> None:
        def drawn(**inputs: Any) -> list[int]:
            images = pixels(watched(stub, self.behind("SDPoseDrawKeypoints", **inputs))[0][0])
            assert [image.size for image in images] == [(100, 80)] * 2
            return [
                sum(count for count, shade in image.getcolors(99999) if shade != BLACK) for image in images
            ]

        everything = drawn(draw_feet=True)
        nothing = drawn(draw_body=False, draw_hands=False, draw_face=False, draw_head=False)
        body = drawn(draw_hands=False, draw_face=False, draw_head=False)
        assert all(0 == none < some < all_ for none, some, all_ in zip(nothing, body, everything))

    def test_without_poses_there_is_a_small_black_picture(self) -> None:
        with comfystub.patch(URL, validate=False) as stub:
            [image] = looks(stub, "SDPoseDrawKeypoints", keypoints=None)
        assert image.getcolors() == [(64 * 64, BLACK)]


def test_the_same_prompt_finds_the_same(stub: comfystub.Stub) -> None:
    found = []
    for _ in range(2):
        with comfystub.patch(URL) as other:
            found.append(outputs(other, "RTDETR_detect", image=solid()))
    assert found[0] == found[1]
