"""The note's networks in other frameworks, and the engines that hold them against the reference.

`ports.registry` lists them. Nothing is imported here: a module loads what is below it, and no more.
"""
