"""RQ jobs: a few lines each, every one calls one service. `schedule.py` lists the periodic ones."""
