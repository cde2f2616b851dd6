"""`python -m minilora` is the command `minilora`."""

import sys

try:
    from minilora.cli import main

    sys.exit(main())
except KeyboardInterrupt:  # while the modules were still being read
    sys.exit(130)
