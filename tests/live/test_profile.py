"""``patch(profile=...)``: a stub that is the server a snapshot was taken of."""

from __future__ import annotations

import gzip
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from workflows import text_to_image

import comfystub
from comfystub.live import snapshot
from comfystub.live.asking import LiveServer

URL = "http://comfy.test:8188"

MODELS = {
    "checkpoints": ["a.safetensors", "sd/b.safetensors"],
    "vae": ["ae.safetensors"],
    "embeddings": ["easy.pt"],
    "ultralytics": ["face.pt"],
}


def taken() -> dict[str, Any]:
    with LiveServer(URL) as server:
        return snapshot.take(server).document


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """A snapshot of a server with models and a node pack of its own."""
    stub = comfystub.Stub(URL, models=MODELS)
    stub.add_node("PackLoad", inputs={"file": (["none"], {"image_upload": True})}, outputs=["IMAGE"])
    stub.add_node("PackStyle", inputs={"style": (["oil", "ink"], {})}, outputs=["IMAGE"])
    stub.route("GET", "/features")(lambda request: {"supports_preview_metadata": True, "pack": 3})
    stub.route("GET", "/extensions")(lambda request: ["/extensions/pack/pack.js"])
    stub.route("GET", "/i18n")(lambda request: {"en": {"pack": "Pack"}})
    with comfystub.patch(stub=stub):
        httpx.post(f"{URL}/settings", json={"Comfy.Locale": "de"})
        return taken()


@pytest.fixture(scope="module")
def path(document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("profile") / "mine.json.gz"
    snapshot.write(document, path)
    return path


@pytest.fixture
def stub(path: pathlib.Path) -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL, profile=path) as stub:
        yield stub


def get(path: str) -> Any:
    return httpx.get(URL + path).json()


def submit(graph: Any) -> httpx.Response:
    return httpx.post(f"{URL}/prompt", json={"prompt": graph})


def options(name: str, field: str, section: str = "required") -> Any:
    return get(f"/object_info/{name}")[name]["input"][section][field][0]


# --- what it answers


def test_a_snapshot_of_it_is_the_same_snapshot(stub: comfystub.Stub, document: dict[str, Any]) -> None:
    again = taken()
    assert again == document
    assert [list(again[part]) for part in ("object_info", "models")] == [
        list(document[part]) for part in ("object_info", "models")
    ]


def test_so_is_that_of_an_older_server() -> None:
    with comfystub.patch(URL, version="0.8", models=MODELS):
        document = taken()
    for entry in document["object_info"].values():
        del entry["search_aliases"]  # which was not there yet
    with comfystub.patch(URL, profile=document):
        assert taken() == document


@pytest.mark.parametrize(
    "part", ["features", "system_stats", "settings", "extensions", "node_replacements", "i18n"]
)
def test_a_part_is_what_its_route_answers(part: str, stub: comfystub.Stub, document: dict[str, Any]) -> None:
    assert get(f"/{part}") == get(f"/api/{part}") == document[part]


def test_a_socket_is_told_the_features(stub: comfystub.Stub, document: dict[str, Any]) -> None:
    import websocket

    socket = websocket.create_connection(f"{URL.replace('http', 'ws')}/ws")
    socket.send(json.dumps({"type": "feature_flags", "data": {}}))
    said = [json.loads(socket.recv()) for _ in range(2)]
    socket.close()
    assert said[1] == {"type": "feature_flags", "data": document["features"]}


def test_a_server_without_features() -> None:
    document = {"comfystub_snapshot": 1, "object_info": {}, "features": {}, "system_stats": {"system": 1}}
    with comfystub.patch(URL, profile=document):
        assert get("/features") == {}
        assert get("/system_stats") == {"system": 1}


def test_exactly_its_models_are_installed(stub: comfystub.Stub) -> None:
    assert get("/models/checkpoints") == MODELS["checkpoints"]
    assert get("/models/loras") == []
    assert get("/models")[-1] == "ultralytics"
    assert get("/embeddings") == ["easy"]
    assert submit(text_to_image(checkpoint="sd/b.safetensors")).status_code == 200
    refused = submit(text_to_image(checkpoint="v1-5-pruned-emaonly.safetensors"))
    assert refused.status_code == 400
    (error,) = refused.json()["node_errors"]["4"]["errors"]
    assert error["details"].endswith("not in ['a.safetensors', 'sd/b.safetensors']")


def test_its_model_folders_in_its_order() -> None:
    document = {"comfystub_snapshot": 1, "object_info": {}, "models": {"z": ["1"], "checkpoints": []}}
    with comfystub.patch(URL, profile=document) as stub:
        assert get("/models") == ["z", "checkpoints"]
        stub.add_model("new", "2")
        assert get("/models") == ["z", "checkpoints", "new"]
    with comfystub.patch(URL, profile={**document, "models": {}}):
        assert get("/models") == []


def test_settings_can_be_changed_and_come_back(stub: comfystub.Stub) -> None:
    httpx.post(f"{URL}/settings", json={"Comfy.Locale": "fr", "other": 1})
    assert get("/settings") == {"Comfy.Locale": "fr", "other": 1}
    stub.reset()
    assert get("/settings") == {"Comfy.Locale": "de"}


def test_it_answers_as_its_release_does(document: dict[str, Any]) -> None:
    def accepts_any_id(**arguments: Any) -> bool:
        with comfystub.patch(URL, profile=arguments.pop("of", document), **arguments):
            body = {"prompt": text_to_image(checkpoint="a.safetensors"), "prompt_id": "my own"}
            return httpx.post(f"{URL}/prompt", json=body).status_code == 200

    assert not accepts_any_id()
    assert accepts_any_id(version="0.8")
    for version, old in (
        ("0.8.2", True),
        ("0.9.0", True),
        ("0.32.9", True),
        ("0.33.1", False),
        ("1.0", False),
    ):
        stats = {"system": {"comfyui_version": version}, "devices": []}
        assert accepts_any_id(of={**document, "system_stats": stats}) is old, version
    assert not accepts_any_id(of={**document, "system_stats": {"system": {}}})


# --- lists of files


def test_lists_of_models_follow_the_folders(stub: comfystub.Stub) -> None:
    stub.add_model("checkpoints", "new.safetensors")
    stub.add_model("vae", "new-vae.safetensors")
    assert options("CheckpointLoaderSimple", "ckpt_name") == [*MODELS["checkpoints"], "new.safetensors"]
    assert options("VAELoader", "vae_name") == ["ae.safetensors", "new-vae.safetensors", "pixel_space"]
    assert submit(text_to_image(checkpoint="new.safetensors")).status_code == 200


def test_a_picture_that_is_uploaded_can_be_chosen(stub: comfystub.Stub) -> None:
    assert options("LoadImage", "image") == ["example.png"]
    httpx.post(f"{URL}/upload/image", files={"image": ("mine.png", b"any", "image/png")})
    assert options("LoadImage", "image") == ["example.png", "mine.png"]
    assert options("PackLoad", "file") == ["example.png", "mine.png", "none"]
    graph: dict[str, Any] = {
        "1": {"class_type": "PackLoad", "inputs": {"file": "mine.png"}},
        "9": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    assert submit(graph).status_code == 200
    graph["1"]["inputs"]["file"] = "other.png"
    assert submit(graph).status_code == 400


def test_other_lists_stay_as_they_were(stub: comfystub.Stub) -> None:
    assert options("PackStyle", "style") == ["oil", "ink"]


def test_a_list_that_is_not_made_of_the_files_stays_as_it_was(document: dict[str, Any]) -> None:
    nodes = json.loads(json.dumps(document["object_info"]))
    nodes["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"][0] = ["sd/b.safetensors", "remote.ckpt"]
    with comfystub.patch(URL, profile={**document, "object_info": nodes}) as stub:
        stub.add_model("checkpoints", "new.safetensors")
        assert options("CheckpointLoaderSimple", "ckpt_name") == ["sd/b.safetensors", "remote.ckpt"]


def test_without_models_lists_stay_as_they_were(document: dict[str, Any]) -> None:
    bare = {part: value for part, value in document.items() if part != "models"}
    with comfystub.patch(URL, profile=bare):
        assert options("CheckpointLoaderSimple", "ckpt_name") == MODELS["checkpoints"]
        assert submit(text_to_image(checkpoint="other.safetensors")).status_code == 400
        assert "loras" in get("/models")


# --- beside other arguments


def test_models_win_over_it(path: pathlib.Path) -> None:
    with comfystub.patch(URL, profile=path, models={"checkpoints": ["mine.safetensors"]}):
        assert options("CheckpointLoaderSimple", "ckpt_name") == ["mine.safetensors"]
        assert get("/models/vae") == []
        assert get("/models")[-1] == "ultralytics"


@pytest.mark.parametrize("nodes", [{}, {"Mine": {"input": {}, "output": []}}])
def test_object_info_wins_for_nodes(nodes: dict[str, Any], path: pathlib.Path) -> None:
    with comfystub.patch(URL, profile=path, object_info=nodes):
        assert list(get("/object_info")) == list(nodes)
        assert get("/models/checkpoints") == MODELS["checkpoints"]
        assert get("/features")["pack"] == 3


def test_every_server_of_a_cluster_has_it(path: pathlib.Path) -> None:
    with comfystub.cluster(2, URL, profile=path):
        assert [get("/features")["pack"] for _ in range(2)] == [3, 3]


def test_servers_of_one_profile_share_nothing(path: pathlib.Path) -> None:
    one, two = (comfystub.Stub(URL, profile=path) for _ in range(2))
    one.add_model("checkpoints", "new.safetensors")
    one.add_node("PackStyle")
    with comfystub.patch(stub=one):
        httpx.post(f"{URL}/settings", json={"Comfy.Locale": "fr"})
        assert options("CheckpointLoaderSimple", "ckpt_name")[-1] == "new.safetensors"
    with comfystub.patch(stub=two):
        assert get("/settings") == {"Comfy.Locale": "de"}
        assert options("CheckpointLoaderSimple", "ckpt_name")[-1] == "sd/b.safetensors"
        assert options("PackStyle", "style") == ["oil", "ink"]


# --- the file


@pytest.mark.parametrize("name", ["mine.json.gz", "mine.json", "mine"])
def test_a_file_is_read_for_what_it_holds_not_for_its_name(
    name: str, document: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    snapshot.write(document, tmp_path / name)
    for given in (tmp_path / name, str(tmp_path / name)):
        with comfystub.patch(URL, profile=given):
            assert get("/features") == document["features"]


def test_a_file_that_changed_is_read_anew(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "mine.json"
    for features in ({"one": 1}, {"two": 22}):
        snapshot.write({"comfystub_snapshot": 1, "object_info": {}, "features": features}, file)
        with comfystub.patch(URL, profile=file):
            assert get("/features") == features


NODES: dict[str, Any] = {"KSampler": {"input": {}, "output": []}}

WRONG = [
    ([1], TypeError, "profile= takes a snapshot's file or what stands in it, not [1]"),
    (
        NODES,
        ValueError,
        "this dict is no snapshot but the answer of GET /object_info: give it as object_info=",
    ),
    (
        {"a": 1},
        ValueError,
        "profile= takes a file that `comfystub snapshot` wrote, and this dict is none: it has no 'comfystub_snapshot'",
    ),
    (
        {"comfystub_snapshot": 2},
        ValueError,
        "this dict is a snapshot of format 2, and this comfystub reads 1: "
        "take it anew, or use the comfystub that took it",
    ),
    (
        {"comfystub_snapshot": 1},
        ValueError,
        "this dict is a broken snapshot: its part 'object_info' is not what ComfyUI answers",
    ),
    *(
        (
            {"comfystub_snapshot": 1, "object_info": {}, part: value},
            ValueError,
            f"this dict is a broken snapshot: its part {part!r} is not what ComfyUI answers",
        )
        for part, value in [
            ("object_info", {"KSampler": 1}),
            ("models", ["checkpoints"]),
            ("models", {"checkpoints": "a"}),
            ("settings", None),
            ("extensions", {}),
            ("node_replacements", {"Old": 1}),
        ]
    ),
]


@pytest.mark.parametrize(("given", "kind", "said"), WRONG)
def test_what_is_no_profile(given: Any, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind) as raised:
        comfystub.patch(profile=given)
    assert str(raised.value) == said


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is no JSON"),
        (b"\x89PNG\r\n", "it is no JSON"),
        (b"[1]", "it holds no object"),
        (b"{}", "it has no 'comfystub_snapshot'"),
        (gzip.compress(b"{}")[:-9], "it is no JSON"),
        (gzip.compress(b"nothing"), "it is no JSON"),
        (b"\x1f\x8bnothing", "it is no JSON"),
    ],
)
def test_a_file_that_is_none(data: bytes, why: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "mine").write_bytes(data)
    with pytest.raises(ValueError) as raised:
        comfystub.patch(profile=tmp_path / "mine")
    assert str(raised.value) == (
        f"profile= takes a file that `comfystub snapshot` wrote, and {tmp_path / 'mine'} is none: {why}"
    )


def test_no_file(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError):
        comfystub.patch(profile=tmp_path / "mine")


def test_as_an_ini_option(document: dict[str, Any], pytester: pytest.Pytester) -> None:
    snapshot.write(document, pytester.path / "mine.json")
    pytester.makeini("[pytest]\ncomfystub_profile = mine.json")
    pytester.makepyfile(
        """
        import httpx

        def test_it(comfy_stub):
            assert httpx.get("http://127.0.0.1:8188/features").json()["pack"] == 3
        """
    )
    pytester.runpytest_subprocess("-p", "no:hypothesispytest").assert_outcomes(passed=1)
