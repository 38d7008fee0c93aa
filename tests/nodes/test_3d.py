"""What 3D nodes do as far as a client can see: files and their formats, numbers, pictures."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

import comfystub
from comfystub.media.shapes import FORMATS, Shape, encode, kind_of

URL = "http://comfy.test:8188"
Graph = dict[str, Any]

CAMERA = {"position": {"x": 1, "y": 2, "z": 3}, "target": {"x": 0, "y": 0, "z": 0}}
INFO = [{"name": "box", "position": {"x": 0, "y": 0, "z": 0}}]
VIEW = {"viewport_state": {"camera_info": CAMERA, "model_3d_info": INFO}, "width": 640, "height": 480}


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


@pytest.fixture
def lenient() -> Iterator[comfystub.Stub]:
    """A stub that takes a graph with nothing but the nodes that matter."""
    with comfystub.patch(URL, validate=False) as stub:
        yield stub


def node(class_type: str, **inputs: Any) -> Graph:
    return {"class_type": class_type, "inputs": inputs}


def run(stub: comfystub.Stub, graph: Graph) -> comfystub.Job:
    with stub.client() as client:
        client.post("/prompt", json={"prompt": graph}).raise_for_status()
    job = stub.jobs[-1]
    assert job.error is None
    return job


def mesh(threshold: float = 0.6) -> Graph:
    """A mesh, and what it needs to be made of in earnest, under the ids that are not ``x``."""
    return {
        "model": node("ImageOnlyCheckpointLoader", ckpt_name="hunyuan3d.safetensors"),
        "latent": node("EmptyLatentHunyuan3Dv2", resolution=3072, batch_size=1),
        "voxel": node(
            "VAEDecodeHunyuan3D",
            samples=["latent", 0],
            vae=["model", 2],
            num_chunks=8000,
            octree_resolution=256,
        ),
        "mesh": node("VoxelToMesh", voxel=["voxel", 0], algorithm="surface net", threshold=threshold),
    }


def glb_of(job: comfystub.Job) -> tuple[Any, bytes]:
    """The JSON of the GLB file that a job left, and its bytes."""
    data = job.outputs[0].path.read_bytes()
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    size, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON"
    return json.loads(data[20 : 20 + size]), data


def saved(stub: comfystub.Stub, **nodes: Graph) -> bytes:
    """The file of the mesh that ``x`` gives."""
    return glb_of(run(stub, {**nodes, "save": node("SaveGLB", mesh=["x", 0], filename_prefix="m")}))[1]


def text_of(stub: comfystub.Stub, slot: int, **nodes: Graph) -> str:
    """What an output of ``x`` is, as text."""
    job = run(stub, {**nodes, "p": node("PreviewAny", source=["x", slot])})
    text: str = job.ui["p"]["text"][0]
    return text


class TestSaving:
    def test_a_mesh_becomes_a_glb_file(self, stub: comfystub.Stub) -> None:
        job = run(stub, {**mesh(), "save": node("SaveGLB", mesh=["mesh", 0], filename_prefix="3d/box")})
        entry = {"filename": "box_00001_.glb", "subfolder": "3d", "type": "output"}
        assert job.ui == {"save": {"3d": [entry]}}
        document, _ = glb_of(job)
        assert document["asset"]["version"] == "2.0" and len(document["meshes"]) == 1

    def test_the_file_follows_from_what_made_it(self, stub: comfystub.Stub) -> None:
        graphs = [
            {**mesh(threshold), "save": node("SaveGLB", mesh=["mesh", 0], filename_prefix=prefix)}
            for threshold, prefix in ((0.6, "a"), (0.6, "b"), (0.5, "c"))
        ]
        a, b, c = (run(stub, graph).outputs[0].path.read_bytes() for graph in graphs)
        assert a == b != c

    @pytest.mark.parametrize("format", FORMATS)
    def test_a_file_is_saved_in_the_format_it_has(self, lenient: comfystub.Stub, format: str) -> None:
        data = encode(Shape(b"theirs", format))
        (lenient.input_dir / "3d").mkdir()
        (lenient.input_dir / "3d" / f"a.{format.upper()}").write_bytes(data)
        load = node("Load3DAdvanced", model_file=f"3d/a.{format.upper()}")
        output = run(lenient, {"x": load, "save": node("SaveGLB", mesh=["x", 0])}).outputs[0]
        assert (output.path.name, output.subfolder) == (f"ComfyUI_00001_.{format}", "3d")
        assert output.path.read_bytes() == data

    @pytest.mark.parametrize(
        ("saver", "ending"),
        [("Save3DAdvanced", "glb"), ("SaveGaussianSplat", "spz"), ("SavePointCloud", "ply")],
    )
    def test_savers_with_a_view_show_the_path_and_the_view(
        self, lenient: comfystub.Stub, saver: str, ending: str
    ) -> None:
        (lenient.input_dir / f"a.{ending}").write_bytes(encode(Shape(b"theirs", ending)))
        load = node("Load3DAdvanced", model_file=f"a.{ending}")
        save = node(saver, model_3d=["load", 0], filename_prefix="3d/a", **VIEW)
        job = run(lenient, {"load": load, "x": save})
        assert job.ui["x"] == {"result": [f"3d/a_00001_.{ending}", CAMERA, INFO]}
        assert kind_of((lenient.output_dir / f"3d/a_00001_.{ending}").read_bytes()) == ending

    @pytest.mark.parametrize(
        "preview", ["Preview3DAdvanced", "PreviewGaussianSplat", "PreviewPointCloud", "Save3DAdvanced"]
    )
    def test_a_view_goes_on_to_the_next_node(self, lenient: comfystub.Stub, preview: str) -> None:
        x = node(preview, model_3d=["gone", 0], **VIEW)
        assert [text_of(lenient, slot, x=x) for slot in (1, 2, 3, 4)] == [
            *(json.dumps(value) for value in (INFO, CAMERA)),
            *("640", "480"),
        ]


class TestPreviewing:
    def test_a_mesh_is_shown_from_the_output_folder(self, stub: comfystub.Stub) -> None:
        file = node("MeshToFile3D", mesh=["mesh", 0])
        camera = node("CreateCameraInfo", **camera_inputs("orbit", yaw=90.0, pitch=0.0, distance=2.0))
        background = node("EmptyImage", width=40, height=30, batch_size=1, color=0xFF0000)
        inputs = {"camera_info": ["camera", 0], "bg_image": ["background", 0]}
        show = node("Preview3D", model_file=["file", 0], **inputs)
        graph = {**mesh(), "file": file, "camera": camera, "background": background, "show": show}
        name, shown_camera, shown_background = run(stub, graph).ui["show"]["result"]
        assert kind_of((stub.output_dir / name).read_bytes()) == "glb" and name.endswith(".glb")
        assert shown_camera["position"] == pytest.approx({"x": 2.0, "y": 0.0, "z": 0.0})
        folder, _, picture = shown_background.partition("/")
        with Image.open(stub.temp_dir / picture) as image:
            assert (folder, image.size) == ("temp", (40, 30))

    def test_the_name_of_a_file_is_shown_as_it_is(self, stub: comfystub.Stub) -> None:
        job = run(stub, {"show": node("Preview3D", model_file="3d/theirs.glb")})
        assert job.ui == {"show": {"result": ["3d/theirs.glb", None, None]}}

    @pytest.mark.parametrize(
        ("preview", "ending"),
        [("Preview3DAdvanced", "obj"), ("PreviewGaussianSplat", "ksplat"), ("PreviewPointCloud", "ply")],
    )
    def test_previews_with_a_view_lie_in_the_temp_folder(
        self, lenient: comfystub.Stub, preview: str, ending: str
    ) -> None:
        data = encode(Shape(b"theirs", ending))
        (lenient.input_dir / f"a.{ending}").write_bytes(data)
        load = node("Load3DAdvanced", model_file=f"a.{ending}")
        job = run(lenient, {"load": load, "x": node(preview, model_3d=["load", 0], **VIEW)})
        path, camera, info = job.ui["x"]["result"]
        assert (camera, info) == (CAMERA, INFO)
        name, _, annotation = path.partition(" ")
        assert annotation == "[temp]" and (lenient.temp_dir / name).read_bytes() == data
        with lenient.client() as client:
            assert client.get("/view", params={"filename": path}).content == data

    def test_a_preview_saves_nothing(self, stub: comfystub.Stub) -> None:
        show = node("Preview3DAdvanced", model_3d=["file", 0], **VIEW)
        run(stub, {**mesh(), "file": node("MeshToFile3D", mesh=["mesh", 0]), "show": show})
        assert list(stub.output_dir.iterdir()) == []

    def test_what_an_unknown_node_says_of_the_camera_is_not_shown(self) -> None:
        with comfystub.patch(URL, unknown_nodes="accept") as stub:
            show = node("Preview3D", model_file="a.glb", camera_info=["camera", 0])
            job = run(stub, {"camera": node("MyCamera"), "show": show})
            assert job.ui == {"show": {"result": ["a.glb", None, None]}}


class TestLoading:
    def load(self, stub: comfystub.Stub, **state: Any) -> comfystub.Job:
        """Load a file, and look at all that can be looked at."""
        (stub.input_dir / "a.glb").write_bytes(encode(Shape(b"theirs")))
        graph = {
            "x": node("Load3D", model_file="a.glb", image=state or "", width=80, height=60),
            "image": node("PreviewImage", images=["x", 0]),
            "mask": node("PreviewImage", images=["as image", 0]),
            "as image": node("MaskToImage", mask=["x", 1]),
            "path": node("PreviewAny", source=["x", 2]),
            "normal": node("PreviewImage", images=["x", 3]),
        }
        return run(stub, graph)

    def test_without_a_page_pictures_are_made_up(self, lenient: comfystub.Stub) -> None:
        job = self.load(lenient)
        images = {output.node_id: output.image for output in job.outputs}
        assert {name: image.size for name, image in images.items()} == dict.fromkeys(
            ("image", "mask", "normal"), (80, 60)
        )
        assert images["image"].tobytes() != images["normal"].tobytes()
        assert job.ui["path"] == {"text": ["a.glb"]}

    def test_what_a_page_has_drawn_is_loaded(self, lenient: comfystub.Stub) -> None:
        for name, color in (("image", "red"), ("mask", "white"), ("normal", "blue")):
            Image.new("RGB", (8, 6), color).save(lenient.temp_dir / f"{name}.png")
        job = self.load(lenient, image="image.png [temp]", mask="mask.png [temp]", normal="normal.png [temp]")
        colors = {output.node_id: output.image.getcolors() for output in job.outputs}
        assert colors == {
            "image": [(48, (255, 0, 0))],
            "mask": [(48, (255, 255, 255))],
            "normal": [(48, (0, 0, 255))],
        }

    def test_a_recording_is_a_film(self, lenient: comfystub.Stub) -> None:
        frames = node("EmptyImage", width=32, height=32, batch_size=12, color=0)
        film = node("CreateVideo", images=["f", 0], fps=6.0)
        run(lenient, {"f": frames, "v": film, "save": node("SaveVideo", video=["v", 0], filename_prefix="r")})
        load = node("Load3D", model_file="none", image={"recording": "r_00001_.mp4 [output]"})
        parts = node("GetVideoComponents", video=["load", 5])
        assert text_of(lenient, 2, x=parts, load=load) == "6.0"

    @pytest.mark.parametrize(
        ("slot", "text"),
        [(0, "None"), (1, json.dumps(INFO)), (2, json.dumps(CAMERA)), (3, "640"), (4, "480")],
    )
    def test_no_file_and_a_view(self, stub: comfystub.Stub, slot: int, text: str) -> None:
        assert text_of(stub, slot, x=node("Load3DAdvanced", model_file="none", **VIEW)) == text


def camera_inputs(mode: str, **inputs: float) -> Graph:
    common: Graph = {"target_x": 0.0, "target_y": 0.0, "target_z": 0.0, "roll": 0.0, "fov": 35.0, "zoom": 1.0}
    dynamic = {f"mode.{name}": value for name, value in inputs.items()}
    return {**common, "camera_type": "perspective", "mode": mode, **dynamic}


class TestCameras:
    @pytest.mark.parametrize(
        ("mode", "inputs", "position"),
        [
            ("orbit", {"yaw": 0.0, "pitch": 0.0, "distance": 3.0}, (0.0, 0.0, 3.0)),
            ("orbit", {"yaw": 0.0, "pitch": 30.0, "distance": 2.0}, (0.0, 1.0, 3.0**0.5)),
            ("look_at", {"position_x": 1.0, "position_y": 2.0, "position_z": 3.0}, (1.0, 2.0, 3.0)),
        ],
    )
    def test_positions(
        self, stub: comfystub.Stub, mode: str, inputs: dict[str, float], position: tuple[float, ...]
    ) -> None:
        camera = json.loads(text_of(stub, 0, x=node("CreateCameraInfo", **camera_inputs(mode, **inputs))))
        assert tuple(camera["position"].values()) == pytest.approx(position)
        assert (camera["fov"], camera["cameraType"]) == (35.0, "perspective")

    def test_a_turned_camera(self, stub: comfystub.Stub) -> None:
        place = {"position_x": 0.0, "position_y": 0.0, "position_z": 5.0}
        turn = {"quat_x": 0.0, "quat_y": 1.0, "quat_z": 0.0, "quat_w": 0.0}
        x = node("CreateCameraInfo", **camera_inputs("quaternion", **place, **turn))
        assert json.loads(text_of(stub, 0, x=x))["quaternion"] == {"x": 0.0, "y": 1.0, "z": 0.0, "w": 0.0}


CHANGES: dict[str, tuple[Graph, Graph]] = {
    "RotateMesh": (
        {"mode": "euler_xyz", "mode.angle_x": 90.0, "mode.angle_y": 0.0, "mode.angle_z": 0.0},
        {"mode": "euler_xyz", "mode.angle_x": 45.0, "mode.angle_y": 0.0, "mode.angle_z": 0.0},
    ),
    "DecimateMesh": (
        {"target_face_count": 1000, "placement_mode": "midpoint"},
        {"target_face_count": 500, "placement_mode": "midpoint"},
    ),
    "MeshSmoothNormals": ({"crease_angle": 180.0}, {"crease_angle": 30.0}),
    "WeldVertices": ({"epsilon_rel": 1e-5, "epsilon_abs": 0.0}, {"epsilon_rel": 1e-4, "epsilon_abs": 0.0}),
}


class TestMeshes:
    @pytest.mark.parametrize("class_type", CHANGES)
    def test_another_change_gives_another_mesh(self, stub: comfystub.Stub, class_type: str) -> None:
        one, other = (
            saved(stub, **mesh(), x=node(class_type, mesh=["mesh", 0], **inputs))
            for inputs in CHANGES[class_type]
        )
        assert one != other

    def test_merging(self, stub: comfystub.Stub) -> None:
        x = node("MergeMeshes", **{"meshes.mesh0": ["mesh", 0], "meshes.mesh1": ["mesh", 0]})
        assert saved(stub, **mesh(), x=x)

    def test_the_numbers_of_a_mesh_are_those_of_its_file(self, stub: comfystub.Stub) -> None:
        graph = {**mesh(), "x": node("GetMeshInfo", mesh=["mesh", 0])}
        info = text_of(stub, 1, **graph)
        document = glb_of(run(stub, {**graph, "save": node("SaveGLB", mesh=["x", 0], filename_prefix="m")}))[
            0
        ]
        counts = [accessor["count"] for accessor in document["accessors"]]
        assert info.splitlines()[:2] == [f"vertices: {counts[0]}", f"faces: {counts[2] // 3}"]

    def test_the_numbers_are_told_to_every_client(self, stub: comfystub.Stub) -> None:
        job = run(
            stub,
            {**mesh(), "x": node("GetMeshInfo", mesh=["mesh", 0]), "p": node("PreviewAny", source=["x", 1])},
        )
        texts = [event.data for event in job.events if event.type == "text"]
        assert len(texts) == 1


class TestSplats:
    SPLAT = node("VAEDecodeTripoSplat", samples=["gone", 0], vae=["gone", 1])

    @pytest.mark.parametrize("format", ["ply", "ksplat", "spz"])
    def test_a_splat_becomes_a_file(self, lenient: comfystub.Stub, format: str) -> None:
        x = node("SplatToFile3D", splat=["splat", 0], format=format)
        save = node("SaveGaussianSplat", model_3d=["x", 0], filename_prefix="s")
        path = run(lenient, {"splat": self.SPLAT, "x": x, "save": save}).ui["save"]["result"][0]
        data = (lenient.output_dir / path).read_bytes()
        assert path == f"s_00001_.{format}"
        assert kind_of(data) == (format if format != "ksplat" else None)

    def test_the_number_of_gaussians_is_that_of_the_file(self, lenient: comfystub.Stub) -> None:
        (lenient.input_dir / "a.ply").write_bytes(
            b"ply\nformat ascii 1.0\nelement vertex 12345\nend_header\n"
        )
        load = node("Load3DAdvanced", model_file="a.ply")
        splat = node("File3DToSplat", model_3d=["load", 0])
        x = node("GetSplatCount", splat=["splat", 0])
        assert text_of(lenient, 1, x=x, splat=splat, load=load) == "12345"
        made = node("GetSplatCount", splat=["splat", 0])
        assert text_of(lenient, 1, x=made, splat=self.SPLAT) == "8"

    def test_a_splat_can_become_a_mesh(self, lenient: comfystub.Stub) -> None:
        moved = node("TransformSplat", splat=["splat", 0], translate_x=1.0)
        x = node("SplatToMesh", splat=["moved", 0])
        assert saved(lenient, splat=self.SPLAT, moved=moved, x=x)


class TestPictures:
    @pytest.mark.parametrize(
        ("class_type", "inputs", "outputs", "size"),
        [
            ("RenderMesh", {"width": 320, "height": 200}, 1, (320, 200)),
            ("RenderSplat", {"width": 128, "height": 64}, 1, (128, 64)),
            ("RenderUVAtlas", {"resolution": 256}, 1, (256, 256)),
            ("BakeTextureFromVoxel", {"texture_size": 128}, 3, (128, 128)),
            ("BakeNormalMapFromMesh", {"resolution": 64}, 1, (64, 64)),
            ("BakeAmbientOcclusion", {"resolution": 64}, 1, (64, 64)),
            ("MeshTextureToImage", {}, 5, (2048, 2048)),
        ],
    )
    def test_sizes(
        self, lenient: comfystub.Stub, class_type: str, inputs: Graph, outputs: int, size: tuple[int, int]
    ) -> None:
        shown = {f"p{slot}": node("PreviewImage", images=["x", slot]) for slot in range(outputs)}
        job = run(lenient, {"x": node(class_type, **inputs), **shown})
        assert [output.image.size for output in job.outputs] == [size] * outputs

    @pytest.mark.parametrize(("asked", "count"), [(1, 1), (0, 1), (12, 12), (-5, 5)])
    def test_a_turn_of_the_camera(self, lenient: comfystub.Stub, asked: int, count: int) -> None:
        x = node("RenderSplat", width=64, height=64, frames=asked)
        job = run(lenient, {"x": x, "p": node("PreviewImage", images=["x", 0])})
        pictures = [output.image.tobytes() for output in job.outputs]
        assert len(pictures) == len(set(pictures)) == count

    def test_textures_that_were_not_baked(self, lenient: comfystub.Stub) -> None:
        shown = {f"p{slot}": node("PreviewImage", images=["x", slot]) for slot in (1, 3, 4)}
        job = run(lenient, {"x": node("MeshTextureToImage"), **shown})
        assert [output.image.getpixel((0, 0)) for output in job.outputs] == [
            (0, 0, 0),
            (255, 255, 255),
            (128, 128, 255),
        ]


class TestOtherClasses:
    """What a class gives whose author says no more than its inputs and outputs."""

    @pytest.mark.parametrize(
        ("output", "ending"),
        [
            *((f"FILE_3D_{format.upper()}", format) for format in FORMATS if format != "3mf"),
            *(("MESH", "glb"), ("FILE_3D", "glb")),
            *(("FILE_3D_SPLAT_ANY", "ply"), ("FILE_3D_POINT_CLOUD_ANY", "ply")),
        ],
    )
    def test_shapes(self, stub: comfystub.Stub, output: str, ending: str) -> None:
        stub.add_node("MyShape", inputs={"seed": "INT"}, outputs=output)
        graphs = [
            {"x": node("MyShape", seed=seed), "save": node("SaveGLB", mesh=["x", 0], filename_prefix="m")}
            for seed in (1, 2)
        ]
        one, other = (run(stub, graph).outputs[0].path for graph in graphs)
        assert one.suffix == f".{ending}" and one.read_bytes() != other.read_bytes()

    def test_drawings(self, stub: comfystub.Stub) -> None:
        stub.add_node("MyVectorizer", inputs={"image": "IMAGE"}, outputs="SVG")
        graph = {
            "image": node("EmptyImage", width=40, height=30, batch_size=1, color=0),
            "x": node("MyVectorizer", image=["image", 0]),
            "save": node("SaveSVGNode", svg=["x", 0], filename_prefix="s"),
        }
        text = run(stub, graph).outputs[0].path.read_text()
        assert 'width="40" height="30"' in text
