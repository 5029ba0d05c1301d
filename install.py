#!/usr/bin/env python3
"""Install Holdfast for a project: a private environment, and the hooks of the AI coding CLIs that are used here.

python3 install.py --project ~/app      (--help tells the rest)

Only the standard library is used. This file must parse on every Python, down to 2.7, so that an old one can say so.
"""

import os
import sys

if sys.version_info < (3, 10):  # noqa: UP036  whoever runs it by an older one shall read one clear line
    sys.stderr.write(
        "install.py: Holdfast needs Python 3.10 or newer, and this is %s at %s: "  # noqa: UP031
        "run it with a newer one, as in `python3.12 install.py`\n" % (sys.version.split()[0], sys.executable)
    )
    sys.exit(5)

CHECKOUT = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True  # nothing may be left behind in the checkout
sys.path.insert(0, os.path.join(CHECKOUT, "plugin"))
try:
    from holdfast.install.bootstrap import main
except ImportError as error:
    sys.stderr.write("install.py: %s is not a whole checkout of Holdfast: %s\n" % (CHECKOUT, error))  # noqa: UP031
    sys.exit(1)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], CHECKOUT))
