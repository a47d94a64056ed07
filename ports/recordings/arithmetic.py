"""What a framework promises, looked up without importing it: it may not be here."""

from reference.agreement.arithmetic import ARITHMETICS, Arithmetic


def promised(framework: str, device: str, dtype: str) -> Arithmetic:
    """What the framework's host promises on that device in that dtype, under its exact settings.

    A program of one's own, in C++ say, keeps to the number format on a CPU, and to what accelerators
    promise elsewhere, as the frameworks here do.
    """
    exact = ARITHMETICS[dtype]
    return exact if device == "cpu" else exact.on_accelerator()
