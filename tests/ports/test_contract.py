"""A host is an object that is checked: anything else gives one sentence on what is wrong."""

import pytest

from ports.contract import Host, PortError, load_host
from ports.registry import FRAMEWORKS


@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=FRAMEWORKS)
def test_hosts_of_the_registry_are_hosts(framework):
    """Each host is complete, and made once."""
    if framework.absence():
        pytest.skip(framework.absence())
    assert isinstance(framework.host, Host)
    assert framework.host is framework.host


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("no_such_module:Host", "no_such_module:Host is no host: there is no module no_such_module"),
        ("ports.no_host:Host", "ports.no_host:Host is no host: there is no module ports.no_host"),
        (
            "ports.in_numpy.host:NoSuchHost",
            "ports.in_numpy.host:NoSuchHost is no host: expected a subclass of ports.contract.Host",
        ),
        (
            "ports.in_numpy.host",
            "ports.in_numpy.host is no host: expected a subclass of ports.contract.Host",
        ),
        (
            "ports.in_numpy.host:np",
            "ports.in_numpy.host:np is no host: expected a subclass of ports.contract.Host",
        ),
        (
            "builtins:dict",
            "builtins:dict is no host: expected a subclass of ports.contract.Host",
        ),
    ],
)
def test_path_that_is_no_host_is_refused(path, sentence):
    """One sentence, which says what is at that path, or that nothing is."""
    with pytest.raises(PortError) as refusal:
        load_host(path)
    assert str(refusal.value) == sentence


def test_host_that_lacks_a_method_is_refused(tmp_path, monkeypatch):
    """The methods that are missing are named."""
    lines = [
        "from ports.in_numpy.host import NumpyHost",
        "from ports.contract import Host",
        "class Half(Host):",
        *(f"    {name} = NumpyHost.{name}" for name in ("devices", "dtypes", "put", "put_labels")),
        *(f"    {name} = NumpyHost.{name}" for name in ("arithmetic", "exact_settings", "settings")),
    ]
    (tmp_path / "half_a_host.py").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PortError) as refusal:
        load_host("half_a_host:Half")
    assert str(refusal.value) == (
        "the host half_a_host:Half lacks compile, compiler_absence, get: see ports.contract.Host"
    )
