"""Where a launcher does runs, as far as a sweep must know it."""

from hydra.plugins.launcher import Launcher

from gradreach.compose import is_basic
from gradreach.launchers.clusters import RayLauncher, SubmititLauncher, address_in
from gradreach.launchers.cores import CoresLauncher


def is_here(launcher: Launcher) -> bool:
    """Return whether runs are done on this machine, which then must have what they need; of strangers nobody knows."""
    if isinstance(launcher, RayLauncher):
        return address_in(launcher.init) == "local"
    if isinstance(launcher, SubmititLauncher):
        return launcher.cluster == "local"
    return isinstance(launcher, CoresLauncher) or is_basic(launcher)
