# SPDX-License-Identifier: Apache-2.0
"""What WASI lacks and libraries expect to be there: imports that nothing depends on, an event loop
without sockets, threads that say why they do not start, and alarms that never ring.

A library that sets an alarm does so to end a computation that takes too long. Here the host does that.
"""

import importlib.util
import sys


def install() -> None:
    """Puts the stand-ins into place."""
    if importlib.util.find_spec("_ctypes") is None:
        from . import ctypes

        sys.modules["ctypes"] = ctypes
    from . import event_loop

    event_loop.install()
    _refuse_threads()
    import hashlib

    if not hasattr(hashlib, "pbkdf2_hmac"):
        from .key_derivation import pbkdf2_hmac

        hashlib.pbkdf2_hmac = pbkdf2_hmac
    import signal

    if not hasattr(signal, "alarm"):
        signal.SIGALRM = 14
        signal.ITIMER_REAL = 0
        signal.alarm = lambda seconds: 0
        signal.setitimer = lambda which, seconds, interval=0.0: (0.0, 0.0)
        signal.getitimer = lambda which: (0.0, 0.0)
        real = signal.signal

        def set_handler(number, handler):
            return signal.SIG_DFL if number == signal.SIGALRM else real(number, handler)

        signal.signal = set_handler


def _refuse_threads() -> None:
    import _thread
    import threading

    def start(function, *arguments, **options):
        raise RuntimeError("there are no threads in a component: call the function instead")

    # Their names under which they are called.
    for name in ("start_new_thread", "start_new", "start_joinable_thread"):
        if hasattr(_thread, name):
            setattr(_thread, name, start)
    for name in ("_start_new_thread", "_start_joinable_thread"):
        if hasattr(threading, name):
            setattr(threading, name, start)
