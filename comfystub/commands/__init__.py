"""The commands of the command line, a module each.

A module has ``HELP``, ``add_arguments(parser)`` and ``run(options)``, which returns the exit status.
"""
