"""How a machine is named: what would change its numbers, and nothing else."""

from ports.engine.reports import machine_name

FACTS = {"python": "3.11.7", "cores": "2", "numpy": "2.4.6", "torch": "2.13.0", "torch devices": "cpu"}
GPU = {"torch devices": "cpu, cuda (NVIDIA H100)", "jax": "0.10.2", "jax devices": "cpu, cuda"}
FRAMEWORKS = ["numpy", "torch", "jax"]


def test_machine_is_named_by_its_versions():
    """The cores do not count; a framework that is not there is not named."""
    name = machine_name(FACTS, FRAMEWORKS)
    assert name.endswith(", Python 3.11.7, numpy 2.4.6, torch 2.13.0")
    assert machine_name(FACTS | {"cores": "64"}, FRAMEWORKS) == name
    assert machine_name(FACTS | {"numpy": "2.0"}, FRAMEWORKS) != name


def test_card_is_named_once():
    """Both frameworks find the card, and one of them knows what it is called."""
    name = machine_name(FACTS | GPU, FRAMEWORKS)
    assert name.endswith(", torch 2.13.0, jax 0.10.2, cuda (NVIDIA H100)")
    assert name.count("cuda") == 1
