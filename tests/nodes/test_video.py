"""What video nodes do as far as a client can see: frames, speed, length, sound, files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import comfystub
from comfystub.media.pictures import Solid
from comfystub.media.sound import Sound
from comfystub.media.video import Info, mp4, probe, webm

URL = "http://comfy.test:8188"
Graph = dict[str, Any]


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


def node(class_type: str, **inputs: Any) -> Graph:
    return {"class_type": class_type, "inputs": inputs}


def submit(stub: comfystub.Stub, graph: Graph) -> comfystub.Job:
    with stub.client() as client:
        client.post("/prompt", json={"prompt": graph}).raise_for_status()
    return stub.jobs[-1]


def run(stub: comfystub.Stub, graph: Graph) -> comfystub.Job:
    job = submit(stub, graph)
    assert job.error is None
    return job


def pictures(count: int = 24, width: int = 64, height: int = 48) -> Graph:
    """So many pictures, each another one, under the ids that are not ``x``."""
    return {
        "model": node("CheckpointLoaderSimple", ckpt_name="a.safetensors"),
        "text": node("CLIPTextEncode", clip=["model", 1], text="a red fox"),
        "latent": node("EmptyLatentImage", width=width, height=height, batch_size=count),
        "sampled": node(
            "KSampler",
            model=["model", 0],
            positive=["text", 0],
            negative=["text", 0],
            latent_image=["latent", 0],
            seed=1,
            steps=1,
            cfg=8.0,
            sampler_name="euler",
            scheduler="normal",
            denoise=1.0,
        ),
        "pictures": node("VAEDecode", samples=["sampled", 0], vae=["model", 2]),
    }


def film(count: int = 24, fps: float = 8.0, seconds: float | None = None, **size: int) -> Graph:
    """The node ``film``, and what it is made of; ``seconds`` is how long its sound is."""
    inputs: Graph = {"images": ["pictures", 0], "fps": fps}
    nodes = pictures(count, **size)
    if seconds is not None:
        inputs["audio"] = ["sound", 0]
        nodes["sound"] = node("EmptyAudio", duration=seconds, sample_rate=44100, channels=2)
    return {**nodes, "film": node("CreateVideo", **inputs)}


def save(video: Any = ("x", 0), prefix: str = "v", **options: Any) -> Graph:
    inputs = {"format": "auto", "format.codec": "auto", **options}
    return node("SaveVideo", video=list(video), filename_prefix=prefix, **inputs)


def probed(job: comfystub.Job) -> list[Info]:
    """What the films are that a job left."""
    found = [probe(output.path.read_bytes()) for output in job.outputs]
    assert None not in found
    return [one for one in found if one]


def saved(stub: comfystub.Stub, graph: Graph, name: str = "x") -> Info:
    """What the film is that a node gives."""
    return probed(run(stub, {**graph, "save": save([name, 0])}))[0]


def frames_of(stub: comfystub.Stub, graph: Graph, name: str = "x") -> list[bytes]:
    """The frames of the film that a node gives."""
    parts = node("GetVideoComponents", video=[name, 0])
    job = run(stub, {**graph, "parts": parts, "show": node("PreviewImage", images=["parts", 0])})
    return [output.image.tobytes() for output in job.outputs]


def their_film(count: int = 24, fps: float = 8.0, sound: Sound | None = None) -> bytes:
    """A file to be loaded."""
    return mp4([Solid(number * 4001, 64, 48) for number in range(count)], fps, sound)


class TestFilms:
    def test_size_frames_and_speed_are_those_of_the_graph(self, stub: comfystub.Stub) -> None:
        found = saved(stub, film(24, 8.0, width=96, height=64), "film")
        assert (found.width, found.height, found.frames, found.fps) == (96, 64, 24, 8.0)
        assert (found.seconds, found.sound) == (3.0, None)

    @pytest.mark.parametrize("fps", [16.0, 23.976, 24.0, 30.0])
    def test_speeds(self, stub: comfystub.Stub, fps: float) -> None:
        found = saved(stub, film(12, fps), "film")
        assert found.fps == pytest.approx(fps, rel=1e-4)
        assert found.seconds == pytest.approx(12 / fps, rel=1e-3)

    @pytest.mark.parametrize(("sound", "heard"), [(3.0, 3.0), (10.0, 3.0), (1.0, 1.0)])
    def test_the_sound_ends_with_the_pictures(self, stub: comfystub.Stub, sound: float, heard: float) -> None:
        found = saved(stub, film(24, 8.0, sound), "film").sound
        assert found is not None and found.seconds == pytest.approx(heard, abs=0.03)

    def test_the_parts_of_a_film(self, stub: comfystub.Stub) -> None:
        parts = node("GetVideoComponents", video=["film", 0])
        shown = {f"p{slot}": node("PreviewAny", source=["x", slot]) for slot in (2, 3, 4)}
        audio = node("SaveAudio", audio=["x", 1], filename_prefix="a")
        job = run(stub, {**film(24, 8.0, 2.0), "x": parts, **shown, "audio": audio})
        assert [job.ui[f"p{slot}"]["text"] for slot in (2, 3, 4)] == [["8.0"], ["8"], ["sRGB"]]
        assert job.outputs[0].filename == "a_00001_.flac"

    def test_a_film_without_a_sound_has_none(self, stub: comfystub.Stub) -> None:
        parts = node("GetVideoComponents", video=["film", 0])
        graph = {**film(), "x": parts, "p": node("PreviewAny", source=["x", 1])}
        assert run(stub, graph).ui["p"] == {"text": ["None"]}
        again = node("CreateVideo", images=["x", 0], audio=["x", 1], fps=["x", 2])
        found = saved(stub, {**graph, "again": again}, "again")
        assert (found.fps, found.sound) == (8.0, None)

    @pytest.mark.parametrize(
        ("count", "multiplier", "expected"), [(5, 2, 9), (81, 2, 161), (3, 4, 9), (1, 8, 1)]
    )
    def test_interpolated_frames(
        self, stub: comfystub.Stub, count: int, multiplier: int, expected: int
    ) -> None:
        between = node(
            "FrameInterpolate", interp_model=["rife", 0], images=["pictures", 0], multiplier=multiplier
        )
        rife = node("FrameInterpolationModelLoader", model_name="rife.safetensors")
        x = node("CreateVideo", images=["between", 0], fps=32.0)
        graph = {**pictures(count), "rife": rife, "between": between, "x": x}
        assert saved(stub, graph).frames == expected

    def test_a_preprocessor_passes_pictures_on(self, stub: comfystub.Stub) -> None:
        x = node("CreateVideo", images=["worse", 0], fps=8.0)
        worse = node("LTXVPreprocess", image=["pictures", 0], img_compression=35)
        assert saved(stub, {**pictures(7), "worse": worse, "x": x}).frames == 7


class TestParts:
    @pytest.mark.parametrize(
        ("start", "duration", "places"),
        [
            (0.0, 0.0, range(24)),
            (1.0, 0.0, range(8, 24)),
            (1.0, 1.0, range(8, 16)),
            (2.5, 9.0, range(20, 24)),
            (-1.0, 0.5, range(16, 20)),
        ],
    )
    def test_slicing(self, stub: comfystub.Stub, start: float, duration: float, places: range) -> None:
        graph = film(24, 8.0)
        whole = frames_of(stub, graph, "film")
        x = node("Video Slice", video=["film", 0], start_time=start, duration=duration, strict_duration=False)
        assert frames_of(stub, {**graph, "x": x}) == [whole[place] for place in places]

    @pytest.mark.parametrize(("start", "duration", "strict"), [(3.0, 0.0, False), (2.0, 1.5, True)])
    def test_a_slice_that_cannot_be(
        self, stub: comfystub.Stub, start: float, duration: float, strict: bool
    ) -> None:
        x = node(
            "Video Slice", video=["film", 0], start_time=start, duration=duration, strict_duration=strict
        )
        error = submit(stub, {**film(24, 8.0), "x": x, "save": save()}).error
        assert error is not None and (error["node_id"], error["exception_type"]) == ("x", "ValueError")

    def test_a_part_has_the_sound_that_goes_with_it(self, stub: comfystub.Stub) -> None:
        def heard(start: float) -> Sound | None:
            x = node("Video Slice", video=["film", 0], start_time=start, duration=1.0, strict_duration=False)
            return saved(stub, {**film(24, 8.0, 1.5), "x": x}).sound

        first, second = heard(0.0), heard(1.0)
        assert first is not None and first.seconds == pytest.approx(1.0, abs=0.03)
        assert second is not None and second.seconds == pytest.approx(0.5, abs=0.03)
        assert heard(2.0) is None

    @pytest.mark.parametrize(
        ("start", "length", "count"), [(0, 16, 16), (20, 16, 4), (99, 5, 1), (0, 99, 24)]
    )
    def test_cropping(self, stub: comfystub.Stub, start: int, length: int, count: int) -> None:
        x = node("VideoTemporalCrop", video=["film", 0], start_frame=start, length=length)
        assert saved(stub, {**film(24), "x": x}).frames == count

    def test_a_crop_anywhere_follows_the_seed(self, stub: comfystub.Stub) -> None:
        def crop(seed: int) -> list[bytes]:
            x = node("VideoRandomTemporalCrop", video=["film", 0], length=3, seed=seed)
            return frames_of(stub, {**film(24), "x": x})

        crops = [crop(seed) for seed in range(6)]
        assert {len(frames) for frames in crops} == {3}
        assert crops == [crop(seed) for seed in range(6)]
        assert len({tuple(frames) for frames in crops}) > 1

    @pytest.mark.parametrize(
        ("strategy", "count", "places"),
        [
            ("head", 3, [0, 1, 2]),
            ("tail", 3, [6, 7, 8]),
            ("uniform", 3, [0, 4, 8]),
            ("uniform", 1, [4]),
            ("uniform", 99, list(range(9))),
        ],
    )
    def test_samples(self, stub: comfystub.Stub, strategy: str, count: int, places: list[int]) -> None:
        whole = frames_of(stub, film(9), "film")
        x = node("VideoFrameSample", video=["film", 0], num_frames=count, strategy=strategy, seed=0)
        assert frames_of(stub, {**film(9), "x": x}) == [whole[place] for place in places]

    def test_a_random_sample_has_no_frame_twice(self, stub: comfystub.Stub) -> None:
        x = node("VideoFrameSample", video=["film", 0], num_frames=9, strategy="random", seed=3)
        assert len(set(frames_of(stub, {**film(9), "x": x}))) == 9


class TestLoading:
    def load(self, stub: comfystub.Stub, data: bytes, name: str = "theirs.mp4") -> Graph:
        (stub.input_dir / name).write_bytes(data)
        return node("LoadVideo", file=name)

    @pytest.mark.parametrize("sound", [None, Sound(2.0, 48000)])
    def test_a_film_is_what_its_file_says(self, stub: comfystub.Stub, sound: Sound | None) -> None:
        load = self.load(stub, their_film(20, 10.0, sound))
        x = node("VideoTemporalCrop", video=["load", 0], start_frame=5, length=10)
        found = saved(stub, {"load": load, "x": x})
        assert (found.width, found.height, found.frames, found.fps) == (64, 48, 10, 10.0)
        assert (found.sound is None) == (sound is None)

    def test_a_webm_is_loaded_too(self, stub: comfystub.Stub) -> None:
        data = webm([Solid(number, 64, 48) for number in range(12)], 6.0, "vp9")
        x = node("CreateVideo", images=["parts", 0], fps=["parts", 2])
        parts = node("GetVideoComponents", video=["load", 0])
        found = saved(stub, {"load": self.load(stub, data, "theirs.webm"), "parts": parts, "x": x})
        assert (found.frames, found.fps) == (12, 6.0)

    def test_a_file_that_is_no_film_is_a_second_long(self, stub: comfystub.Stub) -> None:
        found = saved(stub, {"x": self.load(stub, b"no film at all")})
        assert (found.width, found.height, found.seconds) == (512, 512, 1.0)

    def test_frames_follow_from_the_content_alone(self, stub: comfystub.Stub) -> None:
        one, other = their_film(2), their_film(2, 9.0)
        same, again, another = (
            frames_of(stub, {"x": self.load(stub, data, name)})
            for data, name in ((one, "a.mp4"), (one, "b.mp4"), (other, "c.mp4"))
        )
        assert same == again != another
        assert same[0] != same[1]


class TestSaving:
    @pytest.mark.parametrize(
        ("options", "ending"),
        [
            ({}, "mp4"),
            ({"format.codec": "h264", "format.codec.encoding": "auto"}, "mp4"),
            ({"format.codec": "av1", "format.codec.encoding": "auto"}, "webm"),
            ({"format": "mp4"}, "mp4"),
            ({"format": "mkv"}, "mkv"),
            ({"format": "webm"}, "webm"),
        ],
        ids=str,
    )
    def test_containers(self, stub: comfystub.Stub, options: Graph, ending: str) -> None:
        job = run(stub, {**film(), "save": save(["film", 0], "clips/v", **options)})
        entry = {"filename": f"v_00001_.{ending}", "subfolder": "clips", "type": "output"}
        assert job.ui == {"save": {"images": [entry], "animated": [True]}}
        (found,) = probed(job)
        assert (found.frames, found.seconds) == (24, 3.0)

    def test_the_codec_of_an_older_client(self, stub: comfystub.Stub) -> None:
        saver = node("SaveVideo", video=["film", 0], filename_prefix="v", format="auto", codec="auto")
        assert run(stub, {**film(), "save": saver}).outputs[0].filename == "v_00001_.mp4"

    def test_tokens_in_the_prefix(self, stub: comfystub.Stub) -> None:
        job = run(stub, {**film(), "save": save(["film", 0], "%width%x%height%")})
        assert job.outputs[0].filename == "64x48_00001_.mp4"

    def test_the_film_goes_on_from_a_saver(self, stub: comfystub.Stub) -> None:
        assert saved(stub, {**film(5), "x": save(["film", 0])}).frames == 5

    def test_the_file_carries_the_prompt(self, stub: comfystub.Stub) -> None:
        data = run(stub, {**film(2), "save": save(["film", 0])}).outputs[0].path.read_bytes()
        assert b"CheckpointLoaderSimple" in data

    def test_equal_graphs_give_equal_bytes(self) -> None:
        def data() -> bytes:
            with comfystub.patch(URL) as stub:
                return run(stub, {**film(3), "save": save(["film", 0])}).outputs[0].path.read_bytes()

        assert data() == data()

    @pytest.mark.parametrize(
        ("options", "kept"),
        [
            ({}, True),
            ({"format": "mp4"}, True),
            ({"format": "webm"}, False),
            ({"format": "mp4", "format.codec": "h264", "format.codec.encoding": "auto"}, True),
            (
                {
                    "format.codec": "h264",
                    "format.codec.encoding": "re-encode",
                    "format.codec.encoding.crf": 23.0,
                    "format.codec.encoding.color_space": "auto",
                },
                False,
            ),
        ],
        ids=str,
    )
    def test_a_film_that_was_loaded_stays_as_it_was(
        self, stub: comfystub.Stub, options: Graph, kept: bool
    ) -> None:
        theirs = their_film()
        (stub.input_dir / "theirs.mp4").write_bytes(theirs)
        graph = {"x": node("LoadVideo", file="theirs.mp4"), "save": save(**options)}
        data = run(stub, graph).outputs[0].path.read_bytes()
        assert (data == theirs) is kept

    def test_a_film_that_was_changed_does_not(self, stub: comfystub.Stub) -> None:
        (stub.input_dir / "theirs.mp4").write_bytes(their_film())
        load = node("LoadVideo", file="theirs.mp4")
        x = node("VideoTemporalCrop", video=["load", 0], start_frame=1, length=2)
        assert saved(stub, {"load": load, "x": x}).frames == 2

    @pytest.mark.parametrize("codec", ["vp9", "av1"])
    def test_webm(self, stub: comfystub.Stub, codec: str) -> None:
        inputs = {"filename_prefix": "w", "codec": codec, "fps": 12.0, "crf": 32.0}
        job = run(stub, {**pictures(24), "save": node("SaveWEBM", images=["pictures", 0], **inputs)})
        entry = {"filename": "w_00001_.webm", "subfolder": "", "type": "output"}
        assert job.ui == {"save": {"images": [entry], "animated": [True]}}
        (found,) = probed(job)
        assert (found.width, found.height, found.frames, found.fps) == (64, 48, 24, 12.0)

    def test_without_a_film_one_is_made_up(self) -> None:
        with comfystub.patch(URL, validate=False) as stub:
            (found,) = probed(run(stub, {"9": node("SaveVideo", video=["gone", 0])}))
            assert found.seconds == 1.0


class TestDatasets:
    def folder(self, stub: comfystub.Stub, *counts: int) -> None:
        """Films of so many frames in the one folder that every ComfyUI has, with a text beside the first."""
        folder = stub.input_dir / "3d"
        folder.mkdir()
        for number, count in enumerate(counts):
            (folder / f"{number}.mp4").write_bytes(their_film(count))
        (folder / "0.txt").write_text("the first\n")
        (folder / "notes.md").write_text("not a film")

    def test_every_film_of_a_folder_goes_through_the_graph(self, stub: comfystub.Stub) -> None:
        self.folder(stub, 3, 5, 7)
        load = node("LoadVideoDataSetFromFolder", folder="3d")
        crop = node("VideoTemporalCrop", video=["load", 0], start_frame=1, length=99)
        job = run(stub, {"load": load, "x": crop, "save": save()})
        assert [found.frames for found in probed(job)] == [2, 4, 6]
        assert job.ui["save"]["animated"] == [True] * 3

    def test_the_texts_beside_films(self, stub: comfystub.Stub) -> None:
        self.folder(stub, 3, 5)
        (stub.input_dir / "3d" / "2_foxes").mkdir()
        (stub.input_dir / "3d" / "2_foxes" / "a.mp4").write_bytes(their_film(2))
        (stub.input_dir / "3d" / "2_foxes" / "a.txt").write_text("a fox")
        load = node("LoadVideoTextDataSetFromFolder", folder="3d")
        job = run(stub, {"load": load, "p": node("PreviewAny", source=["load", 1])})
        assert job.ui["p"]["text"] == ["the first", "", "a fox", "a fox"]

    def test_an_empty_folder_fails_the_node(self, stub: comfystub.Stub) -> None:
        self.folder(stub)
        graph = {"x": node("LoadVideoDataSetFromFolder", folder="3d"), "save": save()}
        error = submit(stub, graph).error
        assert error is not None and error["node_id"] == "x"

    def test_films_and_texts_are_shuffled_alike(self, stub: comfystub.Stub) -> None:
        self.folder(stub, *range(1, 9))
        for number in range(8):
            (stub.input_dir / "3d" / f"{number}.txt").write_text(str(number + 1))
        load = node("LoadVideoTextDataSetFromFolder", folder="3d")
        x = node("ShuffleVideoTextDataset", videos=["load", 0], texts=["load", 1], seed=5)
        job = run(stub, {"load": load, "x": x, "p": node("PreviewAny", source=["x", 1]), "save": save()})
        texts = job.ui["p"]["text"]
        assert sorted(texts) == [str(number + 1) for number in range(8)] != texts
        assert [str(found.frames) for found in probed(job)] == texts

    def test_the_order_follows_the_seed(self, stub: comfystub.Stub) -> None:
        self.folder(stub, *range(1, 9))

        def order(seed: int) -> tuple[int, ...]:
            load = node("LoadVideoDataSetFromFolder", folder="3d")
            x = node("ShuffleVideoDataset", videos=["load", 0], seed=seed)
            return tuple(found.frames for found in probed(run(stub, {"load": load, "x": x, "save": save()})))

        assert order(1) == order(1) != order(2)


class TestOtherClasses:
    """What a class gives whose author says no more than its inputs and outputs."""

    @pytest.mark.parametrize(
        ("inputs", "size", "frames"),
        [
            ({"width": 96, "height": 64, "duration": 2.0, "fps": 12.0}, (96, 64), 24),
            ({"images": ["one", 0], "duration": 0.5}, (40, 30), 12),
            ({"images": ["three", 0], "fps": 3.0}, (40, 30), 3),
            ({}, (512, 512), 24),
        ],
        ids=str,
    )
    def test_films(self, stub: comfystub.Stub, inputs: Graph, size: tuple[int, int], frames: int) -> None:
        types = {"images": "IMAGE", "width": "INT", "height": "INT", "duration": "FLOAT", "fps": "FLOAT"}
        stub.add_node("MyFilm", inputs={"optional": types}, outputs="VIDEO")
        graph = {
            name: node("EmptyImage", width=40, height=30, batch_size=count, color=0)
            for name, count in (("one", 1), ("three", 3))
        }
        found = saved(stub, {**graph, "x": node("MyFilm", **inputs)})
        assert ((found.width, found.height), found.frames) == (size, frames)

    def test_a_film_passes_through(self, stub: comfystub.Stub) -> None:
        stub.add_node("MyFilter", inputs={"video": "VIDEO"}, outputs="VIDEO")
        assert saved(stub, {**film(7), "x": node("MyFilter", video=["film", 0])}).frames == 7
