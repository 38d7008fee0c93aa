"""Batches and lists of pictures: how many there are, in which order, and of which size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

import comfystub
from comfystub.media.sound import Sound
from nodes.graphs import Graph, graph_around, node, run, watched
from nodes.looking import BLACK, BLUE, GREEN, RED, color, graph_of, looks, outputs, pixels, solid

URL = "http://comfy.test:8188"


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


def empty(color: int, batch_size: int = 1, width: int = 8) -> Graph:
    return node("EmptyImage", width=width, height=6, batch_size=batch_size, color=color)


def numbered(count: int) -> list[Image.Image]:
    """Pictures that are told apart by how red they are."""
    return [solid((number, 0, 0)) for number in range(1, count + 1)]


def reds(images: list[Image.Image]) -> list[int]:
    return [color(image)[0] for image in images]


def of_list(stub: comfystub.Stub, batches: list[Graph], name: str, **inputs: Any) -> list[list[Any]]:
    """What a node makes of a list of batches: of each output all that it gives."""
    graph = {f"batch{number}": batch for number, batch in enumerate(batches)}
    graph["list"] = node("CreateList", **{f"inputs.input{i}": [f"batch{i}", 0] for i in range(len(batches))})
    key = "image_list" if name == "ImageMergeTileList" else "images"
    return watched(stub, {**graph_around(name, **{key: ["list", 0]}, **inputs), **graph})


class TestBatches:
    @pytest.mark.parametrize(
        ("name", "inputs", "kept"),
        [
            ("RepeatImageBatch", {"amount": 3}, [1, 2, 3, 4, 5] * 3),
            ("ImageFromBatch", {"batch_index": 0, "length": 1}, [1]),
            ("ImageFromBatch", {"batch_index": 1, "length": 2}, [2, 3]),
            ("ImageFromBatch", {"batch_index": 3, "length": 100}, [4, 5]),
            ("ImageFromBatch", {"batch_index": 99, "length": 4}, [5]),
            ("ImageFromBatch", {"batch_index": -2, "length": 2}, [4, 5]),
            ("ImageFromBatch", {"batch_index": -99, "length": 2}, [1, 2]),
        ],
        ids=str,
    )
    def test_parts_and_repetitions(
        self, stub: comfystub.Stub, name: str, inputs: Graph, kept: list[int]
    ) -> None:
        assert reds(looks(stub, name, image=numbered(5), **inputs)) == kept

    @pytest.mark.parametrize(
        ("name", "one", "two"),
        [("ImageBatch", "image1", "image2"), ("BatchImagesNode", "images.image0", "images.image1")],
    )
    def test_pictures_get_the_size_of_the_first(
        self, stub: comfystub.Stub, name: str, one: str, two: str
    ) -> None:
        images = looks(stub, name, **{one: solid(RED), two: solid(BLUE, (30, 50))})
        assert [(image.size, color(image)) for image in images] == [((8, 6), RED), ((8, 6), BLUE)]

    def test_every_input_that_grew_is_in_the_batch(self, stub: comfystub.Stub) -> None:
        pictures = {f"images.image{number}": one for number, one in enumerate(numbered(12))}
        assert reds(looks(stub, "BatchImagesNode", **pictures)) == list(range(1, 13))


class TestLists:
    @pytest.mark.parametrize(("size", "counts"), [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (4096, [5])])
    def test_rebatching(self, stub: comfystub.Stub, size: int, counts: list[int]) -> None:
        [batches] = of_list(stub, [empty(1, 2), empty(2, 3)], "RebatchImages", batch_size=size)
        assert [len(batch) for batch in batches] == counts
        assert [picture.color for batch in batches for picture in batch] == [1, 1, 2, 2, 2]

    def test_a_list_passes_as_it_is(self, stub: comfystub.Stub) -> None:
        [batches] = of_list(stub, [empty(1, 2), empty(2, 3)], "MergeImageLists")
        assert [len(batch) for batch in batches] == [2, 3]

    def test_shuffling_follows_from_the_seed(self, stub: comfystub.Stub) -> None:
        def order(seed: int) -> list[int]:
            [batches] = of_list(stub, [empty(number) for number in range(8)], "ShuffleDataset", seed=seed)
            return [batch[0].color for batch in batches]

        assert order(1) == order(1)
        assert sorted(order(1)) == list(range(8))
        assert len({tuple(order(seed)) for seed in range(4)}) > 1

    def test_texts_are_shuffled_with_their_pictures(self, stub: comfystub.Stub) -> None:
        texts = {f"inputs.input{number}": [f"text{number}", 0] for number in range(6)}
        graph = {f"text{number}": node("PrimitiveString", value=f"picture {number}") for number in range(6)}
        graph["texts"] = node("CreateList", **texts)
        graph |= {f"batch{number}": empty(number) for number in range(6)}
        graph["list"] = node("CreateList", **{f"inputs.input{i}": [f"batch{i}", 0] for i in range(6)})
        shuffle = graph_around("ShuffleImageTextDataset", images=["list", 0], texts=["texts", 0], seed=5)
        images, told = watched(stub, {**graph, **shuffle})
        assert told == [f"picture {batch[0].color}" for batch in images]
        assert told != sorted(told)

    @pytest.mark.parametrize(
        ("colors", "threshold", "kept"),
        [
            ([0xFF0000, 0xFF0000, 0x0000FF], 0.95, [0xFF0000, 0x0000FF]),
            ([0xFF0000, 0xFE0000, 0x0000FF], 0.95, [0xFF0000, 0x0000FF]),
            ([0xFF0000, 0xFE0000, 0x0000FF], 1.0, [0xFF0000, 0xFE0000, 0x0000FF]),
            ([0xFF0000, 0x0000FF], 0.1, [0xFF0000]),
        ],
    )
    def test_what_looks_alike_is_kept_once(
        self, stub: comfystub.Stub, colors: list[int], threshold: float, kept: list[int]
    ) -> None:
        batches = [empty(color) for color in colors]
        [images] = of_list(stub, batches, "ImageDeduplication", similarity_threshold=threshold)
        assert [batch[0].color for batch in images] == kept

    def test_a_list_goes_through_the_next_node_one_by_one(self, stub: comfystub.Stub) -> None:
        graph = graph_around("RebatchImages", images=["batch", 0], batch_size=1)
        graph |= {"batch": empty(1, 3), "save": node("SaveImage", images=["x", 0], filename_prefix="p")}
        assert [output.filename for output in run(stub, graph).outputs] == [
            "p_00001_.png",
            "p_00002_.png",
            "p_00003_.png",
        ]


class TestGrids:
    @pytest.mark.parametrize(
        ("count", "inputs", "size"),
        [
            (5, {"columns": 2}, (516, 776)),
            (4, {"columns": 4}, (1036, 256)),
            (1, {"columns": 4}, (1036, 256)),
            (3, {"columns": 3, "cell_width": 32, "cell_height": 40, "padding": 0}, (96, 40)),
        ],
    )
    def test_the_size(self, stub: comfystub.Stub, count: int, inputs: Graph, size: tuple[int, int]) -> None:
        [[grid]] = of_list(stub, [empty(1, count)], "ImageGrid", **inputs)
        assert [image.size for image in pixels(grid)] == [size]

    def test_every_picture_is_in_its_cell(self, stub: comfystub.Stub) -> None:
        own = {"columns": 2, "cell_width": 32, "cell_height": 32, "padding": 4}
        [[grid]] = of_list(stub, [empty(0xFF0000), empty(0x00FF00), empty(0x0000FF)], "ImageGrid", **own)
        [image] = pixels(grid)
        places = ((0, 0), (36, 0), (0, 36), (36, 36), (33, 0))
        assert [color(image, *at) for at in places] == [RED, GREEN, BLUE, BLACK, BLACK]


class TestTiles:
    @pytest.mark.parametrize(
        ("size", "tile", "overlap", "count", "tile_size"),
        [
            ((100, 80), (64, 64), 0, 4, (64, 64)),
            ((100, 80), (64, 64), 16, 4, (64, 64)),
            ((128, 64), (64, 64), 0, 2, (64, 64)),
            ((128, 64), (64, 64), 32, 3, (64, 64)),
            ((40, 30), (64, 64), 16, 1, (40, 30)),
            ((200, 30), (64, 1024), 8, 4, (64, 30)),
        ],
    )
    def test_splitting_and_merging(
        self,
        stub: comfystub.Stub,
        size: tuple[int, int],
        tile: tuple[int, int],
        overlap: int,
        count: int,
        tile_size: tuple[int, int],
    ) -> None:
        picture = Image.linear_gradient("L").resize(size).convert("RGB")
        own = {"tile_width": tile[0], "tile_height": tile[1], "overlap": overlap}
        graph = graph_of(stub, "SplitImageToTileList", image=[picture] * 2, **own)
        [tiles] = watched(stub, graph)
        assert [[one.size for one in pixels(batch)] for batch in tiles] == [[tile_size] * 2] * count
        graph["tiles"] = graph.pop("x")
        final = {"final_width": max(64, size[0]), "final_height": max(64, size[1])}
        merge = graph_around("ImageMergeTileList", image_list=["tiles", 0], overlap=overlap, **final)["x"]
        [[merged]] = watched(stub, {**graph, "x": merge})
        images = pixels(merged)
        assert [image.size for image in images] == [tuple(final.values())] * 2
        if images[0].size == size:
            assert images[0].tobytes() == picture.tobytes()

    def test_tiles_that_were_upscaled_make_a_larger_picture(self, stub: comfystub.Stub) -> None:
        graph = graph_of(
            stub,
            "SplitImageToTileList",
            image=solid(RED, (100, 80)),
            tile_width=64,
            tile_height=64,
            overlap=16,
        )
        graph["tiles"] = graph.pop("x")
        graph["up"] = node("ImageScaleBy", image=["tiles", 0], upscale_method="area", scale_by=2.0)
        own = {"final_width": 200, "final_height": 160, "overlap": 32}
        [[merged]] = watched(stub, {**graph, "x": node("ImageMergeTileList", image_list=["up", 0], **own)})
        [image] = pixels(merged)
        assert image.getcolors() == [(200 * 160, RED)]


class TestKeyframes:
    def test_a_segment_has_its_keyframes_and_its_sound(self, stub: comfystub.Stub) -> None:
        given = {"images": numbered(3), "segment_length": 30, "segment_index": 1, "audio": ["sound", 0]}
        graph = graph_of(stub, "WanDancerPadKeyframes", **given)
        graph["sound"] = node("EmptyAudio", duration=2.0, sample_rate=8000, channels=1)
        [[images], [masks], [sounds]] = watched(stub, graph)
        assert (len(images), len(masks), sounds) == (30, 30, [Sound(1.0, 8000, 1)])
        seen = {place: red for place, red in enumerate(reds(pixels(images))) if red}
        assert seen == {0: 2, 29: 3}
        assert [place for place, mask in enumerate(pixels(masks)) if color(mask) != BLACK] == [0, 29]

    def test_all_segments_at_once(self, stub: comfystub.Stub) -> None:
        given = {"images": numbered(2), "segment_length": 20, "num_segments": 3, "audio": ["sound", 0]}
        graph = graph_of(stub, "WanDancerPadKeyframesList", **given)
        graph["sound"] = node("EmptyAudio", duration=1.0, sample_rate=8000, channels=1)
        images, masks, sounds = watched(stub, graph)
        assert [len(batch) for batch in images + masks] == [20] * 6
        assert [round(batch[0].seconds, 3) for batch in sounds] == [0.667, 0.333, 0.0]


def test_a_class_that_takes_lists_takes_a_single_batch(stub: comfystub.Stub) -> None:
    [grid] = outputs(stub, "ImageGrid", images=solid(RED), columns=1, cell_width=32, cell_height=32)
    assert pixels(grid)[0].getcolors() == [(32 * 32, RED)]
