"""Where a launcher executes runs, as far as a sweep has to know."""

from hydra.plugins.launcher import Launcher

from gradreach.compose import is_basic
from gradreach.launchers.clusters import RayLauncher, SubmititLauncher, address_in
from gradreach.launchers.cores import CoresLauncher


def is_here(launcher: Launcher) -> bool:
    """Return whether runs are executed on this machine, which then must have what they need; unknown launchers: no."""
    if isinstance(launcher, RayLauncher):
        return address_in(launcher.init) == "local"
    if isinstance(launcher, SubmititLauncher):
        return launcher.cluster == "local"
    return isinstance(launcher, CoresLauncher) or is_basic(launcher)
