# SPDX-License-Identifier: Apache-2.0
"""What WASI lacks and libraries expect to be there: imports that nothing depends on, an event loop
without sockets, and alarms that never ring.

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
