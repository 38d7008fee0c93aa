"""Node classes of your own server, from a file that holds what its ``GET /object_info`` answers."""

from pathlib import Path

import pytest

from stills import StillError, still

HERE = Path(__file__).parent


@pytest.mark.comfy_stub(object_info=HERE / "object_info.json")
class TestOwnServer:
    def test_a_custom_node_runs(self, comfy_stub):
        assert still("moonrise", grain=0.2)
        assert comfy_stub.jobs[-1].node("FilmGrain").inputs == {
            "image": ["pixels", 0],
            "strength": 0.2,
            "film": "35mm",
        }

    def test_its_inputs_are_validated(self):
        with pytest.raises(StillError, match="Prompt outputs failed validation"):
            still("moonrise", grain=1.5)

    def test_its_models_are_those_of_the_file(self):
        with pytest.raises(StillError, match=r"'other\.safetensors' not in \['stills_xl\.safetensors'\]"):
            still("moonrise", checkpoint="other.safetensors")


@pytest.mark.filterwarnings("ignore::comfystub.UnknownNodeWarning")
def test_without_the_file_the_class_is_unknown(comfy_stub):
    with pytest.raises(StillError, match="Node 'FilmGrain' not found"):
        still("moonrise", grain=0.2)


@pytest.mark.comfy_stub(unknown_nodes="accept")
def test_or_runs_as_a_black_box():
    assert still("moonrise", grain=0.2)


@pytest.mark.comfy_stub(validate=False)
def test_or_nothing_is_judged():
    assert still("moonrise", checkpoint="anything", grain=99)
