"""``stub.assert_all_downloaded``."""

from __future__ import annotations

import httpx
import pytest
from workflows import text_to_image

import comfystub

from .app import URL, get, message, submit


def test_without_files_there_is_nothing_to_download() -> None:
    with comfystub.patch(URL) as stub:
        stub.assert_all_downloaded()
        graph = text_to_image()
        graph["9"] = {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}
        submit(graph)
        assert [output.type for output in stub.outputs] == ["temp"]
        stub.assert_all_downloaded()


@pytest.mark.parametrize(
    "params",
    [
        {"filename": "fox_00001_.png", "subfolder": "a/b", "type": "output"},
        {"filename": "fox_00001_.png", "subfolder": "a/b"},
        {"filename": "fox_00001_.png", "subfolder": "a/./b/"},
        {"filename": "fox_00001_.png [output]", "subfolder": "a/b", "type": "temp"},
        {"filename": "fox_00001_.png", "subfolder": "a/b", "preview": "webp;90"},
    ],
)
@pytest.mark.parametrize("path", ["/view", "/api/view"])
def test_a_file_can_be_asked_for_in_several_ways(path: str, params: dict[str, str]) -> None:
    with comfystub.patch(URL) as stub:
        submit(text_to_image(prefix="a/b/fox"))
        get("/queue")
        assert get(path, **params).status_code == 200
        stub.assert_all_downloaded()


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Range": "bytes=0-9"}, 206), ({"If-None-Match": "*"}, 304)],
    ids=["part", "known"],
)
def test_a_part_counts_and_so_does_what_the_client_has(headers: dict[str, str], status: int) -> None:
    with comfystub.patch(URL) as stub:
        submit(text_to_image(prefix="fox"))
        get("/queue")
        answer = httpx.get(f"{URL}/view", params={"filename": "fox_00001_.png"}, headers=headers)
        assert answer.status_code == status
        stub.assert_all_downloaded()


def test_each_file_that_was_not_downloaded_is_told_with_the_nearest_miss() -> None:
    with comfystub.patch(URL) as stub:
        submit(text_to_image(prefix="a/fox", batch_size=4))
        submit(text_to_image(prefix="wolf"))
        get("/queue")
        assert get("/view", filename="fox_00001_.png", subfolder="a").status_code == 200
        get("/view", filename="fox_00002_.png")
        get("/view", filename="fox_00003_.png", type="input")
        get("/view", filename="fox_00003_.png", subfolder="a", type="temp")
        httpx.head(f"{URL}/view", params={"filename": "wolf_00001_.png"})
        with pytest.raises(AssertionError) as failed:
            stub.assert_all_downloaded()
    assert message(failed.value) == [
        "not downloaded: 4 of 5 files",
        "- a/fox_00002_.png of job 1: GET /view?filename=fox_00002_.png was answered 404: "
        "subfolder '' in place of 'a'",
        "- a/fox_00003_.png of job 1: GET /view?filename=fox_00003_.png&subfolder=a&type=temp was answered 404: "
        "type 'temp' in place of 'output'",
        "- a/fox_00004_.png of job 1: nobody asked for it",
        "- wolf_00001_.png of job 2: nobody asked for it",
    ]


def test_a_file_that_was_gone_is_told_with_its_status() -> None:
    with comfystub.patch(URL) as stub:
        submit(text_to_image(prefix="fox"))
        stub.outputs[0].path.unlink()
        get("/view", filename="fox_00001_.png")
        with pytest.raises(AssertionError) as failed:
            stub.assert_all_downloaded()
    assert message(failed.value)[1:] == [
        "- fox_00001_.png of job 1: GET /view?filename=fox_00001_.png was answered 404"
    ]


def test_a_job_that_nobody_polled_runs_first() -> None:
    with comfystub.patch(URL) as stub:
        submit(text_to_image(prefix="fox"))
        with pytest.raises(AssertionError, match="not downloaded: 1 of 1 file\n"):
            stub.assert_all_downloaded()
