"""A module of its own: views of one module are drawn by one process, which this would keep busy."""

import time


def hangs(trial, step):
    while True:
        time.sleep(1)
