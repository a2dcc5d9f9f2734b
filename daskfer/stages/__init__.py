"""The stages of a run: each takes what came before, leaves its result in the store, and returns it.

Here the numerics meet the store and the engine, and nothing else happens: no arithmetic, no Dask.
"""
