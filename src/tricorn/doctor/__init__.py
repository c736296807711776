"""`tricorn doctor`: what stands between this machine and a running Tricorn, and what mends it.

Imports the standard library only, so that it works before anything is installed; the checks that
need Tricorn's own packages import them when they run.
"""
