"""`lockstep show`: one quantity of one step, side by side."""

import argparse
from typing import Any

from ports.commands.compare import add_run

HELP = """print one quantity of one step side by side, every port against the reference

Elements that use most of their bound come first. Every port starts from the reference's weights."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("quantity", help="a quantity's name, for example dhidden")
    parser.add_argument("--model", default="two_layer", help="softmax or two_layer (default two_layer)")
    parser.add_argument("--step", default="0", help="which step of the run (default 0)")
    parser.add_argument(
        "--port", action="append", default=[], help="may be repeated (default: all here)"
    )
    parser.add_argument("--mode", help="eager or compiled (default: each framework's natural mode)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, ... (default cpu)")
    parser.add_argument("--dtype", default="float64", help="float64 or float32 (default float64)")
    parser.add_argument("--most", default="10", help="how many elements to print (default 10)")
    add_run(parser, points="5")


def run(args: argparse.Namespace) -> int:
    """Print the table; 0 if all ports agree, else 1."""
    import numpy as np

    from ports import PORTS
    from ports.engine.lockstep import reference_at, run_step_at
    from ports.engine.selection import named, one_cell, positive, seed_number, step_of_run
    from ports.report.terminal import in_digits
    from reference.agreement.judge import LOCAL, compare
    from reference.models import MODELS
    from reference.runs import draw

    model = MODELS[named("model", args.model, tuple(MODELS))]
    named(f"quantity of {model.name}", args.quantity, tuple(model.quantities))
    i = step_of_run(args.step, model)
    most, points = positive("most", args.most), positive("points", args.points)
    problem = draw(np.random.RandomState(seed_number(args.seed)), points).problem(model)
    names = args.port or [name for name, port in PORTS.items() if not port.absence()]
    cells = [one_cell(model, name, args.mode, args.device, args.dtype) for name in names]
    start = reference_at(problem, i)

    columns, agree = {}, True
    for port, cell in cells:
        with port.host.exact_settings():
            trace, expected, problems = run_step_at(port, cell, start, i)
        if args.quantity in problems:
            print(f"{cell.port}: {args.quantity} {problems[args.quantity]}  FAILS")
            agree = False
            continue
        if args.quantity not in trace:
            print(f"{cell.port} does not show {args.quantity}: {port.hidden_quantities[args.quantity]}")
            continue
        finding = compare(args.quantity, LOCAL, trace[args.quantity], expected[args.quantity])
        agree &= finding.agrees
        columns[cell.port] = (trace[args.quantity], expected[args.quantity], finding)

    print(f"{model.name} {args.quantity} at step {i}, {args.dtype}, {3 * points} points")
    for index in _largest_shares(columns, most):
        print(f"{list(index)}")
        for name, (got, bound, _) in columns.items():
            value, error = bound.value[index], bound.errors()[index]
            print(
                f"  {name:<15}{float(got[index])!r:>26}  reference {float(value)!r:>26}"
                f"  apart {abs(float(got[index]) - float(value)):.1e}  allowed {float(error):.1e}"
            )
    for name, (_, _, finding) in columns.items():
        print(
            f"{name:<15} largest share of the bound {in_digits(finding.share)}"
            + ("" if finding.agrees else "  FAILS")
        )
    return 0 if agree and columns else 1


def _largest_shares(columns: dict[str, Any], most: int) -> list[tuple[int, ...]]:
    """Indices of the elements that come nearest to their bound in any port."""
    import numpy as np

    tiny = np.finfo(float).smallest_subnormal
    with np.errstate(all="ignore"):  # anything over an exact bound is infinite
        shares = [abs(got - bound.value) / (bound.errors() + tiny) for got, bound, _ in columns.values()]
    if not shares:
        return []
    largest = np.max(shares, axis=0)
    order = np.argsort(-largest, axis=None, kind="stable")[:most]
    return [tuple(int(k) for k in np.unravel_index(flat, largest.shape)) for flat in order]
