"""What processes do when the one that started them is gone, killed perhaps."""

import multiprocessing
import os
import threading


def end_with_parent():
    """Lets this process, one of `multiprocessing`, end as soon as its parent does."""
    parent = multiprocessing.parent_process()

    def watch():
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
