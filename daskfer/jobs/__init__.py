"""Jobs: runs that are computed elsewhere, and what their folders on storage say of them.

A job's request, its state, its log and the wish to stop it are files in the run's folder, so that
they outlive the client, the process that drives it, and the scheduler. Nothing here knows Dask.
"""
