import threading

from facetag_worker.idle_memory import IdleMemory


def test_memory_goes_back_once_work_has_ended():
    given = threading.Event()
    memory = IdleMemory(idle_s=0.01, give_back=given.set)
    memory.work_begins()
    memory.work_ends()
    assert given.wait(10)


def test_memory_stays_while_work_follows_work():
    given = threading.Event()
    memory = IdleMemory(idle_s=0.2, give_back=given.set)
    memory.work_begins()
    memory.work_ends()
    memory.work_begins()
    assert not given.wait(0.6)
    memory.work_ends()
    assert given.wait(10)
