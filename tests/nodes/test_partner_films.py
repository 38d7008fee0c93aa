"""Films and sound from partner nodes: how large, how long and how fast they are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import comfystub
from nodes.graphs import Graph, graph_around, node, run
from nodes.partners import SOURCES, F, P, S, Size, outputs, sizes

URL = "http://comfy.test:8188"


@pytest.fixture(scope="module")
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


class TestFilms:
    @pytest.mark.parametrize(
        ("name", "inputs", "size", "seconds", "fps"),
        [
            ("KlingTextToVideoNode", {}, (1920, 1080), 5, 24),
            (
                "KlingTextToVideoNode",
                {"mode": "pro mode / 10s duration / kling-v2-5-turbo", "aspect_ratio": "1:1"},
                (1440, 1440),
                10,
                24,
            ),
            ("KlingImage2VideoNode", {"start_frame": P, "duration": "10"}, (1662, 1248), 10, 24),
            ("KlingOmniProTextToVideoNode", {"resolution": "4k", "duration": 3}, (3840, 2160), 3, 24),
            (
                "KlingVideoNode",
                {"multi_shot": "2 storyboards", "multi_shot.storyboard_1_duration": 3}
                | {"multi_shot.storyboard_2_duration": 4, "model.resolution": "720p"},
                (1280, 720),
                7,
                24,
            ),
            ("KlingAvatarNode", {"image": P, "sound_file": S}, (1108, 832), 3, 24),
            ("KlingVideoExtendNode", {}, (1280, 720), 10, 24),
            ("VeoVideoGenerationNode", {"aspect_ratio": "9:16"}, (720, 1280), 5, 24),
            ("Veo3VideoGenerationNode", {"resolution": "1080p", "duration_seconds": 6}, (1920, 1080), 6, 24),
            ("Veo3FirstLastFrameNode", {"first_frame": P, "last_frame": P}, (1280, 720), 8, 24),
            ("OpenAIVideoSora2", {"size": "1024x1792", "duration": 12}, (1024, 1792), 12, 30),
            ("LumaVideoNode", {"duration": "9s", "resolution": "540p"}, (960, 540), 9, 24),
            ("LumaVideoNode", {"aspect_ratio": "1:1", "resolution": "720p"}, (960, 960), 5, 24),
            ("LumaImageToVideoNode", {"first_image": P, "resolution": "4k"}, (3326, 2494), 5, 24),
            ("LumaRay32VideoReframeNode", {"video": F, "aspect_ratio": "9:16"}, (720, 1280), 2, 30),
            ("MinimaxTextToVideoNode", {}, (1280, 720), 6, 25),
            ("MinimaxHailuoVideoNode", {"duration": 10, "resolution": "768P"}, (1366, 768), 10, 24),
            ("MinimaxHailuo03TextToVideoNode", {"model.resolution": "2K"}, (2560, 1440), 5, 24),
            ("RunwayImageToVideoNodeGen4", {"start_frame": P, "ratio": "1104:832"}, (1104, 832), 5, 24),
            ("RunwayAleph2VideoToVideoNode", {"video": F}, (640, 480), 2, 30),
            ("PixverseTextToVideoNode", {"quality": "1080p", "duration_seconds": 8}, (1920, 1080), 8, 24),
            ("ViduTextToVideoNode", {}, (1920, 1080), 5, 24),
            ("Vidu2TextToVideoNode", {"aspect_ratio": "9:16", "duration": 7}, (720, 1280), 7, 24),
            (
                "ViduMultiFrameVideoNode",
                {"start_image": P, "frames": "3", "frames.duration3": 7},
                (1108, 832),
                15,
                24,
            ),
            ("ViduExtendVideoNode", {"video": F, "model.duration": 6}, (960, 720), 6, 30),
            ("WanTextToVideoApi", {"size": "1080p: 4:3 (1632x1248)", "duration": 10}, (1632, 1248), 10, 24),
            ("WanImageToVideoApi", {"image": P, "resolution": "480P"}, (740, 554), 5, 24),
            ("Wan2VideoEditApi", {"video": F, "model.resolution": "720P"}, (1280, 720), 2, 30),
            ("Wan2VideoEditApi", {"video": F, "model.duration": "4"}, (1280, 720), 4, 30),
            ("ByteDanceTextToVideoNode", {"resolution": "720p", "duration": 3}, (1280, 720), 3, 24),
            (
                "ByteDanceImageToVideoNode",
                {"image": P, "resolution": "720p"} | {"aspect_ratio": "adaptive"},
                (1108, 832),
                5,
                24,
            ),
            (
                "ByteDance2TextToVideoNode",
                {"model": "Seedance 2.0", "model.resolution": "4k"},
                (3840, 2160),
                7,
                24,
            ),
            (
                "LtxvApiTextToVideo",
                {"resolution": "2560x1440", "duration": 6, "fps": 50},
                (2560, 1440),
                6,
                50,
            ),
            ("LtxApi25TextToVideo", {"model.fps": "48", "model.duration": "2"}, (1920, 1080), 2, 48),
            ("LtxApi25AudioToVideo", {"audio": S, "model.resolution": "1080x1920"}, (1080, 1920), 3, 24),
            ("Flux3TextToVideoNode", {"duration": "7", "aspect_ratio": "2:1"}, (1358, 678), 7, 24),
            ("FluxVideoUpscaleNode", {"video": F, "upscale_factor": 1.5}, (960, 720), 2, 24),
            (
                "HeyGenAvatarVideoNode",
                {"speech": "audio", "speech.audio": S, "aspect_ratio": "1:1"},
                (1080, 1080),
                3,
                24,
            ),
            (
                "HeyGenAvatarVideoNode",
                {"speech.text": "a" * 150, "speech.voice_speed": 0.5},
                (1920, 1080),
                20,
                24,
            ),
            ("KlingLipSyncAudioToVideoNode", {"video": F, "audio": S}, (640, 480), 2, 30),
            ("TopazVideoEnhance", {"video": F}, (1440, 1080), 2, 30),
            ("TopazVideoEnhance", {"video": F, "upscaler_enabled": False}, (640, 480), 2, 30),
            (
                "TopazVideoEnhance",
                {"video": F, "interpolation_enabled": True, "interpolation_slowmo": 4},
                (1440, 1080),
                8,
                60,
            ),
            (
                "TopazVideoEnhanceV2",
                {"video": F, "upscaler_model": "Disabled", "interpolation_model": "apo-8"}
                | {"interpolation_model.interpolation_frame_rate": 120},
                (640, 480),
                2,
                120,
            ),
            ("ByteDanceVideoEnhanceNode", {"video": F, "resolution": "4k"}, (2880, 2160), 2, 30),
            (
                "ByteDanceVideoEnhanceNode",
                {"video": F, "resolution": "custom", "resolution.short_side": 240, "fps": "60"},
                (320, 240),
                2,
                60,
            ),
            ("HitPawVideoEnhance", {"video": F, "model.resolution": "2K/QHD"}, (1920, 1440), 2, 30),
            ("HitPawVideoEnhance", {"video": F, "model.resolution": "original"}, (640, 480), 2, 30),
            ("WavespeedFlashVSRNode", {"video": F, "target_resolution": "4K"}, (2880, 2160), 2, 30),
        ],
    )
    def test_size_length_and_speed(
        self, stub: comfystub.Stub, name: str, inputs: Graph, size: Size, seconds: float, fps: float
    ) -> None:
        film = outputs(stub, name, **inputs)[0]
        assert (film.images[0].size, film.seconds, film.fps) == (size, seconds, fps)

    @pytest.mark.parametrize(
        ("name", "inputs", "seconds"),
        [
            ("Veo3VideoGenerationNode", {"generate_audio": True}, 8),
            ("Veo3VideoGenerationNode", {"generate_audio": False}, None),
            ("Veo3VideoGenerationNode", {}, None),
            ("KlingTextToVideoWithAudio", {}, 5),
            ("KlingVideoNode", {"generate_audio": False}, None),
            ("KlingVideoNode", {"generate_audio": False, "model": "kling-3.0-turbo"}, 5),
            ("Vidu3TextToVideoNode", {"model.audio": True}, 5),
            ("Vidu2TextToVideoNode", {"background_music": True}, 5),
            ("OpenAIVideoSora2", {}, 8),
            ("LumaVideoNode", {}, None),
            ("WanTextToVideoApi", {"audio": S}, 5),
            ("HeyGenAvatarVideoNode", {"speech.text": "a" * 75}, 5),
            ("KlingLipSyncAudioToVideoNode", {"video": F, "audio": S}, 2),
            ("GrokVideoExtendNode", {"video": F, "model.duration": 4}, 4),
            ("KlingOmniProEditVideoNode", {"video": F, "keep_original_sound": True}, 3),
            ("KlingOmniProEditVideoNode", {"video": F, "keep_original_sound": False}, None),
            ("RunwayAleph2VideoToVideoNode", {"video": F}, 3),
        ],
    )
    def test_its_sound(self, stub: comfystub.Stub, name: str, inputs: Graph, seconds: float | None) -> None:
        sound = outputs(stub, name, **inputs)[0].sound
        assert (sound and sound.seconds) == seconds

    def test_a_second_of_it_is_one_picture(self, stub: comfystub.Stub) -> None:
        images = outputs(stub, "VeoVideoGenerationNode")[0].images
        assert len(images) == 120
        assert len({id(picture) for picture in images}) == 5
        assert images[0] is images[23] is not images[24]
        assert images[0].png() != images[24].png()

    def test_a_film_without_its_background_as_pictures(self, stub: comfystub.Stub) -> None:
        images, masks = outputs(stub, "BriaTransparentVideoBackground", video=F)
        assert sizes(images) == sizes(masks) == [(640, 480)] * 60

    def test_it_can_be_saved(self, stub: comfystub.Stub) -> None:
        graph = {**graph_around("LtxApi25TextToVideo", **{"model.duration": "2"}), **SOURCES}
        graph["save"] = node("SaveVideo", video=["x", 0], filename_prefix="v", format="mp4", codec="h264")
        saved = run(stub, graph).outputs[0]
        assert (saved.filename, saved.path.read_bytes()[4:8]) == ("v_00001_.mp4", b"ftyp")


class TestSound:
    @pytest.mark.parametrize(
        ("name", "inputs", "seconds", "rate"),
        [
            ("ElevenLabsTextToSoundEffects", {"model.duration": 2.5}, 2.5, 44100),
            ("ElevenLabsTextToSpeech", {"text": "a" * 60, "output_format": "opus_48000_192"}, 4, 48000),
            ("ElevenLabsTextToSpeech", {"text": "a" * 60, "model.speed": 0.8}, 5, 44100),
            ("ElevenLabsTextToSpeech", {"text": "a"}, 1, 44100),
            (
                "ElevenLabsTextToDialogue",
                {"inputs": "2", "inputs.text1": "a" * 29, "inputs.text2": "b" * 30},
                4,
                44100,
            ),
            ("ElevenLabsSpeechToSpeech", {"audio": S}, 3, 44100),
            ("ElevenLabsAudioIsolation", {"audio": S}, 3, 16000),
            ("FishAudioTextToSpeech", {"text": "a" * 150, "model.speed": 2.0}, 5, 44100),
            ("HeyGenTextToSpeechNode", {"text": "a" * 30}, 2, 44100),
            ("ByteDanceSeedAudio", {"text_prompt": "a" * 45, "sample_rate": "8000"}, 3, 8000),
            ("SoniloTextToMusic", {"duration": 90}, 90, 44100),
            ("SoniloVideoToMusic", {"video": F}, 2, 44100),
        ],
    )
    def test_length_and_sample_rate(
        self, stub: comfystub.Stub, name: str, inputs: Graph, seconds: float, rate: int
    ) -> None:
        [sound] = outputs(stub, name, **inputs)[0]
        assert (sound.seconds, sound.sample_rate) == (seconds, rate)

    def test_it_follows_what_went_into_it(self, stub: comfystub.Stub) -> None:
        sounds = [outputs(stub, "HeyGenTextToSpeechNode", text=text)[0][0] for text in ("a fox", "a cat")]
        assert sounds[0].digest != sounds[1].digest
