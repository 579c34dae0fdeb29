"""The garbage collector looks at nothing while modules are imported, and leaves no run's memory behind."""

import gc
import sys
from types import ModuleType

import pytest

from gradreach.system.garbage import importing


@pytest.fixture(autouse=True)
def a_process_of_our_own(monkeypatch):
    monkeypatch.setattr("gradreach.system.garbage._ours", True)
    yield
    gc.unfreeze()


def test_nothing_is_collected_while_modules_come_and_they_are_left_alone_from_then_on(monkeypatch):
    frozen = gc.get_freeze_count()
    with importing():
        assert not gc.isenabled()
        monkeypatch.setitem(sys.modules, "a_module_that_has_come", ModuleType("a_module_that_has_come"))
    assert gc.isenabled()
    assert gc.get_freeze_count() > frozen


def test_where_no_module_comes_what_is_in_memory_is_collected_as_before():
    frozen = gc.get_freeze_count()
    with importing():
        pass
    assert gc.get_freeze_count() == frozen


def test_in_somebody_elses_process_nothing_is_kept_from_the_collector(monkeypatch):
    monkeypatch.setattr("gradreach.system.garbage._ours", False)
    frozen = gc.get_freeze_count()
    with importing():
        assert not gc.isenabled()
        monkeypatch.setitem(sys.modules, "a_module_that_has_come", ModuleType("a_module_that_has_come"))
    assert gc.get_freeze_count() == frozen


def test_who_has_switched_the_collector_off_keeps_it_off():
    gc.disable()
    try:
        with pytest.raises(ImportError), importing():
            raise ImportError
        assert not gc.isenabled()
    finally:
        gc.enable()
