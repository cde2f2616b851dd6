"""One file a command: HELP (a line), add_arguments(parser) and run(args) -> exit code or None.

What a command needs is imported when it runs, so that `minilora --help` is quick.
"""
