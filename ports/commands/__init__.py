"""The `lockstep` command's parts, one module each.

A module has DETAILS (the help below the line from the table), add_arguments(parser), and
run(args) -> exit status. Only the module of the chosen command is imported.
"""

#: For each command, its help in one line and its module.
COMMANDS: dict[str, tuple[str, str]] = {
    "compare": (
        "certify ports against the reference at every step and print the matrix",
        "ports.commands.compare",
    ),
    "merge": (
        "put the reports of many machines together as one matrix",
        "ports.commands.merge",
    ),
    "run": (
        "train like the document, in any framework, and print what the document prints",
        "ports.commands.run",
    ),
    "show": (
        "print one quantity of one step side by side, every port against the reference",
        "ports.commands.show",
    ),
    "plot": (
        "draw the data, the decision boundaries, the loss curves and the drift",
        "ports.commands.plot",
    ),
    "drift": (
        "let every port train by itself and hold its drift against the noise floor",
        "ports.commands.drift",
    ),
    "check": (
        "judge your own file: which quantities are right, which is the first wrong one, and why",
        "ports.commands.check",
    ),
    "record": (
        "write down what a port computes, here or on a GPU, to be judged on any machine",
        "ports.commands.record",
    ),
    "certify": (
        "judge recordings of what ran elsewhere, without its framework or device",
        "ports.commands.certify",
    ),
    "inputs": (
        "write the inputs of a run for a program in any language",
        "ports.commands.inputs",
    ),
    "lesson": (
        "write the note in three frameworks side by side, with certified numbers, as one HTML page",
        "ports.commands.lesson",
    ),
    "traps": (
        "run the gallery of wrong ports: who catches them, and what the diagnosis says",
        "ports.commands.traps",
    ),
    "bounds": (
        "print the derived bounds of each quantity, local and end to end, mid-training",
        "ports.commands.bounds",
    ),
    "bench": (
        "measure what certification costs, against its goals",
        "ports.commands.bench",
    ),
    "doctor": (
        "say which frameworks, devices, versions and precision settings are here",
        "ports.commands.doctor",
    ),
}
