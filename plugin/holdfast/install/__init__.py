"""Install holdfast into hosts and take it out again; what install.py does first is in `bootstrap`.

Everything here imports only the standard library, because install.py runs it before anything is installed.

    targets        the hosts: which file, which shell, what the user must still do
    settings_edit  insert and remove in a JSON text, every other byte as it was
    registration   the entries, filled in for this installation
    record         what was installed where
    environment    the private environment
    trial          the registered commands, run once
    installer      install and uninstall, from all of these
"""

from holdfast.install.installer import install, uninstall

__all__ = ["install", "uninstall"]
