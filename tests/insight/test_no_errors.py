"""``stub.assert_no_errors``."""

from __future__ import annotations

import pytest
import requests
from workflows import text_to_image

import comfystub
from comfystub import faults

from .app import REJECTED, URL, get, message, out_of_memory, submit, without_steps


def test_a_client_that_does_well_has_none() -> None:
    with comfystub.patch(URL) as stub:
        stub.assert_no_errors()
        prompt_id = submit()
        assert get(f"/history/{prompt_id}").json()[prompt_id]["status"]["completed"]
        assert get("/view", filename="not-there.png").status_code == 404
        assert get("/models/none").status_code == 404
        stub.assert_no_errors()


def test_every_error_is_told_as_the_server_tells_it() -> None:
    half = text_to_image()
    half["1"] = {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "x"}}
    with comfystub.patch(URL, image=out_of_memory) as stub:
        submit(without_steps())
        submit()
        submit(half)
        requests.post(f"{URL}/prompt", data=b"{")
        get("/histroy/abc", max_items=1)
        get("/prompt/")
        get("/nothing")
        requests.post(f"{URL}/promt")
        requests.delete(f"{URL}/queue")
        with pytest.raises(AssertionError) as failed:
            stub.assert_no_errors()
    assert message(failed.value) == [
        "10 errors:",
        f"- {REJECTED}",
        "- POST /prompt was answered 200, but not all of the prompt runs: node 1 SaveImage: Return type mismatch "
        "between linked nodes (images, received_type(LATENT) mismatch input_type(IMAGE))",
        "- POST /prompt was answered 500: JSONDecodeError: Expecting property name enclosed in double quotes: "
        "line 1 column 2 (char 1)",
        "- GET /histroy/abc?max_items=1 was answered 404: ComfyUI has no such path; is /history meant?",
        "- GET /prompt/ was answered 404: ComfyUI has no such path; is /prompt meant?",
        "- GET /nothing was answered 404: ComfyUI has no such path",
        "- POST /promt was answered 405: ComfyUI has no such path; is /prompt meant?",
        "- DELETE /queue was answered 405: there ComfyUI takes GET and POST only",
        "- job 1 failed at 3 KSampler: RuntimeError: out of memory",
        "- job 2 failed at 3 KSampler: RuntimeError: out of memory",
    ]


def test_a_job_that_nobody_polled_runs_first() -> None:
    with comfystub.patch(URL, image=out_of_memory) as stub:
        submit()
        assert stub.jobs[0].state == "pending"
        with pytest.raises(AssertionError, match="1 error:\n- job 1 failed"):
            stub.assert_no_errors()


def test_errors_that_were_forgiven_are_errors_still() -> None:
    with comfystub.patch(URL) as stub:
        get("/nothing")
        stub.complaints.clear()
        with pytest.raises(AssertionError, match="1 error:\n- GET /nothing was answered 404"):
            stub.assert_no_errors()


def test_an_interrupted_job_is_no_error() -> None:
    with comfystub.patch(URL, pace="manual") as stub:
        submit()
        stub.run_until("progress")
        requests.post(f"{URL}/interrupt")
        stub.finish()
        assert stub.jobs[0].status == "cancelled"
        stub.assert_no_errors()


def test_what_a_fault_did_is_marked() -> None:
    given = [faults.bad_gateway(on="/queue"), faults.slow(1, on="/features"), faults.reset(on="/free")]
    with comfystub.patch(URL, clock="virtual", faults=given, pace=0) as stub:
        get("/queue")
        get("/features")
        with pytest.raises(requests.ConnectionError):
            requests.post(f"{URL}/free", json={})
        stub.fail(faults.vanish())
        submit()
        with pytest.raises(AssertionError) as failed:
            stub.assert_no_errors()
        assert stub.complaints == []
    assert message(failed.value) == [
        "3 errors:",
        "- GET /queue was answered 502 (a fault of the test's own: bad_gateway)",
        "- POST /free was not answered (a fault of the test's own: reset)",
        "- job 1 was lost (a fault of the test's own: vanish)",
    ]
