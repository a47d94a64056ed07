"""The `lockstep` command's parts, one module each: HELP, add_arguments(parser), run(args) -> status.

At module level they import the standard library alone, so that `lockstep --help` is quick.
"""
