"""All that knows Dask: connecting, running blocks on workers, and dask-ml's estimators."""
