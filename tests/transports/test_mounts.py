"""A stub on the mocks of suites that use respx or responses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import requests
import responses
import respx
from calls import CLIENT, SESSION, URL, httpx_get, named, requests_get, who
from network import NetworkUsed
from workflows import text_to_image

import comfystub

OTHER = "http://other.test:8188"
ELSEWHERE = "http://elsewhere.test/x"


def stub_named(name: str, *urls: str) -> comfystub.Stub:
    return comfystub.Stub(list(urls) or URL, models={"checkpoints": [name]})


# --- respx


def test_a_router_does_a_whole_job() -> None:
    stub = comfystub.Stub(URL)
    with stub.respx_router():
        answer = CLIENT.post(f"{URL}/prompt", json={"prompt": text_to_image()})
        entry = CLIENT.get(f"{URL}/history/{answer.json()['prompt_id']}").json()
        [image] = entry[stub.jobs[0].id]["outputs"]["9"]["images"]
        viewed = CLIENT.get(f"{URL}/view", params=image)
        assert viewed.content == stub.outputs[0].path.read_bytes()
        assert viewed.http_version == "HTTP/1.1"
    with pytest.raises(NetworkUsed):
        CLIENT.get(URL)


async def test_a_router_does_a_whole_job_async() -> None:
    stub = comfystub.Stub(URL)
    async with stub.respx_router(), httpx.AsyncClient(verify=False) as client:
        answer = await client.post(f"{URL}/prompt", json={"prompt": text_to_image()})
        entry = (await client.get(f"{URL}/history/{answer.json()['prompt_id']}")).json()
        assert entry[stub.jobs[0].id]["status"]["completed"]
        async with client.stream("GET", f"{URL}/queue") as response:
            body = b"".join([part async for part in response.aiter_bytes()])
        assert body == b'{"queue_running": [], "queue_pending": []}'


def test_a_router_can_decorate() -> None:
    @stub_named("it").respx_router()
    def name() -> str:
        return who()

    assert name() == "it"


@pytest.mark.parametrize("using", ["httpcore", "httpx"])
def test_a_router_of_ones_own_is_given_back_with_the_stub_on_it(using: str) -> None:
    router = respx.mock(using=using)
    assert stub_named("it").respx_router(router) is router
    with router:
        assert who() == "it"


def test_a_router_without_a_mocker_serves_a_transport() -> None:
    router = stub_named("it").respx_router(respx.Router())
    with httpx.Client(transport=httpx.MockTransport(router.handler)) as client:
        assert client.get(f"{URL}/models/checkpoints").json() == ["it"]


def test_the_global_router_keeps_what_was_mounted_before_it_started() -> None:
    stub = stub_named("it")
    with respx.mock:
        stub.respx_router(respx.mock)
        assert who() == "it"
    with respx.mock, pytest.raises(respx.models.AllMockedAssertionError):
        who()
    stub.respx_router(respx.mock)
    try:
        for _ in range(2):
            with respx.mock:
                assert who() == "it"
    finally:
        respx.clear()


def test_the_fixture_of_respx_takes_a_stub(respx_mock: respx.MockRouter) -> None:
    stub_named("it").respx_router(respx_mock)
    assert who() == "it"


@pytest.mark.parametrize("router", [None, respx.mock(assert_all_called=True)], ids=["fresh", "own"])
def test_a_mount_that_nobody_calls_is_no_error(router: Any) -> None:
    with comfystub.Stub().respx_router(router):
        pass


def test_a_route_of_ones_own_that_nobody_calls_is_an_error_still() -> None:
    router = respx.mock(assert_all_called=True)
    comfystub.Stub().respx_router(router)
    router.get(ELSEWHERE)
    with pytest.raises(AssertionError, match="some routes were not called"), router:
        pass


def test_other_hosts_are_what_the_router_makes_of_them() -> None:
    with stub_named("it").respx_router() as router:
        router.get(ELSEWHERE).respond(201)
        assert httpx_get(ELSEWHERE).status == 201
        with pytest.raises(respx.models.AllMockedAssertionError):
            httpx_get("http://nowhere.test/")
        assert who() == "it"


@pytest.mark.parametrize("when", ["before", "after"])
def test_routes_of_ones_own_go_before_the_mount(when: str) -> None:
    stub, router = stub_named("it"), respx.mock(assert_all_called=True)

    def own() -> None:
        router.post(f"{URL}/prompt").respond(503)
        router.get(path__regex="^/history").mock(side_effect=httpx.ReadTimeout)

    steps: list[Callable[[], Any]] = [own, lambda: stub.respx_router(router)]
    for step in steps if when == "before" else reversed(steps):
        step()
    with router:
        assert CLIENT.post(f"{URL}/prompt", json={}).status_code == 503
        with pytest.raises(httpx.ReadTimeout):
            CLIENT.get(f"{URL}/history/x")
        assert who() == "it"
        assert CLIENT.get(f"{URL}/prompt").status_code == 200
    assert [call.path for call in stub.requests] == ["/models/checkpoints", "/prompt"]


def test_a_route_for_everything_goes_after_the_mount() -> None:
    router = respx.mock()
    stub_named("it").respx_router(router)
    router.route().respond(418)
    with router:
        assert (who(), httpx_get(ELSEWHERE).status) == ("it", 418)


def test_a_route_of_ones_own_may_decline_once() -> None:
    stub, router = stub_named("it"), respx.mock()
    stub.respx_router(router)
    route = router.get(f"{URL}/models/checkpoints")
    route.side_effect = [httpx.Response(503), httpx.Response(200, json=["mine"])]
    with router:
        assert [who(), who()] == ["503", "mine"]


def test_several_stubs_on_one_router() -> None:
    router = respx.mock()
    for name, url in (("a", URL), ("b", OTHER), ("c", URL)):
        stub_named(name, url).respx_router(router)
    with router:
        assert (who(), who(OTHER)) == ("c", "b")


def test_a_router_with_a_base_url_takes_a_stub() -> None:
    with respx.mock(base_url="http://api.test") as router:
        stub_named("it").respx_router(router)
        router.get("/x").respond(201)
        assert who() == "it"
        assert httpx_get("http://api.test/x").status == 201


BASES = ["http://plain.test", "https://secure.test", "http://[2001:db8::1]:8188", f"{URL}/comfy"]


@pytest.mark.parametrize("url", BASES)
def test_each_base_url_is_on_the_router(url: str) -> None:
    with stub_named("it", *BASES).respx_router():
        assert who(url) == "it"


def test_the_default_addresses_are_on_the_router() -> None:
    stub = comfystub.Stub()
    with stub.respx_router():
        for url in stub.urls:
            assert httpx_get(f"{url}/queue").status == 200
    assert len(stub.requests) == 4


def test_below_a_prefix_is_the_stub_and_beside_it_the_router() -> None:
    stub = comfystub.Stub(f"{URL}/comfy")
    with stub.respx_router() as router:
        router.get(f"{URL}/mine").respond(201)
        assert [httpx_get(URL + path).status for path in ("/comfy", "/comfy/queue", "/mine")] == [
            200,
            200,
            201,
        ]
        for beside in ("/", "/comfyui/queue", "/queue", "/a/comfy/queue"):
            with pytest.raises(respx.models.AllMockedAssertionError):
                httpx_get(URL + beside)
    assert [call.path for call in stub.requests] == ["/", "/queue"]


# --- responses


def test_a_mock_does_a_whole_job() -> None:
    stub = comfystub.Stub(URL)
    with stub.responses_adapter():
        answer = SESSION.post(f"{URL}/prompt", json={"prompt": text_to_image()})
        entry = SESSION.get(f"{URL}/history/{answer.json()['prompt_id']}").json()
        [image] = entry[stub.jobs[0].id]["outputs"]["9"]["images"]
        viewed = SESSION.get(f"{URL}/view", params=image, stream=True)
        assert b"".join(viewed.iter_content(100)) == stub.outputs[0].path.read_bytes()
        assert SESSION.head(f"{URL}/queue").headers["Content-Length"] == "42"
    with pytest.raises(NetworkUsed):
        SESSION.get(URL)


def test_an_upload_arrives_through_a_mock() -> None:
    stub = comfystub.Stub(URL)
    with stub.responses_adapter():
        SESSION.post(f"{URL}/upload/image", files={"image": ("a.png", b"picture")}).raise_for_status()
    assert (stub.input_dir / "a.png").read_bytes() == b"picture"


@pytest.mark.parametrize("fired", [True, False])
def test_a_mock_of_ones_own_is_given_back_with_the_stub_on_it(fired: bool) -> None:
    mock = responses.RequestsMock(assert_all_requests_are_fired=fired)
    assert stub_named("it").responses_adapter(mock) is mock
    with mock:
        assert who(get=requests_get) == "it"


@responses.activate(assert_all_requests_are_fired=True)
def test_the_mock_of_the_module_takes_a_stub() -> None:
    stub_named("it").responses_adapter(responses.mock)
    assert who(get=requests_get) == "it"


@pytest.mark.parametrize(
    "mock", [None, responses.RequestsMock(assert_all_requests_are_fired=True)], ids=["fresh", "own"]
)
def test_a_mount_that_nobody_calls_is_no_error_in_responses(mock: Any) -> None:
    with comfystub.Stub().responses_adapter(mock):
        pass


def test_a_response_of_ones_own_that_nobody_fires_is_an_error_still() -> None:
    mock = responses.RequestsMock(assert_all_requests_are_fired=True)
    with pytest.raises(AssertionError, match=r"Not all requests have been executed.*elsewhere"):
        with comfystub.Stub().responses_adapter(mock):
            mock.add(responses.GET, ELSEWHERE)


def test_other_hosts_are_what_the_mock_makes_of_them(echo_url: str) -> None:
    with stub_named("it").responses_adapter() as mock:
        mock.add(responses.GET, ELSEWHERE, status=201)
        mock.add_passthru(echo_url)
        assert requests_get(ELSEWHERE).status == 201
        assert requests_get(f"{echo_url}/x") == (200, "GET /x ")
        with pytest.raises(requests.ConnectionError, match="the request is for another host"):
            requests_get("http://nowhere.test/")
        assert who(get=requests_get) == "it"


@pytest.mark.parametrize("when", ["before", "after"])
def test_responses_of_ones_own_go_before_the_mount_and_leave_it_there(when: str) -> None:
    stub, mock = stub_named("it"), responses.RequestsMock(assert_all_requests_are_fired=True)

    def own() -> None:
        mock.add(responses.POST, f"{URL}/prompt", status=503)
        mock.add(responses.GET, f"{URL}/history/x", body=requests.ReadTimeout("mine"))

    steps: list[Callable[[], Any]] = [own, lambda: stub.responses_adapter(mock)]
    for step in steps if when == "before" else reversed(steps):
        step()
    with mock:
        for _ in range(2):
            assert SESSION.post(f"{URL}/prompt", json={}).status_code == 503
            with pytest.raises(requests.ReadTimeout, match="mine"):
                SESSION.get(f"{URL}/history/x")
            assert who(get=requests_get) == "it"
    assert [call.path for call in stub.requests] == ["/models/checkpoints"] * 2


def test_several_stubs_on_one_mock() -> None:
    with responses.RequestsMock() as mock:
        for name, url in (("a", URL), ("b", OTHER), ("c", URL)):
            stub_named(name, url).responses_adapter(mock)
        assert (who(get=requests_get), who(OTHER, requests_get)) == ("c", "b")
        assert (who(get=requests_get), who(OTHER, requests_get)) == ("c", "b")


@pytest.mark.parametrize("url", BASES)
def test_each_base_url_is_on_the_mock(url: str) -> None:
    with stub_named("it", *BASES).responses_adapter():
        assert who(url, requests_get) == "it"


def test_below_a_prefix_is_the_stub_and_beside_it_the_mock() -> None:
    stub = comfystub.Stub(f"{URL}/comfy")
    with stub.responses_adapter() as mock:
        mock.add(responses.GET, f"{URL}/mine", status=201)
        paths = ("/comfy", "/comfy/queue", "/mine")
        assert [requests_get(URL + path).status for path in paths] == [200, 200, 201]
        for beside in ("/", "/comfyui/queue", "/queue"):
            with pytest.raises(requests.ConnectionError):
                requests_get(URL + beside)
    assert [call.path for call in stub.requests] == ["/", "/queue"]


def test_the_calls_of_a_mock_are_counted_by_it() -> None:
    with stub_named("it").responses_adapter() as mock:
        who(get=requests_get)
        who(get=requests_get)
        assert [call.request.url for call in mock.calls] == [f"{URL}/models/checkpoints"] * 2


# --- beside patch(), in both orders


def with_respx(stub: comfystub.Stub) -> Any:
    return stub.respx_router(respx.mock(assert_all_called=True))


def with_respx_on_httpx(stub: comfystub.Stub) -> Any:
    return stub.respx_router(respx.mock(using="httpx"))


def with_responses(stub: comfystub.Stub) -> Any:
    return stub.responses_adapter(responses.RequestsMock(assert_all_requests_are_fired=True))


MOUNTS = [(with_respx, httpx_get), (with_respx_on_httpx, httpx_get), (with_responses, requests_get)]
each_mount = pytest.mark.parametrize(("mount", "get"), MOUNTS, ids=["respx", "respx on httpx", "responses"])


@each_mount
@pytest.mark.parametrize("first", ["mount", "patch"])
def test_a_stub_that_is_mounted_and_in_force_sees_each_call_once(mount: Any, get: Any, first: str) -> None:
    stub = stub_named("it")
    mounted, patched = mount(stub), comfystub.patch(stub=stub)
    with mounted if first == "mount" else patched, patched if first == "mount" else mounted:
        assert who(get=get) == "it"
    assert len(stub.requests) == 1
    with pytest.raises(NetworkUsed):
        get(URL)


@each_mount
@pytest.mark.parametrize("first", ["mount", "patch"])
def test_a_mount_beside_another_stub_in_force(mount: Any, get: Any, first: str) -> None:
    mounted, patched = mount(stub_named("mounted")), named("patched", OTHER)
    with mounted if first == "mount" else patched, patched if first == "mount" else mounted:
        assert who(get=get) == "mounted"
    with pytest.raises(NetworkUsed):
        get(URL)


def test_a_stub_in_force_inside_a_mock_answers_at_its_own_address() -> None:
    for mount, get in ((with_respx, httpx_get), (with_responses, requests_get)):
        with mount(stub_named("mounted")), named("patched", OTHER):
            assert (who(get=get), who(OTHER, get)) == ("mounted", "patched")
