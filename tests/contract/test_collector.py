"""The garbage collector is off while bodies are judged, by however many at once, and on again afterwards."""

import gc
import threading

from gateway.contract.decoding import uncollected


def test_it_is_on_again_when_the_last_one_is_done():
    assert gc.isenabled()
    with uncollected():
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_nobody_waits_for_another():
    inside, enough = threading.Event(), threading.Event()

    def stay():
        with uncollected():
            inside.set()
            enough.wait(10)

    thread = threading.Thread(target=stay)
    thread.start()
    assert inside.wait(10)
    with uncollected():
        assert thread.is_alive()
    assert not gc.isenabled()
    enough.set()
    thread.join()
    assert gc.isenabled()


def test_where_it_was_off_it_stays_off():
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
