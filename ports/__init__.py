"""The study note's networks in other frameworks, and the engines that hold them against the reference.

`ports.registry` lists the ports. Nothing is imported here: a module loads only layers below its own.
"""
