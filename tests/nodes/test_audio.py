"""What sound nodes do as far as a client can see: lengths, channels, sample rates, files."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Iterator
from typing import Any

import pytest

import comfystub
from comfystub.media.sound import Sound, encode, probe

URL = "http://comfy.test:8188"
Graph = dict[str, Any]


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


def node(class_type: str, **inputs: Any) -> Graph:
    return {"class_type": class_type, "inputs": inputs}


def run(stub: comfystub.Stub, graph: Graph, **body: Any) -> comfystub.Job:
    with stub.client() as client:
        client.post("/prompt", json={"prompt": graph, **body}).raise_for_status()
    job = stub.jobs[-1]
    assert job.error is None
    return job


def failing_node(stub: comfystub.Stub, graph: Graph) -> str:
    """The node at which a graph fails."""
    with stub.client() as client:
        client.post("/prompt", json={"prompt": graph}).raise_for_status()
    error = stub.jobs[-1].error
    assert error is not None
    node_id: str = error["node_id"]
    return node_id


def silence(seconds: float = 2.0, sample_rate: int = 44100, channels: int = 2) -> Graph:
    return node("EmptyAudio", duration=seconds, sample_rate=sample_rate, channels=channels)


def wav(seconds: float, sample_rate: int = 8000, channels: int = 1) -> bytes:
    """A file of another program."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(sample_rate)
        writer.writeframes(bytes(2 * channels * round(seconds * sample_rate)))
    return file.getvalue()


def saved(stub: comfystub.Stub, **nodes: Graph) -> tuple[float, int, int]:
    """Length, sample rate and channels of what a graph saves; ``x`` is the node whose sound is saved."""
    job = run(stub, {**nodes, "save": node("SaveAudio", audio=["x", 0], filename_prefix="p")})
    return told_by_flac(job.outputs[-1].path.read_bytes())


def told_by_flac(data: bytes) -> tuple[float, int, int]:
    """What the first block of a FLAC file says: 20 bits of sample rate, 3 of channels, 36 of samples."""
    assert data[:4] == b"fLaC"
    told = int.from_bytes(data[18:26], "big")
    rate = told >> 44
    return round((told & 0xFFFFFFFFF) / rate, 3), rate, (told >> 41 & 7) + 1


def heard(data: bytes) -> bytes:
    """A FLAC file without its metadata."""
    place, last = 4, False
    while not last:
        last = data[place] >= 0x80
        place += 4 + int.from_bytes(data[place + 1 : place + 4], "big")
    return data[place:]


class TestFiles:
    @pytest.mark.parametrize(
        ("saver", "inputs", "ending"),
        [
            ("SaveAudio", {}, "flac"),
            ("SaveAudioMP3", {"quality": "128k"}, "mp3"),
            ("SaveAudioOpus", {"quality": "96k"}, "opus"),
            ("SaveAudioAdvanced", {"format": "flac"}, "flac"),
            ("SaveAudioAdvanced", {"format": "mp3", "format.quality": "320k"}, "mp3"),
            ("SaveAudioAdvanced", {"format": "opus", "format.quality": "128k"}, "opus"),
        ],
        ids=str,
    )
    def test_each_saver_writes_its_format(
        self, stub: comfystub.Stub, saver: str, inputs: Graph, ending: str
    ) -> None:
        saver_node = node(saver, audio=["x", 0], filename_prefix="audio/song", **inputs)
        job = run(stub, {"x": silence(1.5), "save": saver_node})
        entry = {"filename": f"song_00001_.{ending}", "subfolder": "audio", "type": "output"}
        assert job.ui == {"save": {"audio": [entry]}}
        found = probe(job.outputs[0].path.read_bytes())
        assert found is not None and found.seconds == pytest.approx(1.5, abs=0.06)

    def test_a_preview_is_a_flac_file_in_the_temp_folder(self, stub: comfystub.Stub) -> None:
        output = run(stub, {"x": silence(), "p": node("PreviewAudio", audio=["x", 0])}).outputs[0]
        assert (output.type, output.path.parent, output.path.suffix) == ("temp", stub.temp_dir, ".flac")
        assert output.filename.startswith("ComfyUI_temp_")

    def test_the_file_carries_the_prompt_and_the_workflow(self, stub: comfystub.Stub) -> None:
        graph = {"x": silence(), "save": node("SaveAudio", audio=["x", 0], filename_prefix="p")}
        job = run(stub, graph, extra_data={"extra_pnginfo": {"workflow": {"nodes": ["狐"]}}})
        data = job.outputs[0].path.read_bytes()
        assert b"prompt=" + json.dumps(graph).encode() in data
        assert b"workflow=" + json.dumps({"nodes": ["狐"]}).encode() in data

    def test_one_file_for_each_sound_of_the_batch(self, stub: comfystub.Stub) -> None:
        saver = node("SaveAudio", audio=["x", 0], filename_prefix="p%batch_num%")
        decoded = node("VAEDecodeAudio", samples=["latent", 0], vae=["model", 2])
        latent = node("EmptyLatentAudio", seconds=3.0, batch_size=3)
        model = node("CheckpointLoaderSimple", ckpt_name="stable-audio.safetensors")
        job = run(stub, {"x": decoded, "latent": latent, "model": model, "save": saver})
        assert [output.filename for output in job.outputs] == [
            "p0_00001_.flac",
            "p1_00002_.flac",
            "p2_00003_.flac",
        ]
        contents = [output.path.read_bytes() for output in job.outputs]
        assert len(set(contents)) == 3
        assert {told_by_flac(data)[0] for data in contents} == {told_by_flac(contents[0])[0]}

    def test_the_sound_goes_on_from_a_saver(self, stub: comfystub.Stub) -> None:
        save = node("SaveAudioMP3", audio=["empty", 0], filename_prefix="a", quality="V0")
        assert saved(stub, x=save, empty=silence(3.0)) == (3.0, 44100, 2)


class TestLoading:
    @pytest.mark.parametrize("loader", ["LoadAudio", "RecordAudio"])
    def test_length_rate_and_channels_are_those_of_the_file(self, stub: comfystub.Stub, loader: str) -> None:
        (stub.input_dir / "a.wav").write_bytes(wav(2.5))
        assert saved(stub, x=node(loader, audio="a.wav")) == (2.5, 8000, 1)

    @pytest.mark.parametrize("ending", ["flac", "mp3", "opus"])
    def test_what_was_saved_can_be_loaded(self, stub: comfystub.Stub, ending: str) -> None:
        (stub.output_dir / f"a.{ending}").write_bytes(encode(Sound(3.0, 48000), ending))
        seconds, rate, channels = saved(stub, x=node("LoadAudio", audio=f"a.{ending} [output]"))
        assert (round(seconds, 1), rate, channels) == (3.0, 48000, 2)

    def test_a_file_of_no_known_format_is_a_second_long(self, stub: comfystub.Stub) -> None:
        (stub.input_dir / "a.wav").write_bytes(b"not a sound at all")
        assert saved(stub, x=node("LoadAudio", audio="a.wav"))[0] == 1.0

    def test_other_files_sound_different(self, stub: comfystub.Stub) -> None:
        for name, seconds in (("a.wav", 1.0), ("b.wav", 1.0), ("c.wav", 1.0)):
            (stub.input_dir / name).write_bytes(wav(seconds) + (b"" if name != "c.wav" else b"LIST"))
            saved(stub, x=node("LoadAudio", audio=name))
        a, b, c = (heard(output.path.read_bytes()) for output in stub.outputs)
        assert a == b != c

    def test_a_film_is_heard(self, stub: comfystub.Stub) -> None:
        frames = node("EmptyImage", width=32, height=32, batch_size=24, color=0)
        film = node("CreateVideo", images=["frames", 0], audio=["empty", 0], fps=8.0)
        save = node("SaveVideo", video=["film", 0], filename_prefix="film", format="auto", codec="auto")
        run(stub, {"frames": frames, "empty": silence(3.0), "film": film, "save": save})
        (stub.input_dir / "film.mp4").write_bytes(stub.outputs[0].path.read_bytes())
        seconds, rate, channels = saved(stub, x=node("LoadAudio", audio="film.mp4"))
        assert (round(seconds, 1), rate, channels) == (3.0, 44100, 2)

    def test_a_file_that_is_gone_fails_the_node(self) -> None:
        with comfystub.patch(URL, validate=False) as stub:
            graph = {"x": node("LoadAudio", audio="gone.wav"), "p": node("PreviewAudio", audio=["x", 0])}
            assert failing_node(stub, graph) == "x"


class TestChanging:
    @pytest.mark.parametrize(
        ("start", "duration", "seconds"),
        [(0.0, 60.0, 10.0), (2.0, 3.0, 3.0), (8.0, 5.0, 2.0), (-4.0, 1.5, 1.5), (-20.0, 1.0, 1.0)],
    )
    def test_trimming(self, stub: comfystub.Stub, start: float, duration: float, seconds: float) -> None:
        x = node("TrimAudioDuration", audio=["empty", 0], start_index=start, duration=duration)
        assert saved(stub, x=x, empty=silence(10.0))[0] == seconds

    @pytest.mark.parametrize(("start", "duration"), [(10.0, 1.0), (3.0, 0.0)])
    def test_trimming_all_of_it_fails(self, stub: comfystub.Stub, start: float, duration: float) -> None:
        x = node("TrimAudioDuration", audio=["empty", 0], start_index=start, duration=duration)
        graph = {"x": x, "empty": silence(10.0), "p": node("PreviewAudio", audio=["x", 0])}
        assert failing_node(stub, graph) == "x"

    @pytest.mark.parametrize(
        ("one", "other", "direction", "result"),
        [
            ((2.0, 44100, 2), (3.0, 44100, 2), "after", (5.0, 44100, 2)),
            ((2.0, 22050, 1), (1.0, 48000, 1), "before", (3.0, 48000, 2)),
        ],
    )
    def test_one_sound_after_the_other(
        self, stub: comfystub.Stub, one: Any, other: Any, direction: str, result: Any
    ) -> None:
        x = node("AudioConcat", audio1=["one", 0], audio2=["two", 0], direction=direction)
        assert saved(stub, x=x, one=silence(*one), two=silence(*other)) == result

    @pytest.mark.parametrize("other", [1.0, 5.0])
    def test_merged_sounds_are_as_long_as_the_first(self, stub: comfystub.Stub, other: float) -> None:
        x = node("AudioMerge", audio1=["one", 0], audio2=["two", 0], merge_method="mean")
        assert saved(stub, x=x, one=silence(3.0), two=silence(other, 48000)) == (3.0, 48000, 2)

    def test_the_channels_of_a_sound(self, stub: comfystub.Stub) -> None:
        x = node("SplitAudioChannels", audio=["empty", 0])
        assert saved(stub, x=x, empty=silence(2.0)) == (2.0, 44100, 1)
        joined = node("JoinAudioChannels", audio_left=["split", 0], audio_right=["short", 0])
        graph = {"x": joined, "split": x, "empty": silence(2.0), "short": silence(1.5, 48000, 1)}
        assert saved(stub, **graph) == (1.5, 48000, 2)

    def test_mono_has_no_channels_to_split(self, stub: comfystub.Stub) -> None:
        x = node("SplitAudioChannels", audio=["empty", 0])
        graph = {"x": x, "empty": silence(channels=1), "p": node("PreviewAudio", audio=["x", 0])}
        assert failing_node(stub, graph) == "x"

    @pytest.mark.parametrize(
        ("class_type", "inputs"),
        [
            ("AudioAdjustVolume", {"volume": 6}),
            (
                "AudioEqualizer3Band",
                {
                    "low_gain_dB": 3.0,
                    "low_freq": 100,
                    "mid_gain_dB": 0.0,
                    "mid_freq": 1000,
                    "mid_q": 0.707,
                    "high_gain_dB": 0.0,
                    "high_freq": 5000,
                },
            ),
        ],
    )
    def test_what_changes_the_sound_keeps_its_length(
        self, stub: comfystub.Stub, class_type: str, inputs: Graph
    ) -> None:
        (stub.input_dir / "a.wav").write_bytes(wav(1.25, channels=2))
        load = node("LoadAudio", audio="a.wav")
        assert saved(stub, x=load) == (1.25, 8000, 2)
        assert saved(stub, x=node(class_type, audio=["load", 0], **inputs), load=load) == (1.25, 8000, 2)
        before, after = (heard(output.path.read_bytes()) for output in stub.outputs)
        assert before != after

    def test_silence_stays_silent(self, stub: comfystub.Stub) -> None:
        saved(stub, x=silence(1.0))
        saved(stub, x=node("AudioAdjustVolume", audio=["empty", 0], volume=6), empty=silence(1.0))
        before, after = (heard(output.path.read_bytes()) for output in stub.outputs)
        assert before == after

    def test_the_length_can_be_wired(self, stub: comfystub.Stub) -> None:
        x = node("TrimAudioDuration", audio=["empty", 0], start_index=0.0, duration=["seconds", 0])
        seconds = node("PrimitiveFloat", value=0.75)
        assert saved(stub, x=x, empty=silence(), seconds=seconds)[0] == 0.75


class TestWithoutValidation:
    @pytest.mark.parametrize(
        "saver", ["SaveAudio", "SaveAudioMP3", "SaveAudioOpus", "SaveAudioAdvanced", "PreviewAudio"]
    )
    def test_a_saver_without_its_sound_saves_one_that_is_made_up(self, saver: str) -> None:
        with comfystub.patch(URL, validate=False) as stub:
            job = run(stub, {"9": node(saver, audio=["gone", 0])})
            found = probe(job.outputs[0].path.read_bytes())
            assert found is not None and round(found.seconds, 1) == 1.0


class TestOtherClasses:
    """What a class gives whose author says no more than its inputs and outputs."""

    @pytest.mark.parametrize(
        "inputs", [{"duration": 2.5}, {"seconds": 2.5}, {"sound": ["empty", 0]}], ids=str
    )
    def test_sounds(self, stub: comfystub.Stub, inputs: Graph) -> None:
        types = {"sound": "AUDIO", "duration": "FLOAT", "seconds": "FLOAT"}
        stub.add_node("MySound", inputs={"optional": types}, outputs="AUDIO")
        assert saved(stub, x=node("MySound", **inputs), empty=silence(2.5))[0] == 2.5
